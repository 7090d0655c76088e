//! Pulls references as a client would, so that they are there when one comes: what an index lists, configs,
//! layers, and what is attached. Each goes through the gate; what is refused is told, and the others go on.

mod platform;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{Progress, Tell, told};
use crate::access::Principal;
use crate::admission::{Gate, Refusal, Source};
use crate::engine::{Engine, State};
use crate::oci::{Algorithm, Descriptor, Digest, Kind, Manifest, Reference, Repository, Target};
use crate::store::Store;

pub use platform::Platform;

/// How deep indexes may lie in indexes.
const MAX_DEPTH: usize = 4;
/// At most so many manifests are pulled for one reference.
const MAX_MANIFESTS: usize = 1024;
/// How long the first and the last pause is for content that is being made durable.
const SETTLING: Range<Duration> = Duration::from_millis(5)..Duration::from_secs(30);
/// How often trouble is met with another attempt, and after how long.
const RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// What is to be pulled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prefetch {
    /// Tags or digests, by their source names.
    pub references: Vec<String>,
    /// Of an index only what runs on this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// So many references at once.
    #[serde(default = "four")]
    pub at_once: usize,
}

fn four() -> usize {
    4
}

/// What came of one reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pulled {
    /// As it was asked for.
    pub reference: String,
    /// Whether it is there now.
    pub outcome: Outcome,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Manifests that were pulled for it.
    pub manifests: u64,
    /// Bytes that came from the upstream for its configs and layers.
    pub bytes: u64,
    /// What below it was refused; the others are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// A manifest below a reference that was refused, or something of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// Which.
    pub digest: Digest,
    /// What it runs on, where its index says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Why.
    pub reason: String,
}

/// Whether content is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All of it.
    Kept,
    /// The policy says no, or there is no such thing.
    Refused,
    /// It could not be found out or fetched.
    Trouble,
}

/// One reference on its way.
struct Pull<'a> {
    gate: &'a Gate,
    store: &'a Store,
    repository: &'a Repository,
    platform: Option<&'a Platform>,
    manifests: u64,
    bytes: u64,
    refused: Vec<Refused>,
}

pub(super) async fn run(
    prefetch: Prefetch,
    state: &State,
    engine: &Engine,
    tell: &Tell,
) -> Result<(), String> {
    let Prefetch { references, platform, at_once } = prefetch;
    let (gate, store, platform) = (engine.gate(), state.memory.store(), platform.as_ref());
    let pulls = references.into_iter().map(|reference| async move {
        told(tell, Progress::Pulled(pull(gate, store, reference, platform).await)).await
    });
    let mut pulls = stream::iter(pulls).buffer_unordered(at_once.clamp(1, 64));
    while let Some(told) = pulls.next().await {
        told?;
    }
    Ok(())
}

async fn pull(gate: &Gate, store: &Store, reference: String, platform: Option<&Platform>) -> Pulled {
    let parsed = match Reference::parse(&reference) {
        Ok(parsed) => parsed,
        Err(error) => {
            let reason = Some(format!("this is no reference: {error}"));
            let (outcome, refused) = (Outcome::Refused, Vec::new());
            return Pulled { reference, outcome, reason, manifests: 0, bytes: 0, refused };
        }
    };
    let repository = &parsed.repository;
    let mut pull = Pull { gate, store, repository, platform, manifests: 0, bytes: 0, refused: Vec::new() };
    let (outcome, reason) = match pull.patiently(&parsed.target).await {
        Ok(()) => (Outcome::Kept, None),
        Err(Fault::Refused(why)) => (Outcome::Refused, Some(why)),
        Err(Fault::Trouble(why)) => (Outcome::Trouble, Some(why)),
    };
    let Pull { manifests, bytes, refused, .. } = pull;
    Pulled { reference, outcome, reason, manifests, bytes, refused }
}

enum Fault {
    Refused(String),
    Trouble(String),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::Denied(_) | Refusal::Uncovered { .. } | Refusal::Unknown(_) => {
                Self::Refused(refusal.to_string())
            }
            Refusal::Undecided { .. } | Refusal::Upstream(_) => Self::Trouble(refusal.to_string()),
        }
    }
}

