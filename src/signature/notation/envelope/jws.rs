//! JWS in flattened JSON serialization (signature-envelope-jws; RFC 7515, section 7.2.2).

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Envelope, certificates, malformed};
use crate::oci::json;
use crate::signature::Rejection;
use crate::signature::notation::algorithm::Algorithm;
use crate::signature::notation::attributes::{self, Signed};
use crate::signature::notation::payload::{TargetArtifact, ambiguous_key};

/// A header's members as text: built as values, hostile ones would be a hundred times as large.
type Header = BTreeMap<String, Box<RawValue>>;

/// "No additional top level fields are supported": `signatures`, of the general serialization, is one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {
    payload: String,
    protected: String,
    header: Header,
    signature: String,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, Rejection> {
    if bytes.first() != Some(&b'{') && bytes.split(|b| *b == b'.').count() == 3 {
        return Err(Rejection::Unsupported { what: "JWS serialization", found: "compact".into() });
    }
    let flattened: Flattened = json::strict(bytes).map_err(malformed)?;
    let protected: Header = json::strict(&base64url("protected", &flattened.protected)?)
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

fn signed(header: &Header) -> Result<Signed, Rejection> {
    if let Some(name) = ambiguous_key(header.keys()) {
        return Err(attributes::malformed(&format!("{name:?} stands there in two spellings")));
    }
    let algorithm = text(header, "alg")?.map(|name| {
        let found = || Rejection::Unsupported { what: "signature algorithm", found: name.as_str().into() };
        Algorithm::from_jose(&name).ok_or_else(found)
    });
    Ok(Signed {
        algorithm: algorithm.transpose()?,
        content_type: text(header, "cty")?,
        scheme: text(header, attributes::SIGNING_SCHEME)?,
        signing_time: time(header, attributes::SIGNING_TIME)?,
        authentic_signing_time: time(header, attributes::AUTHENTIC_SIGNING_TIME)?,
        expiry: time(header, attributes::EXPIRY)?,
        critical: critical(header)?,
        names: header.keys().cloned().collect(),
    })
}

/// A member, where it is of this kind.
fn read<T: DeserializeOwned>(value: &RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

fn critical(header: &Header) -> Result<Vec<String>, Rejection> {
    let names = header.get("crit").and_then(|names| read(names));
    names
        .filter(|names: &Vec<String>| !names.is_empty())
        .ok_or_else(|| attributes::malformed("crit is no list of names"))
}

fn text(header: &Header, name: &str) -> Result<Option<String>, Rejection> {
    match header.get(name).map(|value| read(value)) {
        None => Ok(None),
        Some(Some(text)) => Ok(Some(text)),
        Some(None) => Err(attributes::malformed(&format!("{name} is no text"))),
    }
}

fn time(header: &Header, name: &str) -> Result<Option<SystemTime>, Rejection> {
    let Some(text) = text(header, name)? else { return Ok(None) };
    match OffsetDateTime::parse(&text, &Rfc3339) {
        Ok(time) => Ok(Some(time.into())),
        Err(_) => Err(attributes::malformed(&format!("{name} is no time of RFC 3339"))),
    }
}

fn chain(header: &Header) -> Result<Vec<crate::x509::Certificate>, Rejection> {
    let list = header.get("x5c").ok_or_else(|| malformed("x5c is missing"))?;
    let list = read::<Vec<String>>(list);
    let ders = list.and_then(|list| list.iter().map(|text| STANDARD.decode(text).ok()).collect());
    let ders: Vec<Vec<u8>> = ders.ok_or_else(|| malformed("x5c is no list of certificates in base64"))?;
    certificates(ders.iter().map(Vec::as_slice))
}

fn timestamp(header: &Header) -> Result<Option<Vec<u8>>, Rejection> {
    let Some(value) = header.get(attributes::TIMESTAMP) else { return Ok(None) };
    match read::<String>(value).and_then(|text| STANDARD.decode(text).ok()) {
        Some(token) => Ok(Some(token).filter(|t| !t.is_empty())),
        None => Err(malformed("the timestamp is not in base64")),
    }
}

/// Without padding and with no bits left over, so that one content has one encoding.
fn base64url(what: &str, text: &str) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD.decode(text).map_err(|e| malformed(format_args!("{what} is not in base64url: {e}")))
}
