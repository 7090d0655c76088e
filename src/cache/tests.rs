//! The cache against an upstream that misbehaves as told.

mod blobs;
mod lists;
mod manifests;
mod tags;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::*;
use crate::demo::package::Package;
use crate::demo::registry::{Fault, Registry};
use crate::egress;
use crate::oci::{self, Descriptor};
use crate::store;
use crate::upstream::{self, Upstream};

/// A cache, its store, and a registry in front of it.
struct Bed {
    registry: Registry,
    upstream: Arc<Upstream>,
    cache: Cache,
    clock: Clock,
    metrics: Arc<Metrics>,
    folder: tempfile::TempDir,
}

impl Bed {
    async fn new() -> Self {
        Self::with_room(1 << 30).await
    }

    async fn with_room(max_size: u64) -> Self {
        let registry = Registry::start().await.unwrap();
        let metrics = Metrics::new();
        let folder = tempfile::tempdir().unwrap();
        let settings =
            store::Settings { path: folder.path().to_owned(), max_size, ..store::Settings::default() };
        let store = Store::open(&settings, &metrics).unwrap();
        let clock = Clock::manual(SystemTime::now());
        let cache = Cache::new(&store, &clock, &metrics);
        let upstream = upstream_at(&registry, &metrics, false);
        Self { registry, upstream, cache, clock, metrics, folder }
    }

    /// The same after a restart of the process.
    async fn restarted(self) -> Self {
        let Self { registry, upstream, cache, clock, metrics, folder } = self;
        cache.0.store.records().flush().await.unwrap();
        drop(cache);
        let settings = store::Settings {
            path: folder.path().to_owned(),
            max_size: 1 << 30,
            ..store::Settings::default()
        };
        let store = loop {
            // Tasks that hold the old one may need a moment to end.
            match Store::open(&settings, &metrics) {
                Err(store::OpenError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
                opened => break opened.unwrap(),
            }
        };
        let cache = Cache::new(&store, &clock, &metrics);
        Self { registry, upstream, cache, clock, metrics, folder }
    }

    fn offline(&self) -> Arc<Upstream> {
        upstream_at(&self.registry, &self.metrics, true)
    }

    /// How many requests so far had all of these in their line.
    fn asked(&self, needles: &[&str]) -> usize {
        let seen = self.registry.seen();
        seen.iter().filter(|request| needles.iter().all(|needle| request.line.contains(needle))).count()
    }

    fn stored(&self, digest: &Digest) -> bool {
        self.blob_path(digest).exists()
    }

    fn blob_path(&self, digest: &Digest) -> std::path::PathBuf {
        self.folder.path().join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }

    /// The store is as if nothing had ever come in: no half-written file, no promised room.
    fn assert_nothing_left(&self) {
        let incoming = std::fs::read_dir(self.folder.path().join("incoming")).unwrap().count();
        assert_eq!((incoming, self.cache.0.store.sizes().promised), (0, 0));
    }
}

fn upstream_at(registry: &Registry, metrics: &Arc<Metrics>, offline: bool) -> Arc<Upstream> {
    let settings = upstream::Settings {
        url: Some(registry.url()),
        offline,
        timeouts: upstream::Timeouts {
            connect: Duration::from_secs(2),
            headers: Duration::from_secs(2),
            idle: Duration::from_secs(2),
        },
        max_requests: std::num::NonZeroUsize::new(128).unwrap(),
        ..upstream::Settings::default()
    };
    let name = oci::Registry::parse("registry.example").unwrap();
    Upstream::build(name, &settings, &egress::Settings::default(), metrics, None).unwrap()
}

fn repository(path: &str) -> Repository {
    Repository::parse(&format!("registry.example/{path}")).unwrap()
}

fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

fn blob_of(bytes: &[u8]) -> Descriptor {
    Descriptor::new("application/octet-stream", Digest::sha256(bytes), bytes.len() as u64)
}

/// Bytes that compress to nothing known: each place is told from each other.
fn noise(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(length as u64).fill(&mut bytes);
    bytes.into()
}

/// Reads until the end or the first error; says how much came and whether it was all.
async fn drain(mut reader: BlobReader) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(_) => return (bytes, false),
        }
    }
    (bytes, true)
}
