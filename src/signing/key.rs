//! Private keys: read from PEM, and what they sign.

mod encrypted;
mod making;
mod pem;

use std::fmt;
use std::io;
use std::path::Path;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA256_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use zeroize::Zeroizing;

use super::{kms, pkcs11, plugin};
use crate::trust::files;
use crate::x509::{self, Algorithm, Encoding, Hash, KeyKind, PublicKey};

/// The longest file that is read: a key of 8192 bits takes a tenth of it.
const MAX_FILE: u64 = 64 * 1024;

/// Each curve's hash, and its signatures in ASN.1 and at fixed length.
const CURVES: [(Hash, &EcdsaSigningAlgorithm, &EcdsaSigningAlgorithm); 3] = [
    (Hash::Sha256, &ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P256_SHA256_FIXED_SIGNING),
    (Hash::Sha384, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P384_SHA384_FIXED_SIGNING),
    (Hash::Sha512, &ECDSA_P521_SHA512_ASN1_SIGNING, &ECDSA_P521_SHA512_FIXED_SIGNING),
];

/// A key that cannot be had, or does not sign.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Absent, or not to be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// No private key, or a broken one. What stands there is not shown.
    #[error("expected one private key in PEM, found {0}")]
    Malformed(String),
    /// The password is another one, or what it protects is damaged.
    #[error("the password does not open it")]
    Password,
    /// A key of a form or kind that does not sign here.
    #[error("{0} does not sign here")]
    Unsupported(String),
    /// The public half is of no kind that is verified.
    #[error(transparent)]
    Public(#[from] x509::Error),
    /// The algorithm is not for such a key.
    #[error("a {kind} key does not sign by {}", algorithm.as_str())]
    Unfit {
        /// What was asked for.
        algorithm: Algorithm,
        /// The key's kind.
        kind: KeyKind,
    },
    /// A token's key.
    #[error(transparent)]
    Token(#[from] pkcs11::Error),
    /// A key of AWS KMS.
    #[error(transparent)]
    Kms(#[from] kms::Error),
    /// A plug-in's key.
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
    /// Who keeps the key signed with another one, or something else, or not at all.
    #[error("what came back as signature is not the key's: its public half does not verify it")]
    Foreign,
    /// The library failed, without a reason.
    #[error("the signature could not be made")]
    Failed,
}

impl KeyError {
    /// Whether nobody answered for the key, so that nothing is known of it. Who refuses it has answered.
    pub fn is_unanswered(&self) -> bool {
        match self {
            Self::Token(error) => error.is_unanswered(),
            Self::Kms(error) => error.is_unanswered(),
            Self::Plugin(error) => error.is_unanswered(),
            _ => false,
        }
    }
}

/// The password of an encrypted key, or a token's PIN.
#[derive(Clone)]
pub struct Password {
    /// What it is.
    pub text: Zeroizing<String>,
    /// Somebody typed it, who is there to see that it was wrong.
    pub typed: bool,
}

impl Password {
    /// One that a file has.
    pub fn kept(text: Zeroizing<String>) -> Self {
        Self { text, typed: false }
    }
}

/// Asks for a password.
pub type AskPassword<'a> = &'a dyn Fn() -> io::Result<Password>;

/// A private key in memory, which the library wipes when it is dropped. Nothing shows it.
pub struct Key {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Ecdsa { hash: Hash, asn1: EcdsaKeyPair, fixed: EcdsaKeyPair, by_sha256: Option<EcdsaKeyPair> },
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    /// Reads a PEM file: `PRIVATE KEY` (PKCS #8), `EC PRIVATE KEY` (RFC 5915), `RSA PRIVATE KEY` (PKCS #1), or,
    /// encrypted, `ENCRYPTED PRIVATE KEY` (PKCS #8) and `ENCRYPTED SIGSTORE PRIVATE KEY` (cosign). Of encrypted ones the
    /// password is asked for.
    ///
    /// # Errors
    /// Absent, unreadable, or not one key of a supported kind; another password.
    pub fn read(path: &Path, password: AskPassword<'_>) -> Result<Self, KeyError> {
        let text = files::read_within(path, MAX_FILE)?.map(Zeroizing::new);
        let text = text.ok_or_else(|| KeyError::Malformed(format!("more than {MAX_FILE} bytes")))?;
        Self::from_pem(&text, password)
    }

    /// As [`Key::read`], of text.
    ///
    /// # Errors
    /// As [`Key::read`].
    pub fn from_pem(text: &[u8], password: AskPassword<'_>) -> Result<Self, KeyError> {
        pem::read(text, password)
    }

    /// Reads a DER PrivateKeyInfo (RFC 5958).
    ///
    /// # Errors
    /// Malformed, or of a kind that does not sign here.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der) {
            return Self::of_rsa(pair);
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let public = PublicKey::from_spki_der(pair.public_key().as_der().map_err(failed)?.as_ref())?;
            return Ok(Self { pair: Pair::Ed25519(pair), public });
        }
        Self::of_curve(der)
    }

    /// Reads a DER RSAPrivateKey (RFC 8017, appendix A.1.2).
    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        Self::of_rsa(RsaKeyPair::from_der(der).map_err(|e| KeyError::Malformed(format!("RSA: {e}")))?)
    }

    /// Reads a DER ECPrivateKey (RFC 5915), alone or in a PrivateKeyInfo.
    fn of_curve(der: &[u8]) -> Result<Self, KeyError> {
        for (hash, asn1, fixed) in CURVES {
            let pair = |by| EcdsaKeyPair::from_private_key_der(by, der);
            if let (Ok(asn1), Ok(fixed)) = (pair(asn1), pair(fixed)) {
                let public = PublicKey::from_spki_der(asn1.public_key().as_der().map_err(failed)?.as_ref())?;
                let by_sha256 = match hash {
                    Hash::Sha512 => pair(&ECDSA_P521_SHA256_ASN1_SIGNING).ok(),
                    Hash::Sha256 | Hash::Sha384 => None,
                };
                return Ok(Self { pair: Pair::Ecdsa { hash, asn1, fixed, by_sha256 }, public });
            }
        }
        let kinds = "a key that is not RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519";
        Err(KeyError::Unsupported(kinds.to_owned()))
    }

    fn of_rsa(pair: RsaKeyPair) -> Result<Self, KeyError> {
        let public = PublicKey::from_pkcs1_der(pair.public_key().as_ref())?;
        Ok(Self { pair: Pair::Rsa(pair), public })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message. An elliptic curve signs by the hash of its own size, P-521 in ASN.1 by SHA-256 too.
    ///
    /// # Errors
    /// [`KeyError::Unfit`], [`KeyError::Failed`].
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match (&self.pair, algorithm) {
            (Pair::Ecdsa { hash, asn1, .. }, Algorithm::Ecdsa(by, Encoding::Asn1)) if by == *hash => {
                Ok(asn1.sign(&random, message).map_err(failed)?.as_ref().to_vec())
            }
            (Pair::Ecdsa { hash, fixed, .. }, Algorithm::Ecdsa(by, Encoding::Fixed)) if by == *hash => {
                Ok(fixed.sign(&random, message).map_err(failed)?.as_ref().to_vec())
            }
            (Pair::Ecdsa { by_sha256: Some(pair), .. }, Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1)) => {
                Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec())
            }
            (Pair::Ed25519(pair), Algorithm::Ed25519) => Ok(pair.sign(message).as_ref().to_vec()),
            (Pair::Rsa(pair), Algorithm::RsaPkcs1(hash)) => rsa(pair, pkcs1(hash), message),
            (Pair::Rsa(pair), Algorithm::RsaPss(hash)) => rsa(pair, pss(hash), message),
            _ => Err(KeyError::Unfit { algorithm, kind: self.public.kind() }),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.public)
    }
}

fn rsa(pair: &RsaKeyPair, by: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(by, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
    Ok(signature)
}

fn pkcs1(hash: Hash) -> &'static dyn RsaEncoding {
    match hash {
        Hash::Sha256 => &RSA_PKCS1_SHA256,
        Hash::Sha384 => &RSA_PKCS1_SHA384,
        Hash::Sha512 => &RSA_PKCS1_SHA512,
    }
}

fn pss(hash: Hash) -> &'static dyn RsaEncoding {
    match hash {
        Hash::Sha256 => &RSA_PSS_SHA256,
        Hash::Sha384 => &RSA_PSS_SHA384,
        Hash::Sha512 => &RSA_PSS_SHA512,
    }
}

fn failed(_: aws_lc_rs::error::Unspecified) -> KeyError {
    KeyError::Failed
}

#[cfg(test)]
mod tests;
