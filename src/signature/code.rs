//! Reason codes.

use serde::{Deserialize, Serialize};

/// Reason codes: a closed, documented list (`docs/REASONS.md`), the same in metrics, audit lines,
/// refusals and documentation. Signature reasons come first, decision reasons after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The signature was proven and its signer is trusted.
    Trusted,
    /// The signature does not parse as what it says it is.
    Malformed,
    /// A format, scheme, algorithm or critical field that is not understood or not allowed.
    Unsupported,
    /// The signature does not match the signed bytes.
    BadSignature,
    /// The claim is about another digest.
    DigestMismatch,
    /// The claim is about another size.
    SizeMismatch,
    /// The claim is about another media type.
    MediaTypeMismatch,
    /// An annotation that is required is not signed, or with another value.
    AnnotationMismatch,
    /// The signed names do not fit the certificate, the signer or the repository.
    NameMismatch,
    /// The key or certificate ends at nothing that is configured as trusted.
    UntrustedKey,
    /// The signer's key has not been acquired yet: its folder is empty or absent.
    KeyNotAcquired,
    /// The certificate is trusted, but is none of the identities that may sign.
    IdentityMismatch,
    /// The certificate or its chain breaks the format's profile.
    CertificateInvalid,
    /// The certificate is outside its validity.
    CertificateExpired,
    /// The signature's own expiry has passed.
    SignatureExpired,
    /// The signature or certificate is not valid yet.
    NotYetValid,
    /// The signer's `valid_until` needs an authentic time before it.
    SignedTooLate,
    /// A transparency-log entry is required and absent or not proven.
    LogEntryMissing,
    /// A timestamp is required and absent or not proven.
    TimestampInvalid,
    /// The certificate was revoked.
    Revoked,
    /// Whether the certificate was revoked could not be found out.
    RevocationUnknown,
    /// An attestation was proven, and the policy asks its signer for a signature.
    AttestationOnly,
    /// A signature was proven, and the policy asks its signer for an attestation.
    SignatureOnly,
    /// An attestation was proven, of another predicate type than the policy asks for.
    PredicateTypeMismatch,
    /// An attestation was proven, and the policy's condition does not hold for it or cannot be evaluated.
    ConditionNotMet,

    /// The policy is satisfied.
    Satisfied,
    /// The policy's mode is `allow`: nothing was verified.
    ModeAllow,
    /// The policy's mode is `deny`.
    ModeDeny,
    /// An exception names this digest.
    Exception,
    /// No policy covers the repository, or no statement of a signer's trust policy.
    NoPolicy,
    /// No signature of the formats that the policy wants was found.
    Unsigned,
    /// Signatures were found, none of a trusted signer.
    NoTrustedSignature,
    /// Some but not all of the required signers vouch for it.
    Incomplete,
    /// A manifest that an index lists is not allowed itself.
    ChildDenied,
    /// The manifest may not be judged: ambiguous, malformed, schema 1.
    ManifestInvalid,
    /// A source of signatures did not answer.
    SourceUnavailable,
    /// A bound was hit before the policy was satisfied.
    BoundExceeded,
    /// The evaluation took longer than its deadline.
    Deadline,
    /// The clock went back by more than five minutes.
    ClockWentBack,
    /// The decision could not be written to the audit log.
    AuditUnavailable,
}

impl Code {
    /// The code as it stands in reports and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::BadSignature => "bad_signature",
            Self::DigestMismatch => "digest_mismatch",
            Self::SizeMismatch => "size_mismatch",
            Self::MediaTypeMismatch => "media_type_mismatch",
            Self::AnnotationMismatch => "annotation_mismatch",
            Self::NameMismatch => "name_mismatch",
            Self::UntrustedKey => "untrusted_key",
            Self::KeyNotAcquired => "key_not_acquired",
            Self::IdentityMismatch => "identity_mismatch",
            Self::CertificateInvalid => "certificate_invalid",
            Self::CertificateExpired => "certificate_expired",
            Self::SignatureExpired => "signature_expired",
            Self::NotYetValid => "not_yet_valid",
            Self::SignedTooLate => "signed_too_late",
            Self::LogEntryMissing => "log_entry_missing",
            Self::TimestampInvalid => "timestamp_invalid",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation_unknown",
            Self::AttestationOnly => "attestation_only",
            Self::SignatureOnly => "signature_only",
            Self::PredicateTypeMismatch => "predicate_type_mismatch",
            Self::ConditionNotMet => "condition_not_met",
            Self::Satisfied => "satisfied",
            Self::ModeAllow => "mode_allow",
            Self::ModeDeny => "mode_deny",
            Self::Exception => "exception",
            Self::NoPolicy => "no_policy",
            Self::Unsigned => "unsigned",
            Self::NoTrustedSignature => "no_trusted_signature",
            Self::Incomplete => "incomplete",
            Self::ChildDenied => "child_denied",
            Self::ManifestInvalid => "manifest_invalid",
            Self::SourceUnavailable => "source_unavailable",
            Self::BoundExceeded => "bound_exceeded",
            Self::Deadline => "deadline",
            Self::ClockWentBack => "clock_went_back",
            Self::AuditUnavailable => "audit_unavailable",
        }
    }
}
