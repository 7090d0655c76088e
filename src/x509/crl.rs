//! Certificate revocation lists, base and delta: RFC 5280, section 5. A list is read whole and then proven
//! with its issuer's certificate; what its entries mean for a certificate, [`super::revocation`] decides.

mod entry;
mod scope;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use x509_parser::pem::Pem;

use super::certificate::distribution_point_uris;
use super::der::{self, Element, Extension, Reader, tag};
use super::signed::Signed;
use super::{Certificate, Error, Name};
pub(super) use entry::invalidity_date;
pub use entry::{Entry, Reason};
use scope::Scope;

/// The longest list that is read.
pub const MAX_DER: usize = 32 << 20;
/// PEM of the longest list: four characters for three octets, a line end at 64, and what stands around.
const MAX_PEM: usize = MAX_DER / 3 * 4 + MAX_DER / 32 + 4096;
/// The most extensions of a list or an entry; RFC 5280 knows eight.
const MAX_EXTENSIONS: usize = 32;
/// The longest of a list's parts that are not only scanned, its issuer's name and its extensions: a certificate
/// that they fit is no longer.
const MAX_PART: usize = 64 * 1024;
/// The longest number of a list (RFC 5280, section 5.2.3), and an octet for the sign.
const MAX_NUMBER: usize = 21;

const WHAT: &str = "CRL";
/// The octets of INTEGER 1: version 2.
const VERSION_2: &[u8] = &[1];

/// A certificate revocation list. Cheap to clone; takes the memory of its DER, in which entries are looked up.
#[derive(Clone)]
pub struct Crl(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    signed: Signed,
    issuer: Name,
    this_update: SystemTime,
    next_update: Option<SystemTime>,
    entries: Range<usize>,
    extensions: Extensions,
    /// The fingerprint of the certificate that proved it: hashing megabytes once will do.
    proven_by: OnceLock<[u8; 32]>,
}

#[derive(Default)]
struct Extensions {
    number: Option<Number>,
    base_number: Option<Number>,
    freshest: bool,
    freshest_urls: Vec<String>,
    scope: Option<Scope>,
    /// Why it may not be used, in the first place where that stands.
    unusable: Option<Error>,
}

/// A list's number: lists of one issuer and scope count up (RFC 5280, section 5.2.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Number(Vec<u8>);

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        // Leading zeros are cut, so the longer is the greater.
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl fmt::Display for Number {
    /// Hexadecimal, as tools show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", if self.0.is_empty() { "00".to_owned() } else { hex::encode(&self.0) })
    }
}

impl Crl {
    /// Reads one DER list, or a PEM text that holds one. Nothing is proven by that.
    ///
    /// # Errors
    /// Not a list of version 2, longer than [`MAX_DER`], something after it, an extension twice.
    pub fn parse(der_or_pem: &[u8]) -> Result<Self, Error> {
        let too_long = Error::TooMany { what: "bytes in a CRL", limit: MAX_DER };
        if der_or_pem.first() == Some(&tag::SEQUENCE) {
            if der_or_pem.len() > MAX_DER {
                return Err(too_long);
            }
            return parse(der_or_pem.to_vec());
        }
        if der_or_pem.len() > MAX_PEM {
            return Err(too_long);
        }
        let mut blocks = Pem::iter_from_buffer(der_or_pem);
        let block = match blocks.next() {
            Some(block) => block.map_err(|e| Error::malformed("PEM CRL", e))?,
            None => return Err(Error::malformed(WHAT, "neither DER nor PEM")),
        };
        if block.label != "X509 CRL" {
            return Err(Error::Unsupported { what: "PEM block", found: block.label });
        }
        if blocks.next().is_some() {
            return Err(Error::malformed("PEM CRL", "more than one PEM block"));
        }
        if block.contents.len() > MAX_DER {
            return Err(too_long);
        }
        parse(block.contents)
    }

    /// The bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Who issued it, as it says.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// When it was issued.
    pub fn this_update(&self) -> SystemTime {
        self.0.this_update
    }

    /// By when the next one is issued.
    pub fn next_update(&self) -> Option<SystemTime> {
        self.0.next_update
    }

