//! By what questions and answers name a certificate: RFC 6960, section 4.1.1.

use std::fmt;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use crate::x509::Certificate;
use crate::x509::der::{self, Element, encode, tag};

/// The object identifier 1.3.14.3.2.26, encoded: SHA-1, which only names things here.
const SHA_1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// The object identifier 2.16.840.1.101.3.4.2.1, encoded.
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// A certificate's name in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertId {
    /// The hash function's object identifier, encoded.
    hash: Vec<u8>,
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    serial: Vec<u8>,
}

/// The DER of a certificate's name by SHA-1.
pub(in crate::x509) fn of(certificate: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let algorithm = [encode(tag::OBJECT_IDENTIFIER, SHA_1), encode(tag::NULL, &[])].concat();
    let parts = [
        encode(tag::SEQUENCE, &algorithm),
        encode(tag::OCTET_STRING, &sha1(certificate.issuer().der())),
        encode(tag::OCTET_STRING, &sha1(issuer.public_key().bits())),
        encode(tag::INTEGER, certificate.serial()),
    ];
    encode(tag::SEQUENCE, &parts.concat())
}

/// SHA-1, for names and never for signatures.
pub(in crate::x509) fn sha1(content: &[u8]) -> Vec<u8> {
    digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, content).as_ref().to_vec()
}

impl CertId {
    pub(super) fn read(element: Element<'_>) -> der::Result<Self> {
        let mut parts = element.reader();
        let hash = parts.expect(tag::SEQUENCE)?.reader().object_identifier()?.to_vec();
        let issuer_name = parts.expect(tag::OCTET_STRING)?.content.to_vec();
        let issuer_key = parts.expect(tag::OCTET_STRING)?.content.to_vec();
        let serial = parts.expect(tag::INTEGER)?.content.to_vec();
        parts.end()?;
        Ok(Self { hash, issuer_name, issuer_key, serial })
    }

    /// Whether it names the certificate: by serial number, issuer and the issuer's key.
    pub(super) fn names(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let algorithm = match self.hash.as_slice() {
            SHA_1 => &SHA1_FOR_LEGACY_USE_ONLY,
            SHA_256 => &SHA256,
            _ => return false,
        };
        self.serial == certificate.serial()
            && self.issuer_name == digest::digest(algorithm, certificate.issuer().der()).as_ref()
            && self.issuer_key == digest::digest(algorithm, issuer.public_key().bits()).as_ref()
    }
}

impl fmt::Display for CertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "serial number {}", hex::encode(&self.serial))
    }
}
