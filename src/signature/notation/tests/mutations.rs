//! One valid envelope of each kind, as notation made it, with every field changed that is there, signed or
//! not. Nothing is signed again: what the signature covers must not change, and what it does not cover is
//! either checked or of no consequence.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use coset::cbor::value::Value as Cbor;
use serde_json::{Value, json};

use super::made::{Configuration, NOW, file, signature, time, verify};
use super::signer::encode;
use crate::signature::Code::{self, *};
use crate::signature::{Evidence, Rejected, Verifier};

const AGENT: &str = "io.cncf.notary.signingAgent";
pub(super) const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";

fn strict() -> impl Verifier {
    Configuration::new(&json!({ "level": "strict" }), &["ca:acme"]).verifier()
}

pub(super) fn judge(verifier: &impl Verifier, name: &str, envelope: Vec<u8>) -> Result<Evidence, Rejected> {
    verify(verifier, &signature(name, envelope), time(NOW))
}

#[track_caller]
pub(super) fn refused(what: &str, result: Result<Evidence, Rejected>, code: Code) {
    let rejection = result.err().unwrap_or_else(|| panic!("{what}: is believed"));
    assert_eq!(rejection.code(), code, "{what}: {rejection}");
}

fn envelope(name: &str) -> Vec<u8> {
    file(&format!("envelopes/{name}"))
}

pub(super) fn jws(name: &str) -> Value {
    serde_json::from_slice(&envelope(name)).unwrap()
}

/// What is done to one member.
#[derive(Clone, Debug)]
enum Change {
    Remove,
    Twice,
    To(Value),
}

/// The object's text with one member changed. Its way is a JSON pointer.
fn changed(mut object: Value, pointer: &str, change: &Change) -> String {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = object.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match change {
        Change::Remove => {
            members.remove(name).unwrap();
        }
        Change::To(value) => {
            members.insert(name.to_owned(), value.clone());
        }
        Change::Twice => {
            let (member, text) = (format!("{:?}:", name), object.to_string());
            assert_eq!(text.matches(&member).count(), 1);
            return text.replace(&member, &format!("{member}0,{member}"));
        }
    }
    object.to_string()
}

/// Judges the JWS envelope with the JSON inside its member `part` changed.
fn jws_part(name: &str, part: &str, pointer: &str, change: &Change, code: Code) {
    let mut envelope = jws(name);
    let inside = URL_SAFE_NO_PAD.decode(envelope[part].as_str().unwrap()).unwrap();
    let inside = changed(serde_json::from_slice(&inside).unwrap(), pointer, change);
    envelope[part] = json!(URL_SAFE_NO_PAD.encode(inside));
    let what = format!("{part} {pointer} {change:?}");
    refused(&what, judge(&strict(), name, envelope.to_string().into()), code);
}

#[test]
fn members_of_a_jws_envelope() {
    use Change::*;
    let (name, strict) = ("p256.jws", strict());
    let other = jws("annotated.jws");
    for (pointer, change, code) in [
        ("/payload", Remove, Malformed),
        ("/payload", Twice, Malformed),
        ("/payload", To(json!({})), Malformed),
        ("/payload", To(json!("")), Malformed),
        ("/payload", To(other["payload"].clone()), BadSignature),
        ("/protected", Remove, Malformed),
        ("/protected", Twice, Malformed),
        ("/protected", To(json!({})), Malformed),
        ("/protected", To(json!("")), Malformed),
        ("/protected", To(jws("p384.jws")["protected"].clone()), Unsupported),
        ("/protected", To(jws("expiring.jws")["protected"].clone()), BadSignature),
        ("/signature", Remove, Malformed),
        ("/signature", Twice, Malformed),
        ("/signature", To(json!(null)), Malformed),
        ("/signature", To(json!("")), BadSignature),
        ("/signature", To(other["signature"].clone()), BadSignature),
        ("/header", Remove, Malformed),
        ("/header", Twice, Malformed),
        ("/header", To(json!([])), Malformed),
        ("/header/x5c", Remove, Malformed),
        ("/header/x5c", Twice, Malformed),
        ("/header/x5c", To(json!("")), Malformed),
        ("/header/x5c", To(json!([1])), Malformed),
        ("/header/alg", To(json!("ES256")), Malformed),
        ("/header/crit", To(json!([AGENT])), Malformed),
        ("/signatures", To(json!([])), Malformed),
        ("/extra", To(json!(0)), Malformed),
        (&format!("/header/{AGENT}"), Twice, Malformed),
        (&format!("/header/{TIMESTAMP}"), To(json!(1)), Malformed),
        (&format!("/header/{TIMESTAMP}"), To(json!("-")), Malformed),
    ] {
        let text = changed(jws(name), pointer, &change);
        refused(&format!("{pointer} {change:?}"), judge(&strict, name, text.into()), code);
    }
    for change in [Remove, To(json!("somebody/2")), To(json!(""))] {
        let text = changed(jws(name), &format!("/header/{AGENT}"), &change);
        assert!(judge(&strict, name, text.into()).is_ok(), "{change:?}: the agent is informational");
    }
}

