//! `portcullis sign` and `nv2 push|pull` as people run them: the built program before a registry, and a proxy that
//! believes what was signed, or does not.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use portcullis::demo::signing::{Authority, Identity, Key, KeyKind, Profile};
use portcullis::demo::{Fault, Package, Registry};
use portcullis::oci::Digest;

use crate::test_proxy::{HOST, TestProxy, refused, served};

/// A folder with keys: of a certificate under its authority, of one for a host, and a bare one.
struct Desk {
    folder: tempfile::TempDir,
    publisher: Identity,
    host: Identity,
    bare: Key,
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        let authority = Authority::new("acme").unwrap();
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
            publisher: authority.issue(&Profile::of_organization("acme")).unwrap(),
            host: Identity::self_signed(&Profile::of_host("registry.acme-rockets.io")).unwrap(),
            bare: Key::generate(KeyKind::P256).unwrap(),
        };
        desk.write("publisher.key", desk.publisher.key().private_pem());
        desk.write("publisher.crt", desk.publisher.certificate_pem() + &authority.certificate_pem());
        desk.write("host.key", desk.host.key().private_pem());
        desk.write("host.crt", desk.host.certificate_pem());
        desk.write("bare.key", desk.bare.private_pem());
        desk
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }

    /// Runs the program beside the registry, which is in this process.
    async fn run(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.current_dir(self.folder.path()).env("DOCKER_CONFIG", self.folder.path()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        let run = move || {
            let mut child = command.spawn().unwrap();
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    async fn passes(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments, "").await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {}", said.err);
        said.out
    }

    async fn fails(&self, arguments: &[&str], words: &str) {
        let said = self.run(arguments, "").await;
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{arguments:?}: {}", said.err);
        assert!(said.err.contains(words), "{arguments:?}: {words:?} is not in: {}", said.err);
    }
}

const NOTATION: &str = "{ acme: { notation: { trust_store: \"ca:acme\", trust_store_dir: trust, trusted_identities: [\"*\"] } } }";
const COSIGN: &str = "{ acme: { cosign: { key: bare.pub, transparency_log: ignore } } }";
const NV2: &str = "{ acme: { nv2: { certificates: [host.crt], names: [registry.acme-rockets.io] } } }";

/// A proxy before the registry, which believes the desk's keys, or those of a stranger.
fn proxy(registry: Registry, signer: &str, desk: &Desk) -> TestProxy {
    let proxy = TestProxy::new()
        .upstream_settings(HOST, registry, "")
        .with("signers", signer)
        .policy("require: acme");
    proxy
        .file("trust/x509/ca/acme/acme.crt", desk.publisher.root_pem())
        .file("bare.pub", desk.bare.public_pem())
        .file("host.crt", desk.host.certificate_pem())
}

#[tokio::test]
async fn what_is_signed_is_admitted_by_its_signer_alone() {
    let forms = [
        (&["notation", "jws"], &["publisher.key", "--certificate-chain", "publisher.crt"][..], NOTATION),
        (&["notation", "cose"], &["publisher.key", "--certificate-chain", "publisher.crt"], NOTATION),
        (&["cosign", "bundle"], &["bare.key"], COSIGN),
        (&["cosign", "tag"], &["bare.key"], COSIGN),
        (
            &["nv2", "jwt"],
            &["host.key", "--certificate-chain", "host.crt", "-r", "registry.acme-rockets.io/app:1"],
            NV2,
        ),
        (
            &["nv2", "json"],
            &["host.key", "--certificate-chain", "host.crt", "-r", "registry.acme-rockets.io/app:1"],
            NV2,
        ),
    ];
    let (desk, stranger) = (Desk::new(), Desk::new());
    for ([format, form], key, signer) in forms {
        for (signing, admitted) in [(&desk, true), (&stranger, false)] {
            let registry = Registry::start().await.unwrap();
            registry.referrers_api(*form != "jws");
            let image = Package::image("app");
            registry.push("app", "1", &image);
            let reference = format!("{}/app:1", registry.address());
            let mut arguments = vec!["sign", "--insecure", "--format", format, "--form", form, "--key"];
            arguments.extend(key);
            arguments.push(&reference);
            let said = signing.passes(&arguments).await;
            let digest = image.digest();
            assert!(said.starts_with(&format!("{}/app@{digest}\nsigned by ", registry.address())), "{said}");
            let proxy = proxy(registry, signer, &desk).start().await;
            let answer = proxy.get("app:1").await;
            match admitted {
                true => served(&answer, image.bytes()),
                false => refused(&answer, 403, "DENIED", ""),
            }
        }
    }
}

#[tokio::test]
async fn a_signature_may_be_kept_elsewhere() {
    let (desk, registry, other) =
        (Desk::new(), Registry::start().await.unwrap(), Registry::start().await.unwrap());
    registry.push("app", "1", &Package::image("app"));
    let reference = format!("{}/app:1", registry.address());
    let to = format!("{}/signatures/app", other.address());
    let mut sign =
        vec!["sign", "--insecure", "--format", "cosign", "--key", "bare.key", "--to", &to, &reference];
    let said = desk.passes(&sign).await;
    assert!(said.contains(&format!("signed by {to}@sha256:")), "{said}");
    assert_eq!(registry.count("PUT") + registry.count("POST"), 0);
    sign[7] = "UPPER/x";
    desk.fails(&sign, "--to UPPER/x").await;
}

#[tokio::test]
async fn a_registry_that_wants_a_login_gets_it() {
    let (desk, registry) = (Desk::new(), Registry::start().await.unwrap());
    registry.push("app", "1", &Package::image("app"));
    registry.require_token(Some(("robot", "a secret")));
    let reference = format!("{}/app:1", registry.address());
    let sign = ["sign", "--insecure", "--format", "cosign", "--key", "bare.key", &reference];
    desk.fails(&sign, "401").await;
    let login = [&sign[..], &["-u", "robot", "--password-stdin"]].concat();
    let said = desk.run(&login, "a secret\n").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let wrong = desk.run(&login, "another\n").await;
    assert!(wrong.code == Some(1) && !wrong.err.contains("another"), "{}", wrong.err);
}

/// Whoever may attach something to an image does not keep its signatures from those who fetch them.
#[tokio::test]
async fn what_cannot_be_looked_at_is_told_and_hides_no_signature() {
    let (desk, registry) = (Desk::new(), Registry::start().await.unwrap());
    let image = Package::image("app");
    registry.push("app", "1", &image);
    let app = format!("oci://{}/app:1", registry.address());
    let sign = ["nv2", "sign", "--insecure", "-k", "host.key", "-c", "host.crt", "-o", "app.nv2", &app];
    desk.passes(&sign).await;
    let odd = Package::sbom(image.descriptor()).edited(|manifest| manifest["mediaType"] = "a/b".into());
    registry.push("app", None, &odd);
    desk.passes(&["nv2", "push", "--insecure", "-f", "app.nv2", &app]).await;
    let pull = ["nv2", "pull", "--insecure", &app];
    let said = desk.run(&pull, "").await;
    assert_eq!((said.code, said.out.lines().count()), (Some(0), 1), "{}", said.err);
    assert!(said.err.contains(&odd.digest().to_string()) && said.err.contains("a/b"), "{}", said.err);
    assert!(!said.err.contains("only the first"), "{}", said.err);
    assert!(
        fs::read_dir(desk.folder.path())
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_string_lossy().ends_with(".partial") })
    );

    for number in 0..64 {
        let note = Package::artifact("text/plain", [("text/plain", format!("{number}").into())]);
        registry.push("app", None, &note.about(image.descriptor()));
    }
    let said = desk.run(&pull, "").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("66 artifacts refer to"), "{}", said.err);
    // What is trouble is no odd artifact: nobody knows what the registry keeps back.
    registry.fault(&format!("GET /v2/app/manifests/{}", odd.digest()), Fault::Bytes("{}".into()));
    desk.fails(&pull, "expected was").await;
}

