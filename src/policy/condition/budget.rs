//! What one evaluation may cost, and why it may fail. Statements are other people's data, and conditions can multiply them: so
//! work and memory are counted as they are used, not guessed from the text.

use super::value::Type;
use crate::telemetry::Untrusted;

/// One step is about as much work as evaluating one node over short values.
pub(super) const MAX_STEPS: u64 = 1_000_000;
/// What an evaluation may build, everything together, whether it is still held or not.
pub(super) const MAX_BUILT: u64 = 16 * 1024 * 1024;
/// So many bytes are read or copied in one step.
const BYTES_A_STEP: usize = 32;

/// What is left.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) steps: u64,
    pub(super) built: u64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { steps: MAX_STEPS, built: MAX_BUILT }
    }

    /// Pays for work before it is done.
    pub(super) fn work(&mut self, steps: u64) -> Result<(), Failure> {
        self.steps = self.steps.checked_sub(steps).ok_or(Failure::TooMuchWork)?;
        Ok(())
    }

    /// Pays for going over bytes once.
    pub(super) fn read(&mut self, bytes: usize) -> Result<(), Failure> {
        self.work((bytes / BYTES_A_STEP) as u64)
    }

    /// Pays for making something of this size.
    pub(super) fn build(&mut self, bytes: usize) -> Result<(), Failure> {
        self.built = self.built.checked_sub(bytes as u64).ok_or(Failure::TooMuchMemory)?;
        self.read(bytes)
    }
}

/// Why a condition has no value. Words go after "could not be evaluated:".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("it takes more than {MAX_STEPS} steps")]
    TooMuchWork,
    #[error("it builds more than {MAX_BUILT} bytes")]
    TooMuchMemory,
    #[error("values are nested too deeply to be compared")]
    TooDeep,
    #[error("it was not compiled")]
    NotCompiled,
    #[error("there is no {0}")]
    Absent(Untrusted),
    #[error("the index {0} is outside the list")]
    OutsideList(i64),
    #[error("the key {0} stands twice in a map")]
    KeyTwice(Untrusted),
    #[error("a {0} cannot be the key of a map")]
    NoKey(Type),
    #[error("a {0} has no fields or items")]
    NoMembers(Type),
    #[error("a {0} stands where true or false is needed")]
    NotBool(Type),
    #[error("{0} does not take a {1}")]
    Unary(&'static str, Type),
    #[error("{0} does not take a {1} and a {2}")]
    Binary(&'static str, Type, Type),
    #[error("{0} overflows")]
    Overflow(&'static str),
    #[error("division by zero")]
    DivisionByZero,
    #[error("{1} is no {0}")]
    NotA(Type, Untrusted),
}

impl Failure {
    /// Whether nothing may go on after it: other failures are absorbed by `&&` and `||` where the other side decides.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::TooMuchWork | Self::TooMuchMemory | Self::TooDeep | Self::NotCompiled)
    }
}
