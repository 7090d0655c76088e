//! COSE envelopes: every algorithm, and one valid envelope with each of its fields changed once.

use std::sync::LazyLock;

use coset::cbor::value::Value;
use serde_json::json;

use super::signer::{NOW, SIGNED, Signer, Trust, at, cose_signature, encode, payload, refused};
use crate::signature::Code::{self, *};
use crate::signature::TimeSource;

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new("ES256"));

const SCHEME: &str = "io.cncf.notary.signingScheme";
const TIME: &str = "io.cncf.notary.signingTime";
const AUTHENTIC: &str = "io.cncf.notary.authenticSigningTime";
const EXPIRY: &str = "io.cncf.notary.expiry";
const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";

type Map = Vec<(Value, Value)>;

fn trust() -> Trust {
    Trust::in_root(&SIGNER.chain[2])
}

fn parts() -> [Value; 4] {
    SIGNER.cose(&encode(&Value::Map(SIGNER.protected_map())), &payload().to_string())
}

fn tagged(parts: impl Into<Vec<Value>>) -> Vec<u8> {
    encode(&Value::Tag(18, Box::new(Value::Array(parts.into()))))
}

/// The map with one entry set, or taken out where there is no value.
fn changed(mut map: Map, label: impl Into<Value>, to: Option<Value>) -> Map {
    let label = label.into();
    map.retain(|(l, _)| *l != label);
    map.extend(to.map(|to| (label, to)));
    map
}

fn texts(list: &[&str]) -> Option<Value> {
    Some(Value::Array(list.iter().map(|t| Value::from(*t)).collect()))
}

fn time(seconds: u64) -> Option<Value> {
    Some(Value::Tag(1, Box::new(seconds.into())))
}

/// Verifies an envelope with this protected header, validly signed.
fn signed(protected: Map, code: Code, why: &str) {
    let what = format!("{protected:?}");
    let parts = SIGNER.cose(&encode(&Value::Map(protected)), &payload().to_string());
    refused(&what, trust().verify(&cose_signature(tagged(parts))), code, why);
}

#[test]
fn all_six_algorithms_verify() {
    for algorithm in ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"] {
        let signer = Signer::new(algorithm);
        let parts = signer.cose(&encode(&Value::Map(signer.protected_map())), &payload().to_string());
        let evidence = Trust::in_root(&signer.chain[2]).verify(&cose_signature(tagged(parts)));
        assert_eq!(evidence.unwrap().signed_at(), Some((at(SIGNED), TimeSource::Claimed)), "{algorithm}");
    }
}

#[test]
fn a_changed_protected_header_is_refused() {
    let number = |n: i64| Some(Value::from(n));
    let text = |t: &str| Some(Value::from(t));
    for (label, to, code, why) in [
        (Value::from(1), None, Malformed, "alg is missing"),
        (1.into(), number(-37), Unsupported, "PS256 with a key of kind P-256"),
        (1.into(), number(-35), Unsupported, "ES384 with a key of kind P-256"),
        (1.into(), number(5), Unsupported, "5"),
        (1.into(), text("ES256"), Unsupported, "not a number"),
        (2.into(), None, Malformed, "crit is no list"),
        (2.into(), texts(&[]), Malformed, "crit is no list"),
        (2.into(), texts(&[TIME]), Unsupported, TIME),
        (2.into(), texts(&[SCHEME, SCHEME]), Unsupported, SCHEME),
        (2.into(), texts(&[SCHEME, EXPIRY]), Malformed, "which is not there"),
        (2.into(), Some(Value::Array(vec![SCHEME.into(), 1.into()])), Unsupported, "critical attribute: 1"),
        (2.into(), Some(Value::Array(vec![SCHEME.into(), Value::Null])), Malformed, "crit is no list"),
        (3.into(), None, Malformed, "content type is missing"),
        (3.into(), text("application/json"), Unsupported, "application/json"),
        (3.into(), number(50), Malformed, "content type is no text"),
        (SCHEME.into(), None, Malformed, "signingScheme is missing"),
        (SCHEME.into(), text("notary.x510"), Unsupported, "notary.x510"),
        (SCHEME.into(), text("notary.x509.signingAuthority"), Malformed, "does not belong"),
        (TIME.into(), None, Malformed, "signingTime is missing"),
        (TIME.into(), number(SIGNED as i64), Malformed, "tag 1"),
        (TIME.into(), text("2029-12-31T00:00:00Z"), Malformed, "tag 1"),
        (TIME.into(), Some(Value::Tag(0, Box::new("2029-12-31T00:00:00Z".into()))), Malformed, "tag 1"),
        (TIME.into(), Some(Value::Tag(1, Box::new((-1).into()))), Malformed, "tag 1"),
        (TIME.into(), time(u64::MAX), Malformed, "tag 1"),
        (TIME.into(), Some(Value::Tag(1, Box::new(f64::NAN.into()))), Malformed, "tag 1"),
        (AUTHENTIC.into(), time(SIGNED), Malformed, "does not belong to its signing scheme"),
        (EXPIRY.into(), time(NOW + 1), Malformed, "expiry is not marked critical"),
        ("io.cncf.notary.verificationPlugin".into(), text("x"), Unsupported, "verificationPlugin"),
        (33.into(), texts(&[]), Malformed, "must not carry 33"),
        (Value::Null, text("x"), Malformed, "no number or text"),
    ] {
        signed(changed(SIGNER.protected_map(), label, to), code, why);
    }
    let mut twice = SIGNER.protected_map();
    twice.push((SCHEME.into(), "notary.x509".into()));
    signed(twice, Malformed, "stands twice");
    signed((0..65).map(|n| (n.into(), Value::Null)).collect(), Malformed, "more than 64 labels");
}

