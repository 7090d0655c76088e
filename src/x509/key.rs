//! Public keys: which kinds are verified, and verifying with them.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{self, Digest};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::der::{elements, encode, tag};
use super::ecdsa::integer;
use super::{Algorithm, Error, pem};

#[cfg(test)]
mod tests;

/// RSA moduli below are broken within reach; above they are a way to waste our time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA, 2048 to 8192 bits.
    Rsa {
        /// The modulus' length.
        bits: usize,
    },
    /// NIST P-256
    P256,
    /// NIST P-384
    P384,
    /// NIST P-521
    P521,
    /// Ed25519
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// A signature that was not made over the message by the key, or cannot have been: the algorithm does
/// not fit the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A public key. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    kind: KeyKind,
    /// The SubjectPublicKeyInfo as it came: fingerprints and key ids are made of it.
    spki: Vec<u8>,
    /// The key itself: an RSAPublicKey, a curve point, 32 bytes.
    raw: Vec<u8>,
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    ///
    /// # Errors
    /// Malformed, or a kind or size of key that is not verified.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "public key";
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der).map_err(|e| Error::malformed(WHAT, e))?;
        if !rest.is_empty() {
            return Err(Error::malformed(WHAT, "bytes follow it"));
        }
        let raw = spki.subject_public_key.data.to_vec();
        let kind = kind(&spki)?;
        Ok(Self(Arc::new(Inner { kind, spki: der.to_vec(), raw })))
    }

    /// Reads a DER RSAPublicKey (RFC 8017, appendix A.1.1).
    ///
    /// # Errors
    /// As [`Self::from_spki_der`].
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, Error> {
        match elements(der).as_deref() {
            Some([modulus, exponent])
                if [modulus, exponent].iter().all(|e| e.first() == Some(&tag::INTEGER)) =>
            {
                Self::from_spki_der(&rsa_spki(der))
            }
            _ => Err(Error::malformed("RSA public key", "expected a sequence of modulus and exponent")),
        }
    }

    /// An RSA key of its two numbers, big-endian.
    ///
    /// # Errors
    /// As [`Self::from_spki_der`].
    pub fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, Error> {
        let mut both = integer(modulus);
        both.extend(integer(exponent));
        Self::from_pkcs1_der(&encode(tag::SEQUENCE, &both))
    }

    /// A key of a named curve: its DER parameters (RFC 5480, section 2.1.1) and its point as it stands in the bit
    /// string.
    ///
    /// # Errors
    /// As [`Self::from_spki_der`].
    pub fn from_curve_point(parameters: &[u8], point: &[u8]) -> Result<Self, Error> {
        const EC_PUBLIC_KEY: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
        Self::from_spki_der(&spki(&[&EC_PUBLIC_KEY, parameters].concat(), point))
    }

    /// An Ed25519 key of its 32 bytes.
    ///
    /// # Errors
    /// As [`Self::from_spki_der`].
    pub fn from_ed25519(bytes: &[u8]) -> Result<Self, Error> {
        const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
        Self::from_spki_der(&spki(&ED25519, bytes))
    }

    /// Reads PEM: `PUBLIC KEY`, or `RSA PUBLIC KEY` (PKCS #1).
    ///
    /// # Errors
    /// As [`Self::from_spki_der`]; also where there is not exactly one key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "PEM public key";
        let mut blocks = Pem::iter_from_buffer(pem);
        let block = match blocks.next() {
            Some(block) => block.map_err(|e| Error::malformed(WHAT, e))?,
            None => return Err(Error::malformed(WHAT, "no PEM block")),
        };
        if blocks.next().is_some() {
            return Err(Error::malformed(WHAT, "more than one PEM block"));
        }
        match block.label.as_str() {
            "PUBLIC KEY" => Self::from_spki_der(&block.contents),
            "RSA PUBLIC KEY" => Self::from_pkcs1_der(&block.contents),
            other => {
                let hint = match other {
                    _ if other.ends_with("PRIVATE KEY") => ": `portcullis key show` prints its public half",
                    "CERTIFICATE" => ": `openssl x509 -pubkey -noout` prints its key",
                    _ => "",
                };
                Err(Error::malformed(WHAT, format!("expected PUBLIC KEY, found {other:?}{hint}")))
            }
        }
    }

    /// As PEM (RFC 7468, section 13).
    pub fn to_pem(&self) -> String {
        pem::write("PUBLIC KEY", &self.0.spki)
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.0.kind
    }

    /// Its DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.0.spki
    }

    /// The key itself, as it stands in the bit string: names of keys are made of it.
    pub(super) fn bits(&self) -> &[u8] {
        &self.0.raw
    }

    /// SHA-256 over [`Self::spki`].
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(&self.0.spki)
    }

    /// Whether `signature` was made over `message` with this key by `algorithm`.
    ///
    /// # Errors
    /// It was not, or the algorithm does not fit the key.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let verifier = algorithm.verifier(self.0.kind).ok_or(BadSignature)?;
        verifier.verify_sig(&self.0.raw, message, signature).map_err(|_| BadSignature)
    }

    /// As [`Self::verify`], for a message of which only the digest is known.
    ///
    /// # Errors
    /// As [`Self::verify`]; also where the digest is not as long as the algorithm's hash makes them, and for
    /// Ed25519, which signs messages themselves.
    pub fn verify_digest(
        &self,
        algorithm: Algorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let verifier = algorithm.verifier(self.0.kind).ok_or(BadSignature)?;
        let hash = algorithm.hash().ok_or(BadSignature)?.algorithm();
        let digest = Digest::import_less_safe(digest, hash).map_err(|_| BadSignature)?;
        verifier.verify_digest_sig(&self.0.raw, &digest, signature).map_err(|_| BadSignature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.0.kind, hex::encode(self.fingerprint()))
    }
}

