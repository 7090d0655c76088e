//! What could not be recorded: remembered until the log itself says so.

use std::time::SystemTime;

use serde::Serialize;

use super::Error;
use super::line::{time, to_json};

/// A time in which lines could not be written.
#[derive(Debug)]
pub(super) struct Gap {
    since: SystemTime,
    /// Of decisions and counter-signatures; refusals wait.
    lines: u64,
    /// The last write failed.
    lasts: bool,
}

#[derive(Serialize)]
struct GapLine {
    event: &'static str,
    #[serde(serialize_with = "time")]
    since: SystemTime,
    lines: u64,
    note: &'static str,
}

impl Gap {
    /// One that begins now, before a line is lost.
    pub(super) fn begun(now: SystemTime) -> Self {
        Self { since: now, lines: 0, lasts: true }
    }

    /// A write failed, and these lines are lost.
    pub(super) fn failed(&mut self, lines: u64) {
        self.lines = self.lines.saturating_add(lines);
        self.lasts = true;
    }

    /// One succeeded.
    pub(super) fn ended(&mut self) {
        self.lasts = false;
    }

    /// Whether nothing can be written, as far as is known.
    pub(super) fn lasts(&self) -> bool {
        self.lasts
    }

    /// The log has a line about it and so many `lines`: whether that is all.
    pub(super) fn is_told(&mut self, lines: u64) -> bool {
        self.lines = self.lines.saturating_sub(lines);
        self.lines == 0
    }

    /// How many lines are lost.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// The line that tells of it.
    pub(super) fn to_json(&self) -> Result<String, Error> {
        let note = "so many decisions and counter-signatures could not be written since then: none of them allowed \
                    anything, unless dangerous_skip_audit was set";
        to_json(&GapLine { event: "unrecorded", since: self.since, lines: self.lines, note })
    }
}
