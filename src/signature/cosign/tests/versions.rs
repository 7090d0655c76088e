//! The forms of a bundle: its versions, who made it, and what it holds.

use serde_json::{Value, json};

use super::super::*;
use super::judge;
use super::stand::{
    self, AT, By, HASHED, HASHED_2, Leaf, Stand, Work, after, bundle, claim, encoded, entry_with, image,
    keyless, later,
};
use super::tree::with;
use crate::oci::Digest;
use crate::signature::{Code, Evidence, Rejected, Rejection};

const V01: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
const V02: &str = "application/vnd.dev.sigstore.bundle+json;version=0.2";
const V03: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

/// A bundle of the version, with the certificate in a chain, and a timestamp.
fn made(stand: &Stand, leaf: &Leaf, version: &str) -> Value {
    let work = Work::statement(By::Leaf(leaf), &image().descriptor.digest);
    let entry = stand.rekor[0].entry(&work.body(HASHED.0, HASHED.1), AT);
    let mut bundle = bundle(&work, &[entry], &[stand.stamp(0, &work.signature, after(1))]);
    bundle["mediaType"] = json!(version);
    let material = bundle["verificationMaterial"].as_object_mut().unwrap();
    let certificate = material.remove("certificate").unwrap();
    material.insert("x509CertificateChain".to_owned(), json!({"certificates": [certificate]}));
    bundle
}

fn verdict(stand: &Stand, bundle: &Value) -> Result<Evidence, Rejected> {
    judge(&stand.verifier(&keyless()), &image(), &claim(bundle), later())
}

fn refused(result: Result<Evidence, Rejected>, code: Code, words: &str) {
    let rejected = result.unwrap_err();
    assert_eq!(rejected.code(), code, "{words}: {rejected}");
    assert!(rejected.to_string().contains(words), "{words}: {rejected}");
}

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

#[test]
fn each_version_has_what_its_clients_relied_on() {
    let stand = Stand::new();
    let leaf = stand.certificate(|_| {});
    let null = |bundle: &Value, field: &str| with(bundle, &format!("{ENTRY}/{field}"), Value::Null);
    let first = made(&stand, &leaf, V01);
    assert!(verdict(&stand, &first).is_ok());
    assert!(verdict(&stand, &null(&first, "inclusionProof")).is_ok());
    refused(verdict(&stand, &null(&first, "inclusionPromise")), Code::Malformed, "need an inclusion promise");
    let second = made(&stand, &leaf, V02);
    assert!(verdict(&stand, &second).is_ok());
    // The timestamp tells the time then.
    assert!(verdict(&stand, &null(&second, "inclusionPromise")).is_ok());
    refused(verdict(&stand, &null(&second, "inclusionProof")), Code::Malformed, "need an inclusion proof");
    let third = stand.bundle(&leaf);
    refused(verdict(&stand, &null(&third, "inclusionProof")), Code::Malformed, "need an inclusion proof");
    assert!(verdict(&stand, &with(&third, "/mediaType", json!(V03))).is_ok());
    refused(verdict(&stand, &made(&stand, &leaf, V03)), Code::Malformed, "one certificate, not a chain");
    for other in ["application/vnd.dev.sigstore.bundle+json;version=0.4", "application/json", ""] {
        refused(verdict(&stand, &with(&third, "/mediaType", json!(other))), Code::Unsupported, "version");
    }
}

#[test]
fn a_chain_leads_upwards_and_ends_below_the_root() {
    let stand = Stand::new();
    let leaf = stand.certificate(|_| {});
    let raw = |der: &[u8]| json!({"rawBytes": encoded(der)});
    let own = raw(leaf.certificate.der());
    let with_chain = |chain: Vec<Value>| {
        let pointer = "/verificationMaterial/x509CertificateChain/certificates";
        verdict(&stand, &with(&made(&stand, &leaf, V02), pointer, json!(chain)))
    };
    let stranger = raw(stand.tsa[0].middle.der());
    assert!(with_chain(vec![own.clone(), stranger.clone()]).is_ok());
    refused(with_chain(vec![stranger.clone(), own.clone()]), Code::BadSignature, "does not match");
    refused(with_chain(vec![own.clone(), raw(stand.root.der())]), Code::Malformed, "contains a root");
    refused(with_chain(vec![]), Code::Malformed, "is empty");
    assert!(with_chain([vec![own.clone()], vec![stranger.clone(); 9]].concat()).is_ok());
    refused(with_chain([vec![own], vec![stranger; 10]].concat()), Code::Malformed, "more than 10");
}

