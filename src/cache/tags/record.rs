//! A tag's record, kept over restarts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::cache::{Error, key};
use crate::oci::{Digest, Repository, Tag};
use crate::store::Table;

/// So many earlier digests are kept, for a guard against rollbacks.
const MOST_EARLIER: usize = 16;

pub(super) struct Record {
    pub(super) digest: Digest,
    /// When the upstream last named it.
    pub(super) checked: SystemTime,
    /// What the tag named before, newest first, and when it was last checked.
    pub(super) earlier: Vec<(Digest, SystemTime)>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    digest: Digest,
    checked: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<(Digest, u64)>,
}

impl Record {
    pub(super) async fn load(
        table: &Table,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Self>, Error> {
        let kept = table.get(&key(repository, tag.as_str().as_bytes())).await?;
        kept.map(|bytes| Self::read(&bytes, repository, tag)).transpose()
    }

    /// As [`Record::load`], on a thread that may wait.
    pub(super) fn load_now(table: &Table, repository: &Repository, tag: &Tag) -> Result<Option<Self>, Error> {
        let kept = table.get_now(&key(repository, tag.as_str().as_bytes()))?;
        kept.map(|bytes| Self::read(&bytes, repository, tag)).transpose()
    }

    pub(super) fn digest_of(bytes: &[u8]) -> Option<Digest> {
        serde_json::from_slice::<Written>(bytes).ok().map(|written| written.digest)
    }

    fn read(bytes: &[u8], repository: &Repository, tag: &Tag) -> Result<Self, Error> {
        let written: Written = serde_json::from_slice(bytes)
            .map_err(|e| Error::Store(format!("the record of {repository}:{tag} is unreadable: {e}")))?;
        Ok(Self {
            digest: written.digest,
            checked: at(written.checked),
            earlier: written.earlier.into_iter().map(|(digest, seconds)| (digest, at(seconds))).collect(),
        })
    }

    /// The record after the upstream named `digest`.
    pub(super) fn renew(before: Option<Self>, digest: Digest, checked: SystemTime) -> Self {
        let mut earlier = Vec::new();
        if let Some(before) = before {
            earlier = before.earlier;
            if before.digest != digest {
                earlier.insert(0, (before.digest, before.checked));
                earlier.truncate(MOST_EARLIER);
            }
        }
        Self { digest, checked, earlier }
    }

    pub(super) fn save(&self, table: &Table, repository: &Repository, tag: &Tag) -> Result<(), Error> {
        let written = Written {
            digest: self.digest,
            checked: seconds(self.checked),
            earlier: self.earlier.iter().map(|(digest, at)| (*digest, seconds(*at))).collect(),
        };
        let bytes = serde_json::to_vec(&written).map_err(|e| Error::Store(e.to_string()))?;
        table.put(key(repository, tag.as_str().as_bytes()), bytes);
        Ok(())
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
}
