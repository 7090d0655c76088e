//! Private keys and the raw signatures they make.

use rcgen::{KeyPair, RsaKeySize};

use super::Error;
use crate::signature::nv2::key_id;
use crate::signing;
use crate::x509::{Algorithm, Encoding, Hash};

/// What kind of key to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum KeyKind {
    #[default]
    P256,
    P384,
    P521,
    Ed25519,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

/// A private key.
#[derive(Debug)]
pub struct Key {
    kind: KeyKind,
    pub(super) pair: KeyPair,
    signing: signing::Key,
}

/// A signature with the name that JOSE gives its algorithm (RFC 7518, section 3.1).
pub(super) struct Signed {
    pub(super) algorithm: &'static str,
    pub(super) signature: Vec<u8>,
}

impl Key {
    /// A fresh key.
    ///
    /// # Errors
    /// The key could not be made.
    pub fn generate(kind: KeyKind) -> Result<Self, Error> {
        let pair = match kind {
            KeyKind::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyKind::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyKind::P521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            KeyKind::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            KeyKind::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyKind::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyKind::Rsa4096 => rsa(RsaKeySize::_4096),
        };
        let pair = pair?;
        let signing = signing::Key::from_pkcs8(pair.serialized_der())?;
        Ok(Self { kind, pair, signing })
    }

    /// The public key in PEM, as cosign writes it.
    pub fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// The key as it signs.
    pub(super) fn signing(&self) -> &signing::Key {
        &self.signing
    }

    /// The private key in PEM (PKCS #8).
    pub fn private_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The key's name in libtrust's words.
    pub fn libtrust_id(&self) -> String {
        key_id(self.signing.public().spki())
    }

    /// As the Notary v2 prototype signs: ECDSA in JOSE's form or RSA PKCS#1 over SHA-256.
    pub(super) fn sign_for_nv2(&self, message: &[u8]) -> Result<Signed, Error> {
        match self.kind {
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => {
                self.sign("RS256", Algorithm::RsaPkcs1(Hash::Sha256), message)
            }
            _ => self.sign_for_notation(message),
        }
    }

    /// As the Notary Project signs: ECDSA in JOSE's form or RSA PSS, the hash by the key's size
    /// (signature specification, "Signature Algorithm Requirements").
    pub(super) fn sign_for_notation(&self, message: &[u8]) -> Result<Signed, Error> {
        let (name, algorithm) = match self.kind {
            KeyKind::P256 => ("ES256", Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed)),
            KeyKind::P384 => ("ES384", Algorithm::Ecdsa(Hash::Sha384, Encoding::Fixed)),
            KeyKind::P521 => ("ES512", Algorithm::Ecdsa(Hash::Sha512, Encoding::Fixed)),
            KeyKind::Ed25519 => ("EdDSA", Algorithm::Ed25519),
            KeyKind::Rsa2048 => ("PS256", Algorithm::RsaPss(Hash::Sha256)),
            KeyKind::Rsa3072 => ("PS384", Algorithm::RsaPss(Hash::Sha384)),
            KeyKind::Rsa4096 => ("PS512", Algorithm::RsaPss(Hash::Sha512)),
        };
        self.sign(name, algorithm, message)
    }

    /// As cosign signs: ECDSA in ASN.1, RSA PKCS#1 over SHA-256, or Ed25519.
    pub(super) fn sign_for_cosign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let algorithm = match self.kind {
            KeyKind::P256 => Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1),
            KeyKind::P384 => Algorithm::Ecdsa(Hash::Sha384, Encoding::Asn1),
            KeyKind::P521 => Algorithm::Ecdsa(Hash::Sha512, Encoding::Asn1),
            KeyKind::Ed25519 => Algorithm::Ed25519,
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => Algorithm::RsaPkcs1(Hash::Sha256),
        };
        Ok(self.signing.sign(algorithm, message)?)
    }

    fn sign(&self, name: &'static str, algorithm: Algorithm, message: &[u8]) -> Result<Signed, Error> {
        Ok(Signed { algorithm: name, signature: self.signing.sign(algorithm, message)? })
    }
}

fn rsa(size: RsaKeySize) -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_key_signs() {
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048] {
            let key = Key::generate(kind).unwrap();
            assert!(key.sign_for_nv2(b"m").unwrap().signature.len() >= 64);
            assert!(key.sign_for_notation(b"m").unwrap().signature.len() >= 64);
            assert!(key.sign_for_cosign(b"m").unwrap().len() >= 64);
        }
        let key = Key::generate(KeyKind::Ed25519).unwrap();
        assert_eq!(key.sign_for_cosign(b"m").unwrap().len(), 64);
        assert_eq!(key.libtrust_id().len(), 12 * 5 - 1);
    }
}
