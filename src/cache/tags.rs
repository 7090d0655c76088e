//! What tags name: from memory while fresh, by a question to the upstream else, by the last good
//! answer while the upstream is in trouble.
//!
//! A tag that has moved upstream moves here only when the caller says so ([`Cache::moved`]), because
//! what it names now has to be judged first.

mod ask;
mod record;
mod resolve;

use std::hash::Hash;
use std::sync::Arc;
use std::time::SystemTime;

use dashmap::DashSet;
use quick_cache::Equivalent;
use quick_cache::sync::Cache as Front;

use super::{Cache, Error};
use crate::oci::{Digest, Registry, Repository, Tag};
use crate::store::key::{REPOSITORY, within};
use crate::store::{Records, Table};
use crate::upstream::Upstream;
use record::Record;

/// So many tags are answered from memory.
const FRONT: usize = 65_536;

/// What a tag names.
#[derive(Debug)]
pub struct Resolved {
    /// The digest.
    pub digest: Digest,
    /// Until when the answer needs no recheck.
    pub fresh_until: SystemTime,
    /// How far the answer can be relied on.
    pub standing: Standing,
    /// The right to ask upstream behind the answer; given to one caller at a time.
    pub recheck: Option<Recheck>,
}

/// How far an answer can be relied on.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Checked within `tag_ttl`.
    Fresh,
    /// Older, within `stale_while_revalidate`: serve it, and recheck behind the answer.
    Expired,
    /// Older still, because the upstream is in trouble; within `stale_if_error`. Serve it with a
    /// warning, and recheck behind the answer.
    Stale(Error),
    /// The upstream has just named another digest than before, or the first one. Judge it, then
    /// call [`Cache::moved`].
    New {
        /// What the tag named before, if that may still serve should the new digest be undecidable.
        fallback: Option<Digest>,
    },
}

/// What an upstream said about a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Same(Digest),
    Other(Digest),
}

/// The right to ask upstream about a tag, one holder at a time.
pub struct Recheck {
    cache: Cache,
    turn: Turn<Key>,
    /// Where the upstream is silent: the right to try whether it answers.
    _trial: Option<Turn<Registry>>,
}

/// A right that one holder has at a time, until it is dropped.
struct Turn<K: Eq + Hash> {
    taken: Taken<K>,
    key: K,
}

type Taken<K> = Arc<DashSet<K>>;

type Key = (Repository, Tag);

/// The key without its own copies.
#[derive(Hash)]
struct Named<'a>(&'a Repository, &'a Tag);

#[derive(Clone, Copy)]
struct Known {
    digest: Digest,
    checked: SystemTime,
}

pub(super) struct Tags {
    table: Table,
    /// repository, digest, tag → nothing: which tags may name a digest still.
    by_digest: Table,
    front: Front<Key, Known>,
    /// When the upstream was last found in trouble over a tag, and how.
    troubled: Front<Key, (SystemTime, Error)>,
    rechecking: Taken<Key>,
    /// The silent upstreams that a recheck is trying.
    trying: Taken<Registry>,
}

impl Equivalent<Key> for Named<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == key.0 && *self.1 == key.1
    }
}

impl Tags {
    pub(super) fn new(records: &Records) -> Self {
        Self {
            table: records.table("tags"),
            by_digest: records.table("tags_by_digest"),
            front: Front::new(FRONT),
            troubled: Front::new(FRONT / 16),
            rechecking: Taken::default(),
            trying: Taken::default(),
        }
    }

    /// The last good answer, from memory else from the records.
    async fn known(&self, repository: &Repository, tag: &Tag) -> Result<Option<Known>, Error> {
        if let Some(known) = self.front.get(&Named(repository, tag)) {
            return Ok(Some(known));
        }
        let Some(record) = Record::load(&self.table, repository, tag).await? else { return Ok(None) };
        let known = Known { digest: record.digest, checked: record.checked };
        self.front.insert((repository.clone(), tag.clone()), known);
        Ok(Some(known))
    }

    async fn write(&self, repository: &Repository, tag: &Tag, known: Known) -> Result<(), Error> {
        // An unreadable record is replaced: what it knew besides is history.
        let before = Record::load(&self.table, repository, tag).await.unwrap_or_default();
        if before.as_ref().is_none_or(|before| before.digest != known.digest) {
            self.by_digest.put(naming(repository, &known.digest, tag.as_str()), []);
        }
        Record::renew(before, known.digest, known.checked).save(&self.table, repository, tag)?;
        self.front.insert((repository.clone(), tag.clone()), known);
        self.troubled.remove(&Named(repository, tag));
        Ok(())
    }

    fn forget(&self, repository: &Repository, tag: &Tag) {
        self.table.delete(super::key(repository, tag.as_str().as_bytes()));
        self.front.remove(&Named(repository, tag));
        self.troubled.remove(&Named(repository, tag));
    }

    /// The records, and those by digest.
    pub(super) fn tables(&self) -> [&Table; 2] {
        [&self.table, &self.by_digest]
    }

    /// Forgets the tags that name `digest`, and those that are about it.
    pub(super) fn forget_all(&self, repository: &Repository, digest: &Digest) -> Result<(), Error> {
        let prefix = naming(repository, digest, "");
        for (naming, _) in self.by_digest.scan_now(&prefix, usize::MAX)? {
            let tag = str::from_utf8(&naming[prefix.len()..]).ok().and_then(|tag| Tag::parse(tag).ok());
            if let Some(tag) = tag
                && Record::load_now(&self.table, repository, &tag)?.is_some_and(|r| r.digest == *digest)
            {
                self.forget(repository, &tag);
            }
            self.by_digest.delete(naming);
        }
        let about = super::key(repository, Tag::about(digest, "").as_str().as_bytes());
        for (key, _) in self.table.scan_now(&about, usize::MAX)? {
            let tag = key.get(REPOSITORY..).and_then(|tag| str::from_utf8(tag).ok());
            if let Some(tag) = tag.and_then(|tag| Tag::parse(tag).ok()) {
                self.forget(repository, &tag);
            }
        }
        Ok(())
    }

    fn trouble(&self, repository: &Repository, tag: &Tag) -> Option<(SystemTime, Error)> {
        self.troubled.get(&Named(repository, tag))
    }
}

/// What a tag's record says that it names.
pub(super) fn named(record: &[u8]) -> Option<Digest> {
    Record::digest_of(record)
}

fn naming(repository: &Repository, digest: &Digest, tag: &str) -> Vec<u8> {
    [within(repository, digest).as_slice(), tag.as_bytes()].concat()
}

impl Recheck {
    /// Asks the upstream: see [`Cache::recheck`].
    ///
    /// # Errors
    /// As [`Cache::recheck`].
    pub async fn ask(&self, upstream: &Arc<Upstream>) -> Result<Option<Digest>, Error> {
        let (repository, tag) = &self.turn.key;
        self.cache.recheck(upstream, repository, tag).await
    }
}

impl std::fmt::Debug for Recheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recheck({}:{})", self.turn.key.0, self.turn.key.1)
    }
}

impl<K: Eq + Hash + Clone> Turn<K> {
    fn take(taken: &Taken<K>, key: K) -> Option<Self> {
        taken.insert(key.clone()).then(|| Self { taken: taken.clone(), key })
    }
}

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        self.taken.remove(&self.key);
    }
}
