//! Private keys in PEM (RFC 7468), as openssl and the signing tools write them.

use x509_parser::pem::Pem;
use zeroize::Zeroizing;

use super::{Key, KeyError};

/// The one private key of a text. Curve parameters and certificates beside it, as openssl writes them into
/// one file, are passed over.
pub(super) fn read(text: &[u8]) -> Result<Key, KeyError> {
    let mut key = None;
    for block in Pem::iter_from_buffer(text) {
        let block = block.map_err(|_| KeyError::Malformed("a broken PEM block".to_owned()))?;
        let (label, der) = (block.label, Zeroizing::new(block.contents));
        let found = match label.as_str() {
            "EC PARAMETERS" | "CERTIFICATE" => continue,
            "PRIVATE KEY" => Key::from_pkcs8(&der)?,
            "EC PRIVATE KEY" => Key::of_curve(&der)?,
            "RSA PRIVATE KEY" => Key::from_pkcs1(&der)?,
            label if label.starts_with("ENCRYPTED ") => {
                return Err(KeyError::Unsupported(format!("an encrypted key ({label})")));
            }
            label => return Err(KeyError::Malformed(label.to_owned())),
        };
        if key.replace(found).is_some() {
            return Err(KeyError::Malformed("more than one".to_owned()));
        }
    }
    key.ok_or_else(|| KeyError::Malformed("none".to_owned()))
}
