//! The chain of lines: a number each, and the SHA-256 of the line before.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// How much of a log's end is read to go on with it: the longest line fits in twice.
pub(super) const TAIL_BYTES: u64 = 2 * super::MAX_LINE_BYTES as u64 + 2;

/// What the `sequence` and `previous` members take in front of a line, at most.
pub(super) const HEAD_BYTES: usize = 128;

/// Where the next line is joined on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    sequence: u64,
    previous: [u8; 32],
}

impl Default for Chain {
    /// The first line has number 1 and follows nothing: a hash of zeros.
    fn default() -> Self {
        Self { sequence: 1, previous: [0; 32] }
    }
}

#[derive(Deserialize)]
struct Numbered {
    sequence: u64,
}

impl Chain {
    /// The chain after the lines in `tail`, the end of a log, and how many of them cannot be read
    /// (cut short, or overwritten): each counts as one line. `None` where no line can be read.
    pub(super) fn resume(tail: &[u8]) -> Option<(Self, u64)> {
        let tail = tail.strip_suffix(b"\n").unwrap_or(tail);
        if tail.is_empty() {
            return Some((Self::default(), 0));
        }
        for (damaged, line) in (0..).zip(tail.rsplit(|b| *b == b'\n')) {
            if let Ok(Numbered { sequence }) = serde_json::from_slice(line) {
                let last = tail.rsplit(|b| *b == b'\n').next().unwrap_or_default();
                return Some((Self::after(sequence.saturating_add(damaged), last), damaged));
            }
        }
        None
    }

    /// The chain after `line`, whose number is `sequence`.
    pub(super) fn after(sequence: u64, line: &[u8]) -> Self {
        Self { sequence: sequence.saturating_add(1), previous: Sha256::digest(line).into() }
    }

    /// The number of the next line.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The SHA-256 of the line before it.
    pub(super) fn previous(&self) -> &[u8; 32] {
        &self.previous
    }

    /// `json`, an object, as the next line, without the line's end.
    pub(super) fn next(&self, json: &str) -> String {
        let rest = json.strip_prefix('{').unwrap_or(json);
        let comma = if rest == "}" { "" } else { "," };
        let previous = hex::encode(self.previous);
        format!(r#"{{"sequence":{},"previous":"{previous}"{comma}{rest}"#, self.sequence)
    }

    /// Goes on behind `line`, once it is written.
    pub(super) fn advance(&mut self, line: &str) {
        *self = Self::after(self.sequence, line.as_bytes());
    }
}
