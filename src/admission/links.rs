//! What an admission unlocks in one repository: children and referrers at `manifests/`, config and
//! layers at `blobs/`. A link gives no leave of its own: it opens only beside a [`Leave`] for its
//! parent, which only a live decision gives.

mod record;
mod striking;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

pub(super) use striking::{Way, parent};

use super::admitted::Unlocks;
use crate::oci::{Descriptor, Digest, Manifest, Repository};
use crate::policy::Decision;
use crate::store::{Records, Table};

/// What the child is to its parent. A link answers only requests for its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// A manifest that an index lists.
    Child,
    /// An artifact about the subject. Which of them are served is found out each time.
    Referrer,
    /// An image's config.
    Config,
    /// An image's layer, an artifact's blob.
    Layer,
}

/// Where a link is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// `/manifests/<digest>`
    Manifests,
    /// `/blobs/<digest>`
    Blobs,
}

impl Role {
    fn place(self) -> Place {
        match self {
            Self::Child | Self::Referrer => Place::Manifests,
            Self::Config | Self::Layer => Place::Blobs,
        }
    }
}

/// One way to a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) parent: Digest,
    pub(super) role: Role,
    /// What the parent says of the child: `HEAD` is answered from it, and its size binds.
    pub(super) child: Descriptor,
}

impl Link {
    fn to(parent: &Digest, role: Role, child: &Descriptor) -> Self {
        let child = Descriptor { annotations: Default::default(), platform: None, ..child.clone() };
        Self { parent: *parent, role, child }
    }

    /// Whether the parent's own bytes name the child in this role.
    pub(super) fn stands_in(&self, parent: &Manifest) -> bool {
        let names = |d: &Descriptor| d.digest == self.child.digest && d.size == self.child.size;
        *parent.digest() == self.parent
            && match self.role {
                Role::Child => parent.manifests().iter().any(names),
                Role::Config => parent.config().is_some_and(names),
                Role::Layer => parent.blobs().iter().any(names),
                Role::Referrer => false,
            }
    }
}

/// Leave to serve one manifest: by a decision of its own, or through a parent's.
#[derive(Clone, Debug)]
pub(super) struct Leave {
    decision: Arc<Decision>,
    manifest: Digest,
}

impl Leave {
    /// A decision that lets its subject be served.
    pub(super) fn of_subject(decision: &Arc<Decision>) -> Option<Self> {
        decision.serve().then(|| Self { decision: Arc::clone(decision), manifest: *decision.subject() })
    }

    /// The same decision's leave for a manifest that `link` finds in this one.
    pub(super) fn through(&self, link: &Link) -> Option<Self> {
        let opens = link.parent == self.manifest && link.role.place() == Place::Manifests;
        opens.then(|| Self { decision: Arc::clone(&self.decision), manifest: link.child.digest })
    }

    pub(super) fn decision(&self) -> &Arc<Decision> {
        &self.decision
    }

    pub(super) fn manifest(&self) -> &Digest {
        &self.manifest
    }

    pub(super) fn unlocks(&self) -> Unlocks {
        Unlocks { digest: self.manifest }
    }

    /// Unlocks the config or layer that `link` finds in this manifest.
    pub(super) fn unlocks_blob(&self, link: &Link) -> Option<Unlocks> {
        let opens = link.parent == self.manifest && link.role.place() == Place::Blobs;
        opens.then_some(Unlocks { digest: link.child.digest })
    }

    /// Leave for a list about this manifest that was made here of what is admitted. No link has it
    /// as parent.
    pub(super) fn list(&self, about: &Digest, list: Digest) -> Option<Self> {
        (*about == self.manifest).then(|| Self { decision: Arc::clone(&self.decision), manifest: list })
    }
}

/// The links of every repository: kept as records, with those in use in memory.
pub(super) struct Links {
    records: Records,
    table: Table,
    /// What was read of the records.
    recent: Cache<(Repository, Digest), Arc<[Link]>, ByNumber>,
    /// The link of the parent that was served last: it stands first.
    latest: Cache<(Repository, Digest, Place), Link>,
    written: Cache<(Repository, Digest), ()>,
    /// Counts writes, so that nothing older than a write is taken for recent.
    writes: AtomicU64,
    /// Held by each who writes links, and alone by who does something since there are none.
    writing: RwLock<()>,
}

/// A key of `latest` without its own copies.
#[derive(Hash)]
struct Named<'a>(&'a Repository, &'a Digest, Place);

impl Equivalent<(Repository, Digest, Place)> for Named<'_> {
    fn equivalent(&self, key: &(Repository, Digest, Place)) -> bool {
        *self.1 == key.1 && self.2 == key.2 && *self.0 == key.0
    }
}

/// At most so many records are read for one child.
const MAX_RECORDS: usize = 256;
/// At most so many records are in memory.
const MAX_RECENT: u64 = 200_000;

#[derive(Clone)]
struct ByNumber;

