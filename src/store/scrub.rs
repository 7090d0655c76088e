//! Looks whether kept content still is what its digest says: all of it, in the order of keys, again and
//! again, so slowly that nobody notices. What rotted is moved aside and is had anew on its next use.

mod hashing;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::key::of_digest;
use super::quarantine::is_lost;
use super::records::{Table, after};
use super::{Error, Store};
use crate::oci::Digest;
use hashing::Hashing;

/// Where the pass stands, so that it goes on there after a restart.
const AT: &[u8] = b"at";
/// When the last whole pass ended.
const PASSED: &[u8] = b"passed";

/// A pass through the store.
pub struct Scrub {
    store: Store,
    records: Table,
    at: Vec<u8>,
    /// The background's pass leaves a record of where it is.
    is_recorded: bool,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// Whose content.
    pub digest: Digest,
    /// Its length in bytes, as it was kept.
    pub size: u64,
    /// What it is now.
    pub finding: Finding,
}

/// What kept content turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Finding {
    /// What its digest says.
    Whole,
    /// Evicted before it was looked at.
    Gone,
    /// Something else, and moved aside.
    Rotten {
        /// What was found, for an operator.
        found: String,
    },
}

impl Store {
    /// The pass that runs in the background: it begins where it was when the process ended.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn scrub(&self) -> Result<Scrub, Error> {
        let records = self.records().table("scrub");
        let at = records.get(AT).await?.unwrap_or_default();
        Ok(Scrub { store: self.clone(), records, at, is_recorded: true })
    }

    /// A pass from the beginning, beside the one in the background.
    pub fn scrub_anew(&self) -> Scrub {
        let records = self.records().table("scrub");
        Scrub { store: self.clone(), records, at: Vec::new(), is_recorded: false }
    }

    /// When the last whole pass ended.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn scrubbed(&self) -> Result<Option<SystemTime>, Error> {
        let passed = self.records().table("scrub").get(PASSED).await?;
        let seconds = passed.and_then(|v| v.as_slice().try_into().ok()).map(u64::from_be_bytes);
        Ok(seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds))))
    }
}

impl Scrub {
    /// Looks at the next content, reading at most as many bytes a second as `rate` says at each moment (0: as
    /// fast as it goes). `None` at the end of the pass; the next call begins anew.
    ///
    /// # Errors
    /// What says nothing about content: [`Error::Records`], [`Error::Io`] where a file cannot be opened.
    pub async fn next(&mut self, rate: impl Fn() -> u64) -> Result<Option<Looked>, Error> {
        let Some((digest, size)) = self.store.0.ledger.next(&self.at)? else {
            self.stand_at(Vec::new());
            return Ok(None);
        };
        let finding = self.look(&digest, size, rate).await;
        // Also where it could not be looked at: the next call goes on behind it.
        self.stand_at(after(&of_digest(&digest)));
        Ok(Some(Looked { digest, size, finding: finding? }))
    }

    /// Records that a whole pass ended at `now`.
    pub fn passed(&self, now: SystemTime) {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.records.put(PASSED, seconds.to_be_bytes());
        self.show(now);
    }

    /// Shows when the last whole pass ended.
    pub fn show(&self, passed: SystemTime) {
        let seconds = passed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.store.0.metrics.store_scrubbed.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Whether it has begun and not ended.
    pub fn is_under_way(&self) -> bool {
        !self.at.is_empty()
    }

    fn stand_at(&mut self, at: Vec<u8>) {
        if self.is_recorded {
            self.records.put(AT, at.clone());
        }
        self.at = at;
    }

    async fn look(&self, digest: &Digest, size: u64, rate: impl Fn() -> u64) -> Result<Finding, Error> {
        let found = self.store.0.blobs.find(digest).map_err(Error::io("open content"))?;
        let Some(file) = found else { return Ok(Finding::Gone) };
        let length = file.metadata().map_err(Error::io("open content"))?.len();
        let mut hashing = Hashing::new(file, digest.algorithm());
        let found = if length == size {
            let hashed = hashing.run(size, rate, &self.store.0.metrics.store_scrub_bytes).await?;
            match hashed {
                Ok(found) if found == *digest => return Ok(Finding::Whole),
                Ok(found) => format!("its content has the digest {found}"),
                Err(error) if is_lost(&error) => format!("it cannot be read: {error}"),
                Err(error) => return Err(Error::io("read content")(error)),
            }
        } else {
            format!("it has {length} bytes where {size} belong")
        };
        let (store, digest) = (self.store.clone(), *digest);
        let set_aside = move || store.quarantine_this(&digest, hashing.file());
        let is_aside = super::incoming::blocking("quarantine content", set_aside).await?;
        Ok(if is_aside { Finding::Rotten { found } } else { Finding::Gone })
    }
}

#[cfg(test)]
mod tests;
