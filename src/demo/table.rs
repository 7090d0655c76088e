//! Prints the story as a table: a line a step, and beneath it what the client sees.

use std::io::{self, Write};

use super::story::Played;

/// The width that the text is broken at.
const WIDTH: usize = 110;
const INDENT: usize = 4;
const TITLE: usize = 64;

/// Prints to `out`, in colours where they show.
pub struct Table<'a, W: Write> {
    out: &'a mut W,
    colour: bool,
    printed: usize,
}

#[derive(Clone, Copy)]
enum Colour {
    Good = 32,
    Bad = 31,
    Faint = 2,
    Strong = 1,
}

impl<'a, W: Write> Table<'a, W> {
    /// An empty table.
    pub fn new(out: &'a mut W, colour: bool) -> Self {
        Self { out, colour, printed: 0 }
    }

    /// The line over the columns.
    ///
    /// # Errors
    /// `out` does not take it.
    pub fn head(&mut self) -> io::Result<()> {
        let head = format!("{:>2}  {:TITLE$}{:9} {}", "#", "step", "expected", "outcome");
        let head = self.painted(&head, Colour::Strong);
        writeln!(self.out, "{head}")
    }

    /// One step.
    ///
    /// # Errors
    /// `out` does not take it.
    pub fn row(&mut self, played: &Played) -> io::Result<()> {
        self.printed += 1;
        let told = if played.as_told() { Colour::Good } else { Colour::Bad };
        let mark = if played.as_told() { "as told" } else { "NOT AS TOLD" };
        let outcome = self.painted(&format!("{:8} {mark}", played.came.word()), told);
        writeln!(
            self.out,
            "{:>2}  {:TITLE$}{:9} {outcome}",
            self.printed,
            played.title,
            played.expected.word()
        )?;
        writeln!(self.out, "{:INDENT$}{}", "", shortened(&played.reference))?;
        let mut seen = played.came.to_string();
        if !played.origin.is_empty() {
            seen.push_str(&format!("; origin {}", played.origin.join(", ")));
        }
        for line in wrapped(&seen, WIDTH - INDENT) {
            let line = self.painted(&line, Colour::Faint);
            writeln!(self.out, "{:INDENT$}{line}", "")?;
        }
        Ok(())
    }

    fn painted(&self, text: &str, colour: Colour) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", colour as u8) } else { text.to_owned() }
    }
}

/// Digests are cut in titles; what the client sees has them whole.
fn shortened(reference: &str) -> String {
    match reference.split_once("@sha256:") {
        Some((name, hash)) => format!("{name}@sha256:{}…", hash.chars().take(8).collect::<String>()),
        None => reference.to_owned(),
    }
}

/// Breaks text between words; a word longer than a line stands alone on one.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a incomprehensible b", 4), ["a", "incomprehensible", "b"]);
    }

    #[test]
    fn digests_are_cut_in_titles() {
        assert_eq!(shortened("a/b@sha256:0123456789"), "a/b@sha256:01234567…");
        assert_eq!(shortened("a/b:1"), "a/b:1");
    }
}
