//! How a token is asked for each signature algorithm. It is given digests, so that no message crosses to it, but where a
//! PIN has to be entered within a signature.

use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};

use crate::x509::{Algorithm, Hash};

/// The mechanism, and what it signs; `None` for a salt of other lengths, which nothing here makes.
pub(super) fn of(algorithm: Algorithm, message: &[u8]) -> Option<(Mechanism<'static>, Vec<u8>)> {
    Some(match algorithm {
        Algorithm::Ecdsa(hash, _) => (Mechanism::Ecdsa, hash.of(message)),
        Algorithm::RsaPkcs1(hash) => (Mechanism::RsaPkcs, digest_info(hash, message)),
        Algorithm::RsaPss(hash) => (Mechanism::RsaPkcsPss(pss(hash)), hash.of(message)),
        Algorithm::Ed25519 => {
            (Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)), message.to_vec())
        }
        Algorithm::RsaPssSalt(..) | Algorithm::RsaPssLongest(_) => return None,
    })
}

/// The mechanism that hashes as well, for signatures in several calls; `None` where there is none.
pub(super) fn hashing(algorithm: Algorithm) -> Option<Mechanism<'static>> {
    Some(match algorithm {
        Algorithm::Ecdsa(Hash::Sha256, _) => Mechanism::EcdsaSha256,
        Algorithm::Ecdsa(Hash::Sha384, _) => Mechanism::EcdsaSha384,
        Algorithm::Ecdsa(Hash::Sha512, _) => Mechanism::EcdsaSha512,
        Algorithm::RsaPkcs1(Hash::Sha256) => Mechanism::Sha256RsaPkcs,
        Algorithm::RsaPkcs1(Hash::Sha384) => Mechanism::Sha384RsaPkcs,
        Algorithm::RsaPkcs1(Hash::Sha512) => Mechanism::Sha512RsaPkcs,
        Algorithm::RsaPss(hash @ Hash::Sha256) => Mechanism::Sha256RsaPkcsPss(pss(hash)),
        Algorithm::RsaPss(hash @ Hash::Sha384) => Mechanism::Sha384RsaPkcsPss(pss(hash)),
        Algorithm::RsaPss(hash @ Hash::Sha512) => Mechanism::Sha512RsaPkcsPss(pss(hash)),
        Algorithm::Ed25519 | Algorithm::RsaPssSalt(..) | Algorithm::RsaPssLongest(_) => return None,
    })
}

fn pss(hash: Hash) -> PkcsPssParams {
    let (hash_alg, mgf, salt) = match hash {
        Hash::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
        Hash::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
        Hash::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
    };
    PkcsPssParams { hash_alg, mgf, s_len: salt.into() }
}

/// A DigestInfo (RFC 8017, section 9.2, note 1): PKCS #11 leaves it to the caller.
fn digest_info(hash: Hash, message: &[u8]) -> Vec<u8> {
    let (last, length) = match hash {
        Hash::Sha256 => (1, 32),
        Hash::Sha384 => (2, 48),
        Hash::Sha512 => (3, 64),
    };
    let mut info =
        vec![0x30, 17 + length, 0x30, 13, 0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last];
    info.extend([0x05, 0, 0x04, length]);
    info.extend(hash.of(message));
    info
}
