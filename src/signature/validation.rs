//! What each check of one signature came to, for formats whose policies name their checks.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// The checks of one signature, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validations {
    /// The statement of the trust policy that asked for them.
    pub statement: Option<Arc<str>>,
    /// All of them, those that were not reached too.
    pub checks: Vec<Validated>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Validated {
    /// What is checked, as trust policies call it: `integrity`, `authenticity`, …
    pub name: &'static str,
    /// What a failure does: `enforce`, `log` or `skip`.
    pub action: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it failed, or what it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// The policy does not ask for it.
    Skipped,
    /// An enforced one failed before it.
    NotReached,
}

impl Outcome {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::NotReached => "not reached",
        }
    }
}

/// Each check with its outcome and action, without the reasons: `integrity passed, expiry failed (log)`.
impl fmt::Display for Validations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, check) in self.checks.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", check.name, check.outcome.as_str())?;
            if check.outcome == Outcome::Failed {
                write!(f, " ({})", check.action)?;
            }
        }
        Ok(())
    }
}
