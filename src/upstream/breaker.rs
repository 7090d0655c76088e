//! A circuit breaker: an upstream that was out several times in a row is left alone for a while, so
//! that whoever has stale content need not wait for timeouts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many outages in a row open it.
const OUTAGES: u32 = 5;
/// It stays open so long; then one request tries.
const OPEN: Duration = Duration::from_secs(10);

/// Counts outages; lets pass or not.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    outages: u32,
    open_until: Option<Instant>,
    /// One request is trying whether the upstream is back.
    probing: bool,
}

/// Leave for one request. It tells how the request ended; one that was given up tells nothing.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Breaker {
    /// Leave for a request; `None` while the upstream is left alone.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        self.enter_at(Instant::now())
    }

    fn enter_at(&self, now: Instant) -> Option<Pass<'_>> {
        let mut state = self.state();
        let probe = match state.open_until {
            None => false,
            Some(until) if now < until || state.probing => return None,
            Some(_) => true,
        };
        state.probing |= probe;
        Some(Pass { breaker: self, probe })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The upstream answered, whatever it said.
    pub(super) fn answered(self) {
        let mut state = self.breaker.state();
        state.outages = 0;
        state.open_until = None;
    }

    /// The upstream was out.
    pub(super) fn failed(self) {
        let mut state = self.breaker.state();
        state.outages = state.outages.saturating_add(1);
        if state.outages >= OUTAGES {
            state.open_until = Some(Instant::now() + OPEN);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.state().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An open breaker, and the first moment at which it lets one try.
    fn opened() -> (Breaker, Instant) {
        let breaker = Breaker::default();
        for _ in 0..OUTAGES {
            breaker.enter().unwrap().failed();
        }
        assert!(breaker.enter().is_none());
        (breaker, Instant::now() + OPEN)
    }

    #[test]
    fn it_opens_lets_one_try_and_closes_when_that_succeeds() {
        let (breaker, later) = opened();
        let probe = breaker.enter_at(later).unwrap();
        assert!(breaker.enter_at(later).is_none(), "one at a time");
        probe.answered();
        breaker.enter().unwrap().failed();
        assert!(breaker.enter().is_some(), "the count began anew");
    }

    #[test]
    fn a_failed_try_opens_it_again_and_one_given_up_does_not_block() {
        let (breaker, later) = opened();
        drop(breaker.enter_at(later).unwrap());
        breaker.enter_at(later).unwrap().failed();
        assert!(breaker.enter().is_none());
    }

    #[test]
    fn only_outages_in_a_row_count() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..OUTAGES {
                breaker.enter().unwrap().failed();
            }
            breaker.enter().unwrap().answered();
        }
    }
}
