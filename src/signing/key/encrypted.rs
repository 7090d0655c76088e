//! Private keys that a password protects: PKCS #8 (RFC 5958, section 3, with PBES2 of RFC 8018), and cosign's own
//! form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::Aead as _;
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305};
use pkcs8::EncryptedPrivateKeyInfo;
use pkcs8::pkcs5::pbes2;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Key, KeyError};
use crate::oci::json;

/// `id-PBES2`, 1.2.840.113549.1.5.13 (RFC 8018, appendix A.4), as DER writes it.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];

/// Some seconds of PBKDF2; openssl takes 2048.
const MAX_ITERATIONS: u32 = 10_000_000;

/// What scrypt may take of memory, in bytes: cosign's own keys take a quarter.
const MAX_MEMORY: u64 = 256 << 20;
/// How many bytes it may work through, some seconds long: cosign's own keys take a sixteenth.
const MAX_WORK: u64 = 1 << 30;

/// Opens a DER EncryptedPrivateKeyInfo.
///
/// # Errors
/// Another password, another scheme than PBES2, or what is in it.
pub(super) fn pkcs8(der: &[u8], password: &str) -> Result<Key, KeyError> {
    if !der.windows(PBES2.len()).any(|part| part == PBES2) {
        return Err(outdated("by PBES1"));
    }
    let info = EncryptedPrivateKeyInfo::try_from(der)
        .map_err(|_| KeyError::Malformed("a broken encrypted key".to_owned()))?;
    match info.encryption_algorithm.pbes2().map(|scheme| &scheme.kdf) {
        Some(pbes2::Kdf::Pbkdf2(by)) if by.iteration_count <= MAX_ITERATIONS => {}
        Some(pbes2::Kdf::Scrypt(by)) => {
            bounded(by.cost_parameter, by.block_size.into(), by.parallelization.into())?;
        }
        _ => return Err(KeyError::Unsupported("a key whose password takes too long to try".to_owned())),
    }
    let opened = info.decrypt(password).map_err(|e| match e {
        pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }) => {
            outdated("by an algorithm that is not read")
        }
        _ => KeyError::Password,
    })?;
    Key::from_pkcs8(opened.as_bytes())
}

/// What can be done about a key that is protected in a way of old.
pub(super) fn outdated(how: &str) -> KeyError {
    KeyError::Unsupported(format!(
        "a key that is encrypted {how} (openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW makes one that is read)"
    ))
}

/// cosign's form (sigstore `pkg/cryptoutils`, theupdateframework `encrypted`): scrypt makes the key of a NaCl secret
/// box, in which a PKCS #8 key lies.
#[derive(Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
#[allow(non_snake_case)]
struct Params {
    N: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Opens a key as cosign writes it.
///
/// # Errors
/// As [`pkcs8`].
pub(super) fn cosign(text: &[u8], password: &str) -> Result<Key, KeyError> {
    let broken = || KeyError::Malformed("a broken key of cosign's".to_owned());
    let sealed: Sealed = json::strict(text).map_err(|_| broken())?;
    if sealed.kdf.name != "scrypt" || sealed.cipher.name != "nacl/secretbox" {
        let found = format!("a key that is sealed by {} and {}", sealed.kdf.name, sealed.cipher.name);
        return Err(KeyError::Unsupported(found));
    }
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| broken());
    let key = sealed.kdf.params.stretch(password, &decoded(&sealed.kdf.salt)?)?;
    let nonce: [u8; 24] = decoded(&sealed.cipher.nonce)?.try_into().map_err(|_| broken())?;
    let secret = XSalsa20Poly1305::new((&*key).into());
    let opened = secret.decrypt(&nonce.into(), decoded(&sealed.ciphertext)?.as_slice());
    Key::from_pkcs8(&Zeroizing::new(opened.map_err(|_| KeyError::Password)?))
}

impl Params {
    fn stretch(&self, password: &str, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let params = bounded(self.N, self.r, self.p)?;
        let mut key = Zeroizing::new([0; 32]);
        scrypt::scrypt(password.as_bytes(), salt, &params, &mut *key).map_err(|_| KeyError::Failed)?;
        Ok(key)
    }
}

/// The parameters of RFC 7914, section 2, as far as they may go.
fn bounded(n: u64, r: u32, p: u32) -> Result<scrypt::Params, KeyError> {
    let block = u64::from(r) * 128;
    let memory = n.saturating_add(p.into()).saturating_mul(block);
    let work = n.saturating_mul(p.into()).saturating_mul(block);
    let fits = n > 1 && n.is_power_of_two() && memory <= MAX_MEMORY && work <= MAX_WORK;
    let log_n = u8::try_from(n.checked_ilog2().unwrap_or_default()).ok().filter(|_| fits);
    let params = log_n.and_then(|log_n| scrypt::Params::new(log_n, r, p, 32).ok());
    params
        .ok_or_else(|| KeyError::Unsupported(format!("a key that takes scrypt with N {n}, r {r} and p {p}")))
}
