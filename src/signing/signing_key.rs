//! A private key wherever its owner keeps it: how it is named, and how it is asked to sign.

use std::path::Path;

use super::{AskPassword, Key, KeyError};
use crate::x509::{Algorithm, Encoding, Hash, KeyKind, PublicKey};

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

    /// What it signs by where the format leaves that open, as cosign does: a curve by its own hash, in ASN.1; RSA by
    /// PKCS #1 over SHA-256.
    pub fn algorithm(&self) -> Algorithm {
        let ecdsa = |hash| Algorithm::Ecdsa(hash, Encoding::Asn1);
        match self.public().kind() {
            KeyKind::P256 => ecdsa(Hash::Sha256),
            KeyKind::P384 => ecdsa(Hash::Sha384),
            KeyKind::P521 => ecdsa(Hash::Sha512),
            KeyKind::Ed25519 => Algorithm::Ed25519,
            KeyKind::Rsa { .. } => Algorithm::RsaPkcs1(Hash::Sha256),
        }
    }

    /// Signs a message. An elliptic curve signs by the hash of its own size.
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
