//! `portcullis nv2` as people run the prototype: the built program over files and a registry. The fixtures were
//! signed by the prototype, which said what they come to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use portcullis::demo::signing::{Identity, KeyKind, Profile};
use portcullis::demo::{Package, Registry};
use portcullis::oci::media_type::{DOCKER_MANIFEST, OCI_MANIFEST};
use serde_json::{Value, json};

const HOST: &str = "registry.wabbit-networks.io";

/// A folder with a key, its certificate and a manifest.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let profile = Profile { key: KeyKind::Rsa2048, ..Profile::of_host(HOST) };
        let identity = Identity::self_signed(&profile).unwrap();
        desk.write("wabbit.key", identity.key().private_pem());
        desk.write("wabbit.crt", identity.certificate_pem());
        desk.write("manifest.json", r#"{"schemaVersion":2}"#);
        desk
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        finished(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.current_dir(self.0.path()).env("DOCKER_CONFIG", self.0.path()).arg("nv2").args(arguments);
        command
    }

    fn passes(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {err}");
        out
    }

    fn fails(&self, arguments: &[&str], words: &str) {
        let (code, out, err) = self.run(arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
}

fn finished(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn digest(content: &str) -> String {
    portcullis::oci::Digest::sha256(content.as_bytes()).to_string()
}

#[test]
fn a_manifest_in_a_file_is_signed_and_verified() {
    let desk = Desk::new();
    let printed = format!("{}\n", digest(r#"{"schemaVersion":2}"#));
    let reference = format!("{HOST}/net-monitor:v1");
    let sign =
        ["sign", "-m", "x509", "-k", "wabbit.key", "-c", "wabbit.crt", "-r", &reference, "-o", "s.jwt"];
    assert_eq!(desk.passes(&[&sign[..], &["file:manifest.json"]].concat()), printed);
    let verify = ["verify", "-f", "s.jwt", "-c", "wabbit.crt"];
    assert_eq!(desk.passes(&[&verify[..], &["file:manifest.json"]].concat()), printed);
    // Whoever changes the manifest, or calls it something else, is found out.
    desk.write("other.json", r#"{"schemaVersion":3}"#);
    desk.fails(&[&verify[..], &["file:other.json"]].concat(), "digest_mismatch");
    let other_type = ["--media-type", OCI_MANIFEST, "file:manifest.json"];
    desk.fails(&[&verify[..], &other_type].concat(), "media_type_mismatch");
    desk.fails(&["verify", "-f", "s.jwt", "file:manifest.json"], "nobody is trusted");
    let stranger = Identity::self_signed(&Profile::of_host(HOST)).unwrap();
    desk.write("stranger.crt", stranger.certificate_pem());
    desk.fails(&["verify", "-f", "s.jwt", "-c", "stranger.crt", "file:manifest.json"], "untrusted_key");
    let mut signature = fs::read(desk.0.path().join("s.jwt")).unwrap();
    let last = signature.len() - 10;
    signature[last] = if signature[last] == b'A' { b'B' } else { b'A' };
    desk.write("s.jwt", signature);
    desk.fails(&[&verify[..], &["file:manifest.json"]].concat(), "bad_signature");
}

/// Without `-o` the file is named by the digest, without `-c` the key by its id, without a URI the input is read.
#[test]
fn the_defaults_are_those_of_the_prototype() {
    use std::io::Write as _;
    let desk = Desk::new();
    for form in ["jwt", "json"] {
        let mut sign = desk.command(&["sign", "-k", "wabbit.key", "-e", "1h", "--form", form]);
        let mut sign = sign.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        sign.stdin.take().unwrap().write_all(b"any bytes").unwrap();
        let (code, out, _) = finished(sign.wait_with_output().unwrap());
        assert_eq!((code, out.trim()), (Some(0), digest("any bytes").as_str()));
        let file = format!("{}.nv2", out.trim().strip_prefix("sha256:").unwrap());
        desk.write("m", "any bytes");
        let verify = ["verify", "--signature", &file, "--cert", "wabbit.crt", "file:m"];
        assert_eq!(desk.passes(&verify), out);
        assert_eq!(fs::read(desk.0.path().join(&file)).unwrap().starts_with(b"{"), form == "json");
    }
}

#[test]
fn what_cannot_be_signed_says_why() {
    let desk = Desk::new();
    let sign = |more: &[&str], words: &str| {
        desk.fails(&[&["sign", "-o", "s.jwt"], more, &["file:manifest.json"]].concat(), words);
        assert!(!desk.0.path().join("s.jwt").exists());
    };
    sign(&["-k", "absent.key"], "the key absent.key: No such file");
    sign(&["-k", "wabbit.crt"], "found none");
    sign(&["-k", "wabbit.key", "-c", "wabbit.crt", "-r", "registry.acme-rockets.io/a:1"], HOST);
    let stranger = Identity::self_signed(&Profile::of_host(HOST)).unwrap();
    desk.write("stranger.crt", stranger.certificate_pem());
    sign(&["-k", "wabbit.key", "-c", "stranger.crt"], "is of another key");
    let (code, _, err) = desk.run(&["sign", "-k", "wabbit.key", "ftp://reg.test/a"]);
    assert_eq!(code, Some(64), "{err}");
    assert!(err.contains("expected file:PATH, -, docker://REFERENCE or oci://REFERENCE"), "{err}");
}

/// Keys as openssl and cosign encrypt them, with the password in a file.
#[test]
fn an_encrypted_key_signs_with_its_password() {
    let desk = Desk::new();
    desk.write("right", "password\n");
    desk.write("wrong", "passwort");
    for name in ["p256-pbkdf2.pem", "p256-scrypt.pem", "cosign.pem"] {
        let key = fixtures("keys").join(name).display().to_string();
        let sign = ["sign", "-k", &key, "-o", "s.jwt", "--key-password-file"];
        desk.fails(&[&sign[..], &["wrong", "file:manifest.json"]].concat(), "the password does not open it");
        desk.fails(&[&sign[..], &["absent", "file:manifest.json"]].concat(), "absent: No such file");
        assert!(!desk.0.path().join("s.jwt").exists());
        desk.passes(&[&sign[..], &["right", "file:manifest.json"]].concat());
        fs::remove_file(desk.0.path().join("s.jwt")).unwrap();
    }
}

/// Wherever a key is kept, what is wrong with its name is said, and nothing of a PIN that stands in it.
#[test]
fn a_name_of_a_key_is_refused_without_its_secrets() {
    let desk = Desk::new();
    let pin = "pkcs11:token=t?module-path=/absent.so&pin-value=271828";
    for (key, why) in [
        (pin, "the key pkcs11:token=t: expected a PKCS #11 URI (RFC 7512), found a pin-value"),
        ("pkcs11:token=t?module-path=/absent.so", "/absent.so does not serve as a PKCS #11 module"),
        ("plugin:absent?id=k", "notation-absent does not serve as a plug-in"),
        ("awskms:///alias/", "expected awskms://[ENDPOINT]/KEY"),
        ("awskms://user:271828@kms.corp/alias/a", "the key awskms: expected awskms://[ENDPOINT]/KEY"),
    ] {
        desk.fails(&["sign", "-k", key, "-o", "s.jwt", "file:manifest.json"], why);
        let mut show = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let (code, out, err) = finished(show.args(["key", "show", key]).output().unwrap());
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(err.contains(why) && !err.contains("271828"), "{err}");
    }
}

/// A key that is made here signs here, and its file is its owner's.
#[test]
fn a_key_is_made_shown_and_signs() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    let key = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        finished(command.current_dir(desk.0.path()).arg("key").args(arguments).output().unwrap())
    };
    desk.write("password", "sesame");
    let generate = ["generate", "-o", "new.key", "--encrypt", "--key-password-file", "password"];
    let (code, made, err) = key(&generate);
    assert_eq!(code, Some(0), "{err}");
    let path = desk.0.path().join("new.key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, _, err) = key(&generate);
    assert_eq!(code, Some(1));
    assert!(err.contains("new.key (keys are never written over): File exists"), "{err}");
    // Who names a password wants it used.
    for more in [&["--encrypt"][..], &[]] {
        let output = format!("{}.key", more.len());
        let generate = ["generate", "-o", &output, "--key-password-file", "password"];
        assert_eq!(key(&[&generate[..], more].concat()).0, Some(0));
        let text = fs::read_to_string(desk.0.path().join(&output)).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{more:?}");
    }
    assert_eq!(key(&["generate", "-o", "plain.key"]).0, Some(0));
    assert!(
        fs::read_to_string(desk.0.path().join("plain.key"))
            .unwrap()
            .starts_with("-----BEGIN PRIVATE KEY-----")
    );
    assert_eq!(
        key(&["show", "new.key", "--key-password-file", "password"]),
        (Some(0), made.clone(), String::new())
    );
    for words in ["kind: P-256\n", "sha256: ", "nv2 kid: ", "-----BEGIN PUBLIC KEY-----"] {
        assert!(made.contains(words), "{made}");
    }
    assert!(!made.contains("PRIVATE"), "{made}");
    desk.passes(&[
        "sign",
        "-k",
        "new.key",
        "--key-password-file",
        "password",
        "-o",
        "s.jwt",
        "file:manifest.json",
    ]);
}

/// The scheme says whose types are asked for; the digest is of the bytes, whatever the registry calls it.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_in_a_registry_is_signed_and_verified() {
    let registry = Registry::start().await.unwrap();
    let image = Package::image("net-monitor");
    let docker =
        Package::image("net-monitor").edited(|manifest| manifest["mediaType"] = json!(DOCKER_MANIFEST));
    registry.push("net-monitor", "v1", &image);
    registry.push("net-monitor", "docker", &docker);
    let host = registry.url().trim_start_matches("http://").to_owned();
    let desk = Desk::new();
    let [oci, by_docker] = ["v1", "docker"].map(|tag| format!("{host}/net-monitor:{tag}"));
    tokio::task::block_in_place(|| {
        let sign = ["sign", "-k", "wabbit.key", "-c", "wabbit.crt", "-o", "s.jwt", "--insecure"];
        let verify = ["verify", "-f", "s.jwt", "-c", "wabbit.crt", "--insecure"];
        for (uri, package) in [(format!("oci://{oci}"), &image), (format!("docker://{by_docker}"), &docker)] {
            let printed = format!("{}\n", package.digest());
            assert_eq!(desk.passes(&[&sign[..], &[&uri]].concat()), printed);
            assert_eq!(desk.passes(&[&verify[..], &[&uri]].concat()), printed);
            let by_digest = format!("{}@{}", uri.rsplit_once(':').unwrap().0, package.digest());
            assert_eq!(desk.passes(&[&verify[..], &[&by_digest]].concat()), printed);
        }
        desk.fails(&[&verify[..], &[&format!("oci://{oci}")]].concat(), "digest_mismatch");
        desk.fails(&[&sign[..], &[&format!("docker://{oci}")]].concat(), &format!("ask with oci://{oci}"));
        desk.fails(
            &[&sign[..], &[&format!("oci://{host}/net-monitor:absent")]].concat(),
            "net-monitor:absent",
        );
    });
}

fn fixtures(form: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(form)
}

/// What the prototype signed, under the certificates that it was verified with. Their validity has ended by
/// now or will some day, which is all that may then be wrong.
#[test]
fn what_the_prototype_signed_comes_to_what_it_said() {
    let desk = Desk::new();
    let mut verdicts = 0;
    for (form, file) in [("nv2", "signature.jwt"), ("nv2-json", "signature.json")] {
        let root = fixtures(form);
        let manifest = format!("file:{}", root.join("manifest.json").display());
        for folder in fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()) {
            let Ok(case) = fs::read(folder.join("case.json")) else { continue };
            let case: Value = serde_json::from_slice(&case).unwrap();
            let signature = folder.join(file).display().to_string();
            for verify in case["verify"].as_array().unwrap() {
                let mut arguments = vec!["verify".to_owned(), "-f".to_owned(), signature.clone()];
                for (key, flag) in [("cert", "-c"), ("ca", "--ca-cert")] {
                    for name in verify[key].as_array().into_iter().flatten() {
                        let path = root.join("pki").join(format!("{}.crt", name.as_str().unwrap()));
                        arguments.extend([flag.to_owned(), path.display().to_string()]);
                    }
                }
                arguments.push(manifest.clone());
                let (code, _, err) = desk.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
                let expected = verify["rc"] == 0;
                let is_over = err.contains("certificate_expired");
                assert!(is_over || (code == Some(0)) == expected, "{arguments:?}: {err}");
                verdicts += 1;
            }
        }
    }
    assert!(verdicts >= 14, "{verdicts}");
}
