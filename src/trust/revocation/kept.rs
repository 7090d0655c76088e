//! Answers in the store: the bytes as held blobs, each with a record that tells how new they are, so
//! that an older answer never takes the place of a newer one, even where the newer one's bytes were lost.
//!
//! Proves nothing: what is read here is verified by whoever uses it.

use std::cmp::Reverse;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Id, unix};
use crate::oci::Digest;
use crate::store::{Error, Store, Table};
use crate::telemetry::Untrusted;
use crate::x509::crl::{self, Crl, Number};
use crate::x509::{Certificate, ocsp};

/// CRLs that stay in memory, parsed: so many bytes of them, in lists of about so many.
const MEMORY: u64 = 64 << 20;
const MEMORY_LISTS: usize = 256;
/// Answers that ended longer ago are dropped.
const MOURNED: Duration = Duration::from_secs(30 * 24 * 3600);
/// So many records are looked at in one sweep.
const MAX_SWEPT: usize = 100_000;
/// At most one part in so many of the store is held by answers, beside what manifests hold.
const HELD_SHARE: u64 = 8;

pub(super) struct Kept {
    store: Store,
    table: Table,
    crls: Cache<Digest, Crl, ByBytes>,
}

/// What an answer is about, and where it is had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) Vec<u8>);

/// What is known of a kept answer without reading it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    digest: Digest,
    /// When it was last given, in Unix seconds.
    pub(super) asked: u64,
    /// When it ends, in Unix seconds.
    pub(super) ends: u64,
    version: Version,
}

/// How new an answer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// Of a CRL that has one.
    pub(super) number: Option<Number>,
    /// When it was made.
    pub(super) made: SystemTime,
}

/// A proven answer on its way into the store.
#[derive(Clone)]
pub(super) struct Proven {
    pub(super) der: Bytes,
    pub(super) version: Version,
    pub(super) ends: SystemTime,
}

/// Whether an answer is the newest now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    Newest,
    /// A newer one is kept already.
    Outdated,
}

impl Kept {
    pub(super) fn open(store: &Store) -> Self {
        let crls = Cache::with_weighter(MEMORY_LISTS, MEMORY, ByBytes);
        Self { store: store.clone(), table: store.records().table("revocation"), crls }
    }

    /// The record of an answer, whether or not its bytes can still be read. One that is no record is
    /// reported and counts as none: the answer is had anew.
    ///
    /// # Errors
    /// What the store cannot read.
    pub(super) async fn record(&self, key: &Key) -> Result<Option<Record>, String> {
        let found = self.table.get(&key.0).await.map_err(|e| unreadable(&e))?;
        Ok(found.and_then(|value| {
            let record = serde_json::from_slice(&value);
            record
                .inspect_err(|error| tracing::warn!(%error, "a record of a revocation answer is broken"))
                .ok()
        }))
    }

    /// A kept OCSP answer.
    ///
    /// # Errors
    /// As [`Self::record`]. What rotted is reported and counts as none.
    pub(super) async fn ocsp(&self, key: &Key) -> Result<Option<(Record, ocsp::Response)>, String> {
        let Some(record) = self.record(key).await? else { return Ok(None) };
        let bytes = self.bytes(&record, ocsp::MAX_DER).await?;
        Ok(bytes.and_then(|bytes| ocsp::Response::parse(&bytes).ok()).map(|response| (record, response)))
    }

    /// A kept CRL.
    ///
    /// # Errors
    /// As [`Self::ocsp`].
    pub(super) async fn crl(&self, key: &Key) -> Result<Option<(Record, Crl)>, String> {
        let Some(record) = self.record(key).await? else { return Ok(None) };
        if let Some(crl) = self.crls.get(&record.digest) {
            return Ok(Some((record, crl)));
        }
        let Some(bytes) = self.bytes(&record, crl::MAX_DER).await? else { return Ok(None) };
        // Megabytes take a moment.
        let parsed = tokio::task::spawn_blocking(move || Crl::parse(&bytes)).await;
        let Ok(Ok(crl)) = parsed else { return Ok(None) };
        self.crls.insert(record.digest, crl.clone());
        Ok(Some((record, crl)))
    }