impl Pull<'_> {
    async fn patiently(&mut self, target: &Target) -> Result<(), Fault> {
        let mut pauses = RETRIES.into_iter();
        loop {
            match (self.tree(target).await, pauses.next()) {
                (Err(Fault::Trouble(_)), Some(pause)) => tokio::time::sleep(pause).await,
                (done, _) => return done,
            }
        }
    }

    /// The manifest, and below it all that is wanted. A refusal below it is noted, and the others go on.
    async fn tree(&mut self, target: &Target) -> Result<(), Fault> {
        (self.manifests, self.refused) = (0, Vec::new());
        let top = self.manifest(target).await?;
        self.around(&top).await?;
        let mut seen = HashSet::from([*top.digest()]);
        let mut level = vec![top];
        for _ in 0..MAX_DEPTH {
            let mut below = Vec::new();
            for index in &level {
                for child in self.wanted(index)?.into_iter().filter(|child| seen.insert(child.digest)) {
                    let pulled = self.child(child).await;
                    below.extend(self.unless_refused(child, pulled)?);
                }
                if seen.len() > MAX_MANIFESTS {
                    return Err(Fault::Refused(format!("it lists more than {MAX_MANIFESTS} manifests")));
                }
            }
            level = below;
        }
        match (level.is_empty(), self.refused.len()) {
            (true, 0) => Ok(()),
            (true, refused) => {
                Err(Fault::Refused(format!("{refused} of the {} manifests that it lists", seen.len() - 1)))
            }
            (false, _) => {
                Err(Fault::Refused(format!("its indexes lie deeper than {MAX_DEPTH} in each other")))
            }
        }
    }

    /// What of an index is asked for.
    fn wanted<'m>(&self, index: &'m Manifest) -> Result<Vec<&'m Descriptor>, Fault> {
        let listed = index.manifests();
        let Some(platform) = self.platform else { return Ok(listed.iter().collect()) };
        let wanted: Vec<_> = listed.iter().filter(|child| platform.runs(child)).collect();
        if wanted.is_empty() && !listed.is_empty() {
            return Err(Fault::Refused(format!("nothing that it lists runs on {platform}")));
        }
        Ok(wanted)
    }

    async fn child(&mut self, child: &Descriptor) -> Result<Arc<Manifest>, Fault> {
        let manifest = self.manifest(&Target::Digest(child.digest)).await?;
        self.around(&manifest).await?;
        Ok(manifest)
    }

    fn unless_refused<T>(
        &mut self,
        child: &Descriptor,
        pulled: Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match pulled {
            Ok(pulled) => Ok(Some(pulled)),
            Err(Fault::Refused(reason)) => {
                let platform = Platform::of(child);
                self.refused.push(Refused { digest: child.digest, platform, reason });
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// All that belongs to a manifest and is no manifest that it lists.
    async fn around(&mut self, manifest: &Manifest) -> Result<(), Fault> {
        self.content(manifest).await?;
        self.attached(manifest.digest()).await
    }

    async fn manifest(&mut self, target: &Target) -> Result<Arc<Manifest>, Fault> {
        let reference = Reference { repository: self.repository.clone(), target: target.clone() };
        let admitted = self.gate.manifest(&reference, &Principal::Process).await?;
        self.manifests += 1;
        Ok(admitted.into_content())
    }

    /// Configs and layers, read to their end so that they are kept.
    async fn content(&mut self, manifest: &Manifest) -> Result<(), Fault> {
        for blob in manifest.config().into_iter().chain(manifest.blobs()) {
            let admitted = self.gate.blob(self.repository, &blob.digest, &Principal::Process).await?;
            let blob = admitted.into_content();
            if blob.source() == Source::Store {
                continue;
            }
            if !blob.accepts_ranges() {
                let digest = blob.digest();
                return Err(Fault::Trouble(format!(
                    "the store has no room for blob {digest}: see store.max_size"
                )));
            }
            let (size, digest) = (blob.size(), *blob.digest());
            let mut reader = blob.read(0..size, None);
            while let Some(piece) = reader.next().await {
                let piece = piece.map_err(|e| Fault::Trouble(format!("blob {digest}: {e}")))?;
                self.bytes += piece.len() as u64;
            }
            self.settled(&digest).await?;
        }
        Ok(())
    }

    /// Waits until what was read is kept, which follows the last byte.
    async fn settled(&self, digest: &Digest) -> Result<(), Fault> {
        let trouble = |why: &dyn std::fmt::Display| Fault::Trouble(format!("blob {digest}: {why}"));
        let mut pause = SETTLING.start;
        while self.store.open_blob(digest).await.map_err(|e| trouble(&e))?.is_none() {
            if pause > SETTLING.end {
                return Err(trouble(&"it was fetched and could not be kept; the log says why"));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    /// What is attached and admitted: signatures and, where the policy lists them, all others.
    async fn attached(&mut self, subject: &Digest) -> Result<(), Fault> {
        let list = self.gate.referrers(self.repository, subject, None, &Principal::Process).await?;
        let Some(list) = list else { return Ok(()) };
        let list = Manifest::parse(list.content().bytes().clone(), Algorithm::Sha256);
        let list = list.map_err(|e| Fault::Trouble(e.to_string()))?;
        for artifact in list.manifests() {
            let artifact = self.manifest(&Target::Digest(artifact.digest)).await?;
            if artifact.kind() != Kind::Index {
                self.content(&artifact).await?;
            }
        }
        Ok(())
    }
}
