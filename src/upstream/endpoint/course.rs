//! The attempts at one request: which failures are worth another one, how long it waits, and what the breaker is told.

use std::time::Duration;

use super::Endpoint;
use crate::upstream::breaker::Pass;
use crate::upstream::error::{Again, Error, Failure};

/// A question is asked at most so often.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Who is told to wait longer before it asks again gives up.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The attempts at one request.
pub(in crate::upstream) struct Course<'a> {
    pub(in crate::upstream) pass: Pass<'a>,
    attempt: u32,
    endpoint: &'a Endpoint,
}

impl<'a> Course<'a> {
    /// Before the first; `endpoint` is who is asked.
    pub(in crate::upstream) fn begun(pass: Pass<'a>, endpoint: &'a Endpoint) -> Self {
        Self { pass, attempt: 1, endpoint }
    }

    /// One succeeded.
    pub(in crate::upstream) fn ended<T>(self, answer: T) -> T {
        self.pass.answered();
        self.endpoint.tell_answered();
        answer
    }

    /// One failed: waits before the next, if there is to be one.
    pub(in crate::upstream) async fn again(self, failure: Failure) -> Result<Self, Error> {
        let Some(pause) = self.pause(failure.again) else {
            return Err(self.failed(failure));
        };
        tokio::time::sleep(pause).await;
        Ok(Self { attempt: self.attempt + 1, ..self })
    }

    /// How long to wait before the next attempt, if there is to be one. Randomly longer by up to a half,
    /// so that many who failed together do not come back together.
    pub(super) fn pause(&self, again: Again) -> Option<Duration> {
        let Again::After(asked) = again else { return None };
        if self.attempt == ATTEMPTS || asked > MAX_PAUSE {
            return None;
        }
        let ours = FIRST_PAUSE * 4u32.pow(self.attempt - 1);
        Some(asked.max(ours).mul_f64(1.0 + fastrand::f64() / 2.0))
    }

    /// The last one failed: tells the breaker what that says about the upstream, and the log what an operator should
    /// know. What a host does that it sent us to for a blob is that host's: the registry has answered, and has more content
    /// than that.
    pub(in crate::upstream) fn failed(self, failure: Failure) -> Error {
        if let Some(host) = self.pass.elsewhere() {
            let failure = Failure { error: failure.error.of_other_host(host), ..failure };
            self.endpoint.tell_failed(&failure);
            self.pass.answered();
            return failure.told();
        }
        let wait = match failure.again {
            Again::Never => Duration::ZERO,
            Again::After(wait) => wait,
        };
        self.endpoint.tell_failed(&failure);
        match &failure.error {
            Error::Unavailable(why) => {
                if self.pass.failed(failure.silent, wait, why) {
                    self.endpoint.tell_left_alone(why);
                }
            }
            Error::Throttled { retry_after } => self.pass.throttled(*retry_after),
            Error::Forbidden(_) if failure.silent => self.pass.unasked(),
            _ => {
                self.pass.answered();
                self.endpoint.tell_answered();
            }
        }
        failure.told()
    }
}
