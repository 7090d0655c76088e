//! Signature algorithms: which key may be used with which hash, padding and encoding.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    self as lc, EcdsaVerificationAlgorithm, RsaParameters, RsaPssSaltLength, VerificationAlgorithm,
};
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

use super::key::KeyKind;

/// A hash function that signatures are made over. SHA-1 is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl Hash {
    /// The hash of `content`.
    pub fn of(self, content: &[u8]) -> Vec<u8> {
        digest::digest(self.algorithm(), content).as_ref().to_vec()
    }

    /// What hashes by it.
    pub(super) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// How an ECDSA signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// A DER sequence of two integers (X.509, cosign).
    Asn1,
    /// Both integers at full length, one after the other (JOSE, COSE).
    Fixed,
}

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5
    RsaPkcs1(Hash),
    /// RSASSA-PSS with MGF1 over the same hash and a salt of the hash's length.
    RsaPss(Hash),
    /// RSASSA-PSS with MGF1 over the same hash and a salt of this many bytes, as a certificate says.
    RsaPssSalt(Hash, u16),
    /// RSASSA-PSS with the longest salt that fits the key, as Go's tools make by default.
    RsaPssLongest(Hash),
    /// ECDSA over the key's own curve.
    Ecdsa(Hash, Encoding),
    /// Ed25519 over the message itself.
    Ed25519,
}

impl Algorithm {
    /// The name for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaPkcs1(Hash::Sha256) => "RSA-PKCS1-SHA256",
            Self::RsaPkcs1(Hash::Sha384) => "RSA-PKCS1-SHA384",
            Self::RsaPkcs1(Hash::Sha512) => "RSA-PKCS1-SHA512",
            Self::RsaPss(hash) | Self::RsaPssSalt(hash, _) | Self::RsaPssLongest(hash) => match hash {
                Hash::Sha256 => "RSA-PSS-SHA256",
                Hash::Sha384 => "RSA-PSS-SHA384",
                Hash::Sha512 => "RSA-PSS-SHA512",
            },
            Self::Ecdsa(Hash::Sha256, _) => "ECDSA-SHA256",
            Self::Ecdsa(Hash::Sha384, _) => "ECDSA-SHA384",
            Self::Ecdsa(Hash::Sha512, _) => "ECDSA-SHA512",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// What the message is hashed by before it is signed; `None` where the signature is over the message itself.
    pub fn hash(self) -> Option<Hash> {
        match self {
            Self::RsaPkcs1(hash)
            | Self::RsaPss(hash)
            | Self::RsaPssSalt(hash, _)
            | Self::RsaPssLongest(hash)
            | Self::Ecdsa(hash, _) => Some(hash),
            Self::Ed25519 => None,
        }
    }

    /// The algorithm that signed a certificate, a CRL or an OCSP answer: RFC 3279, 4055, 5758 and 8410. `None`
    /// for those that are not verified, SHA-1 and older among them.
    pub(super) fn read(identifier: &AlgorithmIdentifier<'_>) -> Option<Self> {
        match identifier.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.11" => Some(Algorithm::RsaPkcs1(Hash::Sha256)),
            "1.2.840.113549.1.1.12" => Some(Algorithm::RsaPkcs1(Hash::Sha384)),
            "1.2.840.113549.1.1.13" => Some(Algorithm::RsaPkcs1(Hash::Sha512)),
            "1.2.840.113549.1.1.10" => stated_pss(identifier),
            "1.2.840.10045.4.3.2" => Some(Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1)),
            "1.2.840.10045.4.3.3" => Some(Algorithm::Ecdsa(Hash::Sha384, Encoding::Asn1)),
            "1.2.840.10045.4.3.4" => Some(Algorithm::Ecdsa(Hash::Sha512, Encoding::Asn1)),
            "1.3.101.112" => Some(Algorithm::Ed25519),
            _ => None,
        }
    }

    /// What verifies it with a key of this kind; `None` where they do not fit.
    pub(super) fn verifier(self, kind: KeyKind) -> Option<Box<dyn VerificationAlgorithm>> {
        match (self, kind) {
            (Self::RsaPkcs1(hash), KeyKind::Rsa { .. }) => Some(Box::new(pkcs1(hash))),
            (Self::RsaPss(hash), KeyKind::Rsa { .. }) => Some(Box::new(pss(hash))),
            (Self::RsaPssSalt(hash, salt), KeyKind::Rsa { .. }) => {
                Some(Box::new(pss(hash).with_pss_salt_length(RsaPssSaltLength::Custom(salt))))
            }
            (Self::RsaPssLongest(hash), KeyKind::Rsa { .. }) => {
                Some(Box::new(pss(hash).with_pss_salt_length(RsaPssSaltLength::Max)))
            }
            (Self::Ecdsa(hash, encoding), kind) => Some(Box::new(ecdsa(kind, hash, encoding)?)),
            (Self::Ed25519, KeyKind::Ed25519) => Some(Box::new(lc::ED25519)),
            _ => None,
        }
    }
}

