//! Envelopes and what they state: who is meant, by whom, and in which form a bundle may bring it.

use rcgen::KeyPair;
use serde_json::{Value, json};

use super::super::*;
use super::judge;
use super::stand::{
    self, By, HASHED, HASHED_2, Stand, Work, bundle, claim, encoded, entry_with, image, later,
};
use super::tree::with;
use crate::oci::{Digest, media_type};
use crate::signature::{Code, Evidence, Rejected};

/// Settings that believe the key, and ask no log.
fn unlogged(key: &KeyPair) -> Settings {
    Settings { transparency_log: Requirement::Ignore, ..stand::key(key) }
}

fn signer() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn verdict(key: &KeyPair, bundle: &Value) -> Result<Evidence, Rejected> {
    judge(&super::built(&unlogged(key)), &image(), &claim(bundle), later())
}

fn statement() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": image().descriptor.digest.hex()}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    })
}

/// A bundle of a statement that says this.
fn saying(key: &KeyPair, statement: &Value) -> Value {
    bundle(&Work::saying(By::Key(key), statement), &[], &[])
}

#[test]
fn one_of_an_envelopes_signatures_is_by_the_key() {
    let (key, other) = (signer(), signer());
    let good = saying(&key, &statement());
    let signature =
        |key: &KeyPair| json!({"sig": encoded(&Work::saying(By::Key(key), &statement()).signature)});
    let with_all = |all: &[Value]| verdict(&key, &with(&good, "/dsseEnvelope/signatures", json!(all)));
    assert!(with_all(&[signature(&other), signature(&key)]).is_ok());
    assert!(with_all(&[signature(&key), signature(&other)]).is_ok());
    assert_eq!(with_all(&[signature(&other)]).unwrap_err().code(), Code::BadSignature);
    assert_eq!(with_all(&[]).unwrap_err().code(), Code::Malformed);
    assert_eq!(with_all(&vec![signature(&key); 9]).unwrap_err().code(), Code::Malformed);
    // A key id is a hint that nobody signs.
    let hinted = with(&good, "/dsseEnvelope/signatures/0/keyid", json!("another"));
    assert!(verdict(&key, &hinted).is_ok());
}

/// The log's entry is about the signature that counts, not about another of the envelope.
#[test]
fn the_signature_that_counts_was_logged() {
    let (stand, key, other) = (Stand::new(), signer(), signer());
    let [own, foreign] = [&key, &other].map(|key| Work::saying(By::Key(key), &statement()));
    let verifier = stand.verifier(&stand::key(&key));
    let both = json!([own.envelope()["signatures"][0], foreign.envelope()["signatures"][0]]);
    for (logged, accepted) in [(&own, true), (&foreign, false)] {
        for kind in [HASHED, HASHED_2, ("dsse", "0.0.1"), ("dsse", "0.0.2"), ("intoto", "0.0.2")] {
            let log = if kind == HASHED_2 || kind == ("dsse", "0.0.2") {
                &stand.rekor2[0]
            } else {
                &stand.rekor[0]
            };
            let bundle = bundle(&own, &[entry_with(log, logged, kind, |_| {})], &[]);
            let bundle = with(&bundle, "/dsseEnvelope/signatures", both.clone());
            let result = judge(&verifier, &image(), &claim(&bundle), later());
            assert_eq!(result.err().map(|e| e.code()), (!accepted).then_some(Code::LogEntryMissing));
        }
    }
}

#[test]
fn an_envelope_holds_a_statement() {
    let key = signer();
    let good = saying(&key, &statement());
    let code = |bundle: &Value| verdict(&key, bundle).unwrap_err().code();
    for kind in ["application/json", "application/vnd.in-toto+json ", "", "application/vnd.in-toto"] {
        assert_eq!(code(&with(&good, "/dsseEnvelope/payloadType", json!(kind))), Code::Unsupported);
    }
    for bad in ["_type", "subject", "predicateType"] {
        let mut said = statement();
        said.as_object_mut().unwrap().remove(bad);
        assert_eq!(code(&saying(&key, &said)), Code::Malformed, "{bad}");
    }
    let said = |pointer: &str, value: Value| code(&saying(&key, &with(&statement(), pointer, value)));
    assert_eq!(said("/_type", json!("https://in-toto.io/Statement/v2")), Code::Unsupported);
    assert_eq!(said("/predicateType", json!("")), Code::Malformed);
    assert_eq!(said("/subject", json!([])), Code::Malformed);
    assert_eq!(said("/subject", json!(vec![statement()["subject"][0].clone(); 1025])), Code::Malformed);
    assert_eq!(said("/subject/0/digest", json!({})), Code::Malformed);
    assert!(
        verdict(
            &key,
            &saying(&key, &with(&statement(), "/_type", json!("https://in-toto.io/Statement/v0.1")))
        )
        .is_ok()
    );
}

