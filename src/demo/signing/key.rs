//! Private keys and the raw signatures they make.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaEncoding, RsaKeyPair,
};
use rcgen::{KeyPair, PublicKeyData as _, RsaKeySize};
use sha2::{Digest as _, Sha256};

use super::Error;

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
        Ok(Self { kind, pair: pair? })
    }

    /// The public key in PEM, as cosign writes it.
    pub fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// The key's name in libtrust's words: 240 bits of SHA-256 over its SubjectPublicKeyInfo, in
    /// base32 by groups of four.
    pub fn libtrust_id(&self) -> String {
        let hash = Sha256::digest(self.pair.subject_public_key_info());
        let letters = base32(&hash[..30]);
        let groups: Vec<_> = letters.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
        groups.join(":")
    }

    /// As the Notary v2 prototype signs: ECDSA in JOSE's form or RSA PKCS#1 over SHA-256.
    pub(super) fn sign_for_nv2(&self, message: &[u8]) -> Result<Signed, Error> {
        match self.kind {
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => {
                let signature = self.sign_rsa(&signature::RSA_PKCS1_SHA256, message)?;
                Ok(Signed { algorithm: "RS256", signature })
            }
            _ => self.sign_for_notation(message),
        }
    }

    /// As the Notary Project signs: ECDSA in JOSE's form or RSA PSS, the hash by the key's size
    /// (signature specification, "Signature Algorithm Requirements").
    pub(super) fn sign_for_notation(&self, message: &[u8]) -> Result<Signed, Error> {
        use signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
            ECDSA_P521_SHA512_FIXED_SIGNING, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        };
        let (algorithm, signature) = match self.kind {
            KeyKind::P256 => ("ES256", self.sign_ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, message)?),
            KeyKind::P384 => ("ES384", self.sign_ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, message)?),
            KeyKind::P521 => ("ES512", self.sign_ecdsa(&ECDSA_P521_SHA512_FIXED_SIGNING, message)?),
            KeyKind::Ed25519 => ("EdDSA", self.sign_ed25519(message)?),
            KeyKind::Rsa2048 => ("PS256", self.sign_rsa(&RSA_PSS_SHA256, message)?),
            KeyKind::Rsa3072 => ("PS384", self.sign_rsa(&RSA_PSS_SHA384, message)?),
            KeyKind::Rsa4096 => ("PS512", self.sign_rsa(&RSA_PSS_SHA512, message)?),
        };
        Ok(Signed { algorithm, signature })
    }

    /// As cosign signs: ECDSA in ASN.1, RSA PKCS#1 over SHA-256, or Ed25519.
    pub(super) fn sign_for_cosign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        use signature::{
            ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        };
        match self.kind {
            KeyKind::P256 => self.sign_ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, message),
            KeyKind::P384 => self.sign_ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, message),
            KeyKind::P521 => self.sign_ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING, message),
            KeyKind::Ed25519 => self.sign_ed25519(message),
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => {
                self.sign_rsa(&signature::RSA_PKCS1_SHA256, message)
            }
        }
    }

    fn sign_ecdsa(&self, how: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        let pair = EcdsaKeyPair::from_pkcs8(how, self.pair.serialized_der())?;
        Ok(pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec())
    }

    fn sign_ed25519(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let pair = Ed25519KeyPair::from_pkcs8(self.pair.serialized_der())?;
        Ok(pair.sign(message).as_ref().to_vec())
    }

    fn sign_rsa(&self, how: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, Error> {
        let pair = RsaKeyPair::from_pkcs8(self.pair.serialized_der())?;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(how, &SystemRandom::new(), message, &mut signature)?;
        Ok(signature)
    }
}

fn rsa(size: RsaKeySize) -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size)
}

/// RFC 4648, section 6, for lengths that need no padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    bytes
        .chunks(5)
        .flat_map(|five| {
            let bits = five.iter().fold(0u64, |bits, byte| (bits << 8) | u64::from(*byte));
            (0..8).rev().map(move |at| char::from(LETTERS[(bits >> (at * 5)) as usize & 31]))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_the_rfc() {
        assert_eq!(base32(b"fooba"), "MZXW6YTB");
    }

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
