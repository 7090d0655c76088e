#![allow(clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::oci::{Algorithm, Digest, Manifest, Repository, media_type};
use crate::signature::layout::Carrier;
use crate::signature::rejection::Code;
use crate::signature::{Evidence, Format, SignerName, Subject, Verifier};
use crate::signature::{Rejected, Rejection};
use crate::trust::RevocationData;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cosign")
}

fn settings(key: impl Into<String>, log: Requirement) -> Settings {
    Settings { key: Some(Pem(key.into())), transparency_log: log, ..Settings::default() }
}

fn subject(descriptor: Descriptor) -> Subject {
    Subject { repository: Repository::parse("docker.io/library/app").unwrap(), descriptor }
}

fn judge(settings: &Settings, subject: &Subject, signature: &Signature) -> Result<Evidence, Rejected> {
    let verifier = verifier(&SignerName("redhat".into()), settings).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    verifier.verify(subject, signature, &RevocationData::default(), now)
}

/// The image of an OCI layout and the signatures about it, found as the gate finds them.
fn read(folder: &Path) -> (Subject, Vec<(Carrier, Signature)>) {
    let blob = |digest: &str| {
        Bytes::from(std::fs::read(folder.join("oci/blobs").join(digest.replace(':', "/"))).unwrap())
    };
    let index: Value =
        serde_json::from_slice(&std::fs::read(folder.join("oci/index.json")).unwrap()).unwrap();
    let manifests: Vec<Manifest> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| Manifest::parse(blob(m["digest"].as_str().unwrap()), Algorithm::Sha256).unwrap())
        .collect();
    let case: Value = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
    let image = Digest::parse(case["digest"].as_str().unwrap()).unwrap();
    let descriptor = manifests.iter().find(|m| *m.digest() == image).unwrap().descriptor().clone();
    let mut found = Vec::new();
    for manifest in manifests.iter().filter(|m| *m.digest() != image) {
        let Some(carrier) = crate::signature::layout::carrier(manifest, &image) else { continue };
        for part in &carrier.parts {
            let payload = blob(&part.digest.to_string());
            let signature = crate::signature::layout::signature(&carrier, *manifest.digest(), part, payload);
            found.push((carrier.clone(), signature));
        }
    }
    (subject(descriptor), found)
}

