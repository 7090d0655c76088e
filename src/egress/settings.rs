//! The `egress` key of the configuration.

use serde::Deserialize;

/// What may be asked of the network beside the upstreams.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Hosts (`host` or `host:port`) that may be contacted beside the upstreams and where these
    /// send us. Empty: no others.
    pub allow: Vec<String>,
    /// Whether revocation is asked for, or only what is stored counts.
    pub revocation: Revocation,
}

/// Where revocation data comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// It is fetched where a policy needs it.
    #[default]
    Fetch,
    /// Only what is stored is used.
    Local,
}
