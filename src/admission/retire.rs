//! Retires the manifests that were used longest ago, with all that is kept of them: links, kept signatures,
//! holds, and what the cache recorded. So the store can always go on. What is retired is asked for and
//! judged again on its next use.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::links::{Role, Way};
use super::memory::{Cooling, Key, Memory, Warm};
use super::uses::{Entry, Name};
use super::{countersign, kept};
use crate::oci::{Digest, MAX_MANIFEST_BYTES, Manifest, Repository};
use crate::store::{Error, Sizes};

/// At most one part in so many of the store is held by manifests and signatures; the others are for layers.
const HELD_SHARE: u64 = 4;
/// So much of what a retired manifest led to is looked at at a time: who writes links waits meanwhile.
const QUIETLY: usize = 64;
/// One manifest for so many bytes of the store: rows have a size too, which `max_size` does not count.
const BYTES_A_MANIFEST: u64 = 16 << 10;
/// What was used so short a time ago stays: a client may be on its way through an image's layers.
const IN_USE: Duration = Duration::from_secs(45 * 60);
/// How many rows are looked at at a time.
const PAGE: usize = 256;

impl Memory {
    /// Writes the uses of manifests that were noted, then retires what is over the bounds. A step for the
    /// engine's jobs.
    ///
    /// # Errors
    /// What the store cannot read or write.
    pub async fn retire(self: &Arc<Self>) -> Result<(), Error> {
        let memory = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || memory.retire_now()).await;
        done.unwrap_or_else(|e| Err(Error::Records(e.to_string())))
    }

    /// Ready when the step is wanted before its time: there is no room for what is held.
    pub async fn wants_retiring(&self) {
        self.store.pressed().await;
    }

    fn retire_now(&self) -> Result<(), Error> {
        // One at a time: what this one has taken to write is neither noted nor written for another.
        let mut cooling = self.cooling.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.note_hot();
        self.note_lent();
        cooling.retain(|name, warm| match Arc::get_mut(warm) {
            Some(warm) => {
                self.note_warm(name, warm);
                false
            }
            None => true,
        });
        self.uses.write_back(|name| self.store.hold_now(&[name.1], &kept::owner(&name.0, &name.1)))?;
        let retired = self.retire_over(&mut cooling);
        self.metrics.store_manifests.set(i64::try_from(self.uses.count()).unwrap_or(i64::MAX));
        retired
    }

    fn retire_over(&self, cooling: &mut Cooling) -> Result<(), Error> {
        let mut from = Vec::new();
        let before = seconds(self.moment().now).saturating_sub(IN_USE.as_secs());
        let apart = self.held_apart()?;
        while self.is_over(apart) {
            let (page, next) = self.uses.oldest(&from, PAGE)?;
            let Some(next) = next else { break };
            from = next;
            for entry in page {
                if entry.last_use >= before || !self.is_over(apart) {
                    return Ok(());
                }
                if self.cool(&entry.name, cooling) {
                    continue;
                }
                if self.retire_one(&entry)? {
                    self.metrics.store_retired.inc();
                }
            }
        }
        Ok(())
    }

    /// Whether more is held, but for what is held `apart`, than manifests may.
    fn is_over(&self, apart: u64) -> bool {
        let Sizes { held, limit, .. } = self.store.sizes();
        held.saturating_sub(apart) > limit / HELD_SHARE || self.uses.count() > limit / BYTES_A_MANIFEST
    }

    /// Revocation answers are held by no manifest and have a bound of their own: no manifest goes for them. They
    /// are counted only where it matters.
    fn held_apart(&self) -> Result<u64, Error> {
        let Sizes { held, limit, .. } = self.store.sizes();
        if held > limit / HELD_SHARE { self.revocations.held_now() } else { Ok(0) }
    }

    /// Has a manifest answered from the store again: one that was answered from memory until now may have
    /// been so in this moment, which the next turn knows. Says whether it was.
    fn cool(&self, name: &Name, cooling: &mut Cooling) -> bool {
        if let Some((name, warm)) = self.hot.remove(name) {
            cooling.insert(name, warm);
        }
        cooling.contains_key(name)
    }

    /// Says whether it is gone; it stays where it was used meanwhile.
    fn retire_one(&self, entry: &Entry) -> Result<bool, Error> {
        let (repository, digest) = &entry.name;
        let owners = [kept::owner(repository, digest), countersign::maker(repository, digest)];
        let manifest = if entry.is_linked { self.content(digest) } else { None };
        let content = manifest.map(|manifest| self.links.ways(repository, &manifest)).transpose()?;
        let mut ways: Vec<Way> = content.into_iter().flatten().collect();
        for owner in &owners {
            let signed = self.store.holdings_now(owner)?.into_iter();
            ways.extend(signed.map(|child| Way { parent: *digest, role: Role::Referrer, child }));
        }
        self.uses.unless_used(entry, || {
            let links = ways.iter().map(|way| self.links.striking(repository, way));
            let written =
                [self.kept.striking(repository, digest), self.countersigned.striking(repository, digest)];
            let strike =
                |released: Vec<_>| self.uses.strike(entry, released.into_iter().chain(links).chain(written));
            let free = self.store.release_all_now(&owners.each_ref().map(String::as_str), strike)?;
            for way in &ways {
                self.links.struck(repository, way);
            }
            self.forget(&Key { repository: repository.clone(), subject: *digest, tag: None });
            let content = ways.iter().filter(|way| matches!(way.role, Role::Config | Role::Layer));
            let content: Vec<_> = content.map(|way| way.child).chain(free).collect();
            self.cache.forget_now(repository, digest).map_err(|e| Error::Records(e.to_string()))?;
            content.chunks(QUIETLY).try_for_each(|some| self.forget_orphaned(repository, some))
        })
    }

    /// Forgets what nothing in the repository leads to any more, and nobody asked for by itself. A signature that shares a part of it
    /// and is kept in this very moment is proven from the store all the same; who asks for that part has it fetched anew, or,
    /// on an island, imported again.
    fn forget_orphaned(&self, repository: &Repository, content: &[Digest]) -> Result<(), Error> {
        // Whoever links to something of it meanwhile asks for it afterwards, and does not lose what was shown to him.
        self.links.quietly(|| {
            for digest in content {
                let is_used = || self.uses.has(&(repository.clone(), *digest));
                if !self.links.lead_to(repository, digest)? && !is_used()? {
                    self.cache.forget_shown(repository, digest);
                }
            }
            Ok(())
        })
    }

    /// The manifest's content. Without it its links stay until `store gc` finds that they lead nowhere.
    fn content(&self, digest: &Digest) -> Option<Manifest> {
        let bytes = self.store.read_now(digest, MAX_MANIFEST_BYTES);
        let bytes = bytes.inspect_err(|error| tracing::warn!(%digest, %error, "a manifest cannot be read"));
        Manifest::parse_expecting(bytes.ok()??, digest).ok()
    }

    /// Notes what was answered from memory since the last time.
    fn note_hot(&self) {
        for (name, warm) in self.hot.iter() {
            self.note_warm(&name, &warm);
        }
    }

    /// Notes what layers are on their way to clients through.
    fn note_lent(&self) {
        let now = seconds(self.moment().now);
        for name in self.lent.names() {
            self.uses.note_if_kept(name, now);
        }
    }

    fn note_warm(&self, name: &Name, warm: &Warm) {
        let at = warm.used.swap(0, Ordering::Relaxed);
        if at != 0 {
            // A child stays as long as the index that vouches for it, and the index for its children.
            self.uses.note_if_kept((name.0.clone(), *warm.subject()), at);
            self.uses.note_if_kept(name.clone(), at);
        }
    }
}

pub(super) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
