//! Text that others wrote: names in certificates, messages of upstreams.

use std::fmt;

use serde::{Serialize, Serializer};

const MAX_CHARACTERS: usize = 256;

/// Outside text, shown escaped and cut at 256 characters, so that it can break neither a log line
/// nor a terminal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Untrusted(String);

impl Untrusted {
    /// Takes text as it came.
    pub fn new(text: impl AsRef<str>) -> Self {
        // Cut here as well, so that nobody's megabyte is kept only to be cut at each showing.
        Self(text.as_ref().chars().take(MAX_CHARACTERS + 1).collect())
    }

    /// The text as it came (up to one character more than is shown): for comparing, not for showing.
    pub fn as_raw(&self) -> &str {
        &self.0
    }
}

impl<T: AsRef<str>> From<T> for Untrusted {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mut left = MAX_CHARACTERS;
        for c in self.0.chars() {
            let shown = if is_plain(c) { 1 } else { c.escape_default().count() };
            if shown > left {
                return f.write_char('…');
            }
            left -= shown;
            if is_plain(c) { f.write_char(c)? } else { write!(f, "{}", c.escape_default())? }
        }
        Ok(())
    }
}

/// Letters and digits of any script, and ASCII marks. Everything else (controls, bidirectional
/// overrides, line separators, zero-width characters) is escaped.
fn is_plain(c: char) -> bool {
    c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric()
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Untrusted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_overrides_are_escaped_and_length_is_cut() {
        assert_eq!(Untrusted::new("CN=é\u{1b}[31m\n\u{202e}x").to_string(), r"CN=é\u{1b}[31m\n\u{202e}x");
        let long = Untrusted::new("a".repeat(100_000)).to_string();
        assert_eq!(long.chars().count(), MAX_CHARACTERS + 1);
        assert!(long.ends_with('…'));
        let escapes = Untrusted::new("\u{202e}".repeat(1000)).to_string();
        assert!(escapes.chars().count() <= MAX_CHARACTERS + 1);
    }
}
