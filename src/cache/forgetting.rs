//! Drops what is recorded of a manifest that is no longer kept: the upstream can be asked for all of it.

use super::{Cache, Error, Role};
use crate::oci::{Digest, Repository, Tag};
use crate::store::key::{REPOSITORY, take_digest};
use crate::store::{self, Table, after};

/// How many rows are read at a time.
const PAGE: usize = 4096;

impl Cache {
    /// Forgets a manifest in a repository: the tags that name it or are about it, its list of referrers,
    /// and that the upstream showed it and what goes `with` it. On a thread that may wait.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget_now(
        &self,
        repository: &Repository,
        manifest: &Digest,
        with: &[Digest],
    ) -> Result<(), Error> {
        self.0.tags.forget_all(repository, manifest)?;
        for digest in with.iter().chain([manifest]) {
            self.0.lists.forget(repository, digest);
            self.0.seen.remove(repository, digest, Role::Manifest);
            self.0.seen.remove(repository, digest, Role::Blob);
        }
        Ok(())
    }

    /// Takes away what is recorded of manifests that are not `kept` in the repository of that key, and of
    /// content that is not in the store. Says how many records that were. On a thread that may wait.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn sweep_now(
        &self,
        kept: &dyn Fn(&[u8], &Digest) -> Result<bool, store::Error>,
    ) -> Result<u64, Error> {
        let digest = |rest: &[u8]| take_digest(rest).map(|(digest, _)| digest);
        let [tags, by_digest] = self.0.tags.tables();
        let swept = [
            sweep(self.0.lists.table(), |r, rest, _| digest(rest).map_or(Ok(false), |d| kept(r, &d)))?,
            sweep(by_digest, |r, rest, _| digest(rest).map_or(Ok(false), |d| kept(r, &d)))?,
            sweep(tags, |r, tag, record| match named(tag, record) {
                Some(named) => kept(r, &named),
                None => Ok(false),
            })?,
            // What has to be fetched anew shows itself anew.
            sweep(self.0.seen.table(), |_, rest, _| match rest.get(1..).and_then(digest) {
                Some(digest) => Ok(self.0.store.size_now(&digest)?.is_some()),
                None => Ok(false),
            })?,
        ];
        Ok(swept.iter().sum())
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

/// Takes away the rows that are not `kept`: by repository, what follows it, and value.
fn sweep(
    table: &Table,
    kept: impl Fn(&[u8], &[u8], &[u8]) -> Result<bool, store::Error>,
) -> Result<u64, Error> {
    let (mut from, mut swept) = (Vec::new(), 0);
    loop {
        let page = table.page_now(&from, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(swept) };
        from = after(last);
        for (key, value) in page {
            let (repository, rest) = key.split_at(REPOSITORY.min(key.len()));
            if !kept(repository, rest, &value)? {
                table.delete(key);
                swept += 1;
            }
        }
    }
}
