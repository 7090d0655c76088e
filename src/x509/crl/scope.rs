//! Which certificates a list is about: the issuing distribution point, RFC 5280, section 5.2.5.

use crate::x509::der::{self, Element, Reader, tag};
use crate::x509::{Certificate, Error};

/// An issuing distribution point. Equal when the DER is.
#[derive(Debug)]
pub(super) struct Scope {
    der: Vec<u8>,
    /// The distribution point's full names, each a whole `GeneralName`; none where it has no such name.
    names: Option<Vec<Vec<u8>>>,
    only_user: bool,
    only_ca: bool,
    only_attribute: bool,
    some_reasons: bool,
    indirect: bool,
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Scope {
    pub(super) fn read(value: &[u8]) -> der::Result<Self> {
        let mut parts = der::sequence(value)?;
        let names = parts.optional(tag::constructed(0))?.map(|name| full_name(name.reader())).transpose()?;
        let mut flag = |number| parts.optional(tag::context(number))?.map_or(Ok(false), der::boolean);
        let (only_user, only_ca) = (flag(1)?, flag(2)?);
        let some_reasons = parts.optional(tag::context(3))?.is_some();
        let mut flag = |number| parts.optional(tag::context(number))?.map_or(Ok(false), der::boolean);
        let (indirect, only_attribute) = (flag(4)?, flag(5)?);
        parts.end()?;
        Ok(Self { der: value.to_vec(), names, only_user, only_ca, only_attribute, some_reasons, indirect })
    }

    /// Why the list is of a kind that is not used for any certificate.
    pub(super) fn unusable(&self) -> Option<Error> {
        let found = match self {
            Self { indirect: true, .. } => "an indirect CRL",
            Self { some_reasons: true, .. } => "a CRL of some reasons only",
            _ => return None,
        };
        Some(Error::Unsupported { what: "CRL scope", found: found.to_owned() })
    }

    /// Whether the certificate is within it.
    pub(super) fn covers(&self, certificate: &Certificate) -> Result<(), Error> {
        let is_ca = certificate.basic_constraints().is_some_and(|constraints| constraints.ca);
        let why = match self {
            Self { only_attribute: true, .. } => "the CRL lists attribute certificates only",
            Self { only_user: true, .. } if is_ca => "the CRL lists end entities only, and this is a CA",
            Self { only_ca: true, .. } if !is_ca => "the CRL lists CAs only, and this is an end entity",
            Self { names: Some(names), .. } if !names.iter().any(|name| stands_in(name, certificate)) => {
                "the CRL is for another distribution point than those that the certificate names"
            }
            _ => return Ok(()),
        };
        Err(Error::NotAbout { subject: certificate.subject().to_string(), why: why.to_owned() })
    }
}

/// Whether it is the name of one of the certificate's distribution points, or of its issuer, at whom every
/// certificate may be asked about (RFC 5280, end of section 6.3.3).
fn stands_in(name: &[u8], certificate: &Certificate) -> bool {
    const DIRECTORY_NAME: u8 = tag::constructed(4);
    let is_issuer = Element::only(name)
        .is_ok_and(|name| name.tag == DIRECTORY_NAME && name.content == certificate.issuer().der());
    is_issuer || certificate.distribution_points().iter().any(|point| point == name)
}

/// `DistributionPointName`. A name relative to the issuer is read as no name, so that it fits nothing.
fn full_name(mut choice: Reader<'_>) -> der::Result<Vec<Vec<u8>>> {
    let chosen = choice.next()?;
    choice.end()?;
    let mut names = Vec::new();
    if chosen.tag == tag::constructed(0) {
        let mut rest = chosen.reader();
        while !rest.is_empty() {
            names.push(rest.next()?.whole.to_vec());
        }
    }
    Ok(names)
}
