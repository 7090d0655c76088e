//! The time by which is decided: it never goes back, whatever the clock shows.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Memory;
use crate::admission::MAX_CLOCK_SETBACK;
use crate::admission::retire::seconds;

/// The record of the latest time that was seen.
pub(super) const LATEST: &[u8] = b"latest";
/// The end of the year 9999, in Unix seconds: no record makes a later time.
pub(super) const END_OF_TIME: u64 = 253_402_300_799;

/// The time by which is decided.
#[derive(Clone, Copy)]
pub(in crate::admission) struct Moment {
    /// What the clock shows, or the latest that it showed: nothing lives longer because a clock goes
    /// back.
    pub(in crate::admission) now: SystemTime,
    /// How far the clock is behind that, where a correction would not explain it.
    pub(in crate::admission) setback: Option<Duration>,
    /// Whether the clock is behind that at all.
    pub(in crate::admission) is_behind: bool,
}

impl Memory {
    /// The time now. Notes it, for a clock that goes back.
    pub(in crate::admission) fn moment(&self) -> Moment {
        let shown = self.clock.now();
        let latest = UNIX_EPOCH + Duration::from_secs(self.note(shown));
        let back = latest.duration_since(shown).ok();
        let setback = back.filter(|back| *back > MAX_CLOCK_SETBACK);
        Moment { now: shown.max(latest), setback, is_behind: back.is_some_and(|back| !back.is_zero()) }
    }

    /// The latest time that was seen, in Unix seconds.
    fn note(&self, shown: SystemTime) -> u64 {
        let seconds = seconds(shown).min(END_OF_TIME);
        let latest = self.latest.load(Ordering::Acquire);
        if seconds <= latest {
            return latest;
        }
        let before = self.latest.fetch_max(seconds, Ordering::AcqRel);
        // For the next process a minute is near enough; hits write no more than that.
        if seconds / 60 > before / 60 {
            self.clock_record.put(LATEST, seconds.to_be_bytes());
        }
        before.max(seconds)
    }
}
