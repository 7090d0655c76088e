//! Why content cannot be had, named by what the caller does next.

use std::time::Duration;

use crate::flight::Lost;
use crate::oci::{Descriptor, Digest, ManifestError};
use crate::telemetry::Untrusted;
use crate::{store, upstream};

/// Why there is no content.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The upstream does not have it.
    #[error("the upstream does not have it")]
    NotFound,
    /// The upstream will not give it to us: 401, 403 or another 4xx.
    #[error("the upstream answered {status}: {message}")]
    Refused {
        /// The response's status.
        status: u16,
        /// What the upstream said about it.
        message: Untrusted,
    },
    /// The upstream asks to come later.
    #[error("the upstream is throttling us")]
    Throttled {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// Down, slow, or answering nonsense.
    #[error("the upstream is unavailable: {0}")]
    Unavailable(String),
    /// Larger than what is read into memory.
    #[error("the content is larger than {limit} bytes")]
    TooLarge {
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// One of our own rules on hosts, addresses or downgrades forbids the request.
    #[error("not allowed by the egress rules: {0}")]
    Forbidden(String),
    /// Not kept, and the upstream is configured never to be asked.
    #[error("it is not in the store, and the upstream is configured offline")]
    Offline,
    /// The content is not what its digest or its descriptor says, upstream's or kept. Kept content
    /// has been moved aside, so that asking again may help.
    #[error("content of {expected} is something else: {found}")]
    Corrupt {
        /// What was asked for.
        expected: Digest,
        /// What was found instead.
        found: Untrusted,
    },
    /// The bytes are right and no manifest that may be judged.
    #[error("{0}")]
    Manifest(ManifestError),
    /// The store failed. An entry that cannot be read is never taken for a missing one.
    #[error("the store failed: {0}")]
    Store(String),
}

impl Error {
    /// Whether the upstream is in trouble, so that older answers may serve. A 401, 403 or 404 is an
    /// answer.
    pub fn is_trouble(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable(_))
    }

    /// What a fetch that ends so is counted as; `None` for an answer.
    pub(super) fn failure(&self) -> Option<&'static str> {
        match self {
            Self::NotFound => None,
            Self::Refused { .. } => Some("refused"),
            Self::Throttled { .. } => Some("throttled"),
            Self::Unavailable(_) => Some("unavailable"),
            Self::TooLarge { .. } => Some("too_large"),
            Self::Forbidden(_) => Some("forbidden"),
            Self::Offline => Some("offline"),
            Self::Corrupt { .. } => Some("corrupt"),
            Self::Manifest(_) => Some("invalid"),
            Self::Store(_) => Some("store"),
        }
    }

    /// Content of another length than its descriptor says.
    pub(super) fn length(expected: &Descriptor, found: u64) -> Self {
        Self::Corrupt {
            expected: expected.digest,
            found: format!("{found} bytes where {} belong", expected.size).into(),
        }
    }
}

impl From<upstream::Error> for Error {
    fn from(error: upstream::Error) -> Self {
        match error {
            upstream::Error::NotFound => Self::NotFound,
            upstream::Error::Refused { status, message } => Self::Refused { status, message },
            upstream::Error::Throttled { retry_after } => Self::Throttled { retry_after },
            upstream::Error::Unavailable(why) => Self::Unavailable(why),
            upstream::Error::TooLarge { limit } => Self::TooLarge { limit },
            upstream::Error::Forbidden(rule) => Self::Forbidden(rule),
            upstream::Error::Offline => Self::Offline,
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Corrupt { expected, found } => {
                Self::Corrupt { expected, found: found.to_string().into() }
            }
            store::Error::Length { digest, expected, found } => Self::Corrupt {
                expected: digest,
                found: format!("{found} bytes where {expected} belong").into(),
            },
            store::Error::TooLarge { limit, .. } => Self::TooLarge { limit },
            other => Self::Store(other.to_string()),
        }
    }
}

impl From<ManifestError> for Error {
    fn from(error: ManifestError) -> Self {
        match error {
            ManifestError::Digest { expected, found } => {
                Self::Corrupt { expected, found: found.to_string().into() }
            }
            ManifestError::TooLarge(_) => Self::TooLarge { limit: crate::oci::MAX_MANIFEST_BYTES },
            other => Self::Manifest(other),
        }
    }
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        Self::Unavailable(lost.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::FETCH_FAILURES;

    #[test]
    fn failures_are_those_that_metrics_know() {
        let digest = Digest::sha256(b"x");
        let not_json = crate::oci::Manifest::parse("x".into(), crate::oci::Algorithm::Sha256).unwrap_err();
        let all = [
            Error::Refused { status: 403, message: Untrusted::default() },
            Error::Throttled { retry_after: None },
            Error::Unavailable(String::new()),
            Error::TooLarge { limit: 0 },
            Error::Forbidden(String::new()),
            Error::Offline,
            Error::Corrupt { expected: digest, found: Untrusted::default() },
            Error::Manifest(not_json),
            Error::Store(String::new()),
        ];
        let counted: Vec<_> = all.iter().filter_map(Error::failure).collect();
        assert!(counted.iter().all(|reason| FETCH_FAILURES.contains(reason)), "{counted:?}");
        assert_eq!(counted.len(), FETCH_FAILURES.len());
        assert_eq!(Error::NotFound.failure(), None);
    }
}