    async fn bytes(&self, record: &Record, limit: usize) -> Result<Option<Bytes>, String> {
        match self.store.read(&record.digest, limit as u64).await {
            Ok(found) => Ok(found),
            Err(error @ (Error::Corrupt { .. } | Error::Length { .. } | Error::TooLarge { .. })) => {
                tracing::warn!(%error, "a kept revocation answer is damaged; it will be asked for again");
                Ok(None)
            }
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// Keeps an answer that was given at `now`, unless a newer one is kept.
    ///
    /// # Errors
    /// What the store cannot read or write.
    pub(super) async fn keep(&self, key: &Key, new: Proven, now: SystemTime) -> Result<Keeping, String> {
        let before = self.record(key).await?;
        if before.as_ref().is_some_and(|before| new.version.is_before(&before.version)) {
            return Ok(Keeping::Outdated);
        }
        let digest = Digest::sha256(&new.der);
        let owner = key.owner();
        // Held first, so that nothing evicts it between the two.
        self.store.hold(&[digest], &owner).await.map_err(|e| unwritable(&e))?;
        self.store.write(&digest, new.der).await.map_err(|e| unwritable(&e))?;
        let record = Record { digest, asked: unix(now), ends: unix(new.ends), version: new.version };
        let value = serde_json::to_vec(&record).map_err(|e| e.to_string())?;
        self.table.put(key.0.clone(), value);
        if let Some(before) = before.filter(|before| before.digest != digest) {
            self.release(&before.digest, &owner).await;
        }
        Ok(Keeping::Newest)
    }

    /// How many bytes of the store answers hold, on a thread that may wait.
    ///
    /// # Errors
    /// What the store cannot read.
    pub(super) fn held_now(&self) -> Result<u64, Error> {
        let mut held = 0;
        self.table.walk_now(|(key, _)| {
            for digest in self.store.holdings_now(&Key(key).owner())? {
                held += self.store.size_now(&digest)?.unwrap_or_default();
            }
            Ok(())
        })?;
        Ok(held)
    }

    /// Drops what ended long ago; a revocation that it told of is noted apart. Beyond their share of the store,
    /// the answers that were given longest ago are held no more.
    ///
    /// # Errors
    /// What the store cannot read.
    pub(super) async fn sweep(&self, now: SystemTime) -> Result<(), String> {
        let all = self.table.scan(&[], MAX_SWEPT).await.map_err(|e| unreadable(&e))?;
        let mut kept = Vec::new();
        for (key, value) in all {
            let record: Option<Record> = serde_json::from_slice(&value).ok();
            let ended = record.as_ref().is_none_or(|r| r.ends.saturating_add(MOURNED.as_secs()) < unix(now));
            let key = Key(key);
            match record {
                Some(record) if !ended => kept.push((key, record)),
                ended => {
                    if let Some(record) = ended {
                        self.release(&record.digest, &key.owner()).await;
                    }
                    self.table.delete(key.0);
                }
            }
        }
        self.bound(kept).await.map_err(|e| unreadable(&e))
    }

    /// What is held no more goes by its last use, and is had anew. Its record stays, so that nothing older takes
    /// its place.
    async fn bound(&self, mut kept: Vec<(Key, Record)>) -> Result<(), Error> {
        kept.sort_by_key(|(_, record)| Reverse(record.asked));
        let (mut held, most) = (0, self.store.sizes().limit / HELD_SHARE);
        for (key, record) in kept {
            held += self.store.size_now(&record.digest)?.unwrap_or_default();
            if held > most {
                self.release(&record.digest, &key.owner()).await;
            }
        }
        Ok(())
    }

    async fn release(&self, digest: &Digest, owner: &str) {
        if let Err(error) = self.store.release(digest, owner).await {
            tracing::warn!(%error, "a replaced revocation answer stays in the store");
        }
    }
}

impl Record {
    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl Key {
    pub(super) fn ocsp(id: Id) -> Self {
        Self([b"o", id.0.as_slice()].concat())
    }

    pub(super) fn crl(issuer: &Certificate, url: &Url) -> Self {
        let hash = Sha256::new().chain_update(issuer.public_key().spki()).chain_update(url.as_str());
        Self([b"c", hash.finalize().as_slice()].concat())
    }

    /// Each key holds for itself: two may have the same bytes.
    fn owner(&self) -> String {
        format!("revocation:{self}")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl Version {
    pub(super) fn of(crl: &Crl) -> Self {
        Self { number: crl.number().cloned(), made: crl.this_update() }
    }

    /// Numbers count up (RFC 5280, section 5.2.3); where they do not tell, time does.
    fn is_before(&self, other: &Self) -> bool {
        match (&self.number, &other.number) {
            (Some(this), Some(that)) if this != that => this < that,
            _ => self.made < other.made,
        }
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Digest, Crl> for ByBytes {
    fn weight(&self, _: &Digest, crl: &Crl) -> u64 {
        crl.der().len() as u64
    }
}

fn unreadable(error: &Error) -> String {
    format!("a kept revocation answer cannot be read: {}", Untrusted::new(error.to_string()))
}

fn unwritable(error: &Error) -> String {
    format!("a revocation answer cannot be kept: {}", Untrusted::new(error.to_string()))
}
