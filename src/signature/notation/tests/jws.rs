//! JWS envelopes: every algorithm, and one valid envelope with each of its fields changed once.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::signer::{NOW, SIGNED, Signer, Trust, at, jws_signature, payload, refused, subject};
use crate::signature::Code::{self, *};
use crate::signature::{TimeSource, notation};

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new("ES256"));

fn trust() -> Trust {
    Trust::in_root(&SIGNER.chain[2])
}

fn envelope() -> Value {
    SIGNER.jws(&SIGNER.protected().to_string(), &payload().to_string())
}

/// Verifies an envelope with this protected header and payload, validly signed.
fn signed(what: &str, protected: &str, payload: &str, code: Code, why: &str) {
    let envelope = SIGNER.jws(protected, payload).to_string();
    refused(what, trust().verify(&jws_signature(envelope)), code, why);
}

fn changed(path: &[&str], to: Value, mut value: Value) -> String {
    let (last, way) = path.split_last().unwrap();
    let mut at = &mut value;
    for key in way {
        at = &mut at[*key];
    }
    match to {
        Value::Null => drop(at.as_object_mut().unwrap().remove(*last)),
        to => at[*last] = to,
    }
    value.to_string()
}

#[test]
fn all_six_algorithms_verify() {
    for algorithm in ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"] {
        let signer = Signer::new(algorithm);
        let envelope = signer.jws(&signer.protected().to_string(), &payload().to_string());
        let evidence = Trust::in_root(&signer.chain[2]).verify(&jws_signature(envelope.to_string()));
        assert!(evidence.is_ok(), "{algorithm}: {evidence:?}");
    }
}

#[test]
fn the_evidence_says_who_when_and_until_when() {
    let mut target = payload();
    target["targetArtifact"]["annotations"] = json!({ "build": "12\u{202e}3" });
    let envelope = SIGNER.jws(&SIGNER.protected().to_string(), &target.to_string());
    let evidence = trust().verify(&jws_signature(envelope.to_string())).unwrap();
    assert_eq!(evidence.identity().unwrap().to_string(), "CN=builder,O=acme,ST=WA,C=US");
    assert_eq!(evidence.issuer().unwrap().to_string(), "CN=intermediate,O=acme,ST=WA,C=US");
    assert_eq!(evidence.signed_at(), Some((at(SIGNED), TimeSource::Claimed)));
    assert_eq!(evidence.subject(), &subject().descriptor.digest);
    assert!(evidence.names().is_empty());
    // 2031-01-01, when the leaf ends.
    assert_eq!(evidence.not_after(), Some(at(1_924_992_000)));
    let leaf = crate::x509::Certificate::from_der(&SIGNER.chain[0]).unwrap();
    // One key under two certificates is one party.
    assert_eq!(evidence.key().0, leaf.public_key().fingerprint());
    assert!(evidence.notes().contains(&r"signed annotation build=12\u{202e}3".to_owned()), "{evidence:?}");
}

#[test]
fn a_changed_protected_header_is_refused() {
    const SCHEME: &str = "io.cncf.notary.signingScheme";
    const TIME: &str = "io.cncf.notary.signingTime";
    const AUTHENTIC: &str = "io.cncf.notary.authenticSigningTime";
    const EXPIRY: &str = "io.cncf.notary.expiry";
    for (field, to, code, why) in [
        ("alg", Value::Null, Malformed, "alg is missing"),
        ("alg", json!("none"), Unsupported, "none"),
        ("alg", json!("HS256"), Unsupported, "HS256"),
        ("alg", json!("RS256"), Unsupported, "RS256"),
        ("alg", json!("es256"), Unsupported, "es256"),
        ("alg", json!("ES384"), Unsupported, "ES384 with a key of kind P-256"),
        ("alg", json!("PS256"), Unsupported, "PS256 with a key of kind P-256"),
        ("alg", json!(-7), Malformed, "alg is no text"),
        ("cty", Value::Null, Malformed, "content type is missing"),
        ("cty", json!("application/json"), Unsupported, "application/json"),
        ("crit", Value::Null, Malformed, "crit is no list"),
        ("crit", json!([]), Malformed, "crit is no list"),
        ("crit", json!(SCHEME), Malformed, "crit is no list"),
        ("crit", json!([SCHEME, 1]), Malformed, "crit is no list"),
        ("crit", json!([TIME]), Unsupported, TIME),
        ("crit", json!([SCHEME, SCHEME]), Unsupported, SCHEME),
        ("crit", json!([SCHEME, "alg"]), Unsupported, "alg"),
        ("crit", json!([SCHEME, EXPIRY]), Malformed, "which is not there"),
        ("crit", json!([SCHEME, "b64"]), Malformed, "which is not there"),
        (SCHEME, Value::Null, Malformed, "signingScheme is missing"),
        (SCHEME, json!("notary.x510"), Unsupported, "notary.x510"),
        (SCHEME, json!("notary.x509.signingAuthority"), Malformed, "signingTime does not belong"),
        (TIME, Value::Null, Malformed, "signingTime is missing"),
        (TIME, json!(1_893_369_600), Malformed, "signingTime is no text"),
        (TIME, json!("2029-12-31"), Malformed, "no time of RFC 3339"),
        (AUTHENTIC, json!("2029-12-31T00:00:00Z"), Malformed, "does not belong to its signing scheme"),
        (EXPIRY, json!("2030-06-01T00:00:00Z"), Malformed, "expiry is not marked critical"),
        ("io.cncf.notary.verificationPlugin", json!("com.example"), Unsupported, "verificationPlugin"),
        ("io.cncf.notary.verificationPluginMinVersion", json!("1.0.0"), Unsupported, "verificationPlugin"),
        ("x5c", json!([]), Malformed, "must not carry \"x5c\""),
        ("ALG", json!("ES256"), Malformed, "two spellings"),
    ] {
        let what = format!("{field}: {to}");
        let protected = changed(&[field], to, SIGNER.protected());
        signed(&what, &protected, &payload().to_string(), code, why);
    }
}

