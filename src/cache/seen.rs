//! Which repository's own upstream has shown that it holds which content. The store is shared, so
//! without this whoever knows a digest could read another repository's content by it.

use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::Equivalent;
use quick_cache::sync::Cache as Front;

use super::{Cache, Error, key};
use crate::oci::{Descriptor, Digest, Repository, Target};
use crate::store::key::put_digest;
use crate::store::{self, Records, Table};
use crate::upstream::Upstream;

/// As what content is asked for. Holding bytes as a blob is not offering them as a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// At `manifests/<digest>`.
    Manifest,
    /// At `blobs/<digest>`.
    Blob,
}

/// So many answers are in memory.
const FRONT: usize = 65_536;

pub(super) struct Seen {
    table: Table,
    front: Front<Key, ()>,
    /// Held while a row is added, or taken away where its content is not there.
    rows: Mutex<()>,
}

type Key = (Repository, Digest, Role);

/// The key without its own copies.
#[derive(Hash)]
struct Named<'a>(&'a Repository, &'a Digest, Role);

impl Equivalent<Key> for Named<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.1 == key.1 && self.2 == key.2 && *self.0 == key.0
    }
}

impl Seen {
    pub(super) fn new(records: &Records) -> Self {
        Self { table: records.table("seen"), front: Front::new(FRONT), rows: Mutex::default() }
    }

    pub(super) async fn holds(&self, r: &Repository, d: &Digest, role: Role) -> Result<bool, Error> {
        if self.holds_at_hand(r, d, role) {
            return Ok(true);
        }
        let entry = entry(r, d, role);
        if self.table.get(&entry).await?.is_none() {
            return Ok(false);
        }
        self.front.insert((r.clone(), *d, role), ());
        // It may have been removed since it was read, and must not stay in memory then.
        let holds = self.table.get(&entry).await?.is_some();
        if !holds {
            self.front.remove(&Named(r, d, role));
        }
        Ok(holds)
    }

    /// Whether memory knows that it does.
    pub(super) fn holds_at_hand(&self, r: &Repository, d: &Digest, role: Role) -> bool {
        self.front.get(&Named(r, d, role)).is_some()
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Takes a row away unless its content `is_kept`. Says whether it did.
    pub(super) fn strike_unless(
        &self,
        key: Vec<u8>,
        is_kept: impl FnOnce() -> Result<bool, store::Error>,
    ) -> Result<bool, store::Error> {
        let _rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let is_kept = is_kept()?;
        if !is_kept {
            self.table.delete(key);
        }
        Ok(!is_kept)
    }

    pub(super) fn add(&self, repository: &Repository, digest: &Digest, role: Role) {
        let _rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        self.table.put(entry(repository, digest, role), []);
        self.front.insert((repository.clone(), *digest, role), ());
    }

    pub(super) fn remove(&self, repository: &Repository, digest: &Digest, role: Role) {
        self.table.delete(entry(repository, digest, role));
        self.front.remove(&Named(repository, digest, role));
    }
}

fn entry(repository: &Repository, digest: &Digest, role: Role) -> Vec<u8> {
    let mut rest = vec![match role {
        Role::Manifest => b'm',
        Role::Blob => b'b',
    }];
    put_digest(&mut rest, digest);
    key(repository, &rest)
}

impl Cache {
    /// Whether the repository's own upstream has shown that it holds this content: on record, or by
    /// one HEAD, whose answer is recorded.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the upstream shows something else under that digest; the upstream's trouble;
    /// [`Error::Store`].
    pub async fn holds(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        content: &Descriptor,
        role: Role,
    ) -> Result<bool, Error> {
        if self.0.seen.holds(repository, &content.digest, role).await? {
            return Ok(true);
        }
        if upstream.is_offline() {
            return Ok(false);
        }
        let key = (repository.clone(), content.digest, role, content.size);
        let run = || {
            let (cache, upstream, repository, content) =
                (self.clone(), upstream.clone(), repository.clone(), content.clone());
            async move { cache.ask_whether_held(&upstream, &repository, &content, role).await }
        };
        self.0.shows.run(key, run).await?
    }

    async fn ask_whether_held(
        &self,
        upstream: &Upstream,
        repository: &Repository,
        content: &Descriptor,
        role: Role,
    ) -> Result<bool, Error> {
        let shown = match role {
            Role::Manifest => shows_manifest(upstream, repository, &content.digest).await,
            Role::Blob => shows_blob(upstream, repository, content).await,
        };
        match shown {
            Ok(()) => {
                self.0.seen.add(repository, &content.digest, role);
                Ok(true)
            }
            Err(Error::NotFound) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

async fn shows_manifest(upstream: &Upstream, repository: &Repository, digest: &Digest) -> Result<(), Error> {
    let head = upstream.head_manifest(repository, &Target::Digest(*digest)).await?;
    match head.digest {
        Some(found) if found != *digest => {
            Err(Error::Corrupt { expected: *digest, found: found.to_string().into() })
        }
        _ => Ok(()),
    }
}

async fn shows_blob(upstream: &Upstream, repository: &Repository, content: &Descriptor) -> Result<(), Error> {
    let size = upstream.head_blob(repository, &content.digest).await?;
    if size == content.size { Ok(()) } else { Err(Error::length(content, size)) }
}
