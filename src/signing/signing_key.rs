//! A private key wherever its owner keeps it: how it is named, and how it is asked to sign.

use std::path::Path;

use super::{AskPassword, Key, KeyError};
use crate::x509::{Algorithm, PublicKey};

/// A key that signs. Only one in a file is ever in this process.
#[derive(Debug)]
pub enum SigningKey {
    /// From a PEM file.
    File(Key),
}

impl SigningKey {
    /// Opens the key that `name` names: the path of a PEM file.
    ///
    /// # Errors
    /// As [`Key::read`].
    pub fn open(name: &str, password: AskPassword<'_>) -> Result<Self, KeyError> {
        Key::read(Path::new(name), password).map(Self::File)
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        match self {
            Self::File(key) => key.public(),
        }
    }

    /// Signs a message. An elliptic curve signs by the hash of its own size, P-521 by SHA-256 too.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::File(key) => key.sign(algorithm, message),
        }
    }
}

impl From<Key> for SigningKey {
    fn from(key: Key) -> Self {
        Self::File(key)
    }
}
