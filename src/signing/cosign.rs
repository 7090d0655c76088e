//! Signs as cosign does with a key: a simple-signing payload as a layer under the subject's `.sig` tag (cosign,
//! `specs/SIGNATURE_SPEC.md`), and a sigstore bundle, v0.3, as a referrer (sigstore/protobuf-specs; cosign,
//! `specs/BUNDLE_SPEC.md`).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::artifact::{Artifact, Parts, created, descriptor};
use super::dsse::{self, Statement};
use super::{Error, SigningKey, TimestampAuthority, cosigns_by};
use crate::oci::media_type::{COSIGN_SIMPLE_SIGNING, EMPTY, SIGSTORE_BUNDLE};
use crate::oci::{Descriptor, Digest, Manifest};
use crate::signature::cosign::layout::{SIGNATURE, TIMESTAMP};
use crate::signature::cosign::{PAYLOAD_TYPE, SIGN_PREDICATE};
use crate::upstream::Amended;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const CONTENT: &str = "dev.sigstore.bundle.content";
const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
/// cosign's configs are as old as Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A payload with its signature, as a layer.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(super) subject: Digest,
    descriptor: Descriptor,
    payload: Bytes,
}

/// Whether a key signs as cosign does.
///
/// # Errors
/// [`Error::Unfit`]
pub fn may_sign(key: &SigningKey) -> Result<(), Error> {
    cosigns_by(key).map(drop)
}

/// Signs the payload about a manifest that is published under `name`, a repository.
///
/// # Errors
/// [`Error`]
pub async fn sign(
    key: &SigningKey,
    name: &str,
    subject: &Digest,
    annotations: &BTreeMap<String, String>,
    authority: Option<&TimestampAuthority>,
) -> Result<Layer, Error> {
    let payload = Bytes::from(payload(name, subject, annotations).to_string());
    let signature = key.sign(cosigns_by(key)?, &payload).await?;
    let mut descriptor = descriptor(COSIGN_SIMPLE_SIGNING, &payload);
    descriptor.annotations.insert(SIGNATURE.to_owned(), STANDARD.encode(&signature));
    if let Some(authority) = authority {
        let response = STANDARD.encode(authority.stamp(&signature).await?.response);
        let stamp = json!({"SignedRFC3161Timestamp": response}).to_string();
        descriptor.annotations.insert(TIMESTAMP.to_owned(), stamp);
    }
    Ok(Layer { subject: *subject, descriptor, payload })
}

/// The payload that cosign signs.
pub fn payload(name: &str, subject: &Digest, annotations: &BTreeMap<String, String>) -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": subject},
            "type": PAYLOAD_TYPE,
        },
        "optional": (!annotations.is_empty()).then_some(annotations),
    })
}

impl Layer {
    /// The image that belongs under the subject's tag: the signatures that are there (`present`), and this one. Nothing
    /// else of what is there comes along.
    ///
    /// # Errors
    /// [`Error`]
    pub fn beside(&self, present: Option<&Manifest>) -> Result<Artifact, Error> {
        self.added(present, None)
    }

    fn added(&self, present: Option<&Manifest>, annotated: Option<&Manifest>) -> Result<Artifact, Error> {
        let layers = present.map(Manifest::blobs).unwrap_or_default().iter().cloned();
        let layers = layers.map(|layer| (layer, None));
        let layers = layers.chain([(self.descriptor.clone(), Some(self.payload.clone()))]).collect();
        image(layers, annotated)
    }

    /// As [`Layer::beside`], with the annotations of what is there, or nothing where the image holds this signature already.
    ///
    /// # Errors
    /// [`Error`]
    pub fn missing_in(&self, present: Option<&Manifest>) -> Result<Option<Amended>, Error> {
        if present.is_some_and(|image| has(image, &self.descriptor)) {
            return Ok(None);
        }
        let Artifact { manifest, blobs } = self.added(present, present)?;
        Ok(Some((blobs, manifest)))
    }
}