#[test]
fn signed_attributes_of_a_jws_envelope() {
    use Change::*;
    const SCHEME: &str = "/io.cncf.notary.signingScheme";
    const TIME: &str = "/io.cncf.notary.signingTime";
    const EXPIRY: &str = "/io.cncf.notary.expiry";
    for (pointer, change, code) in [
        ("/alg", Remove, Malformed),
        ("/alg", Twice, Malformed),
        ("/alg", To(json!("PS256")), Unsupported),
        ("/alg", To(json!("none")), Unsupported),
        ("/alg", To(json!(7)), Malformed),
        ("/crit", Remove, Malformed),
        ("/crit", Twice, Malformed),
        ("/crit", To(json!([])), Malformed),
        ("/crit", To(json!(&SCHEME[1..])), Malformed),
        ("/crit", To(json!([&SCHEME[1..], &EXPIRY[1..], &TIME[1..]])), Unsupported),
        ("/crit", To(json!([&EXPIRY[1..], &SCHEME[1..]])), BadSignature),
        ("/cty", Remove, Malformed),
        ("/cty", Twice, Malformed),
        ("/cty", To(json!("text/plain")), Unsupported),
        ("/cty", To(json!(1)), Malformed),
        (SCHEME, Remove, Malformed),
        (SCHEME, Twice, Malformed),
        (SCHEME, To(json!("notary.x509.signingAuthority")), Malformed),
        (SCHEME, To(json!(["notary.x509"])), Malformed),
        (TIME, Remove, Malformed),
        (TIME, Twice, Malformed),
        (TIME, To(json!("2026-01-02T00:00:00Z")), BadSignature),
        (TIME, To(json!(1)), Malformed),
        (EXPIRY, Remove, Malformed),
        (EXPIRY, Twice, Malformed),
        (EXPIRY, To(json!("2100-01-01T00:00:00Z")), BadSignature),
        (EXPIRY, To(json!(4_102_444_800_u64)), Malformed),
        ("/io.cncf.notary.verificationPlugin", To(json!("x")), Unsupported),
        ("/io.cncf.notary.authenticSigningTime", To(json!("2026-01-02T00:00:00Z")), Malformed),
        ("/com.example.other", To(json!(1)), BadSignature),
    ] {
        jws_part("expiring.jws", "protected", pointer, &change, code);
    }
}

