//! Signs as the Notary v2 prototype does (`notaryproject/nv2`, `docs/signature/README.md` of its branch
//! prototype-1, and of its first commit for the JSON form).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::Serialize;

use super::artifact::{Artifact, Parts, created, descriptor};
use super::{Error, SigningKey};
use crate::oci::media_type::{EMPTY, NV2_CONFIG_JSON, NV2_CONFIG_JWT};
use crate::oci::{Descriptor, Digest};
use crate::signature::nv2::{key_id, may_claim};
use crate::x509::{Algorithm, Certificate, Encoding, Hash, KeyKind};

/// Which of the prototype's two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `header.claims.signature`
    Jwt,
    /// `{"signed", "signature"}`, which signs no media type.
    Json,
}

/// What is claimed.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The manifest.
    pub subject: &'a Descriptor,
    /// The names that it is published under: the certificate must carry their hosts.
    pub references: &'a [String],
    /// Now.
    pub issued: SystemTime,
    /// For how long the claim holds from `issued` on; without it, as long as its certificate.
    pub lifetime: Option<Duration>,
}

/// Signs a claim. `chain` is the key's certificate and what leads from it to an authority: it goes along
/// (`x5c`). Without one the key is only named (`kid`).
///
/// # Errors
/// [`Error`].
pub async fn sign(
    key: &SigningKey,
    chain: &[Certificate],
    claim: &Claim<'_>,
    form: Form,
) -> Result<String, Error> {
    super::check_pair(key, chain)?;
    if let Some(leaf) = chain.first() {
        may_claim(leaf, claim.references)?;
    }
    let (name, algorithm) = jose(key.public().kind())?;
    let header = Header::new(name, key, chain);
    let claims = serde_json::to_string(&Claims::new(claim, form))?;
    match form {
        Form::Jwt => {
            let header = URL_SAFE_NO_PAD.encode(serde_json::to_string(&header)?);
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
            let signature = key.sign(algorithm, signed.as_bytes()).await?;
            Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
        }
        Form::Json => {
            let sig = Some(STANDARD.encode(key.sign(algorithm, claims.as_bytes()).await?));
            let header = serde_json::to_string(&Header { sig, ..header })?;
            Ok(format!(r#"{{"signed":{claims},"signature":{header}}}"#))
        }
    }
}

/// The artifact that carries a signature about `subject`: as its config (the prototype's `docs/artifact/README.md`),
/// with the one empty layer that registries ask for.
///
/// # Errors
/// [`Error`]
pub fn artifact(
    signature: String,
    form: Form,
    subject: &Descriptor,
    at: SystemTime,
) -> Result<Artifact, Error> {
    let config_type = match form {
        Form::Jwt => NV2_CONFIG_JWT,
        Form::Json => NV2_CONFIG_JSON,
    };
    let empty = Bytes::from_static(b"{}");
    Parts {
        artifact_type: None,
        config: (config_type, signature.into()),
        layers: vec![(descriptor(EMPTY, &empty), Some(empty))],
        subject: Some(subject),
        annotations: [created(at)].into(),
    }
    .pack()
}

/// RFC 7518, section 3.1, as the prototype's key library chooses: SHA-256 for RSA, a curve's own hash else.
fn jose(kind: KeyKind) -> Result<(&'static str, Algorithm), Error> {
    Ok(match kind {
        KeyKind::Rsa { .. } => ("RS256", Algorithm::RsaPkcs1(Hash::Sha256)),
        KeyKind::P256 => ("ES256", Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed)),
        KeyKind::P384 => ("ES384", Algorithm::Ecdsa(Hash::Sha384, Encoding::Fixed)),
        KeyKind::P521 => ("ES512", Algorithm::Ecdsa(Hash::Sha512, Encoding::Fixed)),
        KeyKind::Ed25519 => return Err(Error::Unfit { format: "nv2", kind }),
    })
}

/// The JOSE header; in the JSON form with the signature.
#[derive(Serialize)]
struct Header {
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sig: Option<String>,
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    x5c: Vec<String>,
}

impl Header {
    fn new(alg: &'static str, key: &SigningKey, chain: &[Certificate]) -> Self {
        let kid = chain.is_empty().then(|| key_id(key.public().spki()));
        let x5c = chain.iter().map(|certificate| STANDARD.encode(certificate.der())).collect();
        Self { typ: "x509", sig: None, alg, kid, x5c }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    references: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
}

impl<'a> Claims<'a> {
    fn new(claim: &Claim<'a>, form: Form) -> Self {
        let iat = claim.issued.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            media_type: (form == Form::Jwt).then_some(&*claim.subject.media_type),
            digest: claim.subject.digest,
            size: claim.subject.size,
            references: claim.references,
            exp: claim.lifetime.map(|lifetime| iat.saturating_add(lifetime.as_secs())),
            iat,
            nbf: claim.lifetime.map(|_| iat),
        }
    }
}

#[cfg(test)]
mod tests;
