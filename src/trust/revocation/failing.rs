//! Servers that failed a moment ago are left alone for a while: a site that is cut off would else wait
//! for them at every decision.

use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;

/// More than this many are forgotten, those not met first.
const MOST: usize = 1024;
/// So long nobody asks again.
const REST: Duration = Duration::from_secs(30);
/// So long the log says nothing more of the same failure.
const SILENCE: Duration = Duration::from_secs(600);

pub(super) struct Failing(Cache<String, Failed>);

#[derive(Clone)]
struct Failed {
    at: SystemTime,
    told: SystemTime,
    why: String,
}

impl Default for Failing {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Failing {
    /// Why `what` failed, if that was a moment ago.
    pub(super) fn why(&self, what: &str, now: SystemTime) -> Option<String> {
        let failed = self.0.get(what)?;
        within(failed.at, now, REST).then_some(failed.why)
    }

    /// Notes a failure. Says whether it is worth a line in the log.
    pub(super) fn note(&self, what: &str, why: &str, now: SystemTime) -> bool {
        let told = self.0.get(what).map(|failed| failed.told).filter(|told| within(*told, now, SILENCE));
        let failed = Failed { at: now, told: told.unwrap_or(now), why: why.to_owned() };
        self.0.insert(what.to_owned(), failed);
        told.is_none()
    }
}

/// A clock that went back ends every rest.
fn within(since: SystemTime, now: SystemTime, length: Duration) -> bool {
    now.duration_since(since).is_ok_and(|age| age < length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_remembered_for_a_while_and_told_once() {
        let failing = Failing::default();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(failing.note("host", "refused", at(1000)));
        assert_eq!(failing.why("host", at(1029)).as_deref(), Some("refused"));
        assert_eq!(failing.why("host", at(1030)), None);
        assert_eq!(failing.why("host", at(999)), None, "the clock went back");
        assert_eq!(failing.why("other", at(1000)), None);
        assert!(!failing.note("host", "refused", at(1599)));
        assert!(failing.note("host", "refused", at(1600)));
    }
}