/// A password is for one registry: the one that is written to.
#[tokio::test]
async fn a_login_for_where_it_is_written_is_not_sent_to_where_it_is_read() {
    let (desk, registry, other) =
        (Desk::new(), Registry::start().await.unwrap(), Registry::start().await.unwrap());
    registry.push("app", "1", &Package::image("app"));
    registry.require_token(None);
    other.require_token(Some(("robot", "a secret")));
    let reference = format!("{}/app:1", registry.address());
    let to = format!("{}/signatures/app", other.address());
    let sign = ["sign", "--insecure", "--format", "cosign", "--key", "bare.key", "--to", &to, &reference];
    let login = [&sign[..], &["-u", "robot", "--password-stdin"]].concat();
    let said = desk.run(&login, "a secret\n").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    // Its token is anybody's: no password is sent for it.
    let sent = registry.seen();
    assert!(!sent.is_empty() && sent.iter().all(|request| !is_password(&request.authorization)));
    assert!(other.seen().iter().any(|request| is_password(&request.authorization)));
    // The other way round it is told who nobody is, and not who the account is.
    registry.require_token(Some(("reader", "another secret")));
    let said = desk.run(&login, "a secret\n").await;
    assert!(said.code == Some(1) && said.err.contains("401"), "{}", said.err);
    assert!(registry.seen().iter().all(|request| !is_password(&request.authorization)));
}

