//! Signed certificate timestamps that are embedded in a certificate: RFC 6962, version 1. Which logs count is
//! the caller's.

use std::time::{Duration, SystemTime};

use x509_parser::der_parser::asn1_rs::Oid;

use super::der::{self, Element, Reader, encode, tag};
use super::{Algorithm, Certificate, Encoding, Error, Hash, PublicKey};

#[cfg(test)]
mod tests;

/// The extension that holds the list (section 3.3).
const SCT_LIST: &str = "1.3.6.1.4.1.11129.2.4.2";

/// The most that are read of one certificate. Authorities ask a handful of logs.
const MAX_SCTS: usize = 16;

const WHAT: &str = "signed certificate timestamp";

/// A log's word that it has seen a certificate, unproven until [`Self::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sct {
    log_id: [u8; 32],
    /// Milliseconds since 1970, which are what is signed.
    millis: u64,
    at: SystemTime,
    extensions: Vec<u8>,
    /// The octets of hash and signature algorithm (RFC 5246, section 7.4.1.4.1).
    algorithm: [u8; 2],
    signature: Vec<u8>,
}

/// The timestamps that a certificate carries; none where it has no such extension.
///
/// # Errors
/// Not a list of version 1 that ends where it says, empty, or of too many.
pub fn embedded(certificate: &Certificate) -> Result<Vec<Sct>, Error> {
    certificate.extension(SCT_LIST).map_or(Ok(Vec::new()), list)
}

/// Reads the extension's value (section 3.3).
fn list(value: &[u8]) -> Result<Vec<Sct>, Error> {
    let list = Element::only(value).map_err(malformed)?;
    if list.tag != tag::OCTET_STRING {
        return Err(malformed("its list is no octet string"));
    }
    let mut outer = Tls(list.content);
    let mut list = Tls(outer.vector()?);
    outer.end()?;
    let mut all = Vec::new();
    while !list.0.is_empty() {
        if all.len() == MAX_SCTS {
            return Err(Error::TooMany { what: "signed certificate timestamps", limit: MAX_SCTS });
        }
        all.push(Sct::parse(list.vector()?)?);
    }
    if all.is_empty() { Err(malformed("its list is empty")) } else { Ok(all) }
}

impl Sct {
    /// Reads one (section 3.2).
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Tls(bytes);
        let [version] = fields.take()?;
        if version != 0 {
            return Err(Error::Unsupported { what: "version of an SCT", found: version.to_string() });
        }
        let log_id = fields.take()?;
        let millis = u64::from_be_bytes(fields.take()?);
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        let at = at.ok_or_else(|| malformed("its time is beyond all calendars"))?;
        let extensions = fields.vector()?.to_vec();
        let algorithm = fields.take()?;
        let signature = fields.vector()?.to_vec();
        fields.end()?;
        Ok(Self { log_id, millis, at, extensions, algorithm, signature })
    }

    /// Which log it is of: SHA-256 over the log's SubjectPublicKeyInfo.
    pub fn log_id(&self) -> &[u8; 32] {
        &self.log_id
    }

    /// When the log saw the certificate, it says.
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Whether the log with this key made it for this certificate, issued by this issuer. Says nothing of whether
    /// that issuer did issue it: [`super::chain`] does.
    ///
    /// # Errors
    /// Another log's, an algorithm that is not verified or does not fit the key, or a signature over another
    /// time, certificate or issuer.
    pub fn verify(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        key: &PublicKey,
    ) -> Result<(), Error> {
        let log = |id: &[u8; 32]| format!("the log {}", hex::encode(id));
        if key.fingerprint() != self.log_id {
            return Err(Error::WrongIssuer { named: log(&self.log_id), found: log(&key.fingerprint()) });
        }
        let algorithm = match self.algorithm {
            [4, 1] => Algorithm::RsaPkcs1(Hash::Sha256),
            [4, 3] => Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1),
            [hash, signature] => {
                let found = format!("hash {hash} with signature {signature}");
                return Err(Error::Unsupported { what: "algorithm of an SCT", found });
            }
        };
        let signed = self.signed(certificate, issuer)?;
        key.verify(algorithm, &signed, &self.signature)
            .map_err(|_| Error::BadSignature { issuer: log(&self.log_id) })
    }

    /// What is signed about a certificate that was shown to the log as a precertificate (section 3.2).
    fn signed(&self, certificate: &Certificate, issuer: &Certificate) -> Result<Vec<u8>, Error> {
        const VERSION_1: u8 = 0;
        const CERTIFICATE_TIMESTAMP: u8 = 0;
        const PRECERT_ENTRY: [u8; 2] = [0, 1];
        let precertificate = without_list(certificate.signed()).map_err(malformed)?;
        // Certificates are shorter than 2^24, extensions were read from a vector of these lengths.
        let [_, length @ ..] = (precertificate.len() as u32).to_be_bytes();
        let mut out = vec![VERSION_1, CERTIFICATE_TIMESTAMP];
        out.extend(self.millis.to_be_bytes());
        out.extend(PRECERT_ENTRY);
        out.extend(issuer.public_key().fingerprint());
        out.extend(length);
        out.extend(precertificate);
        out.extend((self.extensions.len() as u16).to_be_bytes());
        out.extend(&self.extensions);
        Ok(out)
    }
}

/// A TBSCertificate without the list of timestamps, all else byte for byte.
fn without_list(tbs: &[u8]) -> der::Result<Vec<u8>> {
    const EXTENSIONS: u8 = tag::constructed(3);
    let mut fields = der::sequence(tbs)?;
    let mut out = Vec::new();
    while !fields.is_empty() {
        let field = fields.next()?;
        if field.tag == EXTENSIONS {
            let rest = others(field.holding(tag::SEQUENCE)?.reader())?;
            out.extend(encode(EXTENSIONS, &encode(tag::SEQUENCE, &rest)));
        } else {
            out.extend_from_slice(field.whole);
        }
    }
    Ok(encode(tag::SEQUENCE, &out))
}

/// The extensions that are not the list.
fn others(mut extensions: Reader<'_>) -> der::Result<Vec<u8>> {
    let mut out = Vec::new();
    while !extensions.is_empty() {
        let extension = extensions.expect(tag::SEQUENCE)?;
        let oid = Oid::new(extension.reader().object_identifier()?.into());
        if oid.to_id_string() != SCT_LIST {
            out.extend_from_slice(extension.whole);
        }
    }
    Ok(out)
}

/// What is left of values in TLS's presentation language (RFC 5246, section 4).
struct Tls<'a>(&'a [u8]);

impl<'a> Tls<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(|| malformed("it ends early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// A vector whose length stands before it in two octets.
    fn vector(&mut self) -> Result<&'a [u8], Error> {
        let length = u16::from_be_bytes(self.take()?);
        let split = self.0.split_at_checked(length.into());
        let (content, rest) = split.ok_or_else(|| malformed("it ends within a value"))?;
        self.0 = rest;
        Ok(content)
    }

    fn end(&self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed("bytes follow it")) }
    }
}

fn malformed(why: impl std::fmt::Display) -> Error {
    Error::malformed(WHAT, why)
}
