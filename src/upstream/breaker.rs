//! A circuit breaker: an upstream that was out several times in a row is left alone for a while, and
//! one that asked for a pause gets it. It also knows whether an answer can be expected at all, so that
//! whoever has an older one need not wait for timeouts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::egress::Origin;

/// An answer that takes longer is late: who has an older one waits no longer. Long enough for a
/// connection, TLS, a token and the question itself on a link with 100 ms a round trip. It is paid
/// once an outage: from then on the upstream is suspect.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// It stays open so long; then one request tries.
const OPEN: Duration = Duration::from_secs(10);
/// An upstream that says itself that it will be out for longer is left alone for at most so long:
/// what one request met need not be so for the others.
const LONGEST_OPEN: Duration = Duration::from_secs(60);
/// A pause that it asks for is kept for at most so long; then one request asks again: what one repository's
/// limit is need not be the others', and nobody else would ever find out.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// So long after it last left a question without an answer an upstream is suspect, unless it answers
/// another. Longer, and a short outage in the evening would have old tags served in the morning.
const SUSPICION: Duration = Duration::from_secs(300);

/// Of more repositories that an outage was told of than this is not remembered.
const MOST_ABOUT: usize = 64;

/// Counts outages; lets pass or not.
#[derive(Debug)]
pub(super) struct Breaker {
    /// So many outages in a row open it.
    outages: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outages: u32,
    /// The repositories that were asked for when it said that it is out, since it last answered otherwise.
    about: Vec<String>,
    /// What the last one was.
    last: String,
    open_until: Option<Instant>,
    /// The upstream asked not to be asked before.
    throttled_until: Option<Instant>,
    suspect_until: Option<Instant>,
    /// It has answered nothing at all since it became suspect.
    silent: bool,
    /// One request is trying whether the upstream is back.
    probing: bool,
}

/// Leave for one request. It tells how the request ended; one that was given up tells nothing but
/// that no head came in time.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    /// Since when a head is waited for: not between attempts, nor while a body comes.
    waiting: Option<Instant>,
    /// The last head came late.
    late: bool,
    /// Another than the registry may be waited for.
    may_lead_elsewhere: bool,
    /// Who that was the last time.
    led_to: Option<Origin>,
    /// The repository that it is about.
    about: Option<&'a str>,
    probe: bool,
}

/// Why there is no leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    /// It was out too often; the last time like this, whatever it said of what it had been asked for.
    LeftAlone(String),
    /// It asked for a pause, of which so much is left.
    Throttled(Duration),
}

impl Breaker {
    /// A breaker that so many outages in a row open.
    pub(super) fn after(outages: u32) -> Self {
        Self { outages, state: Mutex::default() }
    }

    /// Leave for a request.
    ///
    /// # Errors
    /// [`Shut`] while the upstream is left alone.
    pub(super) fn enter(&self) -> Result<Pass<'_>, Shut> {
        self.enter_at(Instant::now())
    }

    /// Whether the last question found no answer in time, and none has been answered since.
    pub(super) fn is_suspect(&self) -> bool {
        self.state().suspect_until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether it is suspect and has not answered late either.
    pub(super) fn is_silent(&self) -> bool {
        self.is_suspect() && self.state().silent
    }

    /// Whether it was left alone, and has answered nothing since.
    pub(super) fn is_open(&self) -> bool {
        self.state().open_until.is_some()
    }

    /// Somebody gave up waiting.
    pub(super) fn doubt(&self) {
        self.state().suspect(Instant::now());
    }

    fn enter_at(&self, now: Instant) -> Result<Pass<'_>, Shut> {
        let mut state = self.state();
        if let Some(shut) = state.shut(now) {
            return Err(shut);
        }
        let probe = state.open_until.is_some();
        state.probing |= probe;
        let waiting = Some(now);
        let (late, may_lead_elsewhere, led_to, about) = (false, false, None, None);
        Ok(Pass { breaker: self, waiting, late, may_lead_elsewhere, led_to, about, probe })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn shut(&self, now: Instant) -> Option<Shut> {
        if let Some(until) = self.throttled_until.filter(|until| now < *until) {
            return Some(Shut::Throttled(until - now));
        }
        let until = self.open_until?;
        (now < until || self.probing).then(|| Shut::LeftAlone(self.last.clone()))
    }

    fn suspect(&mut self, from: Instant) {
        self.suspect_until = self.suspect_until.max(Some(from + SUSPICION));
        self.silent = true;
    }

    /// Whether an outage was told of over this repository already.
    fn knows(&mut self, about: &str) -> bool {
        let is_known = self.about.iter().any(|known| known == about);
        if !is_known && self.about.len() < MOST_ABOUT {
            self.about.push(about.to_owned());
        }
        is_known
    }

    fn open(&mut self, until: Instant) {
        self.open_until = self.open_until.max(Some(until));
        self.suspect(until);
    }
}

