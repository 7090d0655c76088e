//! Private keys in PEM (RFC 7468), as openssl and the signing tools write them.

use x509_parser::pem::Pem;
use zeroize::Zeroizing;

use super::{AskPassword, Key, KeyError, encrypted};

/// How openssl of old says that what follows is encrypted (RFC 1421, section 4.6.1.1).
const OLD_ENCRYPTION: &[u8] = b"Proc-Type: 4,ENCRYPTED";

/// The one private key of a text. Curve parameters and certificates beside it, as openssl writes them into
/// one file, are passed over.
pub(super) fn read(text: &[u8], password: AskPassword<'_>) -> Result<Key, KeyError> {
    if text.windows(OLD_ENCRYPTION.len()).any(|part| part == OLD_ENCRYPTION) {
        return Err(encrypted::outdated("in openssl's old form"));
    }
    let mut key = None;
    for block in Pem::iter_from_buffer(text) {
        let block = block.map_err(|_| KeyError::Malformed("a broken PEM block".to_owned()))?;
        let (label, der) = (block.label, Zeroizing::new(block.contents));
        let found = match label.as_str() {
            "EC PARAMETERS" | "CERTIFICATE" => continue,
            "PRIVATE KEY" => Key::from_pkcs8(&der)?,
            "EC PRIVATE KEY" => Key::of_curve(&der)?,
            "RSA PRIVATE KEY" => Key::from_pkcs1(&der)?,
            "ENCRYPTED PRIVATE KEY" => encrypted::pkcs8(&der, &password()?.text)?,
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                encrypted::cosign(&der, &password()?.text)?
            }
            label => return Err(KeyError::Malformed(label.to_owned())),
        };
        if key.replace(found).is_some() {
            return Err(KeyError::Malformed("more than one".to_owned()));
        }
    }
    key.ok_or_else(|| KeyError::Malformed("none".to_owned()))
}
