//! Timestamp tokens: RFC 3161, updated by RFC 5816, in CMS (RFC 5652) as far as tokens need it. Parsing
//! proves nothing; [`Token::verify`] does, against given anchors. Asks no revocation: callers do, for the
//! chain that the [`Timestamp`] brings.

mod algorithm;
mod attributes;
mod imprint;
mod info;
mod request;
mod signed_data;
mod walk;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use der::Tag;

use self::attributes::Ess;
use self::imprint::digest;
use self::info::Info;
use self::signed_data::{SignedData, SignerId};
use self::walk::{Walk, malformed};
use super::chain::{self, Checks};
use super::{Certificate, ExtendedKeyUsage};

pub use self::request::TimestampRequest;

/// The longest token that is read: several times one with a whole chain of RSA-4096 certificates, and
/// room for the CRLs that some authorities put in.
pub const MAX_SIZE: usize = 64 * 1024;

/// What a response says that brings a token (`PKIStatus`).
const GRANTED: u32 = 0;
const GRANTED_WITH_CHANGES: u32 = 1;

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not a token, or uses what is not verified.
    #[error(transparent)]
    Unreadable(#[from] super::Error),
    /// It is about something else.
    #[error("it is about another message: its imprint differs")]
    OtherMessage,
    /// Nothing says whose key made it.
    #[error("its signer's certificate is neither in it nor known")]
    SignerAbsent,
    /// The signed attributes do not hold together with the content or the certificate.
    #[error("its signed attributes: {why}")]
    Attributes {
        /// What does not fit.
        why: &'static str,
    },
    /// The signer's key did not make it.
    #[error("its signature was not made by the key of {subject}")]
    BadSignature {
        /// Whose key was tried.
        subject: String,
    },
    /// No signature may be verified any more.
    #[error("the signatures that may be verified for it are used up")]
    Bound,
    /// The signer's certificate is not believed, at the time that the token gives.
    #[error(transparent)]
    Chain(#[from] chain::Error),
}

/// A token that was read and not proven.
#[derive(Clone, Debug)]
pub struct Token {
    data: SignedData,
    info: Info,
}

/// How a token's signed attributes name the signer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// By `signing-certificate` (RFC 2634) alone: SHA-1.
    V1,
    /// By `signing-certificate-v2` (RFC 5035).
    V2,
}

/// What a trusted authority said about a message: that it existed at a time.
#[derive(Clone, Debug)]
pub struct Timestamp {
    at: SystemTime,
    earliest: SystemTime,
    latest: SystemTime,
    path: chain::Path,
    policy: String,
    serial: Vec<u8>,
    ordering: bool,
    binding: Binding,
}

impl Token {
    /// Reads one DER token (`TimeStampToken`, RFC 3161, section 2.4.2).
    ///
    /// # Errors
    /// Too long, not DER, bytes after it, not a token by one signer, or algorithms that are not verified.
    pub fn parse(der: &[u8]) -> Result<Self, Error> {
        if der.len() > MAX_SIZE {
            return Err(super::Error::TooMany { what: "bytes in a timestamp token", limit: MAX_SIZE }.into());
        }
        let data = SignedData::parse(der)?;
        let info = Info::parse(&data.content)?;
        Ok(Self { data, info })
    }

    /// Reads the token in a response (`TimeStampResp`, RFC 3161, section 2.4.2), by which it was granted. What else
    /// the response says is not signed.
    ///
    /// # Errors
    /// As [`Self::parse`]; also where the authority granted no token.
    pub fn from_response(der: &[u8]) -> Result<Self, Error> {
        let mut outer = Walk::over(der)?;
        let mut fields = outer.enter(Tag::Sequence)?;
        outer.finish()?;
        match fields.enter(Tag::Sequence)?.unsigned()? {
            Some(GRANTED | GRANTED_WITH_CHANGES) => {}
            _ => return Err(malformed("the authority's response is that it granted none").into()),
        }
        let token = fields.element()?;
        fields.finish()?;
        Self::parse(token)
    }