#[test]
fn it_is_by_one_and_holds_one() {
    let stand = Stand::new();
    let leaf = stand.certificate(|_| {});
    let good = stand.bundle(&leaf);
    let also = |pointer: &str, field: &str, value: Value| {
        let mut changed = good.clone();
        changed.pointer_mut(pointer).unwrap()[field] = value;
        verdict(&stand, &changed)
    };
    let by = "one of publicKey, certificate and x509CertificateChain";
    let material = "/verificationMaterial";
    refused(also(material, "publicKey", json!({"hint": "x"})), Code::Malformed, by);
    let chain = json!({"certificates": [good.pointer("/verificationMaterial/certificate").unwrap()]});
    refused(also(material, "x509CertificateChain", chain), Code::Malformed, by);
    refused(also(material, "certificate", Value::Null), Code::Malformed, by);
    let holds = "one of messageSignature and dsseEnvelope";
    refused(also("", "messageSignature", json!({"signature": "AAAA"})), Code::Malformed, holds);
    refused(also("", "dsseEnvelope", Value::Null), Code::Malformed, holds);
    // A key without a certificate is no identity.
    let mut by_key = good.clone();
    by_key["verificationMaterial"]["certificate"].take();
    by_key["verificationMaterial"]["publicKey"] = json!({"hint": "x"});
    refused(verdict(&stand, &by_key), Code::UntrustedKey, "a key without a certificate");
}

#[test]
fn so_many_witnesses_are_heard() {
    let stand = Stand::new();
    let leaf = stand.certificate(|_| {});
    let good = stand.bundle(&leaf);
    let of = |pointer: &str, one: &Value, n: usize| {
        verdict(&stand, &with(&good, pointer, json!(vec![one.clone(); n])))
    };
    let entry = good.pointer(ENTRY).unwrap();
    let stamp = json!({"signedTimestamp": "AAAA"});
    for (pointer, one) in [
        ("/verificationMaterial/tlogEntries", entry),
        ("/verificationMaterial/timestampVerificationData/rfc3161Timestamps", &stamp),
    ] {
        assert!(of(pointer, one, 32).is_ok(), "{pointer}");
        refused(of(pointer, one, 33), Code::Malformed, "more than 32");
    }
}

/// A bundle whose signature is over an artifact itself.
fn over(key: &rcgen::KeyPair, stand: &Stand, message: &[u8]) -> Value {
    let work = Work::message(By::Key(key), message);
    let mut bundle = bundle(&work, &[entry_with(&stand.rekor2[0], &work, HASHED_2, |_| {})], &[]);
    bundle["dsseEnvelope"].take();
    let digest = json!({"algorithm": "SHA2_256", "digest": encoded(stand::sha256(message))});
    bundle["messageSignature"] = json!({"messageDigest": digest, "signature": encoded(&work.signature)});
    bundle
}

#[test]
fn an_artifact_is_judged_by_its_bytes_or_by_its_digest() {
    let (stand, key) = (Stand::new(), rcgen::KeyPair::generate().unwrap());
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    for (key, signs_digests) in [(&key, true), (&ed25519, false)] {
        let verifier = stand.verifier(&stand::key(key));
        let good = over(key, &stand, b"message");
        let judge = |bundle: &Value, message: &[u8], bytes: bool| {
            let artifact = Artifact { digest: Digest::sha256(message), bytes: bytes.then_some(message) };
            let bundle = bundle.to_string().into_bytes().into();
            verifier.verify_bundle(&bundle, &artifact, later()).map_err(|why| why.code())
        };
        assert!(judge(&good, b"message", true).is_ok());
        assert_eq!(judge(&good, b"message", false).is_ok(), signs_digests);
        assert_eq!(judge(&good, b"another", true).unwrap_err(), Code::BadSignature);
        assert_eq!(judge(&good, b"another", false).unwrap_err(), Code::BadSignature);
        // What a bundle says of the digest is unsigned, and may be absent, but not wrong.
        let digest =
            |value: Value| judge(&with(&good, "/messageSignature/messageDigest", value), b"message", true);
        assert!(digest(Value::Null).is_ok());
        let right = encoded(stand::sha256(b"message"));
        for (algorithm, value) in
            [("SHA2_256", "AAAA"), ("SHA2_512", &right), ("SHA2_384", &right), ("", &right)]
        {
            let why = digest(json!({"algorithm": algorithm, "digest": value})).unwrap_err();
            assert_eq!(why, Code::DigestMismatch, "{algorithm}");
        }
        // The log keeps it too.
        let entry = good.pointer(ENTRY).unwrap().clone();
        let other = with(&over(key, &stand, b"another"), ENTRY, entry);
        assert_eq!(judge(&other, b"another", true).unwrap_err(), Code::LogEntryMissing);
    }
}

#[test]
fn a_digest_that_is_no_sha256_cannot_stand_for_the_bytes() {
    let (stand, key) = (Stand::new(), rcgen::KeyPair::generate().unwrap());
    let bundle = over(&key, &stand, b"message").to_string().into_bytes().into();
    let digest = Digest::parse(&format!("sha512:{}", "00".repeat(64))).unwrap();
    let artifact = Artifact { digest, bytes: None };
    let why = stand.verifier(&stand::key(&key)).verify_bundle(&bundle, &artifact, later()).unwrap_err();
    assert!(matches!(why, Rejection::Unsupported { .. }), "{why}");
}
