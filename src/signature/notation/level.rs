//! Verification levels: what a failed validation does (trust-store-trust-policy, "Signature
//! Verification details").

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::setting::SettingError;

/// A named set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every validation is enforced.
    #[default]
    Strict,
    /// Integrity and authenticity are enforced, the rest is logged.
    Permissive,
    /// Integrity is enforced, the rest is logged.
    Audit,
    /// Nothing is checked.
    Skip,
}

impl Level {
    /// The name in trust policies.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Permissive => "permissive",
            Self::Audit => "audit",
            Self::Skip => "skip",
        }
    }
}

/// A validation whose action may be overridden. Integrity is none of them: wherever anything is
/// checked, it is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Validation {
    /// The signer is one that the policy trusts.
    Authenticity,
    /// The certificates were valid when the signature was made.
    AuthenticTimestamp,
    /// The signature's own expiry has not passed.
    Expiry,
    /// No certificate was revoked.
    Revocation,
}

impl Validation {
    /// The name in trust policies.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Authenticity => "authenticity",
            Self::AuthenticTimestamp => "authenticTimestamp",
            Self::Expiry => "expiry",
            Self::Revocation => "revocation",
        }
    }
}

/// What a failed validation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The signature is refused.
    Enforce,
    /// The failure is noted in the evidence.
    Log,
    /// The validation is not made.
    Skip,
}

impl Action {
    /// The word in trust policies.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Log => "log",
            Self::Skip => "skip",
        }
    }
}

/// When a timestamp countersignature has to be verified, where a `tsa` store is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum VerifyTimestamp {
    /// Always.
    #[default]
    Always,
    /// Only once a certificate of the signing chain has expired.
    AfterCertExpiry,
}

/// The action for each validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) authenticity: Action,
    pub(super) authentic_timestamp: Action,
    pub(super) expiry: Action,
    pub(super) revocation: Action,
}

impl Actions {
    /// The level's actions as overridden; `None` for the level `skip`.
    ///
    /// # Errors
    /// An override that the specification does not allow.
    pub(super) fn new(
        level: Level,
        overrides: &BTreeMap<Validation, Action>,
    ) -> Result<Option<Self>, SettingError> {
        use Action::{Enforce, Log, Skip};
        let (authenticity, rest) = match level {
            Level::Strict => (Enforce, Enforce),
            Level::Permissive => (Enforce, Log),
            Level::Audit => (Log, Log),
            Level::Skip if overrides.is_empty() => return Ok(None),
            Level::Skip => {
                return Err(SettingError::new(["override"], "the level skip cannot be overridden"));
            }
        };
        let mut actions = Self { authenticity, authentic_timestamp: rest, expiry: rest, revocation: rest };
        for (&validation, &action) in overrides {
            if action == Skip && validation != Validation::Revocation {
                let path = ["override", validation.as_str()];
                return Err(SettingError::new(path, "only revocation can be skipped; enforce or log"));
            }
            *actions.of(validation) = action;
        }
        Ok(Some(actions))
    }

    /// What a failure of the validation does.
    pub(super) fn action(mut self, validation: Validation) -> Action {
        *self.of(validation)
    }

    fn of(&mut self, validation: Validation) -> &mut Action {
        match validation {
            Validation::Authenticity => &mut self.authenticity,
            Validation::AuthenticTimestamp => &mut self.authentic_timestamp,
            Validation::Expiry => &mut self.expiry,
            Validation::Revocation => &mut self.revocation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Action::{Enforce, Log, Skip};
    use super::*;

    fn actions(level: Level, overrides: &[(Validation, Action)]) -> Result<Option<[Action; 4]>, String> {
        Actions::new(level, &overrides.iter().copied().collect())
            .map(|a| a.map(|a| [a.authenticity, a.authentic_timestamp, a.expiry, a.revocation]))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn levels_are_the_specifications_table() {
        assert_eq!(actions(Level::Strict, &[]), Ok(Some([Enforce; 4])));
        assert_eq!(actions(Level::Permissive, &[]), Ok(Some([Enforce, Log, Log, Log])));
        assert_eq!(actions(Level::Audit, &[]), Ok(Some([Log; 4])));
        assert_eq!(actions(Level::Skip, &[]), Ok(None));
    }

    #[test]
    fn overrides_change_one_action_each() {
        use Validation::*;
        assert_eq!(
            actions(Level::Strict, &[(Expiry, Log), (Revocation, Skip)]),
            Ok(Some([Enforce, Enforce, Log, Skip]))
        );
        assert_eq!(
            actions(Level::Audit, &[(Authenticity, Enforce), (AuthenticTimestamp, Enforce)]),
            Ok(Some([Enforce, Enforce, Log, Log]))
        );
        for validation in [Authenticity, AuthenticTimestamp, Expiry] {
            let error = actions(Level::Strict, &[(validation, Skip)]).unwrap_err();
            assert!(error.starts_with(&format!("override.{}: ", validation.as_str())), "{error}");
        }
        assert!(actions(Level::Skip, &[(Expiry, Log)]).is_err());
    }
}
