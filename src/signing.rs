//! Makes signatures, with keys wherever their owner keeps them. Judges none: `signature/` does.

mod artifact;
pub mod cosign;
pub mod dsse;
pub mod key;
pub mod kms;
pub mod notation;
pub mod nv2;
pub mod pkcs11;
pub mod plugin;
mod publish;
mod signing_key;
mod timestamp;

pub use artifact::Artifact;
pub use key::{AskPassword, Key, KeyError, Password};
pub use publish::Signed;
pub use signing_key::SigningKey;
pub use timestamp::{Stamp, TimestampAuthority};

use crate::oci::ManifestError;
use crate::signature::Rejection;
use crate::upstream;
use crate::x509::{Algorithm, Certificate, Encoding, Hash, KeyKind};

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate is another key's.
    #[error("the certificate {subject} is of another key: the one that signs is {key}")]
    OtherKey {
        /// The certificate's subject.
        subject: String,
        /// The signing key's SHA-256, over its SubjectPublicKeyInfo.
        key: String,
    },
    /// The format has no algorithm for such a key.
    #[error("{format} has no signatures by {kind} keys")]
    Unfit {
        /// The format.
        format: &'static str,
        /// The key's kind.
        kind: KeyKind,
    },
    /// No verifier would believe it.
    #[error("the signature would be refused: {0}")]
    Refused(Rejection),
    /// The claim cannot be written.
    #[error("the claim cannot be written")]
    Unwritable(#[from] serde_json::Error),
    /// No authority stamped the signature.
    #[error("no timestamp: {0}")]
    Timestamp(String),
    /// An annotation that only the format itself may set.
    #[error("the annotation {0} is not for signers to set")]
    Reserved(String),
    /// The envelope cannot be written.
    #[error("the envelope cannot be written: {0}")]
    Cose(String),
    /// The artifact would be none.
    #[error("the artifact cannot be written: {0}")]
    Artifact(#[from] ManifestError),
    /// The registry does not take it.
    #[error(transparent)]
    Registry(#[from] upstream::Error),
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Whether the first certificate is the key's.
fn check_pair(key: &SigningKey, chain: &[Certificate]) -> Result<(), Error> {
    let Some(leaf) = chain.first().filter(|leaf| leaf.public_key() != key.public()) else { return Ok(()) };
    let fingerprint = hex::encode(key.public().fingerprint());
    Err(Error::OtherKey { subject: leaf.subject().to_string(), key: fingerprint })
}

/// By what a key signs as cosign does, so that every version of cosign verifies it: SHA-256 whatever the key.
fn cosigns_by(key: &SigningKey) -> Result<Algorithm, Error> {
    match key.public().kind() {
        KeyKind::P256 | KeyKind::P521 => Ok(Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1)),
        KeyKind::Ed25519 => Ok(Algorithm::Ed25519),
        KeyKind::Rsa { .. } => Ok(Algorithm::RsaPkcs1(Hash::Sha256)),
        // Of this curve the library signs by no other hash than the curve's own.
        kind @ KeyKind::P384 => Err(Error::Unfit { format: "cosign", kind }),
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}
