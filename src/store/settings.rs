//! The `store` keys of the configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::setting::{duration, size};

/// Less than this a second reads no store to its end: 64 KiB are 5 GiB a day.
pub const LEAST_SCRUB_RATE: u64 = 64 << 10;

/// In less, not even small manifests can be kept.
pub const LEAST_SIZE: u64 = 64 << 10;

/// Where content is kept and how much of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The folder, made where it does not exist. It must stand on one filesystem.
    pub path: PathBuf,
    /// The most bytes of content that are kept, arriving content included; at least 64KiB.
    #[serde(with = "size")]
    #[cfg_attr(test, schemars(with = "size::Written"))]
    pub max_size: u64,
    /// How often all of it is read and compared with its digests.
    pub scrub: Scrubbing,
}

/// How kept content is looked through for what rotted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Scrubbing {
    /// From the end of one pass to the beginning of the next; `0s`: never.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub every: Duration,
    /// The most bytes that are read a second, at least 64KiB; `0`: as fast as it goes.
    #[serde(with = "size")]
    #[cfg_attr(test, schemars(with = "size::Written"))]
    pub rate: u64,
}

impl Default for Scrubbing {
    fn default() -> Self {
        Self { every: Duration::from_secs(7 * 24 * 3600), rate: 16 << 20 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { path: cache_folder(), max_size: 50 << 30, scrub: Scrubbing::default() }
    }
}

impl Settings {
    /// Makes a relative path absolute.
    pub fn resolve(&mut self, base: &Path) {
        self.path = base.join(&self.path);
    }

    /// Nothing to watch: a changed store needs a restart.
    pub fn paths(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// The user's cache folder by the XDG base directory specification; where there is no user, the
/// system's.
fn cache_folder() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(|| PathBuf::from("/var/cache"))
        .join("portcullis")
}
