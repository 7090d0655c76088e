//! The patterns of `matches`: RE2's syntax, found anywhere in the text, in time that grows with the text alone.

use regex::{Regex, RegexBuilder};

use super::budget::{Budget, Failure};
use super::syntax::Mistake;

/// The sizes that a compiled pattern may have, in KiB: its weight, since at worst each byte of a text visits all of it.
const WEIGHTS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
/// So many bytes of a text are searched in one step for a pattern of one KiB: measured with patterns that no automaton is made
/// for, which are some twenty times slower than others.
pub(super) const BYTES_A_STEP: u64 = 2;

#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    pub(super) weight: u64,
}

impl Pattern {
    /// Compiles the text that stands at a byte of the condition.
    pub(super) fn compile(at: usize, text: &str) -> Result<Self, Mistake> {
        let ascii = ascii_classes(text);
        let mut failed = None;
        for weight in WEIGHTS {
            match RegexBuilder::new(&ascii).size_limit(weight * 1024).dfa_size_limit(1 << 20).build() {
                Ok(regex) => return Ok(Self { regex, weight: weight as u64 }),
                Err(why @ regex::Error::CompiledTooBig(_)) => failed = Some(why),
                Err(why) => return Err(bad(at, &why)),
            }
        }
        Err(failed.map_or_else(|| Mistake::new(at, "the pattern is too large"), |why| bad(at, &why)))
    }

    pub(super) fn matches(&self, text: &str, budget: &mut Budget) -> Result<bool, Failure> {
        budget.work(1 + self.weight.saturating_mul(text.len() as u64) / BYTES_A_STEP)?;
        Ok(self.regex.is_match(text))
    }
}

/// The last line says it; those before draw the pattern.
fn bad(at: usize, why: &regex::Error) -> Mistake {
    let words = why.to_string();
    let line = words.lines().last().unwrap_or_default().trim_start_matches("error: ");
    Mistake::new(at, format!("the pattern does not compile: {line}"))
}

/// In RE2 `\d`, `\s` and `\w` are of ASCII alone, here they would be of all scripts.
fn ascii_classes(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            ascii.push(c);
            continue;
        }
        match rest.next() {
            Some('d') => ascii.push_str("[0-9]"),
            Some('D') => ascii.push_str("[^0-9]"),
            Some('s') => ascii.push_str("[\\t\\n\\f\\r ]"),
            Some('S') => ascii.push_str("[^\\t\\n\\f\\r ]"),
            Some('w') => ascii.push_str("[0-9A-Za-z_]"),
            Some('W') => ascii.push_str("[^0-9A-Za-z_]"),
            Some('b') => ascii.push_str("(?-u:\\b)"),
            Some(other) => ascii.extend(['\\', other]),
            None => ascii.push('\\'),
        }
    }
    ascii
}
