use std::fs;
use std::path::Path;

use super::*;

const FILE: &str = "/etc/portcullis/portcullis.yaml";

fn read(text: &str) -> Result<Settings, Error> {
    parse(text, Path::new(FILE))
}

/// What is warned about in the middle of 2026.
fn warnings(settings: &Settings) -> Vec<String> {
    settings.warnings(crate::setting::time::parse("2026-07-01T00:00:00Z").unwrap())
}

/// The fault of a text, as it is shown, without the file's name.
fn fault(text: &str) -> String {
    read(text).unwrap_err().to_string().strip_prefix(FILE).unwrap().to_owned()
}

#[test]
fn without_a_file_the_public_registries_are_served_to_this_machine_and_nothing_is_trusted() {
    let settings = Settings::built_in();
    assert_eq!(settings.listen.address.to_string(), "127.0.0.1:5000");
    assert_eq!(settings.admin.address.to_string(), "127.0.0.1:9090");
    let names: Vec<_> = settings.upstreams.iter().map(|(n, s)| (n.as_str(), s.default)).collect();
    assert_eq!(
        names,
        [
            ("docker.io", true),
            ("gcr.io", false),
            ("ghcr.io", false),
            ("quay.io", false),
            ("registry.k8s.io", false)
        ]
    );
    assert!(settings.policies().unwrap().matching(&"docker.io/library/nginx".parse().unwrap()).is_none());
    assert!(settings.store.path.ends_with("portcullis"));
    assert_eq!(settings.audit_path(), settings.store.path.join("audit.jsonl"));
    assert_eq!(warnings(&settings), [""; 0]);
}

#[test]
fn defaults_are_those_that_are_documented() {
    let settings = read("").unwrap();
    let seconds = |d: std::time::Duration| d.as_secs();
    assert_eq!(settings.store.max_size, 50 << 30);
    assert_eq!(seconds(settings.freshness.tag_ttl), 60);
    assert_eq!(seconds(settings.freshness.referrers_ttl), 60);
    assert_eq!(seconds(settings.freshness.stale_while_revalidate), 60);
    assert_eq!(seconds(settings.freshness.stale_if_error), 86_400);
    assert_eq!(seconds(settings.freshness.negative_ttl), 10);
    assert_eq!(seconds(settings.decisions.allow_max_age), 86_400);
    assert_eq!(seconds(settings.decisions.deny_ttl), 30);
    assert_eq!(seconds(settings.decisions.indeterminate_ttl), 5);
    assert!(!settings.log.requests && !settings.dangerous_skip_audit);
    assert!(!settings.listen.dangerous_anonymous_clients);
    assert_eq!(settings.trust.crls.as_deref(), Some(Path::new("/etc/portcullis/trust/crls")));
    assert_eq!(seconds(settings.trust.revocation_ttl), 3600);
    assert_eq!(seconds(settings.trust.dangerous_revocation_grace), 0);
    assert_eq!(settings.upstreams.len(), 5);
}