#[test]
fn critical_attributes_of_others_are_refused_and_uncritical_ones_left_alone() {
    let other = changed(SIGNER.protected_map(), "com.example.note", Some(Value::Null));
    let parts = SIGNER.cose(&encode(&Value::Map(other.clone())), &payload().to_string());
    assert!(trust().verify(&cose_signature(tagged(parts))).is_ok());
    signed(changed(other, 2, texts(&[SCHEME, "com.example.note"])), Unsupported, "com.example.note");
}

#[test]
fn an_expiry_ends_the_signature_at_its_second() {
    let critical = changed(SIGNER.protected_map(), 2, texts(&[SCHEME, EXPIRY]));
    signed(changed(critical.clone(), EXPIRY, time(NOW)), SignatureExpired, "2030-01-01T00:00:00Z");
    signed(changed(critical.clone(), EXPIRY, time(SIGNED)), Malformed, "not after its signing time");
    let later =
        SIGNER.cose(&encode(&Value::Map(changed(critical, EXPIRY, time(NOW + 1)))), &payload().to_string());
    let evidence = trust().verify(&cose_signature(tagged(later))).unwrap();
    assert_eq!(evidence.not_after(), Some(at(NOW + 1)));
}

#[test]
fn a_changed_payload_is_refused() {
    for (field, to, code) in [
        ("digest", json!(crate::oci::Digest::sha256(b"other").to_string()), DigestMismatch),
        ("size", json!(1), SizeMismatch),
        ("mediaType", json!("application/x"), MediaTypeMismatch),
        ("size", json!(null), Malformed),
    ] {
        let mut target = payload();
        target["targetArtifact"][field] = to;
        let parts = SIGNER.cose(&encode(&Value::Map(SIGNER.protected_map())), &target.to_string());
        refused(field, trust().verify(&cose_signature(tagged(parts))), code, "");
    }
}

