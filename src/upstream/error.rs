//! What can become of a request to an upstream, named by what the caller does next.

use std::fmt::Display;
use std::time::Duration;

use crate::egress::{self, Origin};
use crate::telemetry::Untrusted;

/// Why there is no answer, or which answer it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// 404: the upstream does not have it. An answer, not an outage.
    #[error("the upstream does not have it")]
    NotFound,
    /// 401, 403, another 4xx or 501: the upstream will not give it to us. An answer, not an outage.
    #[error("the upstream answered {status}: {message}")]
    Refused {
        /// The response's status.
        status: u16,
        /// What the upstream said about it.
        message: Untrusted,
    },
    /// 429: ask later.
    #[error("the upstream is throttling us")]
    Throttled {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// Down, slow, answering 5xx or nonsense, or known to be so: stale content may serve.
    #[error("the upstream is unavailable: {0}")]
    Unavailable(String),
    /// The answer is larger than what is read.
    #[error("the upstream's answer is larger than {limit} bytes")]
    TooLarge {
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// One of our own rules on hosts, addresses or downgrades forbids the request.
    #[error("not allowed by the egress rules: {0}")]
    Forbidden(String),
    /// The upstream is configured never to be asked.
    #[error("the upstream is configured offline")]
    Offline,
}

impl Error {
    /// What it says of what was carried here, without the words that are for registries.
    pub fn plainly(self) -> String {
        match self {
            Self::Unavailable(why) => why,
            other => other.to_string(),
        }
    }

    /// The same from a host that the registry sent us to.
    pub(super) fn of_other_host(self, host: &Origin) -> Self {
        match self {
            Self::Unavailable(why) => Self::Unavailable(format!("{host}, where it keeps its blobs: {why}")),
            other => other,
        }
    }

    /// The same from a token server of the registry: it is another host that may have to be looked after.
    pub(super) fn of_token_server(self, server: &str) -> Self {
        let named = |why: &dyn Display| format!("its token server {server}: {why}");
        match self {
            Self::Unavailable(why) => Self::Unavailable(named(&why)),
            Self::Refused { status, message } => {
                Self::Refused { status, message: Untrusted::new(named(&message)) }
            }
            // No word about content.
            Self::NotFound => Self::Unavailable(named(&"it answered that there is no such page")),
            other => other,
        }
    }

    /// An answer that makes no sense.
    pub(super) fn nonsense(what: &str) -> Self {
        Self::Unavailable(format!("its answer is not what the specification asks for: {what}"))
    }
}

impl From<egress::Error> for Error {
    fn from(error: egress::Error) -> Self {
        match error {
            egress::Error::Forbidden(rule) => Self::Forbidden(rule),
            egress::Error::TooLarge { limit } => Self::TooLarge { limit },
            egress::Error::Unresolved(why)
            | egress::Error::Unreachable(why)
            | egress::Error::Insecure(why)
            | egress::Error::TimedOut(why)
            | egress::Error::Broken(why) => Self::Unavailable(why),
            egress::Error::Plain(peer) => Self::Unavailable(format!(
                "{peer} does not speak TLS: if it is meant to be asked without, write `url: http://{peer}` in the \
                 configuration, or --insecure (of verify: --insecure-registry) on the command line"
            )),
        }
    }
}

/// A failed attempt: what it comes to, and whether another may fare better.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// What an upstream that is out says about it: it may speak of what others may not know of.
    pub(super) words: Option<Untrusted>,
    pub(super) again: Again,
    /// No answer came, not even one that it is out.
    pub(super) silent: bool,
    /// Of which kind it was, where no answer came; [`LOGIN`] where one is missing or refused.
    pub(super) cause: Option<&'static str>,
}

/// The kind of failures that are about a login.
pub(super) const LOGIN: &str = "login";

/// Whether an attempt may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It would end the same way, or take as long.
    Never,
    /// After a pause, the longer one of ours and of what the upstream asks for.
    After(Duration),
}

impl Failure {
    /// Its kind, where it is one that whoever runs the process should know of.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match &self.error {
            Error::Unavailable(_) => Some(self.cause.unwrap_or("answer")),
            Error::Forbidden(_) => Some("forbidden"),
            Error::Throttled { .. } => Some("throttled"),
            Error::Refused { .. } => self.cause,
            Error::NotFound | Error::TooLarge { .. } | Error::Offline => None,
        }
    }

    /// The error for those who asked, with the upstream's words.
    pub(super) fn told(self) -> Error {
        match (self.error, self.words) {
            (Error::Unavailable(why), Some(words)) => Error::Unavailable(format!("{why}: {words}")),
            (error, _) => error,
        }
    }
}

impl From<egress::Error> for Failure {
    fn from(error: egress::Error) -> Self {
        let (again, silent) = match &error {
            egress::Error::Unresolved(_)
            | egress::Error::Unreachable(_)
            | egress::Error::Insecure(_)
            | egress::Error::Plain(_)
            | egress::Error::Broken(_) => (Again::After(Duration::ZERO), true),
            // Who waited once for a timeout does not wait three times.
            egress::Error::TimedOut(_) => (Again::Never, true),
            egress::Error::Forbidden(_) => (Again::Never, true),
            egress::Error::TooLarge { .. } => (Again::Never, false),
        };
        let cause = Some(error.kind());
        Self { error: error.into(), words: None, again, silent, cause }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, words: None, again: Again::Never, silent: false, cause: None }
    }
}
