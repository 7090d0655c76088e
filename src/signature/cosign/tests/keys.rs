//! Signatures by keys of every kind, and the payload that they bind.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::*;
use super::subject;
use crate::oci::{Digest, media_type};
use crate::signature::Code;
use crate::signature::{Evidence, Format, Rejected, Subject};

fn settings(key: impl Into<String>, log: Requirement) -> Settings {
    Settings { key: Some(Pem(key.into())), transparency_log: log, ..Settings::default() }
}

fn judge(settings: &Settings, subject: &Subject, signature: &Signature) -> Result<Evidence, Rejected> {
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    super::judge(&super::built(settings), subject, signature, now)
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

/// Some tools write `null`, or nothing, for what they have not.
#[test]
fn an_empty_annotation_is_none() {
    let (subject, signer) = (image(), ed25519());
    for nothing in ["", "null"] {
        let mut signature = signed(&signer, &payload(&subject).to_string());
        for name in [layout::BUNDLE, layout::TIMESTAMP] {
            signature.annotations.insert(name.to_owned(), nothing.to_owned());
        }
        for name in [layout::CERTIFICATE, layout::CHAIN] {
            signature.annotations.insert(name.to_owned(), String::new());
        }
        assert!(judge(&settings(&signer.pem, Requirement::Ignore), &subject, &signature).is_ok());
        let required = settings(&signer.pem, Requirement::Require);
        assert_eq!(judge(&required, &subject, &signature).unwrap_err().code(), Code::LogEntryMissing);
        signature.annotations.insert(layout::BUNDLE.to_owned(), "{}".to_owned());
        assert_eq!(judge(&required, &subject, &signature).unwrap_err().code(), Code::Malformed);
    }
}
