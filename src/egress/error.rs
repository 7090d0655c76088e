//! Why a request got no usable answer.

use std::error::Error as StdError;
use std::io;

use crate::telemetry::Untrusted;

/// What became of a request that got no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Our own rules forbid it. Asking again changes nothing.
    #[error("{0}")]
    Forbidden(String),
    /// The host's name leads to no address.
    #[error("{0}")]
    Unresolved(String),
    /// No connection: TCP or the proxy failed.
    #[error("{0}")]
    Unreachable(String),
    /// A connection, but no TLS over it: nobody whom we trust vouches for the peer, for one.
    #[error("{0}")]
    Insecure(String),
    /// The peer, by host and port, answered something else than TLS.
    #[error("{0} does not speak TLS")]
    Plain(String),
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

    /// What `error` of a TLS handshake with `peer` tells; an error of our own that it carries comes from below TLS.
    pub(super) fn of_handshake(error: &(dyn StdError + 'static), peer: &str) -> Self {
        let found = Self::of(error, true);
        match error {
            error if is_own(error) => found,
            error if is_plain(error) => Self::Plain(peer.to_owned()),
            _ => Self::Insecure(format!("{peer}: TLS: {found}")),
        }
    }

    /// Its kind, as metrics and logs name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "forbidden",
            Self::Unresolved(_) => "dns",
            Self::Unreachable(_) => "connect",
            Self::Insecure(_) | Self::Plain(_) => "tls",
            Self::TimedOut(_) => "timeout",
            // Of an answer's head there is no limit that this names.
            Self::Broken(_) | Self::TooLarge { .. } => "broken",
        }
    }

    /// Whether nobody answered, or none that could be understood.
    pub fn is_silence(&self) -> bool {
        !matches!(self, Self::Forbidden(_) | Self::TooLarge { .. })
    }
}

fn is_own(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| error.is::<Error>())
}

/// Whether the first that came was no TLS record. Errors of I/O hold others, which they do not name as their source.
fn is_plain(error: &(dyn StdError + 'static)) -> bool {
    use rustls::{Error as Tls, InvalidMessage};
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
    .any(|error| {
        matches!(error.downcast_ref(), Some(Tls::InvalidMessage(InvalidMessage::InvalidContentType)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::NO_ANSWER;

    #[test]
    fn the_kinds_are_those_that_metrics_know() {
        let why = String::new;
        let all = [
            Error::Unresolved(why()),
            Error::Unreachable(why()),
            Error::Insecure(why()),
            Error::Plain(why()),
            Error::TimedOut(why()),
            Error::Broken(why()),
            Error::Forbidden(why()),
            Error::TooLarge { limit: 0 },
        ];
        for error in all {
            assert!(NO_ANSWER.contains(&error.kind()), "{error:?}");
        }
    }
}
