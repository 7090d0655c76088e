//! Why a request got no usable answer.

use std::error::Error as StdError;

use crate::telemetry::Untrusted;

/// What became of a request that got no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Our own rules forbid it. Asking again changes nothing.
    #[error("{0}")]
    Forbidden(String),
    /// No connection: name resolution, TCP, TLS or the proxy failed.
    #[error("{0}")]
    Unreachable(String),
    /// It took too long.
    #[error("{0}")]
    TimedOut(String),
    /// The peer broke off or did not speak HTTP.
    #[error("{0}")]
    Broken(String),
    /// The body is larger than what is read.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The most that is read, in bytes.
        limit: u64,
    },
}

impl Error {
    /// What `error` of the HTTP library tells: an error of our own that it carries, or its words.
    pub(super) fn of(error: &(dyn StdError + 'static), connecting: bool) -> Self {
        let mut words = Vec::new();
        let mut link = Some(error);
        while let Some(error) = link {
            if let Some(own) = error.downcast_ref::<Self>() {
                return own.clone();
            }
            words.push(error.to_string());
            link = error.source();
        }
        // TLS errors quote the peer's certificate.
        let text = Untrusted::new(words.join(": ")).to_string();
        if connecting { Self::Unreachable(text) } else { Self::Broken(text) }
    }
}
