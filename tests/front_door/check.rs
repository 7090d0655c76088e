//! `portcullis check` as people run it: what would not start or not work is told, and nothing is made.

use std::path::Path;
use std::process::Command;

use portcullis::demo::folder::Folder;

use crate::test_proxy::{HOST, TestProxy, WABBIT, signed};

/// A certificate and its key, in PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["proxy.test".to_owned()]).unwrap();
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }
}

const TLS: &str = r#"{ address: "127.0.0.1:0", tls: { certificate: tls.crt, key: tls.key } }"#;

/// Runs the program in a folder; its exit code and what it wrote.
async fn run(folder: &Path, arguments: &[&str], config: Option<&str>) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).current_dir(folder).env_remove("PORTCULLIS_CONFIG");
    if let Some(config) = config {
        command.env("PORTCULLIS_CONFIG", config);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

async fn check(folder: &Folder, text: &str) -> (i32, String) {
    folder.write("portcullis.yaml", text).unwrap();
    run(folder.path(), &["check", "portcullis.yaml"], None).await
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_listener_that_could_not_serve_is_told_at_its_key() {
    let (folder, one, other) = (Folder::new().unwrap(), Pair::new(), Pair::new());
    folder.write("tls.crt", &one.certificate).unwrap();
    folder.write("tls.key", &other.key).unwrap();
    let text = "listen: { tls: { certificate: tls.crt, key: tls.key } }\n";
    let (code, told) = check(&folder, text).await;
    assert_eq!(code, 64, "{told}");
    assert!(
        told.contains("portcullis.yaml:1:40: listen.tls.key: ") && told.contains("it is not the private key"),
        "{told}"
    );
    assert_eq!(told.matches("private key").count(), 1, "{told}");
    folder.write("tls.key", &one.key).unwrap();
    assert_eq!(check(&folder, text).await.0, 0);
}

#[tokio::test]
async fn an_ended_certificate_is_warned_about() {
    let folder = Folder::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["proxy.test".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    folder.write("tls.crt", &params.self_signed(&key).unwrap().pem()).unwrap();
    folder.write("tls.key", &key.serialize_pem()).unwrap();
    let (code, told) = check(&folder, "listen: { tls: { certificate: tls.crt, key: tls.key } }\n").await;
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains("warning: listen.tls.certificate ") && told.contains("it ended at 2020-01-01T"),
        "{told}"
    );
}

/// What a start would stop at or make, and what nobody meant.
#[tokio::test]
async fn places_that_serve_nobody_are_told_and_nothing_is_made() {
    let folder = Folder::new().unwrap();
    folder.write("file", "").unwrap();
    folder.write("logs/kept", "").unwrap();
    for (text, words) in [
        ("store: { path: file }", "portcullis.yaml:1:10: store.path: "),
        ("store: { path: file/store }", "/file is no folder: name another place"),
        ("store: { path: s }\naudit: { path: logs }", "portcullis.yaml:2:10: audit.path: "),
        ("store: { path: s }\naudit: { path: file/a.jsonl }", "/file is no folder"),
        ("store: { path: s, max_size: 1KiB }", "store.max_size: expected at least 64KiB, found 1024 bytes"),
    ] {
        let (code, told) = check(&folder, text).await;
        assert!(code == 64 && told.contains(words), "{text}: {code} {told}");
    }
    let (code, told) = check(&folder, "store: { path: deep/er/store }\naudit: { path: other/a.jsonl }").await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(names(&folder), ["file", "logs", "portcullis.yaml"]);
}

/// A misspelt name and keys that are to come look the same to the program, and not to who reads it.
#[tokio::test]
async fn a_signer_without_anchors_is_noted() {
    let folder = Folder::new().unwrap();
    folder.write("there/wabbit.crt", &WABBIT.certificate_pem()).unwrap();
    let text = "store: { path: s }\nsigners:\n  a: { notation: { trust_store: \"ca:typo\", trusted_identities: [\"*\"] } }\n\
        \x20 b: { nv2: { certificates: [ther] } }\n  c: { nv2: { certificates: [there] } }\n";
    let (code, told) = check(&folder, text).await;
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains("note: signers.a.notation.trust_store: ")
            && told.contains("x509/ca/typo does not exist"),
        "{told}"
    );
    assert!(told.contains("note: signers.b.nv2.certificates: "), "{told}");
    assert_eq!(told.matches("not acquired yet").count(), 2, "{told}");
}

#[tokio::test]
async fn the_file_is_named_as_to_other_commands() {
    let folder = Folder::new().unwrap();
    folder.write("good.yaml", "store: { path: s }\n").unwrap();
    for (arguments, config) in [
        (&["check", "good.yaml"][..], None),
        (&["check", "good.yaml"], Some("absent.yaml")),
        (&["check", "--config", "good.yaml"], Some("")),
        (&["check"], Some("good.yaml")),
    ] {
        let (code, told) = run(folder.path(), arguments, config).await;
        assert!(code == 0 && told.contains("good.yaml: ok"), "{arguments:?} {config:?}: {told}");
    }
    for (arguments, config) in [
        (&["check"][..], None),
        (&["check"], Some("")),
        (&["serve"], Some("")),
        (&["store", "stats"], Some("")),
    ] {
        let (code, told) = run(folder.path(), arguments, config).await;
        assert!(code == 64 && told.contains("PORTCULLIS_CONFIG"), "{arguments:?} {config:?}: {told}");
    }
    assert_eq!(run(folder.path(), &["check", "good.yaml", "--config", "good.yaml"], None).await.0, 64);
}

/// What cannot be used is no configuration, and what is in use stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_not_reloaded() {
    let (one, other) = (Pair::new(), Pair::new());
    let proxy = TestProxy::new()
        .with("listen", TLS)
        .file("tls.crt", one.certificate)
        .file("tls.key", one.key)
        .upstream(signed("app"))
        .start()
        .await;
    let ends = proxy.metric("portcullis_listener_certificate_expiry_timestamp_seconds").await;
    assert!(ends > 4e9, "{ends}");
    proxy.folder.write("tls.key", &other.key).unwrap();
    assert!(!proxy.reload());
    assert_eq!(proxy.metric("portcullis_config_reloads_total{result=\"error\"}").await, 1.0);
    assert_eq!(proxy.metric("portcullis_config_reloads_total{result=\"ok\"}").await, 0.0);
    proxy.folder.write("tls.crt", &other.certificate).unwrap();
    assert!(proxy.reload());
}