    /// Its number.
    pub fn number(&self) -> Option<&Number> {
        self.0.extensions.number.as_ref()
    }

    /// The number of the base list that it adds to: it is a delta list where it has one.
    pub fn base_number(&self) -> Option<&Number> {
        self.0.extensions.base_number.as_ref()
    }

    /// Whether it says that delta lists add to it.
    pub fn has_freshest(&self) -> bool {
        self.0.extensions.freshest
    }

    /// Where the delta lists that add to it are, as it says.
    pub fn freshest_urls(&self) -> &[String] {
        &self.0.extensions.freshest_urls
    }

    /// Whether this issuer signed it and may, and everything in it that must be understood is.
    ///
    /// # Errors
    /// Another issuer, a key usage without `cRLSign`, a signature of another key, or an unknown critical
    /// extension; an indirect list, or one of some reasons only.
    pub fn verify(&self, issuer: &Certificate) -> Result<(), Error> {
        if self.0.proven_by.get() == Some(&issuer.fingerprint()) {
            return Ok(());
        }
        if self.issuer() != issuer.subject() {
            return Err(Error::WrongIssuer {
                named: self.issuer().to_string(),
                found: issuer.subject().to_string(),
            });
        }
        if issuer.key_usage().is_some_and(|usage| !usage.crl_sign()) {
            return Err(Error::Forbidden {
                issuer: issuer.subject().to_string(),
                why: "its key usage lacks cRLSign".to_owned(),
            });
        }
        self.0.signed.verify(self.der(), issuer)?;
        if let Some(error) = &self.0.extensions.unusable {
            return Err(error.clone());
        }
        // Another certificate of the same key may have been first; then this one is proven anew each time.
        let _ = self.0.proven_by.set(issuer.fingerprint());
        Ok(())
    }

    /// Whether it would list this certificate, were that revoked: same issuer, and within the scope of its
    /// issuing distribution point (RFC 5280, sections 5.2.5 and 6.3.3 b).
    ///
    /// # Errors
    /// What does not fit.
    pub fn covers(&self, certificate: &Certificate) -> Result<(), Error> {
        if self.issuer() != certificate.issuer() {
            return Err(Error::WrongIssuer {
                named: certificate.issuer().to_string(),
                found: self.issuer().to_string(),
            });
        }
        match &self.0.extensions.scope {
            Some(scope) => scope.covers(certificate),
            None => Ok(()),
        }
    }

    /// Whether both have the same scope, so that one may add to the other (RFC 5280, section 5.2.4).
    pub(super) fn has_scope_of(&self, other: &Self) -> bool {
        self.0.extensions.scope == other.0.extensions.scope
    }

    /// What it says of the certificate with this serial number: a permanent revocation, else the latest word.
    pub fn entry(&self, serial: &[u8]) -> Option<Entry> {
        self.entries(serial).reduce(|kept, next| if next.outweighs(&kept) { next } else { kept })
    }

    /// All entries with this serial number, which should be one at most.
    pub(super) fn entries(&self, serial: &[u8]) -> impl Iterator<Item = Entry> {
        let wanted = magnitude(serial);
        let mut rest = Reader::new(self.der().get(self.0.entries.clone()).unwrap_or_default());
        std::iter::from_fn(move || {
            // Parsing has read every entry once, so none fails here.
            while let Ok(element) = rest.next() {
                let found = element.reader().next().ok()?;
                if magnitude(found.content) == wanted {
                    return entry::read(element).ok().map(|(entry, _)| entry);
                }
            }
            None
        })
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number().map(Number::to_string).unwrap_or_default();
        write!(f, "Crl({:?}, {number})", self.issuer().to_string())
    }
}