#[test]
fn faults_of_the_parser_have_their_place_and_key() {
    assert_eq!(
        fault("listen:\n  addres: x\n"),
        ":2:3: listen.addres: unknown field `addres`, expected one of address, tls, hosts, \
         dangerous_anonymous_clients"
    );
    assert!(fault("store: { max_size: many }").starts_with(":1:20: store.max_size: expected a size"));
    assert!(fault("freshness: { tag_ttl: 60 }").starts_with(":1:23: freshness.tag_ttl: expected a duration"));
    assert!(
        fault("policies:\n  - name: p\n    scopes: [\"docker.io/acme-*\"]\n")
            .starts_with(":3:14: policies.0.scopes.0: bad scope")
    );
    assert_eq!(fault("log: {}\nadmin: {}\nlog: {}\n"), ":3:1: log: the key is written twice");
    assert!(
        fault("upstreams:\n  docker.io: {}\n  index.docker.io: {}\n").contains("docker.io is named twice")
    );
    assert!(fault("upstreams: { \"no host\": {} }").starts_with(":1:14: upstreams.no host: a registry is"));
    assert!(fault("log: [").starts_with(":1:"));
    assert_eq!(
        fault("log: { requests: yes } # really"),
        ":1:18: log.requests: expected true or false, found \"yes\""
    );
    assert_eq!(
        fault("dangerous_skip_audit: \"no\"\n"),
        ":1:23: dangerous_skip_audit: expected true or false, found \"\\\"no\\\"\""
    );
    for (text, found) in [
        ("- listen\n", "a list"),
        ("[listen]\naddress = \"x\"\n", "a list"),
        ("address = \"127.0.0.1:5000\"\n", "\"address = \\\"127.0.0.1:5000\\\"\""),
        ("~", "nothing"),
    ] {
        let told = fault(text);
        assert!(
            told.ends_with(&format!("expected keys with values (`key: value`), found {found}")),
            "{told}"
        );
    }
    assert_eq!(
        fault("policies: { name: p }"),
        ":1:11: policies: expected a list (`[one, two]`), found keys with values"
    );
    assert_eq!(
        fault("listen: { address: 5000 }"),
        ":1:20: listen.address: expected an IP address and a port such as 127.0.0.1:5000 or [::1]:5000, found \"5000\": \
         write 127.0.0.1:5000 for this machine alone, or 0.0.0.0:5000 for all of its addresses"
    );
    assert!(fault("admin: { address: localhost:9090 }").contains("found \"localhost:9090\": names are not"));
    assert!(fault("log: {}\n---\nlog: {}\n").contains("one document"));
    assert!(fault("log: !secret {}\n").contains("tag"));
    assert!(
        fault("policies: [{ name: p, scopes: [a.b/c], require: { attested: { by: a } } }]")
            .contains("missing field `predicate_type`")
    );
    assert!(
        fault("exceptions: [{ repository: a.b/c, digest: \"sha256:0\", reason: r, expires: x }]")
            .starts_with(":1:43: exceptions.0.digest: ")
    );
}

#[test]
fn faults_of_modules_have_the_place_of_their_key() {
    let text =
        "signers:\n  acme:\n    notation:\n      trusted_identities: []\n      trust_store: \"ca:absent\"\n";
    let fault = read(text).unwrap().policies().unwrap_err();
    assert!(fault.key.starts_with("signers.acme.notation."), "{fault}");
    assert!(fault.place.is_some_and(|(line, _)| line > 2), "{fault}");
    let text =
        "policies:\n  - name: p\n    scopes: [docker.io/x]\n    require:\n      all:\n        - nobody\n";
    let fault = read(text).unwrap().policies().unwrap_err().to_string();
    assert_eq!(
        fault.strip_prefix(FILE).unwrap(),
        ":6:11: policies.0.require.all.0: no signer is called nobody; known signers: none is configured"
    );
    // A key that is missing is placed at the nearest one that is written.
    let fault = read("policies:\n  - name: p\n    scopes: [docker.io/x]\n").unwrap().policies().unwrap_err();
    assert_eq!((fault.place, fault.key.as_str()), (Some((2, 5)), "policies.0.require"));
}

/// Verifiers ask nobody, so a configuration without an answer is none.
#[test]
fn a_key_that_is_kept_elsewhere_is_fetched_when_the_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.yaml");
    let load = |key: &str| {
        let text = format!("signers:\n  a: {{ cosign: {{ key: \"{key}\" }} }}\n");
        std::fs::write(&file, text).unwrap();
        load(&file).unwrap_err()
    };
    for (key, why) in [
        ("pkcs11:token=t?module-path=/absent.so", "/absent.so does not serve as a PKCS #11 module"),
        ("pkcs11:token=t?module-path=/absent.so&pin-value=1", "pin-source"),
        ("awskms:///alias/", "expected awskms://"),
    ] {
        let fault = load(key);
        assert_eq!(
            (fault.key.as_str(), fault.place.map(|(line, _)| line)),
            ("signers.a.cosign.key", Some(2))
        );
        assert!(fault.message.contains(why), "{fault}");
    }
}