/// cosign's verdicts, where a key decides and no log does.
#[test]
fn cosigns_verdicts_on_keys() {
    let mut verdicts = 0;
    for name in ["key-p256-legacy-notlog", "key-ed25519-legacy-notlog", "key-rsa-legacy-notlog"] {
        let folder = fixtures().join(name);
        let (subject, found) = read(&folder);
        let [(carrier, signature)] = &found[..] else { panic!("{name}: {found:?}") };
        assert!(carrier.pure && claims(signature, &subject.descriptor).is_ok());
        let case: Value = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
        for verify in case["verify"].as_array().unwrap() {
            let argv: Vec<&str> =
                verify["argv"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
            let at = argv.iter().position(|a| *a == "--key").unwrap();
            let ignored = argv.contains(&"--insecure-ignore-tlog=true");
            let log = if ignored { Requirement::Ignore } else { Requirement::Require };
            let key = fixtures().join(argv[at + 1]).display().to_string();
            let result = judge(&settings(key, log), &subject, signature);
            assert_eq!(result.is_ok(), verify["rc"] == 0, "{name} {argv:?}: {result:?}");
            verdicts += 1;
        }
    }
    assert_eq!(verdicts, 12);
}

#[test]
fn a_log_entry_is_refused_until_it_can_be_verified() {
    let (subject, found) = read(&fixtures().join("key-p256-legacy-tlog"));
    let key = fixtures().join("infra/key-p256.pub").display().to_string();
    let required = settings(&key, Requirement::Require);
    assert_eq!(judge(&required, &subject, &found[0].1).unwrap_err().code(), Code::LogEntryMissing);
    assert!(judge(&settings(&key, Requirement::Ignore), &subject, &found[0].1).is_ok());
    let mut stamped = settings(&key, Requirement::Ignore);
    stamped.timestamps = Requirement::Require;
    assert_eq!(judge(&stamped, &subject, &found[0].1).unwrap_err().code(), Code::TimestampInvalid);
    let limited = |s| verifier(&SignerName("a".into()), s).unwrap().limitation().is_some();
    assert!(limited(&required) && limited(&stamped) && !limited(&settings(key, Requirement::Ignore)));
}

#[test]
fn bundles_and_keyless_signatures_are_found_and_refused() {
    let (subject, found) = read(&fixtures().join("key-bundle-notlog"));
    let key = fixtures().join("infra/key-p256.pub").display().to_string();
    let rejection = judge(&settings(&key, Requirement::Ignore), &subject, &found[0].1).unwrap_err();
    assert_eq!(rejection.code(), Code::Unsupported);
    assert!(found[0].0.pure && claims(&found[0].1, &subject.descriptor).is_err());

    let (subject, found) = read(&fixtures().join("keyless-legacy-email"));
    let rejection = judge(&settings(key, Requirement::Ignore), &subject, &found[0].1).unwrap_err();
    assert!(matches!(rejection.rejection, Rejection::UntrustedKey { .. }), "{rejection}");
    let keyless = Settings {
        key: None,
        keyless: Some(Keyless {
            issuer: Some("https://issuer.example.test".to_owned()),
            identity: Some("dev@example.test".to_owned()),
            ..Keyless::default()
        }),
        ..settings("", Requirement::Ignore)
    };
    let rejection = judge(&keyless, &subject, &found[0].1).unwrap_err();
    assert_eq!(rejection.code(), Code::Unsupported);
    assert!(rejection.to_string().contains("keyless"), "{rejection}");
    assert!(read(&fixtures().join("unsigned")).1.is_empty());
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Something that signs, and the public key in PEM.
struct Signer {
    pem: String,
    sign: Sign,
}

fn pem(spki: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(spki))
}

fn ecdsa(algorithm: &'static lc::EcdsaSigningAlgorithm) -> Signer {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    let key = EcdsaKeyPair::generate(algorithm).unwrap();
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let pem = pem(spki.as_ref());
    Signer { pem, sign: Box::new(move |m| key.sign(&SystemRandom::new(), m).unwrap().as_ref().to_vec()) }
}

fn rsa(encoding: &'static lc::RsaSignatureEncoding) -> Signer {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let pem = pem(spki.as_ref());
    let sign = move |message: &[u8]| {
        let mut out = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), message, &mut out).unwrap();
        out
    };
    Signer { pem, sign: Box::new(sign) }
}

fn ed25519() -> Signer {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    let key = Ed25519KeyPair::generate().unwrap();
    let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let pem = pem(spki.as_ref());
    Signer { pem, sign: Box::new(move |m| key.sign(m).as_ref().to_vec()) }
}

fn payload(subject: &Subject) -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": "registry.example.test/app"},
            "image": {"docker-manifest-digest": subject.descriptor.digest},
            "type": "cosign container image signature",
        },
        "optional": {"env": "prod"},
    })
}

fn signed(signer: &Signer, payload: &str) -> Signature {
    let signature = STANDARD.encode((signer.sign)(payload.as_bytes()));
    Signature {
        format: Format::Cosign,
        digest: Digest::sha256(b"artifact"),
        media_type: media_type::COSIGN_SIMPLE_SIGNING.into(),
        payload: payload.to_owned().into(),
        annotations: [(layout::SIGNATURE.to_owned(), signature)].into(),
    }
}

fn image() -> Subject {
    subject(Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(b"{}"), 2))
}

#[test]
fn every_kind_of_key() {
    let subject = image();
    let text = payload(&subject).to_string();
    for signer in [
        ecdsa(&lc::ECDSA_P256_SHA256_ASN1_SIGNING),
        ecdsa(&lc::ECDSA_P384_SHA384_ASN1_SIGNING),
        ecdsa(&lc::ECDSA_P521_SHA512_ASN1_SIGNING),
        ecdsa(&lc::ECDSA_P521_SHA256_ASN1_SIGNING),
        rsa(&lc::RSA_PKCS1_SHA256),
        rsa(&lc::RSA_PSS_SHA256),
        ed25519(),
    ] {
        let mut signature = signed(&signer, &text);
        let settings = settings(&signer.pem, Requirement::Ignore);
        let evidence = judge(&settings, &subject, &signature).unwrap();
        assert_eq!(evidence.names()[0].to_string(), "registry.example.test/app");
        assert_eq!(evidence.subject(), &subject.descriptor.digest);

        signature.payload = text.replacen("prod", "test", 1).into();
        assert_eq!(judge(&settings, &subject, &signature).unwrap_err().code(), Code::BadSignature);
    }
}

