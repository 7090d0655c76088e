//! Finds signatures that reach a subject over attestation manifests: those that an index lists beside it
//! (BuildKit), and those that refer to it (Docker Hardened Images). Proves nothing; `signature/` does.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;

use super::discovery::{Found, Sources, Via, discover};
use super::gathering::Judging;
use super::links::{Place, Role};
use super::refusal::Refusal;
use super::request::Request;
use crate::cache::Error;
use crate::oci::{Descriptor, Manifest};
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

/// Attestation manifests that may lead to the subject.
#[derive(Default)]
pub(super) struct Attestations {
    /// Those about it.
    about: Vec<Via>,
    /// Those that stand in the same index beside other platforms: a statement that lies with one may name all of them.
    beside: Vec<Via>,
    pub(super) troubles: Vec<Trouble>,
}

/// What signs attestation manifests.
#[derive(Default)]
pub(super) struct Signing {
    pub(super) found: Vec<Found>,
    pub(super) troubles: Vec<Trouble>,
}

impl Request {
    /// Whether the policy wants statements, which may lie further away than signatures.
    pub(super) fn asks_for_attestations(&self) -> bool {
        self.policy().is_some_and(|policy| !policy.predicate_types(&self.repository).is_empty())
    }

    /// The attestation manifests that may lead to the subject, where the policy wants any: those that are `attached`
    /// to it, and those of the indexes that list it.
    pub(super) async fn attestations(
        &self,
        policy: &Policy,
        judging: &Judging<'_>,
        attached: Vec<Via>,
        sources: &Sources<'_>,
    ) -> Attestations {
        let wanted = policy.predicate_types(&self.repository);
        if wanted.is_empty() || !policy.formats(&self.repository).contains(&Format::Cosign) {
            return Attestations::default();
        }
        let mut all = Attestations { about: attached, ..Attestations::default() };
        let subject = judging.manifest.digest();
        let mut left = MAX_MANIFESTS;
        for index in self.indexes(judging, &mut all.troubles).await {
            for listed in
                index.manifests().iter().filter(|listed| says(listed, REFERENCE_TYPE, ATTESTATION_MANIFEST))
            {
                let Some(fewer) = left.checked_sub(1) else {
                    all.troubles.push(out_of_bounds());
                    break;
                };
                left = fewer;
                let about = says(listed, REFERENCE_DIGEST, &subject.to_string());
                let home = &sources.home;
                match home.manifest(sources.cache, &listed.digest).await {
                    Ok(manifest) if about => all.about.extend(Via::read(manifest, subject, home)),
                    Ok(manifest) => {
                        let place = Some(Arc::clone(home));
                        all.beside.push(Via { manifest, statements: Vec::new(), place });
                    }
                    Err(Error::NotFound | Error::Manifest(_)) => {}
                    Err(error) => {
                        let what = format!("attestation manifest {}", listed.digest);
                        all.troubles.push(sources.failed(home, &what, &error));
                    }
                }
            }
        }
        let mut seen = HashSet::new();
        all.about.retain(|via| may_be_wanted(&wanted, via) && seen.insert(*via.manifest.digest()));
        all.beside.retain(|via| seen.insert(*via.manifest.digest()));
        if all.about.len() > MAX_MANIFESTS {
            all.troubles.push(out_of_bounds());
            all.about.truncate(MAX_MANIFESTS);
        }
        all
    }

    /// The indexes that list the subject: the one that is being judged, or those that led to it before.
    async fn indexes(&self, judging: &Judging<'_>, troubles: &mut Vec<Trouble>) -> Vec<Arc<Manifest>> {
        if let Some(index) = judging.parent {
            return vec![Arc::clone(index)];
        }
        let trouble = |code, message| Trouble { code, message };
        let digest = judging.manifest.digest();
        let links = match self.memory().links.parents(&self.repository, digest, Place::Manifests).await {
            Ok(links) => links,
            Err(why) => {
                let message = format!("the indexes that list it are not known: {why}");
                troubles.push(trouble(Code::SourceUnavailable, message));
                return Vec::new();
            }
        };
        let mut parents = links.iter().filter(|link| link.role == Role::Child);
        let mut indexes = Vec::new();
        for link in parents.by_ref().take(MAX_INDEXES) {
            match self.fetch(&link.parent).await {
                Ok(index) => indexes.extend(Some(index).filter(|index| link.stands_in(index))),
                // One that is gone, or is no manifest, lists nothing.
                Err(Refusal::Unknown(_) | Refusal::Denied(_)) => {}
                Err(why) => {
                    let message = format!("index {} could not be read: {why}", link.parent);
                    troubles.push(trouble(Code::SourceUnavailable, message));
                }
            }
        }
        if parents.next().is_some() {
            let message = format!("more indexes list it than the {MAX_INDEXES} that are looked through");
            troubles.push(trouble(Code::BoundExceeded, message));
        }
        indexes
    }
}

impl Attestations {
    /// What signs those about the subject, or lies with them.
    pub(super) async fn signing(&mut self, sources: &Sources<'_>) -> Signing {
        signing(sources, std::mem::take(&mut self.about)).await
    }

    /// What lies with the others.
    pub(super) async fn lying_beside(&mut self, sources: &Sources<'_>) -> Signing {
        signing(sources, std::mem::take(&mut self.beside)).await
    }
}

async fn signing(sources: &Sources<'_>, vias: Vec<Via>) -> Signing {
    let vias: Vec<Arc<Via>> = vias.into_iter().map(Arc::new).collect();
    let asked = vias.iter().map(|via| discover(sources, via.manifest.digest(), &[Format::Cosign]));
    let mut all = Signing::default();
    for (via, discovered) in vias.iter().zip(join_all(asked).await) {
        all.troubles.extend(discovered.troubles);
        let through = discovered.found.into_iter().map(|f| Found { via: Some(Arc::clone(via)), ..f });
        all.found.extend(through);
    }
    all
}

/// What an index's entry says. It only tells where to look.
fn says(listed: &Descriptor, key: &str, value: &str) -> bool {
    listed.annotations.get(key).is_some_and(|found| found == value)
}

fn out_of_bounds() -> Trouble {
    let message =
        format!("more attestation manifests may be about it than the {MAX_MANIFESTS} that are followed");
    Trouble { code: Code::BoundExceeded, message }
}

/// Whether it may hold a statement of a kind that the policy wants. What it does not tell may be any.
fn may_be_wanted(wanted: &BTreeSet<PredicateType>, via: &Via) -> bool {
    via.statements.iter().any(|layer| {
        let told = layer.annotations.get(PREDICATE_TYPE);
        told.is_none_or(|told| wanted.iter().any(|wanted| wanted.as_str() == told))
    })
}