#[test]
fn faults_of_conditions_have_the_place_of_the_character() {
    let written = |condition: &str| {
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sigstore/pki/key-p256.pub");
        format!(
            "signers:\n  a: {{ cosign: {{ key: {key}, transparency_log: ignore }} }}\npolicies:\n  - name: p\n    \
             scopes: [docker.io/x]\n    require:\n      all:\n        - attested:\n            by: a\n            \
             predicate_type: vuln\n            where: {condition}\n"
        )
    };
    let policies = |condition: &str| {
        let fault = read(&written(condition)).unwrap().policies().unwrap_err();
        fault.to_string().strip_prefix(FILE).unwrap().to_owned()
    };
    let start = ": policies.0.require.all.0.attested.where: nothing is called builder; known: predicate,";
    for (condition, place) in [
        ("builder.id == 'x'", ":11:20"),
        ("true && builder.id == 'x' # why", ":11:28"),
        ("'\"it''s\" == \"x\" || builder.id == \"x\"'", ":11:39"),
        ("\"'it\\\"s' == 'x' || builder.id == 'x'\"", ":11:39"),
        ("|\n              true &&\n                builder.id == 'x'\n", ":13:17"),
        ("|+ # why\n              true && builder.id\n\n", ":12:23"),
        ("|-\n\n              true && builder.id == 'x'", ":13:23"),
    ] {
        let fault = policies(condition);
        assert!(fault.starts_with(&format!("{place}{start}")), "{condition}: {fault}");
    }
    let folded = policies(">\n              true &&\n              builder.id == 'x'\n");
    assert!(folded.starts_with(&format!(":11:13{start}")), "{folded}");
    assert!(folded.ends_with("(line 1, column 9 of the text)"), "{folded}");
    let empty = fault(&written(""));
    assert!(empty.starts_with(":11:") && empty.contains("attested.where: "), "{empty}");
}

#[test]
fn contradictions_are_refused_at_their_key() {
    for (text, start) in [
        ("listen: { hosts: { a.corp: b.example } }", ":1:20: listen.hosts.a.corp: b.example is not among"),
        ("listen: { hosts: { \"a corp\": docker.io } }", ":1:20: listen.hosts.a corp: expected a host name"),
        ("listen: { address: \"127.0.0.1:9090\" }", ":1:1: admin.address: "),
        ("admin: { url: portcullis.corp }", ":1:10: admin.url: expected a URL"),
        ("upstreams: {}", ":1:1: upstreams: names no registry"),
        (
            "upstreams: { a.b: { default: true }, c.d: { default: true } }",
            ":1:45: upstreams.c.d.default: a.b is",
        ),
        ("signers: { \"a b\": { cosign: { key: k } } }", ":1:12: signers.a b: a signer's name"),
        ("signers: { a: {} }", ":1:12: signers.a: a signer has exactly one"),
        ("signers: { a: { nv2: {}, cosign: { key: k } } }", ":1:12: signers.a: a signer has exactly one"),
        (
            "policies: [{ name: p, scopes: [a.b/c], mode: deny }]",
            ":1:32: policies.0.scopes.0: a.b is not among",
        ),
        (
            "upstreams: { a.b: { signatures: [{ repository: \"c.d/{path}\" }] } }",
            ":1:36: upstreams.a.b.signatures.0.repository: c.d is not among `upstreams`; these are: a.b. Add it there",
        ),
        (
            "upstreams: { a.b: { signatures: [{ repository: \"a.b/{name}\" }] } }",
            ":1:48: upstreams.a.b.signatures.0.repository: a repository's name may be made of another's with {registry} \
             and {path}",
        ),
        ("decisions: { allow_max_age: 0s }", ":1:14: decisions.allow_max_age: must be longer"),
        ("store: { max_size: 0 }", ":1:10: store.max_size: expected at least 64KiB, found 0 bytes"),
        ("store: { max_size: 1KiB }", ":1:10: store.max_size: expected at least 64KiB, found 1024 bytes"),
        ("store: { scrub: { rate: 65535 } }", ":1:19: store.scrub.rate: 65535 bytes a second would never"),
    ] {
        assert!(fault(text).starts_with(start), "{text}: {}", fault(text));
    }
    let digest = format!("sha256:{}", "0".repeat(64));
    let text = format!(
        "exceptions: [{{ repository: a.b/c, digest: \"{digest}\", reason: r, expires: 2027-01-01T00:00:00Z }}]"
    );
    assert!(fault(&text).starts_with(":1:16: exceptions.0.repository: a.b is not among"));
}