#[test]
fn the_payload_binds() {
    let (subject, signer) = (image(), ed25519());
    let good = payload(&subject).to_string();
    let mut atomic = payload(&subject);
    atomic["critical"]["type"] = json!("atomic container signature");
    let settings = settings(&signer.pem, Requirement::Ignore);
    assert!(judge(&settings, &subject, &signed(&signer, &atomic.to_string())).is_ok());

    let edit = |path: &str, value: Value| {
        let mut changed = payload(&subject);
        *changed.pointer_mut(path).unwrap() = value;
        changed.to_string()
    };
    for (bad, code) in [
        (edit("/critical/image/docker-manifest-digest", json!(Digest::sha256(b"x"))), Code::DigestMismatch),
        (edit("/critical/image/docker-manifest-digest", json!("")), Code::DigestMismatch),
        (edit("/critical/type", json!("cosign")), Code::Unsupported),
        (edit("/critical/image", json!({})), Code::Malformed),
        (edit("/critical/identity", json!({"docker-reference": "a", "more": 1})), Code::Malformed),
        (good.replacen(r#"{"critical":{"#, r#"{"critical":{"new":1,"#, 1), Code::Malformed),
        (good.replacen(r#"{"critical""#, r#"{"critical":{},"critical""#, 1), Code::Malformed),
        (good.replacen(r#"{"critical""#, r#"{"Critical":{},"critical""#, 1), Code::Malformed),
        (format!("{good}{{}}"), Code::Malformed),
    ] {
        let rejection = judge(&settings, &subject, &signed(&signer, &bad)).unwrap_err();
        assert_eq!(rejection.code(), code, "{bad}: {rejection}");
    }
}

#[test]
fn the_signature_must_be_there_and_be_base64() {
    let (subject, signer) = (image(), ed25519());
    let settings = settings(&signer.pem, Requirement::Ignore);
    let mut signature = signed(&signer, &payload(&subject).to_string());
    signature.annotations.insert(layout::SIGNATURE.to_owned(), "AA=A".to_owned());
    assert_eq!(judge(&settings, &subject, &signature).unwrap_err().code(), Code::Malformed);
    signature.annotations.clear();
    assert_eq!(judge(&settings, &subject, &signature).unwrap_err().code(), Code::Malformed);
    signature.media_type = "application/x".into();
    assert_eq!(judge(&settings, &subject, &signature).unwrap_err().code(), Code::Unsupported);
}

#[test]
fn settings_say_one_thing() {
    let fault = |s: Settings| verifier(&SignerName("a".into()), &s).err().unwrap().path.join(".");
    let none = Settings { key: None, ..settings("", Requirement::Ignore) };
    assert_eq!(fault(none.clone()), "key");
    assert_eq!(fault(settings("/absent/key.pub", Requirement::Ignore)), "key");
    let keyless = |change: fn(&mut Keyless)| {
        let mut keyless = Keyless {
            issuer: Some("https://i".to_owned()),
            identity: Some("i".to_owned()),
            ..Keyless::default()
        };
        change(&mut keyless);
        Settings { keyless: Some(keyless), ..none.clone() }
    };
    assert_eq!(fault(Settings { key: Some(Pem("a".into())), ..keyless(|_| {}) }), "keyless");
    let rootless = Settings { trusted_root: Some("/absent/root.json".into()), ..keyless(|_| {}) };
    assert_eq!(fault(rootless), "trusted_root");
    assert_eq!(fault(keyless(|k| k.issuer = None)), "keyless.issuer");
    assert_eq!(fault(keyless(|k| k.identity_regexp = Some(".*".into()))), "keyless.identity");
    let unknown = fault(keyless(|k| drop(k.extensions.insert("colour".into(), "red".into()))));
    assert_eq!(unknown, "keyless.extensions.colour");
    assert!(verifier(&SignerName("a".into()), &keyless(|_| {})).unwrap().limitation().is_some());
}

#[test]
fn paths_are_resolved_and_text_is_left() {
    let mut settings = settings("trust/redhat.pub", Requirement::Require);
    settings.resolve(Path::new("/etc/portcullis"));
    assert_eq!(settings.paths(), [Path::new("/etc/portcullis/trust/redhat.pub")]);
    let text = ed25519().pem;
    settings.key = Some(Pem(text.clone()));
    settings.resolve(Path::new("/etc"));
    assert_eq!(settings.key, Some(Pem(text)));
    assert!(settings.paths().is_empty());
}
