//! The `freshness` keys of the configuration.

use std::time::Duration;

use serde::Deserialize;

use crate::setting::duration;

/// How long what upstreams said is believed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Freshness {
    /// For so long a tag is answered without asking.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub tag_ttl: Duration,
    /// For so long a list of referrers, and a signature's tag, is answered without asking.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub referrers_ttl: Duration,
    /// For so long after `tag_ttl` a tag is answered while it is asked for behind the answer.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub stale_while_revalidate: Duration,
    /// For so long after the last good answer it serves while the upstream is in trouble.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub stale_if_error: Duration,
    /// For so long a 404 is believed.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub negative_ttl: Duration,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            tag_ttl: Duration::from_secs(60),
            referrers_ttl: Duration::from_secs(60),
            stale_while_revalidate: Duration::from_secs(60),
            stale_if_error: Duration::from_secs(24 * 60 * 60),
            negative_ttl: Duration::from_secs(10),
        }
    }
}
