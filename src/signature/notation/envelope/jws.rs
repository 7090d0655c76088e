//! JWS in flattened JSON serialization (signature-envelope-jws; RFC 7515, section 7.2.2).

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Envelope, certificates, malformed};
use crate::oci::json;
use crate::signature::Rejection;
use crate::signature::notation::algorithm::Algorithm;
use crate::signature::notation::attributes::{self, Signed};
use crate::signature::notation::payload::{TargetArtifact, ambiguous_key};

/// "No additional top level fields are supported": `signatures`, of the general serialization, is one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {
    payload: String,
    protected: String,
    header: Map<String, Value>,
    signature: String,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, Rejection> {
    if bytes.first() != Some(&b'{') && bytes.split(|b| *b == b'.').count() == 3 {
        return Err(Rejection::Unsupported { what: "JWS serialization", found: "compact".into() });
    }
    let flattened: Flattened = json::strict(bytes).map_err(malformed)?;
    let protected: Map<String, Value> = json::strict(&base64url("protected", &flattened.protected)?)
        .map_err(|e| attributes::malformed(&e.to_string()))?;
    // RFC 7515, section 7.2.1: the two headers share no name; `crit`, which must be protected, included.
    if let Some(name) = flattened.header.keys().find(|n| protected.contains_key(*n)) {
        return Err(malformed(format_args!("the unprotected header must not carry {name:?}")));
    }
    Ok(Envelope {
        attributes: signed(&protected)?.check()?,
        target: TargetArtifact::read(&base64url("payload", &flattened.payload)?)?,
        chain: chain(&flattened.header)?,
        timestamp: timestamp(&flattened.header)?,
        signature: base64url("signature", &flattened.signature)?,
        signed: format!("{}.{}", flattened.protected, flattened.payload).into_bytes(),
    })
}

fn signed(header: &Map<String, Value>) -> Result<Signed, Rejection> {
    if let Some(name) = ambiguous_key(header) {
        return Err(attributes::malformed(&format!("{name:?} stands there in two spellings")));
    }
    let algorithm = text(header, "alg")?.map(|name| {
        let found = || Rejection::Unsupported { what: "signature algorithm", found: name.into() };
        Algorithm::from_jose(name).ok_or_else(found)
    });
    Ok(Signed {
        algorithm: algorithm.transpose()?,
        content_type: text(header, "cty")?.map(str::to_owned),
        scheme: text(header, attributes::SIGNING_SCHEME)?.map(str::to_owned),
        signing_time: time(header, attributes::SIGNING_TIME)?,
        authentic_signing_time: time(header, attributes::AUTHENTIC_SIGNING_TIME)?,
        expiry: time(header, attributes::EXPIRY)?,
        critical: critical(header)?,
        names: header.keys().cloned().collect(),
    })
}

fn critical(header: &Map<String, Value>) -> Result<Vec<String>, Rejection> {
    let names = header.get("crit").and_then(Value::as_array).filter(|names| !names.is_empty());
    let names = names.ok_or_else(|| attributes::malformed("crit is no list of names"))?;
    let name = |name: &Value| name.as_str().map(str::to_owned);
    names
        .iter()
        .map(name)
        .collect::<Option<_>>()
        .ok_or_else(|| attributes::malformed("crit is no list of names"))
}

fn text<'a>(header: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Rejection> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(attributes::malformed(&format!("{name} is no text"))),
    }
}

fn time(header: &Map<String, Value>, name: &str) -> Result<Option<SystemTime>, Rejection> {
    let Some(text) = text(header, name)? else { return Ok(None) };
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(time) => Ok(Some(time.into())),
        Err(_) => Err(attributes::malformed(&format!("{name} is no time of RFC 3339"))),
    }
}

fn chain(header: &Map<String, Value>) -> Result<Vec<crate::x509::Certificate>, Rejection> {
    let list = header.get("x5c").and_then(Value::as_array).ok_or_else(|| malformed("x5c is missing"))?;
    let decode = |value: &Value| value.as_str().and_then(|text| STANDARD.decode(text).ok());
    let ders: Option<Vec<Vec<u8>>> = list.iter().map(decode).collect();
    let ders = ders.ok_or_else(|| malformed("x5c is no list of certificates in base64"))?;
    certificates(ders.iter().map(Vec::as_slice))
}

fn timestamp(header: &Map<String, Value>) -> Result<Option<Vec<u8>>, Rejection> {
    match header.get(attributes::TIMESTAMP) {
        None => Ok(None),
        Some(value) => match value.as_str().and_then(|text| STANDARD.decode(text).ok()) {
            Some(token) => Ok(Some(token).filter(|t| !t.is_empty())),
            None => Err(malformed("the timestamp is not in base64")),
        },
    }
}

/// Without padding and with no bits left over, so that one content has one encoding.
fn base64url(what: &str, text: &str) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD.decode(text).map_err(|e| malformed(format_args!("{what} is not in base64url: {e}")))
}
