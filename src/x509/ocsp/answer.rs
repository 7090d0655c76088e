//! What a responder signs: `ResponseData`, RFC 6960, section 4.2.1.

use std::fmt;
use std::time::SystemTime;

use super::{CertId, CertStatus};
use crate::x509::crl::{Entry, Reason, invalidity_date};
use crate::x509::der::{self, Element, Reader, tag};
use crate::x509::{Certificate, Error, Name};

/// The most extensions of a response or an answer; RFC 6960 knows six, and seven of CRL entries.
const MAX_EXTENSIONS: usize = 32;
/// INTEGER 0, which is version 1.
const VERSION_1: &[u8] = &[tag::INTEGER, 1, 0];
/// The most serial numbers that a message shows.
const MAX_SHOWN: usize = 3;

/// The signed part of a response.
pub(super) struct Answers {
    pub(super) responder: Responder,
    all: Vec<Answer>,
    /// Why it may not be used at all.
    pub(super) unusable: Option<Error>,
}

/// What is said of one certificate.
pub(super) struct Answer {
    id: CertId,
    pub(super) status: CertStatus,
    pub(super) this_update: SystemTime,
    pub(super) next_update: Option<SystemTime>,
    /// Why it may not be used.
    pub(super) unusable: Option<Error>,
}

/// How a responder names itself.
pub(super) enum Responder {
    /// By its certificate's subject.
    Name(Box<Name>),
    /// By the SHA-1 hash of its key.
    Key(Vec<u8>),
}

impl Responder {
    fn read(element: Element<'_>) -> der::Result<Self> {
        const BY_NAME: u8 = tag::constructed(1);
        const BY_KEY: u8 = tag::constructed(2);
        match element.tag {
            BY_NAME => {
                Name::from_der(element.content).map(Box::new).map(Self::Name).map_err(|e| e.to_string())
            }
            BY_KEY => Ok(Self::Key(element.holding(tag::OCTET_STRING)?.content.to_vec())),
            other => Err(format!("expected a responder's name or key, found tag {other:#04x}")),
        }
    }

    /// Whether it names this certificate's holder.
    pub(super) fn is(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Name(name) => **name == *certificate.subject(),
            Self::Key(hash) => *hash == super::cert_id::sha1(certificate.public_key().bits()),
        }
    }
}

impl fmt::Display for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Key(hash) => write!(f, "the key {}", hex::encode(hash)),
        }
    }
}

impl Answers {
    pub(super) fn read(data: &mut Reader<'_>) -> der::Result<Self> {
        if let Some(version) = data.optional(tag::constructed(0))?
            && version.content != VERSION_1
        {
            return Err("expected version 1, found another".to_owned());
        }
        let responder = Responder::read(data.next()?)?;
        data.expect(tag::GENERALIZED_TIME)?.time()?;
        let mut answers = data.expect(tag::SEQUENCE)?.reader();
        let mut all = Vec::new();
        while !answers.is_empty() {
            all.push(Answer::read(answers.expect(tag::SEQUENCE)?)?);
        }
        let extensions = Extensions::read(data.optional(tag::constructed(1))?)?;
        data.end()?;
        Ok(Self { responder, all, unusable: extensions.unusable })
    }

    /// What it says of this certificate. Where it says several things, a revocation counts before anything.
    pub(super) fn about(&self, certificate: &Certificate, issuer: &Certificate) -> Option<&Answer> {
        let mut named = self.all.iter().filter(|answer| answer.id.names(certificate, issuer));
        let first = named.next()?;
        let is_revoked = |answer: &&Answer| matches!(answer.status, CertStatus::Revoked(_));
        Some(std::iter::once(first).chain(named).find(is_revoked).unwrap_or(first))
    }

    /// What it is about, for messages.
    pub(super) fn subjects(&self) -> String {
        let shown: Vec<String> = self.all.iter().take(MAX_SHOWN).map(|a| a.id.to_string()).collect();
        match self.all.len() {
            0 => "nothing".to_owned(),
            count if count > MAX_SHOWN => format!("{} and {} more", shown.join(", "), count - MAX_SHOWN),
            _ => shown.join(", "),
        }
    }
}

impl Answer {
    fn read(element: Element<'_>) -> der::Result<Self> {
        let mut parts = element.reader();
        let id = CertId::read(parts.expect(tag::SEQUENCE)?)?;
        let status = parts.next()?;
        let this_update = parts.expect(tag::GENERALIZED_TIME)?.time()?;
        let next_update = match parts.optional(tag::constructed(0))? {
            Some(wrapped) => Some(wrapped.holding(tag::GENERALIZED_TIME)?.time()?),
            None => None,
        };
        let extensions = Extensions::read(parts.optional(tag::constructed(1))?)?;
        parts.end()?;
        let status = cert_status(status, extensions.invalid_since)?;
        Ok(Self { id, status, this_update, next_update, unusable: extensions.unusable })
    }
}

fn cert_status(element: Element<'_>, invalid_since: Option<SystemTime>) -> der::Result<CertStatus> {
    const GOOD: u8 = tag::context(0);
    const REVOKED: u8 = tag::constructed(1);
    const UNKNOWN: u8 = tag::context(2);
    match element.tag {
        GOOD if element.content.is_empty() => Ok(CertStatus::Good),
        UNKNOWN if element.content.is_empty() => Ok(CertStatus::Unknown),
        REVOKED => {
            let mut info = element.reader();
            let revoked_at = info.expect(tag::GENERALIZED_TIME)?.time()?;
            let reason = match info.optional(tag::constructed(0))? {
                Some(wrapped) => match wrapped.holding(tag::ENUMERATED)?.content {
                    // Here nothing is removed from a list, and it says "revoked": so for the time being.
                    [8] => Reason::CertificateHold,
                    [number] => Reason::from_number((*number).into()),
                    other => return Err(format!("expected a reason of one octet, found {}", other.len())),
                },
                None => Reason::Unspecified,
            };
            info.end()?;
            Ok(CertStatus::Revoked(Entry { revoked_at, reason, invalid_since }))
        }
        other => Err(format!("expected good, revoked or unknown, found tag {other:#04x}")),
    }
}

#[derive(Default)]
struct Extensions {
    /// An extension of CRL entries, which may stand here too (RFC 6960, section 4.4.5).
    invalid_since: Option<SystemTime>,
    unusable: Option<Error>,
}

impl Extensions {
    fn read(wrapped: Option<Element<'_>>) -> der::Result<Self> {
        let mut out = Self::default();
        let Some(wrapped) = wrapped else { return Ok(out) };
        for extension in der::extensions(der::sequence(wrapped.content)?, MAX_EXTENSIONS)? {
            let found = extension.oid;
            match found.as_str() {
                "2.5.29.24" => out.invalid_since = Some(invalidity_date(extension.value)?),
                _ if extension.critical => {
                    out.unusable = Some(Error::Unsupported { what: "critical OCSP extension", found });
                }
                _ => {}
            }
        }
        Ok(out)
    }
}