#[test]
fn the_payload_of_a_jws_envelope() {
    use Change::*;
    let digest = format!("sha256:{}", "0".repeat(64));
    for (pointer, change, code) in [
        ("/targetArtifact", Remove, Malformed),
        ("/targetArtifact", Twice, Malformed),
        ("/targetArtifact", To(json!([])), Malformed),
        ("/targetArtifact/mediaType", Remove, Malformed),
        ("/targetArtifact/mediaType", Twice, Malformed),
        ("/targetArtifact/mediaType", To(json!("application/vnd.oci.image.index.v1+json")), BadSignature),
        ("/targetArtifact/mediaType", To(json!(1)), Malformed),
        ("/targetArtifact/digest", Remove, Malformed),
        ("/targetArtifact/digest", Twice, Malformed),
        ("/targetArtifact/digest", To(json!(digest)), BadSignature),
        ("/targetArtifact/digest", To(json!(1)), Malformed),
        ("/targetArtifact/size", Remove, Malformed),
        ("/targetArtifact/size", Twice, Malformed),
        ("/targetArtifact/size", To(json!(1)), BadSignature),
        ("/targetArtifact/size", To(json!("426")), Malformed),
        ("/targetArtifact/annotations", Remove, BadSignature),
        ("/targetArtifact/annotations", Twice, Malformed),
        ("/targetArtifact/annotations", To(json!([])), Malformed),
        ("/targetArtifact/annotations/build", Remove, BadSignature),
        ("/targetArtifact/annotations/build", Twice, Malformed),
        ("/targetArtifact/annotations/build", To(json!("43")), BadSignature),
        ("/targetArtifact/annotations/build", To(json!(42)), Malformed),
        ("/other", To(json!(1)), Malformed),
    ] {
        jws_part("annotated.jws", "payload", pointer, &change, code);
    }
}

/// The four parts of a COSE envelope.
pub(super) fn cose(name: &str) -> [Cbor; 4] {
    let value: Cbor = coset::cbor::de::from_reader(envelope(name).as_slice()).unwrap();
    let Cbor::Tag(18, parts) = value else { panic!("{value:?}") };
    parts.into_array().unwrap().try_into().unwrap()
}

pub(super) fn tagged(parts: [Cbor; 4]) -> Vec<u8> {
    encode(&Cbor::Tag(18, Box::new(Cbor::Array(parts.into()))))
}

