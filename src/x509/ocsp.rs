//! Questions to and answers of OCSP responders: RFC 6960. An answer is read whole and then proven with the
//! certificate of the one who issued the certificate that was asked about; what it means,
//! [`super::revocation`] decides.

mod answer;
pub(super) mod cert_id;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::crl::Entry;
use super::der::{self, Element, encode, tag};
use super::signed::Signed;
use super::{Certificate, Error, ExtendedKeyUsage, not_from_the_future};
use answer::Answers;
use cert_id::CertId;

/// The longest response that is read.
pub const MAX_DER: usize = 20 * 1024;
/// The most certificates of a response that are looked at.
const MAX_CERTIFICATES: usize = 10;

const WHAT: &str = "OCSP response";
/// The object identifier 1.3.6.1.5.5.7.48.1.1, encoded.
const ID_PKIX_OCSP_BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];

/// The DER of a question about one certificate (RFC 6960, section 4.1): by SHA-1, which every responder knows,
/// and without a nonce, so that responders may answer with what they have signed before.
pub fn request(certificate: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let id = cert_id::of(certificate, issuer);
    let list = encode(tag::SEQUENCE, &encode(tag::SEQUENCE, &id));
    encode(tag::SEQUENCE, &encode(tag::SEQUENCE, &list))
}

/// A response. Cheap to clone. Nothing in it is proven before [`Self::verify`].
#[derive(Clone)]
pub struct Response(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    signed: Signed,
    answers: Answers,
    certificates: Vec<Certificate>,
}

/// What a response says of one certificate, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Single {
    /// What it says.
    pub status: CertStatus,
    /// When this was known to be so.
    pub this_update: SystemTime,
    /// By when more is known.
    pub next_update: Option<SystemTime>,
    /// Who signed it, where that is not the issuer itself. Whether it is revoked is for the caller to find
    /// out, unless it says that it need not be asked about.
    pub responder: Option<Certificate>,
}

/// RFC 6960, section 2.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertStatus {
    /// Not revoked.
    Good,
    /// Revoked, or on hold.
    Revoked(Entry),
    /// The responder does not know the certificate.
    Unknown,
}

impl Response {
    /// Reads one response. Nothing is proven by that.
    ///
    /// # Errors
    /// Not a response, longer than [`MAX_DER`], something after it, a kind other than the basic one, or a
    /// responder's error.
    pub fn parse(der: &[u8]) -> Result<Self, Error> {
        if der.len() > MAX_DER {
            return Err(Error::TooMany { what: "bytes in an OCSP response", limit: MAX_DER });
        }
        let malformed = |why: String| Error::malformed(WHAT, why);
        let (status, basic) = outer(der).map_err(malformed)?;
        if status != 0 {
            return Err(Error::NoAnswer { status: status_name(status) });
        }
        let basic = basic.ok_or_else(|| malformed("it has no answer".to_owned()))?;
        let mut parts = der::sequence(basic).map_err(malformed)?;
        let (signed, mut data, _) = Signed::read(der, &mut parts).map_err(malformed)?;
        let answers = Answers::read(&mut data).map_err(malformed)?;
        let certificates = match parts.optional(tag::constructed(0)).map_err(malformed)? {
            Some(wrapped) => certificates(wrapped).map_err(malformed)?,
            None => Vec::new(),
        };
        parts.end().map_err(malformed)?;
        Ok(Self(Arc::new(Inner { signed, der: der.to_vec(), answers, certificates })))
    }

    /// The bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// What it says of this certificate: signed by its issuer or one whom that has authorised (RFC 6960,
    /// section 4.2.2.2), and not from the future. It may have expired.
    ///
    /// # Errors
    /// The first of these that it is not; also an unknown critical extension.
    pub fn verify(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        at: SystemTime,
    ) -> Result<Single, Error> {
        if certificate.issuer() != issuer.subject() {
            return Err(Error::WrongIssuer {
                named: certificate.issuer().to_string(),
                found: issuer.subject().to_string(),
            });
        }
        let answer = self.0.answers.about(certificate, issuer).ok_or_else(|| Error::NotAbout {
            subject: certificate.subject().to_string(),
            why: format!("its answers are about {}", self.0.answers.subjects()),
        })?;
        let responder = self.responder(issuer, at)?;
        if let Some(error) = self.0.answers.unusable.as_ref().or(answer.unusable.as_ref()) {
            return Err(error.clone());
        }
        not_from_the_future(answer.this_update, at)?;
        Ok(Single {
            status: answer.status.clone(),
            this_update: answer.this_update,
            next_update: answer.next_update,
            responder: responder.cloned(),
        })
    }

