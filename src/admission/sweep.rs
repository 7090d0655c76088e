//! Finds records that lead nowhere, which a crash or lost records may have left. No request needs it.

use std::sync::Arc;

use super::memory::Memory;
use super::uses::Uses;
use crate::oci::Digest;
use crate::store::key::{REPOSITORY, take_digest};
use crate::store::{Error, Table, after};

/// How many rows are read at a time.
const PAGE: usize = 4096;

impl Memory {
    /// Takes away links whose parents are no longer kept, kept signatures of subjects that are not, and
    /// what the cache recorded of either. Says how many records that were.
    ///
    /// # Errors
    /// What the store cannot read.
    pub async fn sweep(self: &Arc<Self>) -> Result<u64, Error> {
        let memory = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || memory.sweep_now()).await;
        done.unwrap_or_else(|e| Err(Error::Records(e.to_string())))
    }

    fn sweep_now(&self) -> Result<u64, Error> {
        let is_kept = |repository: &[u8], digest: &Digest| self.uses.has_key(repository, digest);
        let links = sweep(self.links.table(), |key| match super::links::parent(key) {
            Some((repository, parent)) => is_kept(repository, &parent),
            None => Ok(false),
        })?;
        let signatures = sweep(self.kept.table(), |key| {
            let subject = key.split_at_checked(REPOSITORY);
            let subject = subject.and_then(|(r, rest)| Some((r, take_digest(rest)?.0)));
            subject.map_or(Ok(false), |(repository, subject)| is_kept(repository, &subject))
        })?;
        let cached = self.cache.sweep_now(&is_kept).map_err(|e| Error::Records(e.to_string()))?;
        Ok(links + signatures + cached)
    }
}

/// Takes away the rows whose keys are not `kept`.
fn sweep(table: &Table, kept: impl Fn(&[u8]) -> Result<bool, Error>) -> Result<u64, Error> {
    let (mut from, mut swept) = (Vec::new(), 0);
    loop {
        let page = table.page_now(&from, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(swept) };
        from = after(last);
        for (key, _) in page {
            if !kept(&key)? {
                table.delete(key);
                swept += 1;
            }
        }
    }
}

impl Uses {
    fn has_key(&self, repository: &[u8], digest: &Digest) -> Result<bool, Error> {
        let mut key = repository.to_vec();
        crate::store::key::put_digest(&mut key, digest);
        Ok(self.table().get_now(&key)?.is_some())
    }
}
