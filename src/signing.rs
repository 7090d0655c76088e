//! Makes signatures, with keys wherever their owner keeps them. Judges none: `signature/` does.

pub mod key;
pub mod kms;
pub mod nv2;
pub mod pkcs11;
pub mod plugin;
mod signing_key;

pub use key::{AskPassword, Key, KeyError};
pub use signing_key::SigningKey;

use crate::signature::Rejection;
use crate::x509::KeyKind;

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
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}
