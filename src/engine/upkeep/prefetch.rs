//! Pulls references as a client would, so that they are there when one comes: what an index lists, configs,
//! layers, and what is attached. Each goes through the gate; what is refused is told, and the others go on.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{Progress, Tell, told};
use crate::access::Principal;
use crate::admission::{Gate, Refusal, Source};
use crate::engine::Engine;
use crate::oci::{Algorithm, Descriptor, Digest, Kind, Manifest, Reference, Repository, Target};

/// How deep indexes may lie in indexes.
const MAX_DEPTH: usize = 4;
/// At most so many manifests are pulled for one reference.
const MAX_MANIFESTS: usize = 1024;
/// How often trouble is met with another attempt, and after how long.
const RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// What is to be pulled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prefetch {
    /// Tags or digests, by their source names.
    pub references: Vec<String>,
    /// Of an index only what runs on this: `os/architecture`, with `/variant` where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
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
    repository: &'a Repository,
    platform: Option<&'a str>,
    manifests: u64,
    bytes: u64,
}

pub(super) async fn run(prefetch: Prefetch, engine: &Arc<Engine>, tell: &Tell) -> Result<(), String> {
    let Prefetch { references, platform, at_once } = prefetch;
    let pulls = references.into_iter().map(|reference| {
        let platform = platform.as_deref();
        async move { told(tell, Progress::Pulled(pull(engine.gate(), reference, platform).await)).await }
    });
    let mut pulls = stream::iter(pulls).buffer_unordered(at_once.clamp(1, 64));
    while let Some(told) = pulls.next().await {
        told?;
    }
    Ok(())
}

async fn pull(gate: &Gate, text: String, platform: Option<&str>) -> Pulled {
    let refused = |outcome, reason| Pulled {
        reference: text.clone(),
        outcome,
        reason: Some(reason),
        manifests: 0,
        bytes: 0,
    };
    let reference = match Reference::parse(&text) {
        Ok(reference) => reference,
        Err(error) => return refused(Outcome::Refused, format!("this is no reference: {error}")),
    };
    let repository = &reference.repository;
    let mut pull = Pull { gate, repository, platform, manifests: 0, bytes: 0 };
    let pulled = pull.patiently(&reference.target).await;
    let (outcome, reason) = match pulled {
        Ok(()) => (Outcome::Kept, None),
        Err(Fault::Refused(why)) => (Outcome::Refused, Some(why)),
        Err(Fault::Trouble(why)) => (Outcome::Trouble, Some(why)),
    };
    Pulled {
        outcome,
        reason,
        manifests: pull.manifests,
        bytes: pull.bytes,
        ..refused(outcome, String::new())
    }
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

    /// The manifest, and below it all that is wanted.
    async fn tree(&mut self, target: &Target) -> Result<(), Fault> {
        let top = self.manifest(target).await?;
        let mut seen = HashSet::from([*top.digest()]);
        let mut level = vec![top];
        for _ in 0..MAX_DEPTH {
            let mut below = Vec::new();
            for manifest in &level {
                self.content(manifest).await?;
                self.attached(manifest.digest()).await?;
                let listed = manifest.manifests().iter();
                let wanted: Vec<_> = listed.filter(|child| runs_on(child, self.platform)).collect();
                if let (true, Some(platform), false) =
                    (wanted.is_empty(), self.platform, manifest.manifests().is_empty())
                {
                    return Err(Fault::Refused(format!("nothing that it lists runs on {platform}")));
                }
                for child in wanted.into_iter().filter(|child| seen.insert(child.digest)) {
                    below.push(self.manifest(&Target::Digest(child.digest)).await?);
                }
                if seen.len() > MAX_MANIFESTS {
                    return Err(Fault::Refused(format!("it lists more than {MAX_MANIFESTS} manifests")));
                }
            }
            level = below;
        }
        match level.is_empty() {
            true => Ok(()),
            false => Err(Fault::Refused(format!("its indexes lie deeper than {MAX_DEPTH} in each other"))),
        }
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

fn runs_on(child: &Descriptor, platform: Option<&str>) -> bool {
    let Some((wanted, platform)) = platform.zip(child.platform.as_ref()) else { return true };
    let short = format!("{}/{}", platform.os, platform.architecture);
    let long = platform.variant.as_ref().map(|variant| format!("{short}/{variant}"));
    // What says of itself that it runs nowhere is an attestation about one that does.
    wanted == short || Some(wanted) == long.as_deref() || short == "unknown/unknown"
}