#[test]
fn critical_attributes_of_others_are_refused_and_uncritical_ones_left_alone() {
    let mut protected = SIGNER.protected();
    protected["com.example.note"] = json!({ "a": 1 });
    let envelope = SIGNER.jws(&protected.to_string(), &payload().to_string()).to_string();
    assert!(trust().verify(&jws_signature(envelope)).is_ok());
    protected["crit"] = json!(["io.cncf.notary.signingScheme", "com.example.note"]);
    signed("crit", &protected.to_string(), &payload().to_string(), Unsupported, "com.example.note");
}

#[test]
fn an_expiry_ends_the_signature_at_its_second() {
    let mut protected = SIGNER.protected();
    protected["crit"] = json!(["io.cncf.notary.signingScheme", "io.cncf.notary.expiry"]);
    protected["io.cncf.notary.expiry"] = json!("2030-01-01T01:00:00+01:00");
    let expires_now = SIGNER.jws(&protected.to_string(), &payload().to_string()).to_string();
    let mut trust = trust();
    refused(
        "now",
        trust.verify(&jws_signature(expires_now.clone())),
        SignatureExpired,
        "2030-01-01T00:00:00Z",
    );
    trust.now = at(NOW - 1);
    let evidence = trust.verify(&jws_signature(expires_now)).unwrap();
    assert_eq!(evidence.not_after(), Some(at(NOW)));
    protected["io.cncf.notary.expiry"] = json!("2029-12-31T00:00:00Z");
    signed("expiry", &protected.to_string(), &payload().to_string(), Malformed, "not after its signing time");
}

#[test]
fn a_changed_payload_is_refused() {
    let other = crate::oci::Digest::sha256(b"other").to_string();
    let target = |field: &'static str| vec!["targetArtifact", field];
    for (path, to, code, why) in [
        (target("digest"), json!(other), DigestMismatch, &*other),
        (target("digest"), json!("md5:00"), Malformed, "payload"),
        (target("digest"), Value::Null, Malformed, "digest"),
        (target("size"), json!(417), SizeMismatch, "417"),
        (target("size"), json!(418.5), Malformed, "payload"),
        (target("size"), json!("418"), Malformed, "payload"),
        (target("size"), json!(-418), Malformed, "payload"),
        (target("mediaType"), json!("application/x"), MediaTypeMismatch, "application/x"),
        (target("mediaType"), Value::Null, Malformed, "mediaType"),
        (target("Digest"), json!(other), Malformed, "two spellings"),
        (target("annotations"), json!({ "a": 1 }), Malformed, "payload"),
        (vec!["targetArtifact"], Value::Null, Malformed, "targetArtifact is missing"),
        (vec!["targetArtifact"], json!([]), Malformed, "payload"),
        (vec!["other"], json!(1), Malformed, "\"other\" stands beside"),
        (vec!["targetartifact"], json!({}), Malformed, "stands beside"),
    ] {
        let what = format!("{path:?}: {to}");
        signed(&what, &SIGNER.protected().to_string(), &changed(&path, to, payload()), code, why);
    }
}