/// Readers differ about keys that stand there twice, so that one could be shown what another was not.
#[test]
fn no_key_stands_there_twice() {
    let key = signer();
    let text = statement().to_string();
    for (from, to) in [
        (r#"{"_type""#, r#"{"_type":"x","_type""#),
        (r#""sha256":"#, r#""sha256":"00","sha256":"#),
        (r#""predicate":{}"#, r#""predicate":{"a":1,"a":2}"#),
    ] {
        let twice = text.replacen(from, to, 1);
        assert_ne!(twice, text);
        let work = Work::text(By::Key(&key), twice.into_bytes());
        let rejected = verdict(&key, &bundle(&work, &[], &[])).unwrap_err();
        assert_eq!(rejected.code(), Code::Malformed, "{from}");
        assert!(rejected.to_string().contains("stands there twice"), "{rejected}");
    }
    let good = claim(&saying(&key, &statement()));
    let twice = std::str::from_utf8(&good.payload).unwrap().replacen("{\"", "{\"mediaType\":\"x\",\"", 1);
    let claim = Signature { payload: twice.into(), ..good };
    let rejected = judge(&super::built(&unlogged(&key)), &image(), &claim, later()).unwrap_err();
    assert!(rejected.to_string().contains("stands there twice"), "{rejected}");
}

#[test]
fn the_manifest_is_among_its_subjects() {
    let key = signer();
    let subjects = |subjects: Value| verdict(&key, &saying(&key, &with(&statement(), "/subject", subjects)));
    let ours = json!({"name": "ours", "digest": {"sha256": image().descriptor.digest.hex()}});
    let other = json!({"name": "other", "digest": {"sha256": "00".repeat(32)}});
    let evidence = subjects(json!([other, ours])).unwrap();
    assert_eq!(evidence.names().iter().map(ToString::to_string).collect::<Vec<_>>(), ["ours"]);
    let hex = image().descriptor.digest.hex();
    for foreign in [
        json!([other]),
        json!([{"digest": {"sha256": hex.to_uppercase()}}]),
        json!([{"digest": {"sha512": hex}}]),
        json!([{"digest": {"sha256": &hex[1..]}}]),
        json!([{"name": hex, "digest": {"sha1": "00"}}]),
    ] {
        assert_eq!(subjects(foreign.clone()).unwrap_err().code(), Code::DigestMismatch, "{foreign}");
    }
}

#[test]
fn a_manifest_by_sha512_is_meant_by_that() {
    let key = signer();
    let digest = Digest::parse(&format!("sha512:{}", "5a".repeat(64))).unwrap();
    let subject = super::subject(Descriptor::new(media_type::OCI_MANIFEST, digest, 2));
    let judged = |digests: Value| {
        let bundle = saying(&key, &with(&statement(), "/subject/0/digest", digests));
        judge(&super::built(&unlogged(&key)), &subject, &claim(&bundle), later())
    };
    assert!(judged(json!({"sha512": digest.hex()})).is_ok());
    assert!(judged(json!({"sha256": "00", "sha512": digest.hex()})).is_ok());
    for other in [json!({"sha256": digest.hex()}), json!({"sha512": "5b".repeat(64)})] {
        assert_eq!(judged(other).unwrap_err().code(), Code::DigestMismatch);
    }
}

#[test]
fn an_annotation_is_what_the_subject_says() {
    let key = signer();
    let asking = Settings { annotations: [("env".to_owned(), "prod".to_owned())].into(), ..unlogged(&key) };
    let judged = |subject: usize, annotations: Value| {
        let mut said = statement();
        said["subject"] = json!([{"digest": {"sha256": "00"}}, said["subject"][0]]);
        said["subject"][subject]["annotations"] = annotations;
        judge(&super::built(&asking), &image(), &claim(&saying(&key, &said)), later())
    };
    assert!(judged(1, json!({"env": "prod", "more": 1})).is_ok());
    for annotations in [json!({"env": "test"}), json!({"env": ["prod"]}), json!({}), Value::Null] {
        assert_eq!(judged(1, annotations).unwrap_err().code(), Code::AnnotationMismatch);
    }
    assert_eq!(judged(0, json!({"env": "prod"})).unwrap_err().code(), Code::AnnotationMismatch);
}

#[test]
fn an_attestation_is_told_as_one() {
    let key = signer();
    assert!(verdict(&key, &saying(&key, &statement())).unwrap().attestation().is_none());
    let said = with(&statement(), "/predicateType", json!("https://slsa.dev/provenance/v1"));
    let evidence = verdict(&key, &saying(&key, &said)).unwrap();
    assert_eq!(evidence.attestation().unwrap().predicate_type(), "https://slsa.dev/provenance/v1");
}
