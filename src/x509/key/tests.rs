use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};

use super::*;
use crate::x509::{Encoding, Hash};

const MESSAGE: &[u8] = b"message";
const HASHES: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];

fn digest_of(hash: Hash, message: &[u8]) -> Vec<u8> {
    digest::digest(hash.algorithm(), message).as_ref().to_vec()
}

/// What verifies by its message verifies by its digest, and by nothing near it.
fn check(key: &PublicKey, algorithm: Algorithm, signature: &[u8]) {
    let digest = digest_of(algorithm.hash().unwrap(), MESSAGE);
    assert_eq!(key.verify(algorithm, MESSAGE, signature), Ok(()), "{algorithm:?}");
    assert_eq!(key.verify_digest(algorithm, &digest, signature), Ok(()), "{algorithm:?}");
    let refused = |digest: &[u8], signature: &[u8]| {
        assert_eq!(key.verify_digest(algorithm, digest, signature), Err(BadSignature), "{algorithm:?}");
    };
    refused(MESSAGE, signature);
    refused(&[], signature);
    refused(&[&digest[..], &[0]].concat(), signature);
    refused(&digest[1..], signature);
    let mut changed = digest.clone();
    changed[31] ^= 1;
    refused(&changed, signature);
    let mut forged = signature.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    refused(&digest, &forged);
    for other in HASHES.into_iter().filter(|hash| Some(*hash) != algorithm.hash()) {
        refused(&digest_of(other, MESSAGE), signature);
    }
}

fn ecdsa(by: &'static EcdsaSigningAlgorithm, hash: Hash, encoding: Encoding) -> PublicKey {
    let pair = EcdsaKeyPair::generate(by).unwrap();
    let key = PublicKey::from_spki_der(pair.public_key().as_der().unwrap().as_ref()).unwrap();
    let signature = pair.sign(&SystemRandom::new(), MESSAGE).unwrap();
    check(&key, Algorithm::Ecdsa(hash, encoding), signature.as_ref());
    key
}

#[test]
fn elliptic_curves_verify_digests() {
    ecdsa(&lc::ECDSA_P256_SHA256_ASN1_SIGNING, Hash::Sha256, Encoding::Asn1);
    ecdsa(&lc::ECDSA_P256_SHA256_FIXED_SIGNING, Hash::Sha256, Encoding::Fixed);
    ecdsa(&lc::ECDSA_P384_SHA384_ASN1_SIGNING, Hash::Sha384, Encoding::Asn1);
    ecdsa(&lc::ECDSA_P384_SHA384_FIXED_SIGNING, Hash::Sha384, Encoding::Fixed);
    ecdsa(&lc::ECDSA_P521_SHA256_ASN1_SIGNING, Hash::Sha256, Encoding::Asn1);
    ecdsa(&lc::ECDSA_P521_SHA512_ASN1_SIGNING, Hash::Sha512, Encoding::Asn1);
}

#[test]
fn rsa_verifies_digests() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let key = PublicKey::from_pkcs1_der(pair.public_key().as_ref()).unwrap();
    let sign = |by: &'static dyn lc::RsaEncoding| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(by, &SystemRandom::new(), MESSAGE, &mut signature).unwrap();
        signature
    };
    for (hash, pkcs1, pss) in [
        (Hash::Sha256, sign(&lc::RSA_PKCS1_SHA256), sign(&lc::RSA_PSS_SHA256)),
        (Hash::Sha384, sign(&lc::RSA_PKCS1_SHA384), sign(&lc::RSA_PSS_SHA384)),
        (Hash::Sha512, sign(&lc::RSA_PKCS1_SHA512), sign(&lc::RSA_PSS_SHA512)),
    ] {
        check(&key, Algorithm::RsaPkcs1(hash), &pkcs1);
        check(&key, Algorithm::RsaPss(hash), &pss);
        let digest = digest_of(hash, MESSAGE);
        assert_eq!(key.verify_digest(Algorithm::RsaPkcs1(hash), &digest, &pss), Err(BadSignature));
    }
}

#[test]
fn a_digest_needs_an_algorithm_that_hashes_and_fits_the_key() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let key = PublicKey::from_spki_der(pair.public_key().as_der().unwrap().as_ref()).unwrap();
    let digest = digest_of(Hash::Sha512, MESSAGE);
    let over_digest = pair.sign(&digest);
    assert_eq!(key.verify(Algorithm::Ed25519, &digest, over_digest.as_ref()), Ok(()));
    assert_eq!(key.verify_digest(Algorithm::Ed25519, &digest, over_digest.as_ref()), Err(BadSignature));
    for algorithm in [Algorithm::Ecdsa(Hash::Sha512, Encoding::Asn1), Algorithm::RsaPkcs1(Hash::Sha512)] {
        assert_eq!(key.verify_digest(algorithm, &digest, over_digest.as_ref()), Err(BadSignature));
    }
}

#[test]
fn an_rsa_key_is_the_same_in_either_wrapping() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs1 = pair.public_key().as_ref();
    let key = PublicKey::from_pkcs1_der(pkcs1).unwrap();
    assert_eq!(key.kind(), KeyKind::Rsa { bits: 2048 });
    let spki = pair.public_key().as_der().unwrap();
    assert_eq!(PublicKey::from_spki_der(spki.as_ref()).unwrap(), key);
}

#[test]
fn only_a_modulus_and_an_exponent_are_an_rsa_key() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs1 = pair.public_key().as_ref();
    let parts = elements(pkcs1).unwrap();
    let one = encode(tag::INTEGER, &[1]);
    let sequence = |parts: &[&[u8]]| encode(tag::SEQUENCE, &parts.concat());
    assert_eq!(sequence(&parts), pkcs1);
    for (what, der) in [
        ("bytes after it", [pkcs1, &[5, 0]].concat()),
        ("an end too early", pkcs1[..pkcs1.len() - 1].to_vec()),
        ("a modulus alone", sequence(&parts[..1])),
        ("a third integer", sequence(&[parts[0], parts[1], &one])),
        ("an exponent of another type", sequence(&[parts[0], &encode(tag::OCTET_STRING, &[1, 0, 1])])),
        ("another wrapping", rsa_spki(pkcs1)),
        ("nothing", Vec::new()),
    ] {
        assert!(matches!(PublicKey::from_pkcs1_der(&der), Err(Error::Malformed { .. })), "{what}");
    }
    let small = sequence(&[&encode(tag::INTEGER, &[&[0x7f][..], &[1; 127]].concat()), parts[1]]);
    assert!(matches!(PublicKey::from_pkcs1_der(&small), Err(Error::Unsupported { .. })), "1023 bits");
}
