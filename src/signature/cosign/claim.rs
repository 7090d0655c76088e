//! One claim of cosign's, however it is stored: what was signed, by whom it says, and which witnesses it
//! brings. Parsing proves nothing.

use std::borrow::Cow;

use bytes::Bytes;

use super::dsse::Envelope;
use super::log::Entry;
use super::payload::Payload;
use super::statement::{SIGN_PREDICATE, Statement};
use super::{bundle, layout, legacy};
use crate::oci::{Algorithm, Descriptor, Digest, media_type};
use crate::signature::rejection::Field;
use crate::signature::{Attestation, Rejection, Signature};
use crate::x509::Certificate;

/// How it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A payload as layer, all else in its annotations.
    Legacy,
    /// A sigstore bundle.
    Bundle,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) form: Form,
    pub(super) content: Content,
    pub(super) made_by: MadeBy,
    /// Entries of transparency logs.
    pub(super) entries: Vec<Entry>,
    /// RFC 3161 timestamps, as responses or tokens.
    pub(super) timestamps: Vec<Vec<u8>>,
    /// What timestamps are over, where it is not the signature.
    pub(super) stamped: Option<Bytes>,
}

/// What was signed.
#[derive(Debug)]
pub(super) enum Content {
    /// A simple-signing payload, byte by byte.
    Payload { bytes: Bytes, signature: Vec<u8>, says: Payload },
    /// An in-toto statement in a DSSE envelope.
    Statement { envelope: Envelope, says: Statement },
    /// The artifact itself.
    Artifact { digest: Option<Hashed>, signature: Vec<u8> },
}

/// A digest that a bundle repeats for its readers' convenience.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) algorithm: String,
    pub(super) digest: Vec<u8>,
}

/// Whose key it says made it.
#[derive(Debug)]
pub(super) enum MadeBy {
    /// A key that both sides know.
    Key,
    /// The first one's; the others may lead to an anchor.
    Certificates { leaf: Certificate, others: Vec<Certificate> },
}

/// What is judged: the artifact's digest, and its bytes where they are at hand.
#[derive(Clone, Copy, Debug)]
pub struct Artifact<'a> {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes: without them, signatures by keys that sign no digests cannot be verified over it.
    pub bytes: Option<&'a [u8]>,
}

impl Claim {
    /// Takes one layer of an artifact apart.
    ///
    /// # Errors
    /// [`Rejection::Malformed`], or [`Rejection::Unsupported`] for types that are not read.
    pub(super) fn read(signature: &Signature) -> Result<Self, Rejection> {
        match &*signature.media_type {
            media_type::COSIGN_SIMPLE_SIGNING => legacy::payload(signature),
            media_type::DSSE_ENVELOPE => legacy::attestation(signature),
            other if layout::is_bundle(other) => bundle::read(&signature.payload),
            other => Err(unsupported("cosign media type", other)),
        }
    }

    /// Whether it is about this manifest.
    ///
    /// # Errors
    /// [`Rejection::Mismatch`].
    pub(super) fn describe(&self, subject: &Descriptor) -> Result<(), Rejection> {
        self.content.describe(&subject.digest)
    }

    /// What a timestamp of the signature is over. cosign stamps the whole envelope of an attestation that it
    /// keeps as a layer.
    pub(super) fn stamped<'a>(&'a self, signature: &'a [u8]) -> &'a [u8] {
        self.stamped.as_deref().unwrap_or(signature)
    }
}

impl Content {
    pub(super) fn describe(&self, subject: &Digest) -> Result<(), Rejection> {
        match self {
            Self::Payload { says, .. } => says.describe(subject),
            Self::Statement { says, .. } => says.describe(subject),
            Self::Artifact { digest: None, .. } => Ok(()),
            Self::Artifact { digest: Some(hashed), .. } => hashed.describe(subject),
        }
    }

    /// Whether it is a statement of somebody's rather than a signature: all predicates but cosign's own.
    pub(super) fn attests(&self) -> Option<Attestation> {
        match self {
            Self::Statement { envelope, says } if says.predicate_type != SIGN_PREDICATE => {
                Some(says.attestation(&envelope.payload.0))
            }
            _ => None,
        }
    }

    /// The bytes that were signed, where they are at hand.
    pub(super) fn signed<'a>(&'a self, artifact: &Artifact<'a>) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Payload { bytes, .. } => Some(Cow::Borrowed(bytes)),
            Self::Statement { envelope, .. } => Some(Cow::Owned(envelope.signed())),
            Self::Artifact { .. } => artifact.bytes.map(Cow::Borrowed),
        }
    }
}

impl Hashed {
    fn describe(&self, subject: &Digest) -> Result<(), Rejection> {
        let algorithm = match subject.algorithm() {
            Algorithm::Sha256 => "SHA2_256",
            Algorithm::Sha512 => "SHA2_512",
        };
        if self.algorithm == algorithm && self.digest == subject.as_bytes() {
            return Ok(());
        }
        Err(Rejection::Mismatch {
            field: Field::Digest,
            expected: subject.to_string().into(),
            found: format!("{} {}", self.algorithm, hex::encode(&self.digest)).into(),
        })
    }
}

pub(super) fn malformed(what: &'static str, why: impl std::fmt::Display) -> Rejection {
    Rejection::Malformed { what, why: why.to_string().into() }
}

pub(super) fn unsupported(what: &'static str, found: &str) -> Rejection {
    Rejection::Unsupported { what, found: found.into() }
}
