//! The timestamps of real authorities: whose are believed, and none of them changed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coset::cbor::value::Value as Cbor;
use serde_json::json;

use super::made::Configuration;
use super::mutations::{TIMESTAMP, cose, judge, jws, labelled, map, refused, tagged};
use crate::signature::Code::*;
use crate::signature::{TimeSource, Verifier};

/// Strict, with a timestamp that is always wanted.
fn stamping() -> impl Verifier {
    Configuration::new(&json!({ "level": "strict" }), &["ca:acme", "tsa:acme"]).verifier()
}

/// The envelope with this timestamp, or none.
fn with_timestamp(name: &str, token: Option<&[u8]>) -> Vec<u8> {
    if name.ends_with(".jws") {
        let mut envelope = jws(name);
        let header = envelope["header"].as_object_mut().unwrap();
        header.remove(TIMESTAMP);
        header.extend(token.map(|token| (TIMESTAMP.to_owned(), json!(STANDARD.encode(token)))));
        envelope.to_string().into()
    } else {
        let mut parts = cose(name);
        let values: Vec<_> = token.map(|token| Cbor::Bytes(token.to_vec())).into_iter().collect();
        parts[1] = labelled(map(&parts[1]), &TIMESTAMP.into(), &values);
        tagged(parts)
    }
}

/// The timestamp in a JWS envelope.
fn token(name: &str) -> Vec<u8> {
    STANDARD.decode(jws(name)["header"][TIMESTAMP].as_str().unwrap()).unwrap()
}

fn cose_token(name: &str) -> Vec<u8> {
    let unprotected = map(&cose(name)[1]);
    let (_, token) = unprotected.into_iter().find(|(label, _)| *label == TIMESTAMP.into()).unwrap();
    token.into_bytes().unwrap()
}

#[test]
fn the_timestamp() {
    let stamping = stamping();
    for (name, own) in [
        ("stamped-ec.jws", token("stamped-ec.jws")),
        ("stamped-rsa.jws", token("stamped-rsa.jws")),
        ("stamped-ec.cose", cose_token("stamped-ec.cose")),
        ("stamped-rsa.cose", cose_token("stamped-rsa.cose")),
    ] {
        let with = |token: Option<&[u8]>| judge(&stamping, name, with_timestamp(name, token));
        let authentic = with(Some(&own)).unwrap_or_else(|e| panic!("{name}: {e}")).signed_at();
        assert!(matches!(authentic, Some((_, TimeSource::Timestamp))), "{name}: {authentic:?}");
        let longer = [&own[..], &[0]].concat();
        for (what, token) in [
            ("none", None),
            ("empty", Some(&[][..])),
            ("another signature's", Some(&token("brief-stamped.jws")[..])),
            ("half", Some(&own[..own.len() / 2])),
            ("a byte more", Some(&longer[..])),
        ] {
            refused(&format!("{name}: {what}"), with(token), TimestampInvalid);
        }
        // Some bytes of a CMS message are not signed and prove nothing; none may move the time.
        let mut unsigned = 0;
        for at in (0..own.len()).step_by(3) {
            let mut changed = own.clone();
            changed[at] ^= 1;
            if let Ok(evidence) = with(Some(&changed)) {
                assert_eq!(evidence.signed_at(), authentic, "{name}: byte {at}");
                unsigned += 1;
            }
        }
        assert!(unsigned < 20, "{name}: {unsigned} of every third byte are of no consequence");
    }
}
