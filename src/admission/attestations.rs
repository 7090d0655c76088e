//! Finds signatures that reach a subject over attestation manifests: those that an index lists beside it
//! (BuildKit), and those that refer to it (Docker Hardened Images). Proves nothing; `signature/` does.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;

use super::discovery::{self, Found, Sources, Via, discover, failed, in_time};
use super::gathering::Judging;
use super::links::{Place, Role};
use super::request::Request;
use crate::cache::Error;
use crate::oci::{Descriptor, Digest, Manifest};
use crate::policy::{Policy, PredicateType, Trouble};
use crate::signature::{Code, Format};

/// How BuildKit marks attestation manifests in an index (moby/buildkit, `docs/attestations/attestation-storage.md`).
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const ATTESTATION_MANIFEST: &str = "attestation-manifest";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
/// How a layer, or a manifest, tells what kind of statement it has: a hint that saves asking for others.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// At most so many attestation manifests, in so many indexes, are followed for one subject.
const MAX_MANIFESTS: usize = 16;
const MAX_INDEXES: usize = 4;

/// Signatures of attestation manifests about the subject.
#[derive(Default)]
pub(super) struct Attestations {
    pub(super) found: Vec<Found>,
    pub(super) troubles: Vec<Trouble>,
}

impl Request {
    /// Whether the policy wants statements, which may lie further away than signatures.
    pub(super) fn asks_for_attestations(&self) -> bool {
        self.policy().is_some_and(|policy| !policy.predicate_types(&self.repository).is_empty())
    }

    /// Asks the sources for what signs attestation manifests about the subject, where the policy wants any:
    /// those that `attached` names, and those that stand beside it in an index.
    pub(super) async fn attestations(
        &self,
        policy: &Policy,
        judging: &Judging<'_>,
        attached: Vec<Via>,
        sources: &Sources<'_>,
    ) -> Attestations {
        let mut all = Attestations::default();
        let wanted = policy.predicate_types(&self.repository);
        if wanted.is_empty() || !policy.formats(&self.repository).contains(&Format::Cosign) {
            return all;
        }
        let subject = judging.manifest.digest();
        let mut vias = attached;
        for index in self.indexes(judging).await {
            for listed in index.manifests().iter().filter(|listed| is_about(listed, subject)) {
                match in_time(discovery::manifest(sources, listed.digest)).await {
                    Ok(manifest) => vias.extend(Via::read(manifest, subject)),
                    Err(Error::NotFound | Error::Manifest(_)) => {}
                    Err(error) => {
                        all.troubles.push(failed(&format!("attestation manifest {}", listed.digest), &error));
                    }
                }
            }
        }
        let mut seen = HashSet::new();
        vias.retain(|via| may_be_wanted(&wanted, via) && seen.insert(*via.manifest.digest()));
        if vias.len() > MAX_MANIFESTS {
            let message =
                format!("{} attestation manifests are about it; {MAX_MANIFESTS} were followed", vias.len());
            all.troubles.push(Trouble { code: Code::BoundExceeded, message });
            vias.truncate(MAX_MANIFESTS);
        }
        let asked = vias.into_iter().map(|via| signatures_of(sources, Arc::new(via)));
        for (found, troubles) in join_all(asked).await {
            all.found.extend(found);
            all.troubles.extend(troubles);
        }
        all
    }

    /// The indexes that list the subject: the one that is being judged, or those that led to it before.
    async fn indexes(&self, judging: &Judging<'_>) -> Vec<Arc<Manifest>> {
        if let Some(index) = judging.parent {
            return vec![Arc::clone(index)];
        }
        let digest = judging.manifest.digest();
        let Ok(links) = self.memory().links.parents(&self.repository, digest, Place::Manifests).await else {
            return Vec::new();
        };
        let mut indexes = Vec::new();
        for link in links.iter().filter(|link| link.role == Role::Child).take(MAX_INDEXES) {
            // One that is gone lists nothing.
            indexes.extend(self.fetch(&link.parent).await.ok().filter(|index| link.stands_in(index)));
        }
        indexes
    }
}

async fn signatures_of(sources: &Sources<'_>, via: Arc<Via>) -> (Vec<Found>, Vec<Trouble>) {
    let discovered = discover(sources, via.manifest.digest(), &[Format::Cosign]).await;
    let found = discovered.found.into_iter().map(|found| Found { via: Some(Arc::clone(&via)), ..found });
    (found.collect(), discovered.troubles)
}

/// Whether an index's entry says that it is an attestation manifest about the subject. Where it lies, its own
/// statements say so.
fn is_about(listed: &Descriptor, subject: &Digest) -> bool {
    let says = |key: &str, value: &str| listed.annotations.get(key).is_some_and(|found| found == value);
    says(REFERENCE_TYPE, ATTESTATION_MANIFEST) && says(REFERENCE_DIGEST, &subject.to_string())
}

/// Whether it may hold a statement of a kind that the policy wants. What it does not tell may be any.
fn may_be_wanted(wanted: &BTreeSet<PredicateType>, via: &Via) -> bool {
    via.statements.iter().any(|layer| {
        let told = layer.annotations.get(PREDICATE_TYPE);
        told.is_none_or(|told| wanted.iter().any(|wanted| wanted.as_str() == told))
    })
}