#[test]
fn credentials_are_not_lent_to_whoever_comes_by() {
    let text = |listen: &str, upstream: &str| {
        format!("listen: {{ {listen} }}\nupstreams: {{ docker.io: {{ {upstream} }} }}\n")
    };
    let login = "credentials: { username: u, password_file: p }";
    let public = "address: \"0.0.0.0:5000\"";
    assert!(
        fault(&text(public, login)).starts_with(":2:27: upstreams.docker.io.credentials: whoever reaches")
    );
    let mirror = "mirrors: [{ url: \"https://m.example\", credentials: { docker_config: p } }]";
    assert!(fault(&text(public, mirror)).starts_with(":2:27: upstreams.docker.io.mirrors: whoever reaches"));
    let tls = "tls: { certificate: c, key: k }";
    assert!(fault(&text(&format!("{public}, {tls}"), login)).contains("whoever reaches"), "TLS knows nobody");
    let mutual = "tls: { certificate: c, key: k, client_ca: ca }";
    let accepted = "dangerous_anonymous_clients: true";
    assert!(read(&text(&format!("{public}, {mutual}"), login)).is_ok());
    assert!(read(&text("address: \"127.0.0.1:5000\"", login)).is_ok());
    assert!(read(&text("address: \"[::1]:5000\"", login)).is_ok());
    assert!(read(&text("address: \"[::ffff:127.0.0.1]:5000\"", login)).is_ok());
    assert!(read(&text(public, "")).is_ok());
    let warnings = warnings(&read(&text(&format!("{public}, {accepted}"), login)).unwrap());
    assert!(warnings.iter().any(|w| w.contains("dangerous_anonymous_clients")), "{warnings:?}");
}

/// A folder called `~` would be made, served from and filled.
#[test]
fn what_is_not_expanded_is_not_taken_for_a_path() {
    for (text, start) in [
        ("store: { path: ~/cache }", ":1:10: store.path: /etc/portcullis/~/cache: neither `~` nor"),
        ("store: { path: \"${HOME}/cache\" }", ":1:10: store.path: /etc/portcullis/${HOME}/cache: neither"),
        ("audit: { path: $LOGS/a.jsonl }", ":1:10: audit.path: "),
        ("trust: { crls: ~/crls }", ":1:1: trust: "),
        ("listen: { tls: { certificate: ~/c, key: k } }", ":1:11: listen.tls: "),
        ("upstreams: { a.b: { ca: ~/ca.pem } }", ":1:14: upstreams.a.b: "),
        ("signers: { w: { nv2: { certificates: [~/keys] } } }", ":1:12: signers.w: "),
        (
            "policies: [{ name: p, scopes: [docker.io/x], from: { notation: ~/.config/notation } }]",
            ":1:12: policies.0",
        ),
    ] {
        assert!(fault(text).starts_with(start), "{text}: {}", fault(text));
    }
    assert!(read("store: { path: /srv/a~b/c$ }").is_ok());
}

#[test]
fn an_exception_that_ended_is_not_said_to_admit() {
    let text = |until: &str| {
        format!(
            "exceptions: [{{ repository: docker.io/a/b, digest: \"sha256:{}\", reason: r, expires: {until} }}]",
            "0".repeat(64)
        )
    };
    let told = |until: &str| warnings(&read(&text(until)).unwrap()).remove(0);
    assert!(told("2026-07-02T00:00:00Z").starts_with("an exception admits docker.io/a/b@sha256:00"));
    assert!(
        told("2026-07-01T00:00:00Z")
            .starts_with("an exception ended at 2026-07-01T00:00:00Z and admits nothing")
    );
}

