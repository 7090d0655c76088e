//! What can become of a request to an upstream, named by what the caller does next.

use std::time::Duration;

use crate::telemetry::Untrusted;

/// Why there is no answer, or which answer it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// 404: the upstream does not have it. An answer, not an outage.
    #[error("the upstream does not have it")]
    NotFound,
    /// 401, 403 or another 4xx: the upstream will not give it to us. An answer, not an outage.
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
