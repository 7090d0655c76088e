//! Which signature artifacts were read for a subject: a record of inputs, proven again from the
//! store on their first use in a process. It admits nothing by itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::discovery::{Found, Via};
use super::gate::Gate;
use crate::access::Principal;
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, Repository};
use crate::policy::Belief;
use crate::signature::layout;
use crate::store::key::within;
use crate::store::{Change, Error, Records, Store, Table};

/// The kept signatures of every subject.
pub(super) struct Kept {
    table: Table,
    store: Store,
}

/// What is kept of one subject.
#[derive(Serialize, Deserialize)]
struct Record {
    artifacts: Vec<Descriptor>,
    /// Those that sign attestation manifests about the subject.
    #[serde(default)]
    through: Vec<Through>,
    /// When the sources were last asked, in Unix seconds.
    discovered: u64,
}

/// A signature of an attestation manifest.
#[derive(Serialize, Deserialize)]
struct Through {
    manifest: Descriptor,
    artifact: Descriptor,
}

/// The kept artifacts of a subject, as they read now.
pub(super) struct Recalled {
    pub(super) found: Vec<Found>,
    /// When the sources were last asked for more.
    pub(super) discovered: SystemTime,
}

impl Kept {
    pub(super) fn open(records: &Records, store: &Store) -> Self {
        Self { table: records.table("signatures"), store: store.clone() }
    }

    /// Keeps the artifacts and holds their content and the subject, so that a network that is cut off goes on
    /// verifying.
    pub(super) async fn keep(
        &self,
        repository: &Repository,
        subject: &Digest,
        found: &[&Found],
        now: SystemTime,
    ) -> Result<(), Error> {
        let own = found.iter().filter(|f| f.via.is_none());
        let mut artifacts: Vec<Descriptor> = own.map(|f| f.artifact.clone()).collect();
        artifacts.sort_by_key(|a| a.digest);
        artifacts.dedup_by_key(|a| a.digest);
        let vias = found.iter().filter_map(|f| f.via.as_ref().map(|via| (via, &f.artifact)));
        let through = vias.clone().map(|(via, artifact)| Through {
            manifest: via.manifest.descriptor().clone(),
            artifact: artifact.clone(),
        });
        let between = vias.flat_map(|(via, _)| via.statements.iter().chain([via.manifest.descriptor()]));
        let parts = found.iter().flat_map(|f| f.carrier.parts.iter().chain([&f.artifact]));
        let digests: Vec<Digest> = parts.chain(between).map(|part| part.digest).chain([*subject]).collect();
        self.store.hold(&digests, &owner(repository, subject)).await?;
        let discovered = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let Ok(value) = serde_json::to_vec(&Record { artifacts, through: through.collect(), discovered }) {
            self.table.put(within(repository, subject), value);
        }
        Ok(())
    }

    /// Reads the artifacts from the store, checking each digest. What is gone or rotten is left
    /// out: the sources are asked again then.
    pub(super) async fn recall(&self, repository: &Repository, subject: &Digest) -> Option<Recalled> {
        let value = match self.table.get(&within(repository, subject)).await {
            Ok(value) => value?,
            Err(error) => {
                tracing::error!(%repository, %subject, %error, "kept signatures cannot be read");
                return None;
            }
        };
        let record: Record = serde_json::from_slice(&value)
            .inspect_err(|error| tracing::error!(%repository, %subject, %error, "a record of kept signatures is damaged"))
            .ok()?;
        let mut found = Vec::with_capacity(record.artifacts.len());
        for artifact in record.artifacts {
            found.extend(self.read(&artifact, subject, None).await);
        }
        for Through { manifest, artifact } in record.through {
            let Some(manifest) = self.manifest(&manifest).await else { continue };
            let via = Arc::new(Via::kept(manifest, subject));
            let signed = *via.manifest.digest();
            found.extend(self.read(&artifact, &signed, Some(via)).await);
        }
        let discovered = UNIX_EPOCH.checked_add(Duration::from_secs(record.discovered));
        Some(Recalled { found, discovered: discovered.unwrap_or(UNIX_EPOCH) })
    }

    /// Whether all that was kept of a subject's signatures is in the store; `None` where nothing was.
    pub(super) async fn is_whole(&self, repository: &Repository, subject: &Digest) -> Option<bool> {
        let value = self.table.get(&within(repository, subject)).await.ok()??;
        let Ok(record) = serde_json::from_slice::<Record>(&value) else { return Some(false) };
        let recalled = self.recall(repository, subject).await?;
        if recalled.found.len() < record.artifacts.len() + record.through.len() {
            return Some(false);
        }
        let statements = recalled.found.iter().filter_map(|f| f.via.as_ref()).flat_map(|via| &via.statements);
        for part in recalled.found.iter().flat_map(|f| &f.carrier.parts).chain(statements) {
            if !matches!(self.store.open_blob(&part.digest).await, Ok(Some(_))) {
                return Some(false);
            }
        }
        Some(true)
    }

    /// The records themselves, by repository and subject.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// What strikes the record of a subject that is retired.
    pub(super) fn striking(&self, repository: &Repository, subject: &Digest) -> Change {
        self.table.deleting(within(repository, subject))
    }

    async fn read(&self, artifact: &Descriptor, subject: &Digest, via: Option<Arc<Via>>) -> Option<Found> {
        let manifest = self.manifest(artifact).await?;
        let carrier = layout::carrier(&manifest, subject)?;
        Some(Found { artifact: manifest.descriptor().clone(), carrier, via, place: None })
    }

    async fn manifest(&self, artifact: &Descriptor) -> Option<Manifest> {
        let bytes = match self.store.read(&artifact.digest, MAX_MANIFEST_BYTES).await {
            Ok(bytes) => bytes?,
            Err(error) => {
                tracing::error!(artifact = %artifact.digest, %error, "a kept signature cannot be read");
                return None;
            }
        };
        Manifest::parse_expecting(bytes, &artifact.digest).ok()
    }
}

impl Gate {
    /// Judges a subject again where signatures that its decision rests on are in the store no more. In memory the decision
    /// goes on without them; a restart that cannot ask anybody would be without.
    pub async fn renew_unkept(&self, repository: &Repository, subject: &Digest) {
        let Ok(request) = self.request(repository, &Principal::Process) else { return };
        let is_whole = self.memory().kept.is_whole(repository, subject).await;
        let believes = || {
            let decision = self.memory().live(&request, subject, None);
            decision.is_some_and(|d| d.signatures().iter().any(|s| s.result == Belief::Trusted))
        };
        if !is_whole.unwrap_or_else(|| !believes()) {
            self.renew(repository, subject).await;
        }
    }
}

/// In whose name content is held: the subject's, in its repository.
pub(super) fn owner(repository: &Repository, subject: &Digest) -> String {
    format!("{repository}@{subject}")
}