fn pkcs1(hash: Hash) -> RsaParameters {
    match hash {
        Hash::Sha256 => lc::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => lc::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => lc::RSA_PKCS1_2048_8192_SHA512,
    }
}

fn pss(hash: Hash) -> RsaParameters {
    match hash {
        Hash::Sha256 => lc::RSA_PSS_2048_8192_SHA256,
        Hash::Sha384 => lc::RSA_PSS_2048_8192_SHA384,
        Hash::Sha512 => lc::RSA_PSS_2048_8192_SHA512,
    }
}

/// JOSE and COSE fix the hash by the curve, so the fixed encoding has one hash a curve.
fn ecdsa(kind: KeyKind, hash: Hash, encoding: Encoding) -> Option<EcdsaVerificationAlgorithm> {
    use {Encoding::*, Hash::*, KeyKind::*};
    Some(match (kind, hash, encoding) {
        (P256, Sha256, Asn1) => lc::ECDSA_P256_SHA256_ASN1,
        (P256, Sha384, Asn1) => lc::ECDSA_P256_SHA384_ASN1,
        (P256, Sha512, Asn1) => lc::ECDSA_P256_SHA512_ASN1,
        (P384, Sha256, Asn1) => lc::ECDSA_P384_SHA256_ASN1,
        (P384, Sha384, Asn1) => lc::ECDSA_P384_SHA384_ASN1,
        (P384, Sha512, Asn1) => lc::ECDSA_P384_SHA512_ASN1,
        (P521, Sha256, Asn1) => lc::ECDSA_P521_SHA256_ASN1,
        (P521, Sha384, Asn1) => lc::ECDSA_P521_SHA384_ASN1,
        (P521, Sha512, Asn1) => lc::ECDSA_P521_SHA512_ASN1,
        (P256, Sha256, Fixed) => lc::ECDSA_P256_SHA256_FIXED,
        (P384, Sha384, Fixed) => lc::ECDSA_P384_SHA384_FIXED,
        (P521, Sha512, Fixed) => lc::ECDSA_P521_SHA512_FIXED,
        _ => return None,
    })
}

/// RFC 4055, section 3.1: MGF1 over the same hash, trailer 1, a salt that the parameters give.
fn stated_pss(identifier: &AlgorithmIdentifier<'_>) -> Option<Algorithm> {
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(identifier) else {
        return None;
    };
    let hash = parameters.hash_algorithm_oid().to_id_string();
    let mask = parameters.mask_gen_algorithm().ok()?;
    let fits = mask.mgf.to_id_string() == "1.2.840.113549.1.1.8"
        && mask.hash.to_id_string() == hash
        && parameters.trailer_field() == 1;
    let hash = match hash.as_str() {
        "2.16.840.1.101.3.4.2.1" => Hash::Sha256,
        "2.16.840.1.101.3.4.2.2" => Hash::Sha384,
        "2.16.840.1.101.3.4.2.3" => Hash::Sha512,
        _ => return None,
    };
    let salt = u16::try_from(parameters.salt_length()).ok()?;
    fits.then_some(Algorithm::RsaPssSalt(hash, salt))
}
