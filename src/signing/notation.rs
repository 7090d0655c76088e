//! Signs as the Notary Project specifies (`signature-specification.md`): envelopes, carried by artifacts whose
//! subject is what was signed.

mod envelope;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;

use super::artifact::{Artifact, Parts, created, descriptor};
use super::{Error, SigningKey, TimestampAuthority};
use crate::oci::media_type::{NOTATION_COSE, NOTATION_JWS, NOTATION_SIGNATURE};
use crate::oci::{Descriptor, Digest};
use crate::signature::notation::may_sign;
use crate::x509::Certificate;

pub use envelope::Draft;

/// "Notary-project-defined annotations": nobody else's begin like this.
const RESERVED: &str = "io.cncf.notary";
/// The annotation by which verifiers find whose signature it is without fetching it.
const THUMBPRINTS: &str = "io.cncf.notary.x509chain.thumbprint#S256";

/// Which of the two envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `signature-envelope-jws.md`
    Jws,
    /// `signature-envelope-cose.md`
    Cose,
}

/// What is claimed.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The manifest.
    pub subject: &'a Descriptor,
    /// What is said of it besides, and signed.
    pub annotations: &'a BTreeMap<String, String>,
    /// Now.
    pub signed: SystemTime,
    /// When the claim ends; without it, when nobody believes it any more.
    pub expires: Option<SystemTime>,
}

/// Signs a claim: an envelope. `chain` is the key's certificate first and a self-signed root last.
///
/// # Errors
/// [`Error`]; among them a chain that no verifier may accept ("Certificate Requirements").
pub async fn sign(
    key: &SigningKey,
    chain: &[Certificate],
    claim: &Claim<'_>,
    form: Form,
    authority: Option<&TimestampAuthority>,
) -> Result<Bytes, Error> {
    super::check_pair(key, chain)?;
    may_sign(chain)?;
    if let Some(name) = claim.annotations.keys().find(|name| name.starts_with(RESERVED)) {
        return Err(Error::Reserved(name.clone()));
    }
    let draft = Draft::new(key.public().kind(), claim, form)?;
    let signature = key.sign(draft.algorithm(), draft.signed()).await?;
    let stamp = match authority {
        Some(authority) => Some(authority.stamp(&signature).await?.token),
        None => None,
    };
    let chain: Vec<&[u8]> = chain.iter().map(Certificate::der).collect();
    draft.seal(signature, &chain, stamp)
}

/// The artifact that carries an envelope about `subject`.
///
/// # Errors
/// [`Error`]
pub fn artifact<'a>(
    envelope: Bytes,
    form: Form,
    chain: impl IntoIterator<Item = &'a [u8]>,
    subject: &Descriptor,
    at: SystemTime,
) -> Result<Artifact, Error> {
    let media_type = match form {
        Form::Jws => NOTATION_JWS,
        Form::Cose => NOTATION_COSE,
    };
    let thumbprints: Vec<String> = chain.into_iter().map(|der| Digest::sha256(der).hex()).collect();
    let annotations = [(THUMBPRINTS.to_owned(), serde_json::to_string(&thumbprints)?), created(at)];
    Parts {
        artifact_type: None,
        config: (NOTATION_SIGNATURE, Bytes::from_static(b"{}")),
        layers: vec![(descriptor(media_type, &envelope), Some(envelope))],
        subject: Some(subject),
        annotations: annotations.into(),
    }
    .pack()
}

/// The payload: "targetArtifact".
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    target_artifact: Target<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    media_type: &'a str,
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

impl Claim<'_> {
    fn payload(&self) -> Result<Vec<u8>, Error> {
        let Descriptor { media_type, digest, size, .. } = self.subject;
        let target_artifact =
            Target { media_type, digest: *digest, size: *size, annotations: self.annotations };
        Ok(serde_json::to_vec(&Payload { target_artifact })?)
    }
}