    /// Who signed it: none where that is the issuer.
    fn responder(&self, issuer: &Certificate, at: SystemTime) -> Result<Option<&Certificate>, Error> {
        let name = &self.0.answers.responder;
        let mut failed = Error::Forbidden {
            issuer: name.to_string(),
            why: format!("it is not {}, and its certificate is not in the response", issuer.subject()),
        };
        if name.is(issuer) {
            match self.0.signed.verify(self.der(), issuer) {
                Ok(()) => return Ok(None),
                Err(error) => failed = error,
            }
        }
        for delegate in self.0.certificates.iter().filter(|c| name.is(c) && *c != issuer) {
            match authorised(delegate, issuer, at).and_then(|()| self.0.signed.verify(self.der(), delegate)) {
                Ok(()) => return Ok(Some(delegate)),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({:?}, {})", self.0.answers.responder.to_string(), self.0.answers.subjects())
    }
}

/// RFC 6960, section 4.2.2.2: issued by the issuer itself for the purpose of signing answers, and valid.
fn authorised(delegate: &Certificate, issuer: &Certificate, at: SystemTime) -> Result<(), Error> {
    issuer.issued(delegate)?;
    let forbidden = |why: String| Err(Error::Forbidden { issuer: delegate.subject().to_string(), why });
    if !delegate.extended_key_usage().is_some_and(|usage| usage.has(ExtendedKeyUsage::OCSP_SIGNING)) {
        return forbidden("its extended key usage lacks OCSPSigning".to_owned());
    }
    if delegate.key_usage().is_some_and(|usage| !usage.digital_signature()) {
        return forbidden("its key usage lacks digitalSignature".to_owned());
    }
    if let Some(oid) = delegate.unhandled_critical().first() {
        return forbidden(format!("its critical extension {oid} is not understood"));
    }
    super::chain::check_validity(std::slice::from_ref(delegate), at).or_else(|e| forbidden(e.to_string()))
}

/// The status and the basic response in `OCSPResponse`.
fn outer(der: &[u8]) -> der::Result<(u8, Option<&[u8]>)> {
    let mut parts = der::sequence(der)?;
    let status = match parts.expect(tag::ENUMERATED)?.content {
        [status] => *status,
        other => return Err(format!("expected a status of one octet, found {}", other.len())),
    };
    let Some(wrapped) = parts.optional(tag::constructed(0))? else {
        return parts.end().map(|()| (status, None));
    };
    parts.end()?;
    let mut typed = der::sequence(wrapped.content)?;
    if typed.object_identifier()? != ID_PKIX_OCSP_BASIC {
        return Err("it is not of the basic type".to_owned());
    }
    let basic = typed.expect(tag::OCTET_STRING)?.content;
    typed.end()?;
    Ok((status, Some(basic)))
}

/// RFC 6960, section 4.2.1.
fn status_name(status: u8) -> String {
    match status {
        1 => "malformedRequest".to_owned(),
        2 => "internalError".to_owned(),
        3 => "tryLater".to_owned(),
        5 => "sigRequired".to_owned(),
        6 => "unauthorized".to_owned(),
        other => format!("{other}"),
    }
}

/// The certificates that came with it. One that is not read cannot have signed it for us, and is passed over.
fn certificates(wrapped: Element<'_>) -> der::Result<Vec<Certificate>> {
    let mut rest = der::sequence(wrapped.content)?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let der = rest.expect(tag::SEQUENCE)?.whole;
        if all.len() < MAX_CERTIFICATES {
            all.extend(Certificate::from_der(der).ok());
        }
    }
    Ok(all)
}
