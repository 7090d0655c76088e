//! `exceptions[]`: one digest that is served though its policy refuses it.

use std::time::SystemTime;

use serde::Deserialize;

use crate::oci::{Digest, Repository};
use crate::setting;

/// Beats `enforce` and a missing policy, not `deny`, until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The repository, by its source name.
    #[cfg_attr(test, schemars(with = "String"))]
    pub repository: Repository,
    /// The one manifest.
    #[cfg_attr(test, schemars(with = "String"))]
    pub digest: Digest,
    /// Why, for the audit log and for whoever reads the file next year.
    pub reason: String,
    /// When it ends: RFC 3339 in UTC.
    #[serde(with = "setting::time")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub expires: SystemTime,
}
