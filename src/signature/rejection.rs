//! Why one signature was not believed: one variant a reason, with what was expected and found.

use std::time::SystemTime;

use super::{Code, Fingerprint, Validations};
use crate::setting::time::show;
use crate::telemetry::Untrusted;

/// A signature that was not believed: why, and what each of its checks came to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rejection}{}", passed(validations))]
pub struct Rejected {
    /// The first failure that counts.
    pub rejection: Rejection,
    /// The checks, where the format's policies name them.
    pub validations: Validations,
}

impl Rejected {
    /// The reason's code.
    pub fn code(&self) -> Code {
        self.rejection.code()
    }
}

impl From<Rejection> for Rejected {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, validations: Validations::default() }
    }
}

fn passed(validations: &Validations) -> String {
    if validations.checks.is_empty() { String::new() } else { format!(" [{validations}]") }
}

/// Why one signature was not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It does not parse.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        why: Untrusted,
    },
    /// Not understood, or understood and not allowed.
    #[error("unsupported {what}: {found}")]
    Unsupported {
        /// Which part.
        what: &'static str,
        /// What stands there.
        found: Untrusted,
    },
    /// The cryptographic check failed.
    #[error(
        "the signature does not match the signed content, or another key made it ({algorithm}, key {key})"
    )]
    BadSignature {
        /// The algorithm that was tried.
        algorithm: &'static str,
        /// The key that was tried.
        key: Fingerprint,
    },
    /// About another digest, size or media type than the served manifest's.
    #[error("the claim's {field} is {found}, the manifest's is {expected}")]
    Mismatch {
        /// Which field of the descriptor.
        field: Field,
        /// What the served manifest has.
        expected: Untrusted,
        /// What the claim says.
        found: Untrusted,
    },
    /// A signed name lies outside what the certificate or signer may name.
    #[error("the signed name {found} does not fit {expected}")]
    Name {
        /// The names that would fit.
        expected: Untrusted,
        /// The name that stands there.
        found: Untrusted,
    },
    /// What the signed annotations must hold is not there.
    #[error("the signed annotation {key} is {found}, expected is {expected}")]
    Annotation {
        /// Which one.
        key: Untrusted,
        /// The value that was asked for.
        expected: Untrusted,
        /// What stands there, or that nothing does.
        found: Untrusted,
    },
    /// The signer's own trust policy says nothing about the repository.
    #[error("no statement of the trust policy {policy} covers {repository}")]
    NoStatement {
        /// The trust policy's file.
        policy: String,
        /// What was asked for.
        repository: String,
    },
    /// Ends at nothing that is trusted.
    #[error("signed by {found} (SHA-256 {key}), not in {expected}")]
    UntrustedKey {
        /// The configured trust: `trust store ca:acme`, `the certificates of signer wabbit`.
        expected: Untrusted,
        /// The subject of the certificate, or the key's id.
        found: Untrusted,
        /// The certificate's or key's fingerprint.
        key: Fingerprint,
    },
    /// Names its key by an id that none of the trusted keys has.
    #[error("signed with the key {found}, which is none of {expected}")]
    UnknownKeyId {
        /// The configured trust.
        expected: Untrusted,
        /// The id.
        found: Untrusted,
    },
    /// No key is there yet.
    #[error("the key of signer {signer} has not been acquired: {place} is empty")]
    KeyNotAcquired {
        /// The signer.
        signer: String,
        /// Where the key belongs.
        place: String,
    },
    /// A trusted certificate of somebody else.
    #[error("signed by {found} (SHA-256 {key}), which is none of the trusted identities: {expected}")]
    Identity {
        /// The identities that may sign.
        expected: Untrusted,
        /// Who signed.
        found: Untrusted,
        /// The certificate's fingerprint.
        key: Fingerprint,
    },
    /// A certificate breaks the profile or its chain is broken.
    #[error("certificate {subject}: {why}")]
    Certificate {
        /// Whose certificate.
        subject: Untrusted,
        /// Which rule is broken.
        why: Untrusted,
    },
    /// Something ended before now.
    #[error("{what} ended at {}, judged is {}", show(*.not_after), show(*.now))]
    Expired {
        /// The signature or the certificate.
        what: Ends,
        /// When it ended.
        not_after: SystemTime,
        /// When it was judged.
        now: SystemTime,
    },
    /// Something begins after now.
    #[error("{what} begins at {}, judged is {}", show(*.not_before), show(*.now))]
    NotYetValid {
        /// The signature or the certificate.
        what: Ends,
        /// When it begins.
        not_before: SystemTime,
        /// When it was judged.
        now: SystemTime,
    },
    /// The signer counts only until a moment, and nothing proves that this was signed before it.
    #[error("signer counts until {} only, and {found}", show(*.valid_until))]
    SignedTooLate {
        /// The signer's `valid_until`.
        valid_until: SystemTime,
        /// The authentic time, or that there is none.
        found: Untrusted,
    },
    /// The transparency log's word is required.
    #[error("a transparency-log entry is required (transparency_log: require): {found}")]
    LogEntry {
        /// What was there instead.
        found: Untrusted,
    },
    /// A timestamp is required.
    #[error("a timestamp is required: {found}")]
    Timestamp {
        /// What was there instead.
        found: Untrusted,
    },
    /// Taken back by its issuer.
    #[error("the certificate {subject} was revoked at {} ({reason}), says {by}", show(*.at))]
    Revoked {
        /// Whose certificate.
        subject: Untrusted,
        /// When it was revoked.
        at: SystemTime,
        /// Why, as RFC 5280 names it.
        reason: &'static str,
        /// Who says so: OCSP, a CRL.
        by: &'static str,
    },
    /// Nobody could say whether it was taken back.
    #[error("whether the certificate {subject} was revoked cannot be found out: {why}")]
    RevocationUnknown {
        /// Whose certificate.
        subject: Untrusted,
        /// Who was asked, and what came of it.
        why: Untrusted,
    },
}