#[test]
fn text_that_is_no_utf_8_has_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.yaml");
    for (bytes, place, words) in [
        (
            &b"log: {}\n# caf\xe9\n"[..],
            ":2:6: ",
            "found the byte 0xe9, as in Latin-1: save the file as UTF-8",
        ),
        (b"\xff\xfel\0o\0g\0", ":1:1: ", "expected text in UTF-8, found UTF-16"),
    ] {
        fs::write(&file, bytes).unwrap();
        let told = load(&file).unwrap_err().to_string();
        assert!(told.contains(&format!("portcullis.yaml{place}")) && told.contains(words), "{told}");
    }
}

#[test]
fn weaker_choices_are_warned_about() {
    let text = "listen: { address: \"0.0.0.0:5000\" }\n\
        admin: { address: \"0.0.0.0:9090\" }\n\
        dangerous_skip_audit: true\n\
        store: { max_size: 8MiB }\n\
        upstreams: { r.corp: { url: \"http://r.corp\", credentials: { username: u, password: p } } }\n\
        policies:\n\
        - { name: open, scopes: [r.corp/a], mode: allow }\n\
        - { name: watched, scopes: [r.corp/b], mode: audit, require: a, referrers: all }\n";
    let text = text.replace("0.0.0.0:5000\"", "0.0.0.0:5000\", dangerous_anonymous_clients: true");
    let warnings = warnings(&read(&text).unwrap());
    for word in [
        "dangerous_anonymous_clients",
        "without listen.tls",
        "admin.address",
        "dangerous_skip_audit",
        "store.max_size",
        "plain HTTP",
        "password_file",
        "mode allow",
        "mode audit",
        "referrers all",
    ] {
        assert_eq!(warnings.iter().filter(|w| w.contains(word)).count(), 1, "{word}: {warnings:?}");
    }
}

#[test]
fn paths_start_at_the_file() {
    let text = "store: { path: data }\naudit: { path: log/audit.jsonl }\n\
        listen: { tls: { certificate: c.pem, key: /k.pem } }\n\
        signers: { a: { nv2: { certificates: [trust/a.crt] } }, \
          t: { cosign: { key: \"pkcs11:object=t?pin-source=/run/t-pin\", transparency_log: ignore } } }\n\
        trust: { tuf: { root: root.json } }\n\
        upstreams: { docker.io: { ca: ca.pem, credentials: { username: u, password_file: pw }, \
          mirrors: [{ url: \"https://m\", credentials: { docker_config: d.json } }] } }\n\
        policies: [{ name: p, scopes: [docker.io/x], from: { notation: n } },\n  \
          { name: q, scopes: [docker.io/y], from: { cluster_image_policy: cip.yaml } }, \
          { name: r, scopes: [docker.io/z], require: a, counter_sign: { formats: [cosign], \
            key: \"pkcs11:object=r?module-path=/m.so&pin-source=file:/run/r-pin\" } }]\n";
    let settings = read(text).unwrap();
    assert_eq!(settings.store.path, Path::new("/etc/portcullis/data"));
    assert_eq!(settings.audit_path(), Path::new("/etc/portcullis/log/audit.jsonl"));
    let paths = settings.paths();
    for path in [
        FILE,
        "c.pem",
        "/k.pem",
        "trust/a.crt",
        "cip.yaml",
        "root.json",
        "ca.pem",
        "pw",
        "d.json",
        "/run/t-pin",
        "/run/r-pin",
    ] {
        assert!(paths.contains(&Path::new("/etc/portcullis").join(path)), "{path}: {paths:?}");
    }
    assert!(paths.iter().any(|p| p.starts_with("/etc/portcullis/n")), "{paths:?}");
}

