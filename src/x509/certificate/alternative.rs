//! Subject alternative names (RFC 5280, section 4.2.1.6): all of them, in the certificate's order.

use x509_parser::der_parser::asn1_rs::Oid;

use crate::x509::der::{self, Element, tag};

/// What Fulcio, sigstore's authority, puts a user's name under that is neither an email address nor a URI:
/// the name is a UTF8String.
const SIGSTORE_USER_NAME: &str = "1.3.6.1.4.1.57264.1.7";

/// One name of the subject beside its distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    /// `rfc822Name`
    Email(String),
    /// `uniformResourceIdentifier`
    Uri(String),
    /// `dNSName`
    Dns(String),
    /// `otherName`
    Other {
        /// The kind as a dotted object identifier.
        oid: String,
        /// The DER of the value.
        value: Vec<u8>,
    },
    /// One of a kind that nothing here asks for, which is named.
    Unread(&'static str),
}

impl AlternativeName {
    /// The name as an identity that can be compared: of an email address, a URI, a DNS name and sigstore's user
    /// name. `None` for all else, and where such a user name is no UTF8String.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Email(text) | Self::Uri(text) | Self::Dns(text) => Some(text),
            Self::Other { oid, value } if oid == SIGSTORE_USER_NAME => {
                let inner = Element::only(value).ok().filter(|inner| inner.tag == tag::UTF8_STRING)?;
                std::str::from_utf8(inner.content).ok()
            }
            Self::Other { .. } | Self::Unread(_) => None,
        }
    }

    /// Reads a `GeneralName`.
    fn read(name: Element<'_>) -> der::Result<Self> {
        const OTHER: u8 = tag::constructed(0);
        const EMAIL: u8 = tag::context(1);
        const DNS: u8 = tag::context(2);
        const URI: u8 = tag::context(6);
        match name.tag {
            OTHER => Self::other(name),
            EMAIL => Ok(Self::Email(name.ascii()?.to_owned())),
            DNS => Ok(Self::Dns(name.ascii()?.to_owned())),
            URI => Ok(Self::Uri(name.ascii()?.to_owned())),
            0xa3 => Ok(Self::Unread("x400Address")),
            0xa4 => Ok(Self::Unread("directoryName")),
            0xa5 => Ok(Self::Unread("ediPartyName")),
            0x87 => Ok(Self::Unread("iPAddress")),
            0x88 => Ok(Self::Unread("registeredID")),
            tag => Err(format!("expected a general name, found tag {tag:#04x}")),
        }
    }

    fn other(name: Element<'_>) -> der::Result<Self> {
        let mut parts = name.reader();
        let oid = Oid::new(parts.object_identifier()?.into()).to_id_string();
        let mut explicit = parts.expect(tag::constructed(0))?.reader();
        parts.end()?;
        let value = explicit.next()?.whole.to_vec();
        explicit.end()?;
        Ok(Self::Other { oid, value })
    }
}

/// Reads the extension's value, `GeneralNames`.
pub(super) fn alternative_names(value: &[u8]) -> der::Result<Vec<AlternativeName>> {
    let mut names = der::sequence(value)?;
    let mut all = Vec::new();
    while !names.is_empty() {
        all.push(AlternativeName::read(names.next()?)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