/// An address that is taken is told once, and what to do about it.
#[tokio::test]
async fn a_port_in_use_is_told_once() {
    let folder = Folder::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!(
        "store: {{ path: s }}\nlisten: {{ address: \"{address}\" }}\nadmin: {{ address: \"127.0.0.1:0\" }}\n"
    );
    folder.write("portcullis.yaml", &text).unwrap();
    let (code, told) = run(folder.path(), &["serve", "--config", "portcullis.yaml"], None).await;
    assert_eq!(code, 64, "{told}");
    let fault = format!(
        "portcullis: listen.address {address}: Address already in use (os error 98): another process"
    );
    assert!(told.contains(&fault) && told.contains("set listen.address to another port"), "{told}");
    assert_eq!(told.matches("os error 98").count(), 1, "{told}");
}

/// `serve --audit` serves what no policy covers; it does not say that it refuses that.
#[tokio::test]
async fn audit_says_what_it_serves() {
    let folder = Folder::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("admin: {{ address: \"{}\" }}\n", taken.local_addr().unwrap());
    let listen = "listen: { address: \"127.0.0.1:0\" }\nstore: { path: s }\n";
    let policy = format!(
        "upstreams: {{ {HOST}: {{}} }}\npolicies: [{{ name: closed, scopes: [\"{HOST}/**\"], mode: deny }}]\n"
    );
    for rest in ["", &policy] {
        folder.write("portcullis.yaml", &format!("{listen}{admin}{rest}")).unwrap();
        // It ends at once, as its second address is taken, after it has warned.
        let (_, told) = run(folder.path(), &["serve", "--audit", "--config", "portcullis.yaml"], None).await;
        assert!(told.contains("--audit: what no policy covers is served unverified"), "{told}");
        assert!(!told.contains("every pull is refused"), "{told}");
        let (_, told) = run(folder.path(), &["serve", "--config", "portcullis.yaml"], None).await;
        assert!(!told.contains("--audit"), "{told}");
        assert_eq!(told.contains("there are no policies: every pull is refused"), rest.is_empty(), "{told}");
    }
}
