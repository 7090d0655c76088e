//! Why something is not served. `http/registry/error.rs` maps each variant to an answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::audit;
use crate::cache;
use crate::oci::Repository;
use crate::policy::{Decision, Reason, Verdict};
use crate::signature::Code;
use crate::telemetry::Untrusted;

/// Why a request is not answered with content.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The policy says no.
    Denied(Arc<Decision>),
    /// The policy could not be evaluated: neither yes nor no.
    Undecided {
        /// What was found out so far, and what was in the way.
        decision: Arc<Decision>,
        /// When asking again makes sense.
        retry_after: Duration,
    },
    /// No policy covers the repository, and what is there could not be looked at.
    Closed {
        /// The source name.
        repository: Repository,
        /// The policy that says so, where one does.
        policy: Option<Arc<str>>,
        /// Why, with the lines of configuration that would admit it.
        reason: Reason,
    },
    /// There is no such thing, or nothing that is admitted leads to it.
    Unknown(Unknown),
    /// The upstream or our own store is in the way.
    Upstream(Trouble),
}

/// What is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No configured upstream has this name.
    Registry,
    /// The upstream has no such repository.
    Repository,
    /// No such manifest.
    Manifest,
    /// No such blob in an admitted manifest of this repository.
    Blob,
}

/// What stands between the request and the content, other than policy.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The upstream limits our rate.
    Throttled {
        /// Its own `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The upstream does not answer as it should.
    Unavailable {
        /// What happened.
        message: Untrusted,
        /// When asking again makes sense.
        retry_after: Duration,
    },
    /// The upstream answered that we may not have it.
    Refused {
        /// Its status, 401 or 403.
        status: u16,
        /// Its words.
        message: Untrusted,
    },
    /// The decision would allow it, and could not be written to the audit log.
    Unrecorded {
        /// What happened.
        message: String,
    },
    /// Our own store failed.
    Internal {
        /// What happened.
        message: String,
    },
}

/// How long a client should wait where nobody else says.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Refusal {
    /// The reason's code.
    pub fn code(&self) -> Code {
        match self {
            Self::Denied(decision) | Self::Undecided { decision, .. } => {
                decision.reasons().first().map_or(Code::NoPolicy, |r| r.code)
            }
            Self::Closed { reason, .. } => reason.code,
            Self::Upstream(Trouble::Unrecorded { .. }) => Code::AuditUnavailable,
            Self::Unknown(_) | Self::Upstream(_) => Code::SourceUnavailable,
        }
    }

    /// Whether it says that something could not be found out, rather than no.
    pub(super) fn is_trouble(&self) -> bool {
        matches!(self, Self::Undecided { .. } | Self::Upstream(_))
    }

    /// Of two refusals on the way to the same content the one that says more. Trouble comes first:
    /// behind it there may have been leave.
    pub(super) fn or(self, other: Self) -> Self {
        let weight = |refusal: &Self| match refusal {
            Self::Undecided { .. } | Self::Upstream(_) => 2,
            Self::Denied(_) | Self::Closed { .. } => 1,
            Self::Unknown(_) => 0,
        };
        if weight(&other) > weight(&self) { other } else { self }
    }
}

/// The refusal of a decision that does not let its subject be served.
pub(super) fn denied(decision: &Arc<Decision>) -> Refusal {
    match decision.verdict() {
        Verdict::Indeterminate => {
            Refusal::Undecided { decision: Arc::clone(decision), retry_after: RETRY_AFTER }
        }
        Verdict::Allow | Verdict::Deny => Refusal::Denied(Arc::clone(decision)),
    }
}

/// The refusal where content cannot be had; `missing` is what a 404 means.
pub(super) fn refusal(error: cache::Error, missing: Unknown) -> Refusal {
    use cache::Error;
    match error {
        Error::NotFound => Refusal::Unknown(missing),
        Error::Refused { status, message } => Refusal::Upstream(Trouble::Refused { status, message }),
        Error::Throttled { retry_after } => Refusal::Upstream(Trouble::Throttled { retry_after }),
        Error::Store(message) => Refusal::Upstream(Trouble::Internal { message }),
        other => unavailable(other.to_string()),
    }
}

/// The refusal where somebody who may have it does not answer.
pub(super) fn unavailable(message: String) -> Refusal {
    Refusal::Upstream(Trouble::Unavailable { message: message.into(), retry_after: RETRY_AFTER })
}

/// The refusal where something of our own failed.
pub(super) fn internal(error: &dyn fmt::Display) -> Refusal {
    Refusal::Upstream(Trouble::Internal { message: error.to_string() })
}

/// The refusal where the audit log failed.
pub(super) fn unrecorded(error: &audit::Error) -> Refusal {
    let message = format!("the decision could not be recorded: {error}");
    Refusal::Upstream(Trouble::Unrecorded { message })
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(decision) | Self::Undecided { decision, .. } => f.write_str(&decision.message()),
            Self::Closed { repository, policy: Some(policy), reason } => {
                write!(f, "policy {policy}: {repository} {}", reason.message)
            }
            Self::Closed { repository, policy: None, reason } => write!(f, "{repository} {}", reason.message),
            Self::Unknown(Unknown::Registry) => {
                f.write_str("no configured upstream has this name; add it under `upstreams`")
            }
            Self::Unknown(Unknown::Repository) => f.write_str("the upstream has no such repository"),
            Self::Unknown(Unknown::Manifest) => f.write_str("the upstream has no such manifest"),
            Self::Unknown(Unknown::Blob) => {
                f.write_str("no admitted manifest of this repository names this blob")
            }
            Self::Upstream(trouble) => trouble.fmt(f),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttled { .. } => {
                f.write_str("the upstream limits the rate of requests; ask again later")
            }
            Self::Unavailable { message, .. } => write!(f, "the upstream is in trouble: {message}"),
            Self::Refused { status, message } => write!(f, "the upstream refused with {status}: {message}"),
            Self::Unrecorded { message } | Self::Internal { message } => f.write_str(message),
        }
    }
}