fn kind(spki: &SubjectPublicKeyInfo<'_>) -> Result<KeyKind, Error> {
    let algorithm = spki.algorithm.algorithm.to_id_string();
    match algorithm.as_str() {
        "1.2.840.113549.1.1.1" => {
            let bits = rsa_bits(spki)?;
            if RSA_BITS.contains(&bits) {
                return Ok(KeyKind::Rsa { bits });
            }
            Err(Error::Unsupported { what: "RSA key", found: format!("{bits} bits") })
        }
        "1.2.840.10045.2.1" => {
            let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
            let curve = curve.map(|o| o.to_id_string()).unwrap_or_default();
            match curve.as_str() {
                "1.2.840.10045.3.1.7" => Ok(KeyKind::P256),
                "1.3.132.0.34" => Ok(KeyKind::P384),
                "1.3.132.0.35" => Ok(KeyKind::P521),
                _ => Err(Error::Unsupported { what: "elliptic curve", found: curve }),
            }
        }
        "1.3.101.112" => Ok(KeyKind::Ed25519),
        _ => Err(Error::Unsupported { what: "public key algorithm", found: algorithm }),
    }
}

fn rsa_bits(spki: &SubjectPublicKeyInfo<'_>) -> Result<usize, Error> {
    match spki.parsed() {
        Ok(x509_parser::public_key::PublicKey::RSA(key)) => {
            let modulus: &[u8] = match key.modulus {
                [0, rest @ ..] => rest,
                whole => whole,
            };
            Ok(modulus.first().map_or(0, |top| modulus.len() * 8 - top.leading_zeros() as usize))
        }
        _ => Err(Error::malformed("RSA public key", "no modulus and exponent")),
    }
}

/// Wraps a PKCS #1 RSAPublicKey as SubjectPublicKeyInfo (RFC 3279, section 2.3.1).
fn rsa_spki(pkcs1: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 13] =
        [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    spki(&RSA_ENCRYPTION, pkcs1)
}

/// A SubjectPublicKeyInfo of its algorithm's parts and its key.
fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let mut body = encode(tag::SEQUENCE, algorithm);
    body.extend(encode(tag::BIT_STRING, &[&[0], key].concat()));
    encode(tag::SEQUENCE, &body)
}

/// SHA-256, by the library that verifies.
pub(super) fn sha256(content: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, content).as_ref());
    out
}