    /// Proves that an authority below one of the anchors stamped this message. Its chain is built from the
    /// token's certificates, in any order, and must be valid at the time that the token gives.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn verify(&self, message: &[u8], anchors: &[Certificate]) -> Result<Timestamp, Error> {
        self.verify_with(message, anchors, &[], &mut Checks::default())
    }

    /// As [`Self::verify`], where the signer and authorities between it and the anchors may also be among
    /// `others`: tokens need not bring their certificates. That such a certificate is known proves nothing. Takes of
    /// `checks` what it verifies.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_with(
        &self,
        message: &[u8],
        anchors: &[Certificate],
        others: &[Certificate],
        checks: &mut Checks,
    ) -> Result<Timestamp, Error> {
        if digest(self.info.imprint.hash, message) != self.info.imprint.digest {
            return Err(Error::OtherMessage);
        }
        let known: Vec<Certificate> = self.data.certificates.iter().chain(others).cloned().collect();
        let signer = self.signer(&known).ok_or(Error::SignerAbsent)?;
        let binding = self.check_attributes(signer)?;
        let signed = &self.data.signer;
        if !checks.take() {
            return Err(Error::Bound);
        }
        signer
            .public_key()
            .verify(signed.algorithm, &signed.attributes.der, &signed.signature)
            .map_err(|_| Error::BadSignature { subject: signer.subject().to_string() })?;
        check_purpose(signer)?;
        let path = chain::find_within(signer, &known, anchors, self.info.at, checks)?;
        chain::check_purpose(path.certificates(), ExtendedKeyUsage::TIME_STAMPING, "timeStamping")?;
        Ok(self.timestamp(path, binding)?)
    }

    /// The certificate that the signer's identifier names (RFC 5652, section 5.3). Where it names several, which
    /// have one key, it is the one that the attributes name.
    fn signer<'a>(&self, known: &'a [Certificate]) -> Option<&'a Certificate> {
        let named = |certificate: &&Certificate| match &self.data.signer.id {
            SignerId::IssuerAndSerial { issuer, serial } => {
                certificate.issuer().der() == issuer && certificate.serial() == serial
            }
            SignerId::Key(id) => certificate.subject_key_id() == Some(id.as_slice()),
        };
        let mut all = known.iter().filter(named);
        let first = all.clone().next();
        all.find(|certificate| self.binding(certificate).is_ok()).or(first)
    }

    /// RFC 5652, section 5.6, and the binding to the certificate, without which another certificate for the
    /// same key could be put in (RFC 3161, section 2.4.1; RFC 5816).
    fn check_attributes(&self, signer: &Certificate) -> Result<Binding, Error> {
        let signed = &self.data.signer;
        if digest(signed.hash, &self.data.content) != signed.attributes.message_digest {
            return Err(Error::Attributes { why: "the message digest is not the content's" });
        }
        self.binding(signer)
    }

    fn binding(&self, signer: &Certificate) -> Result<Binding, Error> {
        let wrong = |why| Err(Error::Attributes { why });
        let attributes = &self.data.signer.attributes;
        let binds = |ess: &Ess| ess.names(signer);
        if !attributes.v1.as_ref().is_none_or(binds) || !attributes.v2.as_ref().is_none_or(binds) {
            return wrong("they name another signing certificate");
        }
        match (&attributes.v1, &attributes.v2) {
            (_, Some(_)) => Ok(Binding::V2),
            (Some(_), None) => Ok(Binding::V1),
            (None, None) => wrong("they name no signing certificate"),
        }
    }

    fn timestamp(&self, path: chain::Path, binding: Binding) -> Result<Timestamp, super::Error> {
        let Info { at, accuracy, .. } = self.info;
        let beyond = || super::Error::malformed("timestamp token", "its time is beyond all calendars");
        Ok(Timestamp {
            at,
            earliest: at.checked_sub(accuracy).ok_or_else(beyond)?,
            latest: at.checked_add(accuracy).ok_or_else(beyond)?,
            path,
            policy: self.info.policy.clone(),
            serial: self.info.serial.clone(),
            ordering: self.info.ordering,
            binding,
        })
    }
}

impl Timestamp {
    /// The time that the token gives.
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// The earliest moment that the authority's accuracy allows.
    pub fn earliest(&self) -> SystemTime {
        self.earliest
    }

    /// The latest moment that the authority's accuracy allows.
    pub fn latest(&self) -> SystemTime {
        self.latest
    }

    /// Half the width of the interval around [`Self::at`]: what the token states; without that, a second
    /// under the baseline policy of RFC 3628, else nothing.
    pub fn accuracy(&self) -> Duration {
        self.latest.duration_since(self.at).unwrap_or_default()
    }

    /// The authority's chain, leaf to anchor.
    pub fn chain(&self) -> &[Certificate] {
        self.path.certificates()
    }

    /// The policy under which it was made, as a dotted object identifier.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// The token's serial number, most significant octet first.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Whether the authority's tokens can be put in order by their times alone.
    pub fn ordering(&self) -> bool {
        self.ordering
    }

    /// How the token names its signer's certificate.
    pub fn binding(&self) -> Binding {
        self.binding
    }
}

/// RFC 3161, section 2.3: the key stamps and does nothing else.
fn check_purpose(signer: &Certificate) -> Result<(), chain::Error> {
    let rule = match signer.extended_key_usage() {
        None => "it has no extended key usage",
        Some(usage) if usage.purposes != [ExtendedKeyUsage::TIME_STAMPING] => {
            "its extended key usage is not timeStamping alone"
        }
        Some(usage) if !usage.critical => "its extended key usage is not critical",
        Some(_) => return Ok(()),
    };
    Err(invalid(signer, rule))
}

fn invalid(certificate: &Certificate, rule: &str) -> chain::Error {
    chain::Error::Invalid { subject: certificate.subject().to_string(), rule: rule.to_owned() }
}
