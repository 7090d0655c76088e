//! Conditions on attestations, in CEL (Common Expression Language): read and checked when the policy is loaded, evaluated
//! over a signed statement within a counted budget. Knows no clock, no network and nothing of who signed.
//!
//! It is the part of the language that JSON has a use for: no unsigned numbers, bytes, messages or time zones, and the pattern
//! of `matches` is written in the text. What is left out is refused when it is loaded, never evaluated otherwise.

mod budget;
mod check;
mod compare;
mod evaluate;
mod functions;
mod lexer;
mod moment;
mod operators;
mod parser;
mod pattern;
mod resolve;
mod syntax;
mod value;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::signature::Attestation;

use budget::{Budget, Failure};
use evaluate::Evaluation;
use syntax::{Expr, Mistake};
use value::Value;

/// An expression as long as a page is none that anybody reviews; it also bounds what compiling costs.
const MAX_BYTES: usize = 4096;
/// So much of a condition is shown in refusals.
const SHOWN: usize = 200;

/// A condition that a statement meets or not.
#[derive(Clone)]
pub struct Condition {
    text: Arc<str>,
    /// What could not be compiled holds for nothing. It is kept only from reading a file to checking it, since the check
    /// can name the place of the fault.
    program: Result<Arc<Expr>, Fault>,
}

/// What is wrong with the text of a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column} of the condition)")]
pub struct Fault {
    /// The line within the text, from 1.
    pub line: u64,
    /// The character within the line, from 1.
    pub column: u64,
    /// What was expected, what was found.
    pub message: String,
}

impl Condition {
    /// Reads and checks an expression.
    ///
    /// # Errors
    /// The first fault, with its place: syntax, an unknown name or function, a wrong number of arguments, types that never fit,
    /// a result that cannot be true or false, a bound.
    pub fn compile(text: &str) -> Result<Self, Fault> {
        let condition = Self::read(text);
        match &condition.program {
            Ok(_) => Ok(condition),
            Err(fault) => Err(fault.clone()),
        }
    }

    fn read(text: &str) -> Self {
        let program = program(text).map(Arc::new).map_err(|mistake| Fault::of(text, mistake));
        Self { text: text.into(), program }
    }

    /// Why it could not be compiled, where it was read from a file.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.program.as_ref().err()
    }

    /// Whether a proven statement meets it.
    ///
    /// # Errors
    /// Why that cannot be told (an absent key, a type that does not fit, the budget), which is no less a refusal than `false`.
    pub fn holds(&self, attestation: &Attestation) -> Result<bool, String> {
        self.holds_for(attestation.statement())
    }

    /// The same of a statement, proven or not.
    ///
    /// # Errors
    /// As [`Self::holds`].
    pub fn holds_for(&self, statement: &Json) -> Result<bool, String> {
        self.run(statement, &mut Budget::new()).map_err(|failure| failure.to_string())
    }

    fn run(&self, statement: &Json, budget: &mut Budget) -> Result<bool, Failure> {
        let program = self.program.as_ref().map_err(|_| Failure::NotCompiled)?;
        match Evaluation::new(statement, budget).evaluate(program)? {
            Value::Bool(held) => Ok(held),
            other => Err(Failure::NotBool(other.kind())),
        }
    }
}

fn program(text: &str) -> Result<Expr, Mistake> {
    if text.len() > MAX_BYTES {
        return Err(Mistake::new(
            0,
            format!("a condition has at most {MAX_BYTES} bytes, found {}", text.len()),
        ));
    }
    let expr = parser::parse(text)?;
    check::check(&expr)?;
    Ok(expr)
}

impl Fault {
    fn of(text: &str, mistake: Mistake) -> Self {
        let before = text.get(..mistake.at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() as u64 + 1,
            column: line.chars().count() as u64 + 1,
            message: mistake.message,
        }
    }
}

/// On one line and not at any length: it stands in refusals.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{}…", &line[..end]),
            None => f.write_str(&line),
        }
    }
}

/// The text alone: revisions depend on it.
impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Condition {}

/// Takes any text: its fault is reported by the policy's check, which knows the place.
impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::read(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests;
