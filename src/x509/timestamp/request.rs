//! What an authority is asked (RFC 3161, section 2.4.1), and whether its answer is about that.

use super::super::Hash;
use super::super::der::{encode, tag};
use super::imprint::digest;
use super::walk::{Walk, malformed};
use super::{Error, Token};

/// `2.16.840.1.101.3.4.2.1`, SHA-256.
const SHA256: [u8; 9] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// A request to stamp a message, and its answer's measure.
#[derive(Clone, Debug)]
pub struct TimestampRequest {
    der: Vec<u8>,
    imprint: Vec<u8>,
}

impl TimestampRequest {
    /// Asks for a token over a message, with the authority's certificates in it. It has no nonce: an older answer
    /// fits only where the message is the same, as signatures without a random part are (Ed25519, PKCS #1), and what
    /// it says is true as well: the signature existed even earlier.
    pub fn over(message: &[u8]) -> Self {
        let imprint = digest(Hash::Sha256, message);
        let algorithm = [encode(tag::OBJECT_IDENTIFIER, &SHA256), encode(tag::NULL, &[])].concat();
        let hashed = [encode(tag::SEQUENCE, &algorithm), encode(tag::OCTET_STRING, &imprint)].concat();
        let version = encode(tag::INTEGER, &[1]);
        let with_certificates = encode(tag::BOOLEAN, &[0xff]);
        let der =
            encode(tag::SEQUENCE, &[version, encode(tag::SEQUENCE, &hashed), with_certificates].concat());
        Self { der, imprint }
    }

    /// The request (`TimeStampReq`) in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The token in a response, in DER. Its signature is not proven, which takes the authority's root.
    ///
    /// # Errors
    /// As [`Token::from_response`]; [`Error::OtherMessage`].
    pub fn token(&self, response: &[u8]) -> Result<Vec<u8>, Error> {
        let token = Token::from_response(response)?;
        if token.info.imprint.hash != Hash::Sha256 || token.info.imprint.digest != self.imprint {
            return Err(Error::OtherMessage);
        }
        let mut fields = Walk::over(response)?.enter(der::Tag::Sequence)?;
        fields.element()?;
        Ok(fields.element().map_err(|_| malformed("no token"))?.to_vec())
    }
}