impl<K> Weighter<K, Arc<[Link]>> for ByNumber {
    fn weight(&self, _: &K, links: &Arc<[Link]>) -> u64 {
        1 + links.len() as u64
    }
}

impl Links {
    pub(super) fn open(records: &Records) -> Self {
        Self {
            records: records.clone(),
            table: records.table("links"),
            recent: Cache::with_weighter(50_000, MAX_RECENT, ByNumber),
            latest: Cache::new(50_000),
            written: Cache::new(20_000),
            writes: AtomicU64::new(0),
            writing: RwLock::new(()),
        }
    }

    /// Writes the links of an admitted manifest: to what it lists, its config and its layers.
    /// Whether an index admits what it lists is asked when a link is gone through.
    pub(super) fn write_content(&self, repository: &Repository, manifest: &Manifest) {
        let key = (repository.clone(), *manifest.digest());
        if self.written.get(&key).is_some() {
            return;
        }
        let links = content(manifest).map(|(role, child)| Link::to(manifest.digest(), role, child));
        self.enter(repository, links);
        self.written.insert(key, ());
    }

    /// Writes one link; writing it again changes nothing but that it stands first.
    pub(super) fn write(&self, repository: &Repository, parent: &Digest, role: Role, child: &Descriptor) {
        self.enter(repository, [Link::to(parent, role, child)]);
    }

    /// Writes what is not the latest anyway, in one go.
    fn enter(&self, repository: &Repository, links: impl IntoIterator<Item = Link>) {
        let latest = |link: &Link| (repository.clone(), link.child.digest, link.role.place());
        let is_known = |link: &Link| self.latest.get(&latest(link)).is_some_and(|known| known == *link);
        let new: Vec<Link> = links.into_iter().filter(|link| !is_known(link)).collect();
        if new.is_empty() {
            return;
        }
        let _writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        self.records.apply(new.iter().map(|link| {
            let key = record::key(repository, &link.parent, link.role, &link.child.digest);
            self.table.putting(key, record::value(&link.child))
        }));
        for link in new {
            self.changed(repository, &link.child.digest);
            self.latest.insert(latest(&link), link);
        }
    }

    fn changed(&self, repository: &Repository, child: &Digest) {
        self.writes.fetch_add(1, Ordering::AcqRel);
        self.recent.remove(&(repository.clone(), *child));
    }

    /// The link to `child` at `place` of the parent that was served last, where it is in memory.
    pub(super) fn latest(&self, repository: &Repository, child: &Digest, place: Place) -> Option<Link> {
        self.latest.get(&Named(repository, child, place))
    }

    /// Has a link that opened stand first.
    pub(super) fn note_latest(&self, repository: &Repository, link: &Link) {
        let key = (repository.clone(), link.child.digest, link.role.place());
        self.latest.insert(key, link.clone());
    }

    /// The links that lead to `child` at `place`: first the parent's that was served last.
    pub(super) async fn parents(
        &self,
        repository: &Repository,
        child: &Digest,
        place: Place,
    ) -> Result<Vec<Link>, crate::store::Error> {
        let latest = self.latest(repository, child, place);
        let links = self.recorded(repository, child).await?;
        let others = links.iter().filter(|l| l.role.place() == place && latest.as_ref() != Some(l)).cloned();
        Ok(latest.clone().into_iter().chain(others).collect())
    }

    async fn recorded(
        &self,
        repository: &Repository,
        child: &Digest,
    ) -> Result<Arc<[Link]>, crate::store::Error> {
        let key = (repository.clone(), *child);
        if let Some(links) = self.recent.get(&key) {
            return Ok(links);
        }
        let writes = self.writes.load(Ordering::Acquire);
        let links: Arc<[Link]> = self.read(repository, child).await?.into();
        self.recent.insert(key.clone(), Arc::clone(&links));
        // A link that was written meanwhile may be missing in what was read.
        if self.writes.load(Ordering::Acquire) != writes {
            self.recent.remove(&key);
        }
        Ok(links)
    }

    async fn read(&self, repository: &Repository, child: &Digest) -> Result<Vec<Link>, crate::store::Error> {
        let mut links = Vec::new();
        for (key, value) in self.table.scan(&record::prefix(repository, child), MAX_RECORDS).await? {
            // A record that does not read leads nowhere.
            match record::read(&key, &value) {
                Some(link) => links.push(link),
                None => tracing::warn!(%repository, %child, "a link record does not read and is passed over"),
            }
        }
        Ok(links)
    }
}

/// What a manifest's own bytes link it to.
fn content(manifest: &Manifest) -> impl Iterator<Item = (Role, &Descriptor)> {
    let listed = manifest.manifests().iter().map(|d| (Role::Child, d));
    let config = manifest.config().map(|d| (Role::Config, d));
    let layers = manifest.blobs().iter().map(|d| (Role::Layer, d));
    listed.chain(config).chain(layers)
}