/// A field of a descriptor that a claim repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `digest`
    Digest,
    /// `size`
    Size,
    /// `mediaType`
    MediaType,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Digest => "digest",
            Self::Size => "size",
            Self::MediaType => "media type",
        })
    }
}

/// What has a validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The signature itself.
    Signature,
    /// A certificate of its chain.
    Certificate,
}

impl std::fmt::Display for Ends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Signature => "the signature's validity",
            Self::Certificate => "the certificate's validity",
        })
    }
}

impl Rejection {
    /// The reason's code.
    pub fn code(&self) -> Code {
        match self {
            Self::Malformed { .. } => Code::Malformed,
            Self::Unsupported { .. } => Code::Unsupported,
            Self::BadSignature { .. } => Code::BadSignature,
            Self::Mismatch { field: Field::Digest, .. } => Code::DigestMismatch,
            Self::Mismatch { field: Field::Size, .. } => Code::SizeMismatch,
            Self::Mismatch { field: Field::MediaType, .. } => Code::MediaTypeMismatch,
            Self::Annotation { .. } => Code::AnnotationMismatch,
            Self::Name { .. } => Code::NameMismatch,
            Self::NoStatement { .. } => Code::NoPolicy,
            Self::UntrustedKey { .. } | Self::UnknownKeyId { .. } => Code::UntrustedKey,
            Self::KeyNotAcquired { .. } => Code::KeyNotAcquired,
            Self::Identity { .. } => Code::IdentityMismatch,
            Self::Certificate { .. } => Code::CertificateInvalid,
            Self::Expired { what: Ends::Signature, .. } => Code::SignatureExpired,
            Self::Expired { what: Ends::Certificate, .. } => Code::CertificateExpired,
            Self::NotYetValid { .. } => Code::NotYetValid,
            Self::SignedTooLate { .. } => Code::SignedTooLate,
            Self::LogEntry { .. } => Code::LogEntryMissing,
            Self::Timestamp { .. } => Code::TimestampInvalid,
            Self::Revoked { .. } => Code::Revoked,
            Self::RevocationUnknown { .. } => Code::RevocationUnknown,
        }
    }

    /// How far the signature came before it failed: of several verifiers' rejections of one
    /// signature, the furthest says most.
    pub fn progress(&self) -> u8 {
        match self {
            Self::NoStatement { .. } | Self::KeyNotAcquired { .. } => 1,
            Self::UntrustedKey { .. } | Self::UnknownKeyId { .. } => 2,
            Self::Malformed { .. } | Self::Unsupported { .. } => 3,
            Self::Revoked { .. } | Self::RevocationUnknown { .. } => 5,
            _ => 4,
        }
    }
}
