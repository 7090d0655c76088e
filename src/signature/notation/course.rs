//! The course of one signature through its validations: what fails ends it or is noted, as the
//! statement says (trust-store-trust-policy, "Signature Verification", "Steps", 2).

use super::level::{Action, Actions, Validation};
use crate::signature::validation::{Outcome, Validated};
use crate::signature::{Rejected, Rejection, Validations};

/// The name of the check that comes first and is enforced at every level.
const INTEGRITY: &str = "integrity";
/// The others, in the order in which they are made.
const ORDER: [Validation; 4] =
    [Validation::Authenticity, Validation::Expiry, Validation::AuthenticTimestamp, Validation::Revocation];

/// How far a signature has come.
pub(super) struct Course {
    actions: Actions,
    validations: Validations,
}

impl Course {
    /// At the start, under the statement of this name.
    pub(super) fn new(statement: &str, actions: Actions) -> Self {
        Self { actions, validations: Validations { statement: Some(statement.into()), checks: Vec::new() } }
    }

    /// Integrity, without which nothing else may be looked at.
    pub(super) fn integrity<T>(&mut self, result: Result<T, Rejection>) -> Result<T, Rejected> {
        match result {
            Ok(value) => {
                self.note(INTEGRITY, Action::Enforce, Outcome::Passed, None);
                Ok(value)
            }
            Err(rejection) => {
                self.note(INTEGRITY, Action::Enforce, Outcome::Failed, Some(rejection.to_string()));
                Err(self.end(rejection))
            }
        }
    }

    /// Another check, with the words for what it rests on; `None` where it failed and that is only
    /// logged, or where it is not made at all.
    pub(super) fn settle<T>(
        &mut self,
        validation: Validation,
        check: impl FnOnce() -> Result<(T, String), Rejection>,
    ) -> Result<Option<T>, Rejected> {
        let (name, action) = (validation.as_str(), self.actions.action(validation));
        if action == Action::Skip {
            self.note(name, action, Outcome::Skipped, None);
            return Ok(None);
        }
        match check() {
            Ok((value, basis)) => {
                self.note(name, action, Outcome::Passed, Some(basis));
                Ok(Some(value))
            }
            Err(rejection) => {
                self.note(name, action, Outcome::Failed, Some(rejection.to_string()));
                if action == Action::Enforce { Err(self.end(rejection)) } else { Ok(None) }
            }
        }
    }

    /// What came of all of them.
    pub(super) fn finish(self) -> Validations {
        self.validations
    }

    fn note(&mut self, name: &'static str, action: Action, outcome: Outcome, message: Option<String>) {
        let action = action.as_str();
        self.validations.checks.push(Validated { name, action, outcome, message });
    }

    /// A critical failure: the checks behind it are not made.
    fn end(&mut self, rejection: Rejection) -> Rejected {
        let reached = self.validations.checks.len().saturating_sub(1);
        for validation in ORDER.into_iter().skip(reached) {
            let action = self.actions.action(validation);
            let outcome = if action == Action::Skip { Outcome::Skipped } else { Outcome::NotReached };
            self.note(validation.as_str(), action, outcome, None);
        }
        Rejected { rejection, validations: std::mem::take(&mut self.validations) }
    }
}