pub(super) fn map(part: &Cbor) -> Vec<(Cbor, Cbor)> {
    match part {
        Cbor::Map(map) => map.clone(),
        Cbor::Bytes(bytes) => map(&coset::cbor::de::from_reader(bytes.as_slice()).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// The map without the label, then with each of the values under it.
pub(super) fn labelled(mut map: Vec<(Cbor, Cbor)>, label: &Cbor, values: &[Cbor]) -> Cbor {
    map.retain(|(l, _)| l != label);
    map.extend(values.iter().map(|value| (label.clone(), value.clone())));
    Cbor::Map(map)
}

#[test]
fn parts_of_a_cose_envelope() {
    let (name, strict) = ("p256.cose", strict());
    let [_, _, other_payload, other_signature] = cose("annotated.cose");
    let [other_protected, ..] = cose("p384.cose");
    for (part, to, code) in [
        (0, Cbor::Null, Malformed),
        (0, Cbor::Bytes(Vec::new()), Malformed),
        (0, Cbor::Map(map(&cose(name)[0])), Malformed),
        (0, other_protected, Unsupported),
        (1, Cbor::Null, Malformed),
        (1, Cbor::Map(Vec::new()), Malformed),
        (1, Cbor::Bytes(encode(&cose(name)[1])), Malformed),
        (2, Cbor::Null, Malformed),
        (2, Cbor::Bytes(Vec::new()), Malformed),
        (2, other_payload, BadSignature),
        (3, Cbor::Null, Malformed),
        (3, Cbor::Bytes(Vec::new()), BadSignature),
        (3, other_signature, BadSignature),
    ] {
        let mut parts = cose(name);
        parts[part] = to;
        refused(&format!("part {part}: {:?}", parts[part]), judge(&strict, name, tagged(parts)), code);
    }
    let whole = cose(name);
    let array = |parts: &[Cbor]| Cbor::Array(parts.to_vec());
    for (what, value, code) in [
        ("no tag", array(&whole), Unsupported),
        ("COSE_Sign", Cbor::Tag(98, Box::new(array(&whole))), Malformed),
        ("three parts", Cbor::Tag(18, Box::new(array(&whole[..3]))), Malformed),
        ("five parts", Cbor::Tag(18, Box::new(array(&[&whole[..], &[Cbor::Null]].concat()))), Malformed),
    ] {
        refused(what, judge(&strict, name, encode(&value)), code);
    }
    let mut longer = envelope(name);
    longer.push(0);
    refused("a byte more", judge(&strict, name, longer), Malformed);
}

#[test]
fn unsigned_labels_of_a_cose_envelope() {
    let (name, strict) = ("p256.cose", strict());
    let with = |label: Cbor, values: &[Cbor]| {
        let mut parts = cose(name);
        parts[1] = labelled(map(&parts[1]), &label, values);
        judge(&strict, name, tagged(parts))
    };
    let one = || Cbor::from(1);
    for (label, values, code) in [
        (Cbor::from(33), vec![], Malformed),
        (33.into(), vec![one(), one()], Malformed),
        (33.into(), vec!["x".into()], Malformed),
        (33.into(), vec![Cbor::Array(vec![one()])], Malformed),
        (AGENT.into(), vec!["a".into(), "a".into()], Malformed),
        (TIMESTAMP.into(), vec!["x".into()], Malformed),
        (1.into(), vec![(-7).into()], Malformed),
        (2.into(), vec![Cbor::Array(vec![AGENT.into()])], Malformed),
        ("io.cncf.notary.expiry".into(), vec![one(), one()], Malformed),
    ] {
        refused(&format!("{label:?}: {values:?}"), with(label, &values), code);
    }
    for values in [vec![], vec!["somebody/2".into()]] {
        assert!(with(AGENT.into(), &values).is_ok(), "{values:?}: the agent is informational");
    }
}

#[test]
fn signed_labels_of_a_cose_envelope() {
    let (name, strict) = ("expiring.cose", strict());
    let list = |names: &[&str]| Cbor::Array(names.iter().map(|n| Cbor::from(*n)).collect());
    let at = |seconds: u64| Cbor::Tag(1, Box::new(seconds.into()));
    let (scheme, signed, expiry) =
        ("io.cncf.notary.signingScheme", "io.cncf.notary.signingTime", "io.cncf.notary.expiry");
    for (label, values, code) in [
        (Cbor::from(1), vec![], Malformed),
        (1.into(), vec![(-7).into(), (-7).into()], Malformed),
        (1.into(), vec![(-37).into()], Unsupported),
        (1.into(), vec!["ES256".into()], Unsupported),
        (2.into(), vec![], Malformed),
        (2.into(), vec![list(&[scheme])], Malformed),
        (2.into(), vec![list(&[scheme, expiry, signed])], Unsupported),
        (2.into(), vec![scheme.into()], Malformed),
        (3.into(), vec![], Malformed),
        (3.into(), vec!["text/plain".into()], Unsupported),
        (3.into(), vec![1.into()], Malformed),
        (scheme.into(), vec![], Malformed),
        (scheme.into(), vec!["notary.x509".into(), "notary.x509".into()], Malformed),
        (scheme.into(), vec!["notary.x509.signingAuthority".into()], Malformed),
        (scheme.into(), vec![1.into()], Malformed),
        (signed.into(), vec![], Malformed),
        (signed.into(), vec![at(1), at(1)], Malformed),
        (signed.into(), vec![at(1_767_312_000)], BadSignature),
        (signed.into(), vec![1_767_312_000.into()], Malformed),
        (expiry.into(), vec![], Malformed),
        (expiry.into(), vec![at(4_102_444_800), at(4_102_444_800)], Malformed),
        (expiry.into(), vec![at(4_102_444_800)], BadSignature),
        (expiry.into(), vec!["2100-01-01T00:00:00Z".into()], Malformed),
        ("com.example.other".into(), vec![1.into()], BadSignature),
    ] {
        let mut parts = cose(name);
        parts[0] = Cbor::Bytes(encode(&labelled(map(&parts[0]), &label, &values)));
        refused(&format!("{label:?}: {values:?}"), judge(&strict, name, tagged(parts)), code);
    }
}

/// Judges an envelope of the kind with its chain replaced.
fn with_chain(name: &str, chain: &[Vec<u8>]) -> Result<Evidence, Rejected> {
    let changed = if name.ends_with(".jws") {
        let mut envelope = jws(name);
        envelope["header"]["x5c"] = chain.iter().map(|der| STANDARD.encode(der)).collect();
        envelope.to_string().into()
    } else {
        let mut parts = cose(name);
        let list = Cbor::Array(chain.iter().map(|der| Cbor::Bytes(der.clone())).collect());
        parts[1] = labelled(map(&parts[1]), &33.into(), &[list]);
        tagged(parts)
    };
    judge(&strict(), name, changed)
}

/// The chain of a JWS envelope.
pub(super) fn chain(name: &str) -> Vec<Vec<u8>> {
    let list = jws(name)["header"]["x5c"].clone();
    list.as_array().unwrap().iter().map(|c| STANDARD.decode(c.as_str().unwrap()).unwrap()).collect()
}

#[test]
fn certificates_of_the_chain() {
    let (rsa, brief) = (chain("rsa2048.jws"), chain("brief.jws"));
    for name in ["p256.jws", "p256.cose"] {
        // Both kinds have the same certificates.
        let whole = chain("p256.jws");
        let [leaf, middle, root] = whole.clone().try_into().unwrap();
        assert!(with_chain(name, &whole).is_ok());
        for (what, chain, code) in [
            ("none", vec![], Malformed),
            ("no leaf", vec![middle.clone(), root.clone()], BadSignature),
            ("no intermediate", vec![leaf.clone(), root.clone()], CertificateInvalid),
            ("no root", vec![leaf.clone(), middle.clone()], CertificateInvalid),
            (
                "leaf twice",
                vec![leaf.clone(), leaf.clone(), middle.clone(), root.clone()],
                CertificateInvalid,
            ),
            (
                "intermediate twice",
                vec![leaf.clone(), middle.clone(), middle.clone(), root.clone()],
                CertificateInvalid,
            ),
            (
                "root twice",
                vec![leaf.clone(), middle.clone(), root.clone(), root.clone()],
                CertificateInvalid,
            ),
            ("leaf second", vec![middle.clone(), leaf.clone(), root.clone()], BadSignature),
            ("root second", vec![leaf.clone(), root.clone(), middle.clone()], CertificateInvalid),
            ("root first", vec![root.clone(), middle.clone(), leaf.clone()], Unsupported),
            ("other key's leaf", vec![rsa[0].clone(), middle.clone(), root.clone()], Unsupported),
            ("other leaf", vec![brief[0].clone(), middle.clone(), root.clone()], BadSignature),
            ("other intermediate", vec![leaf.clone(), rsa[1].clone(), root.clone()], CertificateInvalid),
            ("other chain", brief.clone(), BadSignature),
        ] {
            refused(&format!("{name}: {what}"), with_chain(name, &chain), code);
        }
        for at in 0..3 {
            let mut chain = whole.clone();
            *chain[at].last_mut().unwrap() ^= 1;
            refused(&format!("{name}: signature of {at}"), with_chain(name, &chain), CertificateInvalid);
            chain[at].push(0);
            refused(&format!("{name}: bytes after {at}"), with_chain(name, &chain), Malformed);
        }
    }
}

/// The part of an envelope that tells its agent, the only one that may say anything.
fn agent(envelope: &[u8]) -> std::ops::Range<usize> {
    let find = |text: &str| envelope.windows(text.len()).position(|w| w == text.as_bytes()).unwrap();
    let value = "notation-go/1.3.2";
    find(AGENT)..find(value) + value.len()
}

#[test]
fn every_bit_counts_but_the_agents() {
    let strict = strict();
    for name in ["p256.jws", "p256.cose"] {
        let whole = envelope(name);
        assert!(judge(&strict, name, whole.clone()).is_ok());
        let agent = agent(&whole);
        for at in (0..whole.len()).filter(|at| !agent.contains(at)) {
            for bit in [0, 3, 5, 7] {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                let result = judge(&strict, name, changed);
                assert!(result.is_err(), "{name}: bit {bit} of byte {at}");
            }
        }
        for end in 0..whole.len() {
            assert!(judge(&strict, name, whole[..end].to_vec()).is_err(), "{name}: {end} bytes of it");
        }
    }
}