impl<'a> Pass<'a> {
    /// About which repository it is.
    pub(super) fn about(mut self, repository: &'a str) -> Self {
        self.about = Some(repository);
        self
    }
}

impl Pass<'_> {
    /// The registry may have sent us on, as to the storage of its blobs, whose silence and trouble are not its own:
    /// a request that is given up then tells nothing.
    pub(super) fn may_lead_elsewhere(&mut self) {
        self.may_lead_elsewhere = true;
    }

    /// Another host than the registry was asked last.
    pub(super) fn led_to(&mut self, other: Option<Origin>) {
        self.led_to = other;
    }

    /// Who was asked last, where that is not the registry and does not speak for it.
    pub(super) fn elsewhere(&self) -> Option<&Origin> {
        self.led_to.as_ref().filter(|_| self.may_lead_elsewhere)
    }

    /// A head is waited for from now on.
    pub(super) fn asks(&mut self) {
        self.waiting = Some(Instant::now());
    }

    /// The wait is over.
    pub(super) fn heard(&mut self) -> Instant {
        let now = Instant::now();
        if let Some(since) = self.waiting.take() {
            self.late = now.saturating_duration_since(since) > PATIENCE;
        }
        now
    }

    /// Our own rules did not let it be asked, which tells nothing about it.
    pub(super) fn unasked(mut self) {
        self.heard();
    }

    /// The upstream answered, whatever it said. Late answers prove no health, and those to questions
    /// that were asked before a pause do not end it.
    pub(super) fn answered(mut self) {
        let now = self.heard();
        let mut state = self.breaker.state();
        state.outages = 0;
        state.about.clear();
        if state.throttled_until.is_some_and(|until| now < until) {
            return;
        }
        (state.open_until, state.throttled_until, state.silent) = (None, None, false);
        if !self.late {
            state.suspect_until = None;
        }
    }

    /// The upstream answered that it is asked too often, and maybe when to come again.
    pub(super) fn throttled(mut self, wait: Option<Duration>) {
        let now = self.heard();
        let mut state = self.breaker.state();
        state.outages = 0;
        state.about.clear();
        state.suspect(now);
        if let Some(wait) = wait.map(|wait| wait.min(LONGEST_PAUSE)) {
            state.throttled_until = state.throttled_until.max(Some(now + wait));
            state.open(now + wait);
        }
    }

    /// The upstream was out, and `why`: it answered so, maybe saying for how long, or, `silent`, did not answer. Whether
    /// it is left alone from now on. That it says so counts once a repository, where more than one outage is needed: whoever
    /// asks for a broken one again and again does not shut it for the others.
    pub(super) fn failed(mut self, silent: bool, wait: Duration, why: &str) -> bool {
        let now = self.heard();
        let mut state = self.breaker.state();
        why.clone_into(&mut state.last);
        if silent {
            state.suspect(now);
        } else if self.breaker.outages > 1
            && let Some(about) = self.about
            && state.knows(about)
        {
            return false;
        }
        state.outages = state.outages.saturating_add(1);
        let is_out = state.outages >= self.breaker.outages;
        let opens = is_out && state.open_until.is_none_or(|until| until <= now);
        if is_out {
            state.open(now + wait.clamp(OPEN, LONGEST_OPEN));
        }
        opens
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let is_given_up = self.waiting.is_some() && !self.may_lead_elsewhere;
        let now = self.heard();
        let mut state = self.breaker.state();
        if is_given_up && self.late {
            state.suspect(now);
        }
        if self.probe {
            state.probing = false;
        }
    }
}

#[cfg(test)]
mod tests;
