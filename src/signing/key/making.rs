//! New private keys, as PKCS #8 in PEM: in the clear, or encrypted by PBES2 (RFC 8018).

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaKeyPair,
};
use pkcs8::pkcs5::pbes2;
use pkcs8::{LineEnding, PrivateKeyInfo, SecretDocument};
use zeroize::Zeroizing;

use super::{Key, KeyError, failed};
use crate::x509::KeyKind;

/// How often PBKDF2 hashes a password: what OWASP's Password Storage Cheat Sheet asks for HMAC-SHA-256.
const ITERATIONS: u32 = 600_000;

impl Key {
    /// Makes a key, and its PEM: encrypted where there is a password.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for RSA of other sizes than 2048, 3072 and 4096 bits; [`KeyError::Failed`].
    pub fn generate(kind: KeyKind, password: Option<&str>) -> Result<(Self, Zeroizing<String>), KeyError> {
        let der = match kind {
            KeyKind::P256 => curve(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
            KeyKind::P384 => curve(&ECDSA_P384_SHA384_ASN1_SIGNING)?,
            KeyKind::P521 => curve(&ECDSA_P521_SHA512_ASN1_SIGNING)?,
            KeyKind::Ed25519 => {
                // OpenSSL 3.0 and cosign do not read the later version.
                let made = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()).map_err(failed)?;
                Zeroizing::new(made.as_ref().to_vec())
            }
            KeyKind::Rsa { bits } => rsa(bits)?,
        };
        let key = Self::from_pkcs8(&der)?;
        let (document, label) = match password {
            None => (SecretDocument::try_from(der.as_slice()).map_err(unwritable)?, "PRIVATE KEY"),
            Some(password) => (encrypted(&der, password)?, "ENCRYPTED PRIVATE KEY"),
        };
        let pem = document.to_pem(label, LineEnding::LF).map_err(|_| KeyError::Failed)?;
        Ok((key, pem))
    }
}

fn curve(by: &'static EcdsaSigningAlgorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let made = EcdsaKeyPair::generate_pkcs8(by, &SystemRandom::new()).map_err(failed)?;
    Ok(Zeroizing::new(made.as_ref().to_vec()))
}

fn rsa(bits: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        _ => return Err(KeyError::Unsupported(format!("an RSA key of {bits} bits"))),
    };
    let made = RsaKeyPair::generate(size).map_err(failed)?;
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = made.as_der().map_err(failed)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

fn encrypted(der: &[u8], password: &str) -> Result<SecretDocument, KeyError> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    let random = SystemRandom::new();
    random.fill(&mut salt).and_then(|()| random.fill(&mut iv)).map_err(failed)?;
    let scheme = pbes2::Parameters::pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, &iv);
    let scheme = scheme.map_err(|_| KeyError::Failed)?;
    let info = PrivateKeyInfo::try_from(der).map_err(|_| KeyError::Failed)?;
    info.encrypt_with_params(scheme, password).map_err(|_| KeyError::Failed)
}

fn unwritable(_: pkcs8::der::Error) -> KeyError {
    KeyError::Failed
}
