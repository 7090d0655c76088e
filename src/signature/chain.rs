//! What a broken certificate chain means for the signature that carries it.

use std::time::SystemTime;

use super::rejection::Ends;
use super::{Fingerprint, Rejection};
use crate::telemetry::Untrusted;
use crate::x509::{Certificate, chain};

/// The rejection for a chain from `leaf` that led to none of `expected` at `now`.
pub(super) fn rejection(
    error: chain::Error,
    leaf: &Certificate,
    expected: impl AsRef<str>,
    now: SystemTime,
) -> Rejection {
    match error {
        chain::Error::Untrusted { subject } => Rejection::UntrustedKey {
            expected: Untrusted::new(expected),
            found: subject.into(),
            key: Fingerprint(leaf.fingerprint()),
        },
        chain::Error::Expired { not_after, .. } => {
            Rejection::Expired { what: Ends::Certificate, not_after, now }
        }
        chain::Error::NotYetValid { not_before, .. } => {
            Rejection::NotYetValid { what: Ends::Certificate, not_before, now }
        }
        chain::Error::Invalid { subject, rule } => {
            Rejection::Certificate { subject: subject.into(), why: rule.into() }
        }
    }
}
