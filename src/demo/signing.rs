//! Signs the demo's content, with keys made on the spot, as the real tools would, and, for the tests, as they
//! would not. Verifies nothing.

pub mod certificate;
pub mod cosign;
pub mod key;
pub mod notation;
pub mod nv2;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

pub use certificate::{Authority, Identity, Profile};
pub use key::{Key, KeyKind};

use crate::signing::KeyError;

/// A key or certificate could not be made or used.
#[derive(Debug, thiserror::Error)]
#[error("the demo's keys: {0}")]
pub struct Error(String);

impl From<rcgen::Error> for Error {
    fn from(error: rcgen::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<crate::signing::Error> for Error {
    fn from(error: crate::signing::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self(error.to_string())
    }
}

/// A year: how long the demo's signatures hold where nothing else is said.
pub(super) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn unix(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(since).unwrap_or(i64::MAX)
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests;