fn is_password(authorization: &Option<String>) -> bool {
    authorization.as_ref().is_some_and(|value| value.starts_with("Basic "))
}

#[tokio::test]
async fn what_nobody_would_believe_is_not_signed() {
    let (desk, registry) = (Desk::new(), Registry::start().await.unwrap());
    registry.push("app", "1", &Package::image("app"));
    let reference = format!("{}/app:1", registry.address());
    let absent = format!("{}/app@{}", registry.address(), Digest::sha256(b"nothing"));
    let sign = |arguments: &[&'static str]| [&["sign", "--insecure", "--format"], arguments].concat();
    for (arguments, words) in [
        (&["notation", "--key", "publisher.key"][..], "give --certificate-chain"),
        (&["notation", "--key", "bare.key", "--certificate-chain", "publisher.crt"], "is of another key"),
        (&["notation", "--key", "absent.key", "--certificate-chain", "publisher.crt"], "absent.key"),
        (
            &[
                "notation",
                "--key",
                "publisher.key",
                "--certificate-chain",
                "publisher.crt",
                "-a",
                "io.cncf.notary.x=y",
            ],
            "io.cncf.notary.x",
        ),
        (&["notation", "--form", "bundle", "--key", "bare.key"], "none of Notation's"),
        (&["cosign", "--expiry", "1h", "--key", "bare.key"], "--expiry is not for"),
        (
            &["cosign", "--certificate-chain", "publisher.crt", "--key", "bare.key"],
            "--certificate-chain is not for",
        ),
        (&["nv2", "--annotation", "a=b", "--key", "host.key"], "--annotation is not for"),
        (&["nv2", "--timestamp-url", "http://localhost/", "--key", "host.key"], "--timestamp-url is not for"),
        (&["nv2", "--key", "host.key", "--certificate-chain", "host.crt"], "registry.acme-rockets.io"),
        (&["cosign", "--key", "bare.key", "--timestamp-url", "http://127.0.0.1:1/"], "no timestamp"),
    ] {
        let mut arguments = sign(arguments);
        arguments.push(&reference);
        desk.fails(&arguments, words).await;
    }
    let mut nothing = sign(&["cosign", "--key", "bare.key"]);
    nothing.push(&absent);
    desk.fails(&nothing, "does not have it").await;
    assert_eq!(registry.count("PUT") + registry.count("POST"), 0);
}

#[tokio::test]
async fn nv2_signatures_are_attached_and_fetched() {
    let (desk, registry) = (Desk::new(), Registry::start().await.unwrap());
    let (image, other) = (Package::image("app"), Package::image("other"));
    registry.push("app", "1", &image);
    registry.push("other", "1", &other);
    let [app, other] = ["app", "other"].map(|name| format!("oci://{}/{name}:1", registry.address()));
    let sign = ["nv2", "sign", "--insecure", "-k", "host.key", "-c", "host.crt"];
    let named = ["-r", "registry.acme-rockets.io/app:1", "-o", "app.nv2"];
    desk.passes(&[&sign[..], &named, &[&app]].concat()).await;
    desk.passes(&[&sign[..], &["--form", "json", "-o", "json.nv2", &app]].concat()).await;
    desk.fails(&["nv2", "pull", "--insecure", &app], "no nv2 signature").await;
    desk.fails(&["nv2", "push", "--insecure", "-f", "app.nv2", &other], "is no signature of").await;
    desk.fails(&["nv2", "push", "--insecure", "-f", "host.crt", &app], "is no signature of").await;
    desk.fails(&["nv2", "push", "--insecure", "-f", "app.nv2", "file:app.nv2"], "expected docker://").await;
    assert_eq!(registry.count("PUT") + registry.count("POST"), 0);

    let pushed = desk.passes(&["nv2", "push", "--insecure", "-f", "app.nv2", "-f", "json.nv2", &app]).await;
    assert_eq!(pushed.lines().count(), 2, "{pushed}");
    for again in 0..2 {
        let pulled = desk.passes(&["nv2", "pull", "--insecure", &app]).await;
        assert_eq!(pulled.lines().count(), 2, "{again}: {pulled}");
        let mut found: Vec<_> = pulled.lines().map(|name| desk.read(name)).collect();
        let mut expected = [desk.read("app.nv2"), desk.read("json.nv2")];
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
    let proxy = proxy(registry, NV2, &desk).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    refused(&proxy.get("other:1").await, 403, "DENIED", "");
}