/// What belongs under a tag where two images of signatures meet: nothing new where all of the `coming` one is there, it
/// itself where all that is there is in it, else the signatures of both. The layers of the `coming` one must be there.
///
/// # Errors
/// [`Error`]
pub fn united(present: Option<&Manifest>, coming: &Manifest) -> Result<Option<Amended>, Error> {
    let missing = |image: &Manifest, other: &Manifest| -> Vec<Descriptor> {
        other.blobs().iter().filter(|layer| !has(image, layer)).cloned().collect()
    };
    let Some(present) = present.filter(|present| !missing(coming, present).is_empty()) else {
        let is_same = present.is_some_and(|present| present.digest() == coming.digest());
        return Ok((!is_same).then(|| (Vec::new(), coming.clone())));
    };
    let new = missing(present, coming);
    if new.is_empty() {
        return Ok(None);
    }
    let layers = present.blobs().iter().cloned().chain(new).map(|layer| (layer, None)).collect();
    let Artifact { manifest, blobs } = image(layers, Some(present))?;
    Ok(Some((blobs, manifest)))
}

/// Whether an image holds this signature.
fn has(image: &Manifest, signature: &Descriptor) -> bool {
    let text = |layer: &Descriptor| layer.annotations.get(SIGNATURE).cloned();
    image.blobs().iter().any(|layer| layer.digest == signature.digest && text(layer) == text(signature))
}

/// The image of these signatures, in place of `present`.
fn image(layers: Vec<(Descriptor, Option<Bytes>)>, present: Option<&Manifest>) -> Result<Artifact, Error> {
    let contents: Vec<_> = layers.iter().map(|(layer, _)| layer.digest).collect();
    let config = json!({
        "architecture": "",
        "created": NEVER,
        "history": vec![json!({"created": NEVER}); contents.len()],
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": contents},
        "config": {},
    });
    let config = (CONFIG, Bytes::from(config.to_string()));
    let annotations = present.map(|image| image.annotations().clone()).unwrap_or_default();
    Parts { artifact_type: None, config, layers, subject: None, annotations }.pack()
}

/// Signs a manifest by a bundle.
///
/// # Errors
/// [`Error`]
pub async fn bundle(
    key: &SigningKey,
    subject: &Descriptor,
    annotations: &BTreeMap<String, String>,
    authority: Option<&TimestampAuthority>,
    at: SystemTime,
) -> Result<Artifact, Error> {
    let predicate = json!({});
    let predicate_type = SIGN_PREDICATE;
    let statement = Statement {
        subject: &subject.digest,
        name: None,
        annotations,
        predicate_type,
        predicate: &predicate,
    };
    attest(key, subject, &statement, authority, at).await
}

/// Signs a statement about a manifest by a bundle.
///
/// # Errors
/// [`Error`]
pub async fn attest(
    key: &SigningKey,
    subject: &Descriptor,
    statement: &Statement<'_>,
    authority: Option<&TimestampAuthority>,
    at: SystemTime,
) -> Result<Artifact, Error> {
    let signed = dsse::sign(key, statement).await?;
    // cosign names a key by the hash of it.
    let mut material = json!({"publicKey": {"hint": STANDARD.encode(key.public().fingerprint())}});
    if let Some(authority) = authority {
        let response = STANDARD.encode(authority.stamp(&signed.signature).await?.response);
        material["timestampVerificationData"] = json!({"rfc3161Timestamps": [{"signedTimestamp": response}]});
    }
    let bundle = json!({
        "mediaType": SIGSTORE_BUNDLE,
        "verificationMaterial": material,
        "dsseEnvelope": signed.envelope,
    });
    let bundle = Bytes::from(bundle.to_string());
    let said = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Parts {
        artifact_type: Some(SIGSTORE_BUNDLE),
        config: (EMPTY, Bytes::from_static(b"{}")),
        layers: vec![(descriptor(SIGSTORE_BUNDLE, &bundle), Some(bundle))],
        subject: Some(subject),
        annotations: BTreeMap::from([
            said(CONTENT, "dsse-envelope"),
            said(PREDICATE_TYPE, statement.predicate_type),
            created(at),
        ]),
    }
    .pack()
}