#[test]
fn what_is_changed_after_signing_is_refused() {
    let with = |part: usize, to: Value| {
        let mut parts = parts();
        parts[part] = to;
        tagged(parts)
    };
    let outside =
        |label: Value, to: Option<Value>| with(1, Value::Map(changed(SIGNER.unprotected_map(), label, to)));
    let mut flipped = parts()[3].as_bytes().unwrap().clone();
    flipped[7] ^= 1;
    let mut reordered = SIGNER.protected_map();
    reordered.reverse();
    let mut twice = SIGNER.unprotected_map();
    twice.push(("io.cncf.notary.signingAgent".into(), "x".into()));
    for (what, envelope, code, why) in [
        ("header", with(0, Value::Bytes(encode(&Value::Map(reordered)))), BadSignature, "does not match"),
        ("no header", with(0, Value::Bytes(vec![])), Malformed, "not CBOR"),
        ("header map", with(0, Value::Map(SIGNER.protected_map())), Malformed, "byte strings"),
        ("header list", with(0, Value::Bytes(encode(&Value::Array(vec![])))), Malformed, "no map"),
        (
            "header, more",
            with(0, Value::Bytes([&encode(&Value::Map(vec![]))[..], &[0]].concat())),
            Malformed,
            "follow",
        ),
        (
            "payload",
            with(2, Value::Bytes((payload().to_string() + " ").into())),
            BadSignature,
            "does not match",
        ),
        ("detached", with(2, Value::Null), Malformed, "byte strings"),
        ("signature", with(3, Value::Bytes(flipped)), BadSignature, "does not match"),
        ("no signature", with(3, Value::Bytes(vec![])), BadSignature, "does not match"),
        ("unprotected", with(1, Value::Array(vec![])), Malformed, "no map"),
        ("twice", with(1, Value::Map(twice)), Malformed, "stands twice"),
        ("no chain", outside(33.into(), None), Malformed, "x5chain"),
        ("empty chain", outside(33.into(), texts(&[])), Malformed, "0 certificates"),
        ("chain of text", outside(33.into(), texts(&["x"])), Malformed, "byte strings"),
        (
            "one certificate",
            outside(33.into(), Some(Value::Bytes(SIGNER.chain[0].clone()))),
            Malformed,
            "x5chain",
        ),
        ("crit outside", outside(2.into(), texts(&["x"])), Malformed, "must not carry 2"),
        ("alg outside", outside(1.into(), Some((-7).into())), Malformed, "must not carry 1"),
        ("timestamp", outside(TIMESTAMP.into(), Some("x".into())), Malformed, "timestamp"),
        ("five parts", tagged([&parts()[..], &[Value::Null]].concat()), Malformed, "four parts"),
        ("no list", encode(&Value::Tag(18, Box::new(Value::Null))), Malformed, "is a list"),
        ("untagged", encode(&Value::Array(parts().into())), Unsupported, "untagged"),
        ("other tag", encode(&Value::Tag(98, Box::new(Value::Array(parts().into())))), Malformed, "98"),
        ("more", [tagged(parts()), vec![0]].concat(), Malformed, "follow"),
        ("nothing", vec![], Malformed, "not CBOR"),
        ("cut", tagged(parts())[..200].to_vec(), Malformed, "not CBOR"),
        ("deep", vec![0x81; 1000], Malformed, "not CBOR"),
        ("many", vec![0x81; 1_000_000], Malformed, "more than 4096 CBOR items"),
        ("just enough", vec![0x81; 4096], Malformed, "not CBOR"),
    ] {
        refused(what, trust().verify(&cose_signature(envelope)), code, why);
    }
}

#[test]
fn the_chain_may_be_protected_instead() {
    let x5chain = SIGNER.unprotected_map().remove(0).1;
    let protected = encode(&Value::Map(changed(SIGNER.protected_map(), 33, Some(x5chain))));
    let mut parts = SIGNER.cose(&protected, &payload().to_string());
    parts[1] = Value::Map(vec![(TIMESTAMP.into(), Value::Bytes(vec![1]))]);
    let evidence = trust().verify(&cose_signature(tagged(parts))).unwrap();
    assert!(evidence.notes().iter().any(|n| n.contains("countersignature was not verified")));
}

/// A reader that follows countersignatures into themselves runs out of stack here.
#[test]
fn nested_countersignatures_do_no_harm() {
    let mut inner = encode(&Value::Map(vec![]));
    for _ in 0..5_000 {
        let countersignature = vec![Value::Bytes(inner), Value::Map(vec![]), Value::Bytes(vec![1])];
        inner = encode(&Value::Map(vec![(7.into(), Value::Array(countersignature))]));
    }
    let mut parts = parts();
    parts[0] = Value::Bytes(inner);
    refused("nested", trust().verify(&cose_signature(tagged(parts))), Malformed, "protected header");
}
