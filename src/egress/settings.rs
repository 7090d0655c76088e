//! The `egress` key of the configuration.

use serde::Deserialize;

use super::HostPattern;
use crate::setting::SettingError;

/// What may be asked of the network beside the upstreams.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Hosts (`host` or `host:port`) that redirects of upstreams, and certificates that name their
    /// revocation servers, may point to at private addresses; for revocation also `localhost` and
    /// loopback addresses. Empty: none.
    pub allow: Vec<String>,
    /// Whether revocation is asked for, or only what is stored counts.
    pub revocation: Revocation,
    /// Any address may be asked for revocation, as a tool on one's own machine does. Not for files:
    /// behind a proxy others choose the certificates.
    #[serde(skip)]
    pub revocation_everywhere: bool,
}

impl Settings {
    /// The hosts of [`Self::allow`].
    ///
    /// # Errors
    /// The first entry that names no host, by its index.
    pub fn hosts(&self) -> Result<Vec<HostPattern>, SettingError> {
        let host = |(i, text): (usize, &String)| {
            let why = || format!("expected host or host:port, found {text:?}");
            HostPattern::parse(text)
                .ok_or_else(|| SettingError::new(["allow".to_owned(), i.to_string()], why()))
        };
        self.allow.iter().enumerate().map(host).collect()
    }
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
