//! Whether a log is whole: every line in its place, with the hash of the one before. Tells what is wrong and goes on, so
//! that the rest is judged too.

use std::io::{self, BufRead, Read as _};

use serde::Deserialize;

use super::MAX_LINE_BYTES;
use super::chain::Chain;

/// Follows a chain over files, the oldest first.
#[derive(Debug, Default)]
pub struct Verifier {
    /// What the next line has to say; none before the first.
    next: Option<Chain>,
    first: u64,
    /// Lines in a row that cannot be read.
    unread: u64,
}

/// What a chain was found to be, from end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The number of the first line.
    pub first: u64,
    /// The number of the last line.
    pub last: u64,
    /// The last line's SHA-256: what comes next has to name it.
    pub head: [u8; 32],
}

/// What a line says of its place.
#[derive(Deserialize)]
struct Link {
    sequence: u64,
    previous: String,
    event: Option<String>,
    lines: Option<u64>,
}

impl Verifier {
    /// Reads a file that follows those before it; `tell` is given the number of a line in it, from 1, and what is wrong
    /// there.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn file(&mut self, mut file: impl BufRead, tell: &mut impl FnMut(u64, String)) -> io::Result<()> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let limit = MAX_LINE_BYTES as u64 + 1;
            if file.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.len() > MAX_LINE_BYTES && !line.ends_with(b"\n") {
                tell(
                    number,
                    format!("expected a line of at most {MAX_LINE_BYTES} bytes, found a longer one"),
                );
            }
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            if let Err(why) = self.line(line) {
                tell(number, why);
            }
        }
        Ok(())
    }

    /// What was followed, with the number of the last line; `None` where there was no line.
    ///
    /// # Errors
    /// The end is not whole.
    pub fn end(self) -> Result<Option<Followed>, String> {
        if self.unread > 0 {
            return Err("the last line cannot be read: it was cut short, or is being written".to_owned());
        }
        let followed =
            |next: Chain| Followed { first: self.first, last: next.sequence() - 1, head: *next.previous() };
        Ok(self.next.map(followed))
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let link = serde_json::from_slice::<Link>(line).ok();
        let expected = self.next.as_ref().map(Chain::sequence);
        let (sequence, told) = match (&link, expected) {
            (Some(link), _) => (link.sequence, self.judge(link)),
            (None, Some(expected)) => {
                self.unread += 1;
                (expected, Ok(()))
            }
            (None, None) => return Err("this is no line of an audit log".to_owned()),
        };
        self.next = Some(Chain::after(sequence, line));
        told
    }

    fn judge(&mut self, link: &Link) -> Result<(), String> {
        let unread = std::mem::take(&mut self.unread);
        let Some(expected) = self.next.clone() else {
            self.first = link.sequence;
            // What came before a later line is not here to be compared.
            let begins = link.sequence != 1 || link.previous == hex::encode(Chain::default().previous());
            return if begins {
                Ok(())
            } else {
                Err("line 1 follows nothing, and names a line before it".to_owned())
            };
        };
        let (number, found) = (expected.sequence(), link.sequence);
        if found != number {
            let why = match found {
                1 => "a new chain begins: the server was started where no log was, or lines are missing",
                _ => "lines are missing, were added or stand in another order",
            };
            return Err(format!("expected line {number}, found line {found}: {why}"));
        }
        if link.previous != hex::encode(expected.previous()) {
            return Err(format!(
                "line {found} does not follow what stands before it: one of the two was changed"
            ));
        }
        if unread > 0 && (link.event.as_deref() != Some("damage") || link.lines != Some(unread)) {
            return Err(format!(
                "{unread} lines before line {found} cannot be read, and the log notes no crash there"
            ));
        }
        Ok(())
    }
}
