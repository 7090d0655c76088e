//! Signed statements: in-toto Statements v1 in DSSE envelopes (secure-systems-lab/dsse, `protocol.md` v1.0).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use super::{Error, SigningKey, cosigns_by};
use crate::oci::media_type::IN_TOTO;
use crate::oci::{Algorithm, Digest};
use crate::signature::cosign::pre_authentication;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// What is stated about a manifest.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// The manifest.
    pub subject: &'a Digest,
    /// The name that it is known by, where that is stated.
    pub name: Option<&'a str>,
    /// What is said of it in passing.
    pub annotations: &'a BTreeMap<String, String>,
    /// The predicate's type, a URI.
    pub predicate_type: &'a str,
    /// What is stated.
    pub predicate: &'a Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: [Subject<'a>; 1],
    predicate_type: &'a str,
    predicate: &'a Value,
}

#[derive(Serialize)]
struct Subject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    digest: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

/// An envelope, and the bare signature in it.
pub(super) struct Signed {
    pub(super) envelope: Value,
    pub(super) signature: Vec<u8>,
}

/// Signs a statement.
pub(super) async fn sign(key: &SigningKey, statement: &Statement<'_>) -> Result<Signed, Error> {
    let algorithm = match statement.subject.algorithm() {
        Algorithm::Sha256 => "sha256",
        Algorithm::Sha512 => "sha512",
    };
    let digest = BTreeMap::from([(algorithm, statement.subject.hex())]);
    let subject = [Subject { name: statement.name, digest, annotations: statement.annotations }];
    let Statement { predicate_type, predicate, .. } = *statement;
    let payload = serde_json::to_string(&Written { kind: STATEMENT, subject, predicate_type, predicate })?;
    let signed = pre_authentication(IN_TOTO, payload.as_bytes());
    let signature = key.sign(cosigns_by(key)?, &signed).await?;
    let envelope = serde_json::json!({
        "payload": STANDARD.encode(&payload),
        "payloadType": IN_TOTO,
        "signatures": [{"sig": STANDARD.encode(&signature)}],
    });
    Ok(Signed { envelope, signature })
}
