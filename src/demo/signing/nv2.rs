//! Signs as the Notary v2 prototype does: a JWT, or the JSON form of its README; carried as the
//! config of an artifact or of an index.

use std::time::SystemTime;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Error, Identity, YEAR, base64, base64url, unix};
use crate::demo::package::{Package, descriptor_of};
use crate::oci::media_type::{NV2_CONFIG_JSON, NV2_CONFIG_JWT, NV2_INDEX_CONFIG_JWT};
use crate::oci::{Descriptor, Digest, Tag};

/// What is claimed beside the descriptor, and how the key is named.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The names that the content is published under.
    pub references: Vec<String>,
    /// `iat` and `nbf`.
    pub issued: SystemTime,
    /// `exp`.
    pub expires: SystemTime,
    /// Whether the certificate is sent along (`x5c`), or the key's id only (`kid`).
    pub with_certificate: bool,
}

impl Claim {
    /// Content published under these names, from now on for a year.
    pub fn new(references: &[&str]) -> Self {
        let now = SystemTime::now();
        Self {
            references: references.iter().map(|reference| (*reference).to_owned()).collect(),
            issued: now,
            expires: now + YEAR,
            with_certificate: true,
        }
    }
}

/// A compact JWT over the subject's media type, digest and size.
///
/// # Errors
/// The key does not sign.
pub fn jwt(signer: &Identity, claim: &Claim, subject: &Descriptor) -> Result<Bytes, Error> {
    let mut payload = claimed(claim, subject);
    payload["mediaType"] = json!(subject.media_type);
    jwt_of(signer, claim.with_certificate, &payload)
}

/// A compact JWT over any payload.
///
/// # Errors
/// The key does not sign.
pub fn jwt_of(signer: &Identity, with_certificate: bool, payload: &Value) -> Result<Bytes, Error> {
    let mut header = named(signer, with_certificate);
    // The algorithm stands in what is signed, so it is learnt from a first signature.
    header["alg"] = json!(signer.key().sign_for_nv2(b"")?.algorithm);
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(payload.to_string()));
    let signature = signer.key().sign_for_nv2(signed.as_bytes())?.signature;
    Ok(format!("{signed}.{}", base64url(signature)).into())
}

/// The JSON form: `sig` is over the bytes of `signed`, which holds no media type.
///
/// # Errors
/// The key does not sign.
pub fn json(signer: &Identity, claim: &Claim, subject: &Descriptor) -> Result<Bytes, Error> {
    let signed = claimed(claim, subject).to_string();
    let made = signer.key().sign_for_nv2(signed.as_bytes())?;
    let mut signature = named(signer, claim.with_certificate);
    signature["alg"] = json!(made.algorithm);
    signature["sig"] = json!(base64(&made.signature));
    Ok(format!(r#"{{"signed":{signed},"signature":{signature}}}"#).into())
}

/// A JWT as the config of an artifact.
pub fn jwt_artifact(token: Bytes) -> Package {
    Package::configured(NV2_CONFIG_JWT, token, [])
}

/// A signature in the JSON form as the config of an artifact.
pub fn json_artifact(signature: Bytes) -> Package {
    Package::configured(NV2_CONFIG_JSON, signature, [])
}

/// A JWT as the config of an index whose one entry is the subject.
pub fn index(token: Bytes, subject: &Descriptor) -> Package {
    let entry = json!({"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size});
    Package::index([])
        .edited(|manifest| {
            manifest["config"] = descriptor_of(NV2_INDEX_CONFIG_JWT, &token);
            manifest["manifests"] = json!([entry]);
        })
        .with_blob(token)
}

/// The tag under which artifacts without a subject are found.
pub fn tag(subject: &Digest) -> String {
    Tag::about(subject, ".nv2").to_string()
}

fn claimed(claim: &Claim, subject: &Descriptor) -> Value {
    json!({
        "digest": subject.digest,
        "size": subject.size,
        "references": claim.references,
        "exp": unix(claim.expires),
        "iat": unix(claim.issued),
        "nbf": unix(claim.issued),
    })
}

fn named(signer: &Identity, with_certificate: bool) -> Value {
    if with_certificate {
        let chain: Vec<_> = signer.chain().iter().map(|certificate| base64(certificate)).collect();
        json!({"typ": "x509", "x5c": chain})
    } else {
        json!({"typ": "x509", "kid": signer.key().libtrust_id()})
    }
}
