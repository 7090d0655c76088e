//! Drops what is recorded of a manifest that is no longer kept: the upstream can be asked for all of it.

use super::{Cache, Error, Role};
use crate::oci::{Digest, Repository, Tag};
use crate::store::key::{REPOSITORY, take_digest};
use crate::store::{self, Table};

/// Takes a row away unless something is kept of the manifest that it is in the name of.
pub type Strike<'a> = &'a mut dyn FnMut(&Table, Vec<u8>, Option<Digest>) -> Result<(), store::Error>;

impl Cache {
    /// Forgets a manifest in a repository: the tags that name it or are about it, its list of referrers,
    /// and that the upstream showed it. On a thread that may wait.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget_now(&self, repository: &Repository, manifest: &Digest) -> Result<(), Error> {
        self.0.tags.forget_all(repository, manifest)?;
        self.forget_shown(repository, manifest);
        Ok(())
    }

    /// Forgets that the upstream showed content in a repository, and what refers to it.
    pub fn forget_shown(&self, repository: &Repository, digest: &Digest) {
        self.0.lists.forget(repository, digest);
        self.0.seen.remove(repository, digest, Role::Manifest);
        self.0.seen.remove(repository, digest, Role::Blob);
    }

    /// Takes away what is recorded of content that is not in the store, and has `strike` look at every row
    /// that is in the name of a manifest: table, key, manifest. Says how many rows went of the former. On a
    /// thread that may wait.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn sweep_now(&self, strike: Strike<'_>) -> Result<u64, Error> {
        let digest = |key: &[u8], at: usize| Some(take_digest(key.get(REPOSITORY + at..)?)?.0);
        let [tags, by_digest] = self.0.tags.tables();
        for table in [self.0.lists.table(), by_digest] {
            table.walk_now(|(key, _)| {
                let manifest = digest(&key, 0);
                strike(table, key, manifest)
            })?;
        }
        tags.walk_now(|(key, record)| {
            let manifest = key.get(REPOSITORY..).and_then(|tag| named(tag, &record));
            strike(tags, key, manifest)
        })?;
        // What has to be fetched anew shows itself anew.
        let (seen, mut gone) = (&self.0.seen, 0);
        seen.table().walk_now(|(key, _)| {
            let content = digest(&key, 1);
            let is_kept = || Ok(content.map(|d| self.0.store.size_now(&d)).transpose()?.flatten().is_some());
            gone += u64::from(seen.strike_unless(key, is_kept)?);
            Ok(())
        })?;
        Ok(gone)
    }
}

/// What a tag's record is about: what the tag names, or the subject that it is made of.
fn named(tag: &[u8], record: &[u8]) -> Option<Digest> {
    let tag = Tag::parse(str::from_utf8(tag).ok()?).ok()?;
    match tag.names_subject() {
        Some((subject, _)) => Some(subject),
        None => super::tags::named(record),
    }
}
