//! `decisions`: how long verdicts hold.

use std::time::Duration;

use serde::Deserialize;

use crate::setting;

/// How long each verdict holds at most.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// An Allow.
    #[serde(with = "setting::duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub allow_max_age: Duration,
    /// A Deny. Short: CI signs after it pushes.
    #[serde(with = "setting::duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub deny_ttl: Duration,
    /// An Indeterminate.
    #[serde(with = "setting::duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub indeterminate_ttl: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            allow_max_age: Duration::from_secs(24 * 3600),
            deny_ttl: Duration::from_secs(30),
            indeterminate_ttl: Duration::from_secs(5),
        }
    }
}