#[test]
fn files_that_are_needed_are_there_at_load() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.yaml");
    let shown = |text: &str| {
        fs::write(&file, text).unwrap();
        load(&file)
            .map(|_| ())
            .map_err(|fault| fault.to_string().replace(folder.path().to_str().unwrap(), ""))
    };
    fs::write(folder.path().join("there"), "x").unwrap();
    assert_eq!(shown("listen: { tls: { certificate: there, key: there } }"), Ok(()));
    for (text, place) in [
        (
            "listen: { tls: { certificate: gone, key: there } }",
            ":1:18: listen.tls.certificate: /gone cannot be read",
        ),
        (
            "listen: { tls: { certificate: there, key: . } }",
            ":1:38: listen.tls.key: /. cannot be read: it is a folder",
        ),
        (
            "listen: { tls: { certificate: there, key: there, client_ca: gone } }",
            ":1:50: listen.tls.client_ca: ",
        ),
        ("upstreams: { docker.io: { ca: gone } }", ":1:27: upstreams.docker.io.ca: "),
        (
            "upstreams: { docker.io: { credentials: { username: u, password_file: gone } } }",
            ":1:55: upstreams.docker.io.credentials.password_file: ",
        ),
        (
            "upstreams: { docker.io: { mirrors: [{ url: \"https://m\", credentials: { docker_config: gone } }] } }",
            ":1:72: upstreams.docker.io.mirrors.0.credentials.docker_config: ",
        ),
    ] {
        let fault = shown(text).unwrap_err();
        assert!(fault.starts_with(&format!("/portcullis.yaml{place}")), "{fault}");
    }
    assert!(
        load(&folder.path().join("absent.yaml"))
            .unwrap_err()
            .to_string()
            .contains("absent.yaml: cannot be opened")
    );
}

#[test]
fn a_hostile_file_is_refused_and_not_expanded() {
    assert!(fault(&"#".repeat((1 << 20) + 1)).contains("at most"));
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (this, last) in ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"]) {
        bomb.push_str(&format!("{this}: &{this} [{}]\n", vec![format!("*{last}"); 10].join(", ")));
    }
    for text in
        [format!("{bomb}policies: *g\n"), format!("policies:\n{}", "- ".repeat(50_000)), "[".repeat(100_000)]
    {
        assert!(read(&text).is_err());
    }
    let deep = format!(
        "policies: [{{ name: p, scopes: [a.b/c], require: {}a{} }}]",
        "{all: [".repeat(500),
        "]}".repeat(500)
    );
    assert!(read(&deep).is_err());
}

/// Every shipped example loads, with the trust files beside it; files of secrets, which are not
/// shipped, are put there.
#[test]
fn the_examples_load() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let folder = tempfile::tempdir().unwrap();
    copy(&shipped, folder.path());
    fs::create_dir(folder.path().join("tls")).unwrap();
    for secret in ["tls/proxy.crt", "tls/proxy.key", "tls/clients.crt", "docker.json", "registry.password"] {
        fs::write(folder.path().join(secret), "x").unwrap();
    }
    let mut seen = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let settings = load(&path).unwrap_or_else(|fault| panic!("{fault}"));
            let policies = settings.policies().unwrap_or_else(|fault| panic!("{fault}"));
            assert!(
                !settings.policies.is_empty() && policies.warnings().len() < 3,
                "{:?}",
                policies.warnings()
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

mod random {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}|([a-z]{1,8}: ?[\\[{&*!|>'\"]?[a-z0-9]{0,6}[\\]}]?\n ?){0,8}") {
            let _ = read(&text);
        }
    }
}

#[test]
fn a_host_that_is_none_is_named_by_its_index() {
    assert_eq!(
        fault("egress:\n  allow:\n    - ocsp.corp\n    - http://pki.corp\n"),
        ":4:7: egress.allow.1: expected host or host:port, found \"http://pki.corp\""
    );
}

#[test]
fn grace_for_ended_answers_is_warned_about() {
    let settings = read("trust: { dangerous_revocation_grace: 72h }").unwrap();
    assert!(
        warnings(&settings).iter().any(|w| w.contains("dangerous_revocation_grace") && w.contains("3days"))
    );
    assert!(settings.paths().contains(&"/etc/portcullis/trust/crls".into()));
}