#[test]
fn ambiguous_json_is_refused_wherever_it_stands() {
    let (protected, payload) = (SIGNER.protected().to_string(), payload().to_string());
    let twice = |text: &str, extra: &str| format!("{{{extra},{}", &text[1..]);
    signed("header", &twice(&protected, r#""alg":"ES256""#), &payload, Malformed, "twice");
    signed("payload", &protected, &twice(&payload, r#""targetArtifact":1"#), Malformed, "twice");
    signed("header, more", &format!("{protected} {{}}"), &payload, Malformed, "protected header");
    signed("payload, more", &protected, &format!("{payload}x"), Malformed, "payload");
    signed("no payload", &protected, "", Malformed, "payload");

    let envelope = envelope().to_string();
    for bad in
        [twice(&envelope, r#""payload":"""#), format!("{envelope}x"), format!("[{envelope}]"), "{}".into()]
    {
        refused(&bad, trust().verify(&jws_signature(bad.clone())), Malformed, "signature envelope");
    }
}

#[test]
fn what_is_changed_after_signing_is_refused() {
    let text = |path: &[&str]| path.iter().fold(&envelope(), |v, k| &v[*k]).as_str().unwrap().to_owned();
    let respaced = format!("{} ", SIGNER.protected());
    let other_payload = changed(&["targetArtifact", "size"], json!(418.0), payload());
    let mut signature = URL_SAFE_NO_PAD.decode(text(&["signature"])).unwrap();
    signature[3] ^= 1;
    for (path, to, code, why) in [
        (vec!["protected"], json!(URL_SAFE_NO_PAD.encode(respaced)), BadSignature, "does not match"),
        (
            vec!["payload"],
            json!(URL_SAFE_NO_PAD.encode(payload().to_string() + " ")),
            BadSignature,
            "does not",
        ),
        (vec!["payload"], json!(URL_SAFE_NO_PAD.encode(other_payload)), Malformed, "payload"),
        (vec!["payload"], json!(text(&["payload"]) + "="), Malformed, "base64url"),
        (vec!["payload"], json!(STANDARD.encode("\u{ff}\u{3ff}~~")), Malformed, ""),
        (vec!["signature"], json!(URL_SAFE_NO_PAD.encode(signature)), BadSignature, "does not match"),
        (vec!["signature"], json!(""), BadSignature, "does not match"),
        (vec!["signature"], json!("!"), Malformed, "base64url"),
        (vec!["signature"], Value::Null, Malformed, "signature"),
        (vec!["header"], Value::Null, Malformed, "header"),
        (vec!["header", "x5c"], Value::Null, Malformed, "x5c is missing"),
        (vec!["header", "x5c"], json!([]), Malformed, "0 certificates"),
        (vec!["header", "x5c"], json!(["AAAA"]), Malformed, "certificate chain"),
        (vec!["header", "x5c"], json!(["?"]), Malformed, "base64"),
        (vec!["header", "x5c"], json!(vec!["AAAA"; 11]), Malformed, "11 certificates"),
        (vec!["header", "alg"], json!("ES256"), Malformed, "must not carry \"alg\""),
        (vec!["header", "crit"], json!(["x"]), Malformed, "must not carry \"crit\""),
        (vec!["header", "io.cncf.notary.timestampSignature"], json!(7), Malformed, "timestamp"),
        (vec!["signatures"], json!([]), Malformed, "signatures"),
        (vec!["other"], json!(1), Malformed, "other"),
    ] {
        let what = format!("{path:?}: {to}");
        let envelope = changed(&path, to, envelope());
        refused(&what, trust().verify(&jws_signature(envelope)), code, why);
    }
}

#[test]
fn unsigned_fields_that_prove_nothing_may_be_anything() {
    for (field, to) in [
        ("io.cncf.notary.signingAgent", json!({ "any": 1 })),
        ("io.cncf.notary.signingAgent", Value::Null),
        ("other", json!(1)),
        ("io.cncf.notary.timestampSignature", json!("AAAA")),
    ] {
        let envelope = changed(&["header", field], to, envelope());
        let evidence = trust().verify(&jws_signature(envelope)).unwrap();
        let noted = evidence.notes().iter().any(|n| n.contains("countersignature was not verified"));
        assert_eq!(noted, field.ends_with("timestampSignature"));
    }
}

#[test]
fn other_serializations_are_refused() {
    let flat = envelope();
    let part = |name: &str| flat[name].as_str().unwrap().to_owned();
    let compact = [part("protected"), part("payload"), part("signature")].join(".");
    refused("compact", trust().verify(&jws_signature(compact)), Unsupported, "compact");
    let general = json!({ "payload": flat["payload"], "signatures": [
        { "protected": flat["protected"], "header": flat["header"], "signature": flat["signature"] }
    ] });
    refused("general", trust().verify(&jws_signature(general.to_string())), Malformed, "signatures");
    let mut other = jws_signature(flat.to_string());
    other.media_type = "application/jose".into();
    refused("media type", trust().verify(&other), Unsupported, "application/jose");
    let large = format!("{}{flat}", " ".repeat(4 * 1024 * 1024));
    refused("large", trust().verify(&jws_signature(large)), Malformed, "4 MiB");
}

#[test]
fn a_claim_is_known_without_proof() {
    let other = crate::oci::Descriptor::new("application/x", subject().descriptor.digest, 418);
    let valid = jws_signature(envelope().to_string());
    assert_eq!(notation::claims(&valid, &subject().descriptor), Ok(()));
    assert_eq!(notation::claims(&valid, &other).unwrap_err().code(), MediaTypeMismatch);
    assert!(notation::claims(&jws_signature("{}"), &subject().descriptor).is_err());
}
