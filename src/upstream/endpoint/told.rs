//! What the log says of an endpoint: each kind of failure once a minute, however many ask, and that it is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Endpoint;
use crate::upstream::error::{Failure, LOGIN};

/// A kind of failure is told at most so often.
const PAUSE: Duration = Duration::from_secs(60);

/// What was told, and whether it is over.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Told {
    last: Mutex<Vec<(&'static str, Instant)>>,
    open: AtomicBool,
}

impl Told {
    /// Whether a failure of this kind is to be told now. From then on it is not over.
    fn is_due(&self, kind: &'static str, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.iter().any(|(known, at)| *known == kind && now.saturating_duration_since(*at) < PAUSE) {
            return false;
        }
        last.retain(|(known, _)| *known != kind);
        last.push((kind, now));
        self.open.store(true, Ordering::Relaxed);
        true
    }

    /// It is over: whether somebody was told that it had begun.
    fn is_over(&self) -> bool {
        self.open.load(Ordering::Relaxed) && self.open.swap(false, Ordering::Relaxed)
    }
}

impl Endpoint {
    /// A question failed, after all attempts.
    pub(super) fn tell_failed(&self, failure: &Failure) {
        let Some(kind) = failure.kind() else { return };
        let (registry, address) = (self.meter.registry(), &self.origin);
        let words = failure.words.as_ref().map(tracing::field::display);
        let error = &failure.error;
        if kind == LOGIN {
            if self.logins.is_due(kind, Instant::now()) {
                tracing::warn!(%registry, %address, %error, "an upstream refuses the login");
            }
        } else if self.outages.is_due(kind, Instant::now()) {
            tracing::warn!(%registry, %address, kind, %error, words, "an upstream fails");
        }
    }

    /// It failed so often that it is not asked for a while.
    pub(super) fn tell_left_alone(&self, why: &str) {
        if self.outages.is_due("left_alone", Instant::now()) {
            let (registry, address) = (self.meter.registry(), &self.origin);
            tracing::warn!(%registry, %address, why, "an upstream is left alone for a moment");
        }
    }

    /// A question was answered, whatever the answer.
    pub(super) fn tell_answered(&self) {
        if self.outages.is_over() {
            tracing::info!(registry = %self.meter.registry(), address = %self.origin, "an upstream answers again");
        }
    }

    /// It did not refuse what was sent with a credential.
    pub(super) fn tell_login_taken(&self) {
        if self.has_login.load(Ordering::Relaxed) && self.logins.is_over() {
            let (registry, address) = (self.meter.registry(), &self.origin);
            tracing::info!(%registry, %address, "an upstream takes the login again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_a_minute_and_its_end_once() {
        let (told, begin) = (Told::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(!told.is_over(), "nothing has begun");
        assert!(told.is_due("dns", at(0)) && told.is_due("tls", at(0)));
        assert!(!told.is_due("dns", at(59)));
        assert!(told.is_over() && !told.is_over());
        // One that comes and goes says no more than one that stays.
        assert!(!told.is_due("dns", at(59)) && !told.is_over());
        assert!(told.is_due("dns", at(60)) && told.is_over());
        assert!(!told.is_due("dns", at(119)) && told.is_due("tls", at(119)));
    }
}