fn parse(der: Vec<u8>) -> Result<Crl, Error> {
    let malformed = |why: String| Error::malformed(WHAT, why);
    let mut parts = der::sequence(&der).map_err(malformed)?;
    let (signed, mut list, algorithm) = Signed::read(&der, &mut parts).map_err(malformed)?;
    parts.end().map_err(malformed)?;
    match list.optional(tag::INTEGER).map_err(malformed)?.map(|version| version.content) {
        Some(VERSION_2) => {}
        Some(other) => {
            let found = hex::encode(other.get(..8).unwrap_or(other));
            return Err(Error::Unsupported { what: "CRL version", found });
        }
        None => return Err(Error::Unsupported { what: "CRL version", found: "1".to_owned() }),
    }
    if list.expect(tag::SEQUENCE).map_err(malformed)?.whole != algorithm {
        return Err(Error::malformed(WHAT, "its two signature algorithms differ"));
    }
    let issuer = list.expect(tag::SEQUENCE).map_err(malformed)?.whole;
    let issuer = Name::from_der(bounded(issuer).map_err(malformed)?)?;
    let body = Body::read(&mut list).map_err(malformed)?;
    let entries = der::range(body.entries, &der);
    let Body { this_update, next_update, extensions, .. } = body;
    let inner = Inner {
        signed,
        issuer,
        this_update,
        next_update,
        entries,
        extensions,
        proven_by: OnceLock::new(),
        der,
    };
    Ok(Crl(Arc::new(inner)))
}

/// What follows the issuer.
struct Body<'a> {
    this_update: SystemTime,
    next_update: Option<SystemTime>,
    entries: &'a [u8],
    extensions: Extensions,
}

impl<'a> Body<'a> {
    fn read(list: &mut Reader<'a>) -> der::Result<Self> {
        let this_update = list.next()?.time()?;
        let next_update = match list.optional(tag::UTC_TIME)? {
            Some(time) => Some(time),
            None => list.optional(tag::GENERALIZED_TIME)?,
        };
        let next_update = next_update.map(|time| time.time()).transpose()?;
        let entries = list.optional(tag::SEQUENCE)?;
        let mut extensions = match list.optional(tag::constructed(0))? {
            Some(wrapped) => Extensions::read(der::sequence(bounded(wrapped.content)?)?)?,
            None => Extensions::default(),
        };
        list.end()?;
        let mut rest = entries.map(|all| all.reader());
        while let Some(rest) = rest.as_mut().filter(|rest| !rest.is_empty()) {
            let (_, unusable) = entry::read(rest.next()?)?;
            extensions.unusable = extensions.unusable.or(unusable);
        }
        let entries = entries.map_or(&[][..], |all| all.content);
        Ok(Self { this_update, next_update, entries, extensions })
    }
}

impl Extensions {
    fn read(all: Reader<'_>) -> der::Result<Self> {
        let mut out = Self::default();
        for extension in der::extensions(all, MAX_EXTENSIONS)? {
            out.add(&extension).map_err(|e| format!("extension {}: {e}", extension.oid))?;
        }
        Ok(out)
    }

    fn add(&mut self, extension: &Extension<'_>) -> der::Result<()> {
        match extension.oid.as_str() {
            "2.5.29.20" => self.number = Some(number(extension.value)?),
            "2.5.29.27" => self.base_number = Some(number(extension.value)?),
            "2.5.29.28" => {
                let scope = Scope::read(extension.value)?;
                self.unusable = self.unusable.take().or_else(|| scope.unusable());
                self.scope = Some(scope);
            }
            // The authority's key identifier only helps to find the key that signed it, which is given.
            "2.5.29.35" => {}
            "2.5.29.46" => {
                self.freshest = true;
                self.freshest_urls = distribution_point_uris(extension.value)?;
            }
            other if extension.critical => {
                let found = other.to_owned();
                self.unusable.get_or_insert(Error::Unsupported { what: "critical CRL extension", found });
            }
            _ => {}
        }
        Ok(())
    }
}

fn bounded(part: &[u8]) -> der::Result<&[u8]> {
    if part.len() > MAX_PART {
        Err(format!("a part of {} octets, more than {MAX_PART}", part.len()))
    } else {
        Ok(part)
    }
}

fn number(value: &[u8]) -> der::Result<Number> {
    match Element::only(value)? {
        Element { tag: tag::INTEGER, content: octets @ [first, ..], .. }
            if octets.len() <= MAX_NUMBER && *first < 0x80 =>
        {
            Ok(Number(magnitude(octets).to_vec()))
        }
        _ => Err(format!("expected a number of at most {MAX_NUMBER} octets")),
    }
}

/// A number's octets without leading zeros.
fn magnitude(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    octets.get(zeros..).unwrap_or_default()
}
