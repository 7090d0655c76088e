//! One entry of a list: RFC 5280, section 5.3.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::MAX_EXTENSIONS;
use crate::x509::Error;
use crate::x509::der::{self, Element, tag};

/// What is said of one certificate that is revoked, on hold, or no longer so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When the issuer did it.
    pub revoked_at: SystemTime,
    /// Why.
    pub reason: Reason,
    /// From when on the key was or may have been in other hands, where the issuer says so.
    pub invalid_since: Option<SystemTime>,
}

impl Entry {
    /// Whether nothing undoes it.
    pub fn is_permanent(&self) -> bool {
        !matches!(self.reason, Reason::CertificateHold | Reason::RemoveFromCrl)
    }

    /// Whether it takes the end of a hold into account that `self` is: not older than it.
    pub(in crate::x509) fn is_undone_by(&self, other: &Self) -> bool {
        self.reason == Reason::CertificateHold
            && other.reason == Reason::RemoveFromCrl
            && other.revoked_at >= self.revoked_at
    }

    /// Whether it says more about its certificate than `other`: permanent before temporary, then the
    /// earlier invalidity, then the later word, of which a removal at the same time is the last.
    pub(in crate::x509) fn outweighs(&self, other: &Self) -> bool {
        match (self.is_permanent(), other.is_permanent()) {
            (true, true) => self.invalid_since < other.invalid_since,
            (false, false) => {
                let rank = |entry: &Self| (entry.revoked_at, entry.reason == Reason::RemoveFromCrl);
                rank(self) > rank(other)
            }
            (permanent, _) => permanent,
        }
    }
}

/// Why a certificate was revoked: RFC 5280, section 5.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// No reason is given, or one that the standard does not know.
    Unspecified,
    /// The key was or may have been in other hands.
    KeyCompromise,
    /// The issuer's key was or may have been in other hands.
    #[serde(rename = "cACompromise")]
    CaCompromise,
    /// What the certificate says of its subject has changed.
    AffiliationChanged,
    /// Another certificate takes its place.
    Superseded,
    /// It is no longer needed.
    CessationOfOperation,
    /// For the time being; may be undone.
    CertificateHold,
    /// The hold is undone.
    #[serde(rename = "removeFromCRL")]
    RemoveFromCrl,
    /// What it allowed was withdrawn.
    PrivilegeWithdrawn,
    /// The attribute authority's key was or may have been in other hands.
    #[serde(rename = "aACompromise")]
    AaCompromise,
}

impl Reason {
    /// The standard's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::RemoveFromCrl => "removeFromCRL",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }

    /// From its number. One that the standard does not know is a revocation for good: nothing says that
    /// it ends.
    pub(in crate::x509) fn from_number(number: u32) -> Self {
        match number {
            1 => Self::KeyCompromise,
            2 => Self::CaCompromise,
            3 => Self::AffiliationChanged,
            4 => Self::Superseded,
            5 => Self::CessationOfOperation,
            6 => Self::CertificateHold,
            8 => Self::RemoveFromCrl,
            9 => Self::PrivilegeWithdrawn,
            10 => Self::AaCompromise,
            _ => Self::Unspecified,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads one entry; also gives why its list may not be used, where the entry says something that must be
/// understood and is not.
pub(super) fn read(element: Element<'_>) -> der::Result<(Entry, Option<Error>)> {
    if element.tag != tag::SEQUENCE {
        return Err(format!("expected an entry, found tag {:#04x}", element.tag));
    }
    let mut parts = element.reader();
    parts.expect(tag::INTEGER)?;
    let revoked_at = parts.next()?.time()?;
    let mut entry = Entry { revoked_at, reason: Reason::Unspecified, invalid_since: None };
    let mut unusable = None;
    if let Some(extensions) = parts.optional(tag::SEQUENCE)? {
        for extension in der::extensions(extensions.reader(), MAX_EXTENSIONS)? {
            let found = extension.oid;
            match found.as_str() {
                "2.5.29.21" => entry.reason = reason(extension.value)?,
                "2.5.29.24" => entry.invalid_since = Some(invalidity_date(extension.value)?),
                // It says that this and the following entries are another issuer's.
                "2.5.29.29" => {
                    unusable = Some(Error::Unsupported { what: "CRL entry of another issuer", found });
                }
                _ if extension.critical => {
                    unusable = Some(Error::Unsupported { what: "critical CRL entry extension", found });
                }
                _ => {}
            }
        }
    }
    parts.end()?;
    Ok((entry, unusable))
}

fn reason(value: &[u8]) -> der::Result<Reason> {
    match Element::only(value)? {
        Element { tag: tag::ENUMERATED, content: &[number], .. } => Ok(Reason::from_number(number.into())),
        other => Err(format!("expected a reason of one octet, found {} octets", other.whole.len())),
    }
}

/// RFC 5280, section 5.3.2: a GeneralizedTime, never the shorter form.
pub(in crate::x509) fn invalidity_date(value: &[u8]) -> der::Result<SystemTime> {
    let element = Element::only(value)?;
    if element.tag != tag::GENERALIZED_TIME {
        return Err(format!("expected a GeneralizedTime, found tag {:#04x}", element.tag));
    }
    element.time()
}
