//! Finds the artifacts that carry signatures for a subject. Proves nothing; `signature/` does.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::elsewhere::Place;
use crate::cache::{Cache, Error, Kept};
use crate::oci::{Descriptor, Digest, Manifest, Tag};
use crate::policy::Trouble;
use crate::signature::cosign::through;
use crate::signature::layout::{self, Carrier};
use crate::signature::{Code, Format};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::InRegistry;

/// At most so many artifacts are read for one subject.
pub(super) const MAX_ARTIFACTS: usize = 64;

/// How much is looked at for one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Artifacts that refer to it, signatures or not.
    pub artifacts: usize,
    /// Signatures of the formats that the policy wants, in the order in which they are listed.
    pub signatures: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { artifacts: MAX_ARTIFACTS, signatures: MAX_ARTIFACTS }
    }
}

/// A source that takes longer has failed: what another one gave may suffice, before the deadline.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where signatures are looked for.
pub(super) struct Sources<'a> {
    pub(super) cache: &'a Cache,
    pub(super) metrics: &'a Metrics,
    /// All of them, in the order of what they name.
    pub(super) places: Vec<Arc<Place>>,
    /// The subject's own repository, one of them.
    pub(super) home: Arc<Place>,
    /// What cannot be looked into.
    pub(super) unknown: Vec<Trouble>,
    pub(super) bounds: Bounds,
}

impl Sources<'_> {
    /// A source that failed.
    pub(super) fn failed(&self, place: &Place, what: &str, error: &Error) -> Trouble {
        let registry = place.repository.registry().as_str();
        self.metrics.discovery_failures.at(InRegistry { registry }).inc();
        let message = format!("{} could not be read: {error}", place.names(what));
        Trouble { code: Code::SourceUnavailable, message }
    }
}

/// An artifact that is laid out as a signature of the subject, or of an attestation manifest about it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) artifact: Descriptor,
    pub(super) carrier: Carrier,
    /// What it is a signature of, where that is not the subject itself.
    pub(super) via: Option<Arc<Via>>,
    /// Where it lies; `None` where it is kept.
    pub(super) place: Option<Arc<Place>>,
}

/// An attestation manifest about the subject: unsigned statements that somebody signed together.
#[derive(Debug)]
pub(super) struct Via {
    pub(super) manifest: Manifest,
    /// Those of its layers that may be about the subject; none where it is about another platform.
    pub(super) statements: Vec<Descriptor>,
    /// Where it lies; `None` where it is kept.
    pub(super) place: Option<Arc<Place>>,
}

impl Via {
    /// One that is kept as an attestation manifest.
    pub(super) fn kept(manifest: Manifest, subject: &Digest) -> Self {
        let statements = through::statements(&manifest, subject).unwrap_or_default();
        Self { manifest, statements, place: None }
    }

    /// Reads a manifest as one; `None` where it is something else.
    pub(super) fn read(manifest: Manifest, subject: &Digest, place: &Arc<Place>) -> Option<Self> {
        let statements = through::statements(&manifest, subject)?;
        Some(Self { manifest, statements, place: Some(Arc::clone(place)) })
    }
}

/// What the sources said.
#[derive(Default)]
pub(super) struct Discovered {
    pub(super) found: Vec<Found>,
    /// Attestation manifests about the subject: what signs them may lead to it.
    pub(super) attestations: Vec<Via>,
    /// Sources that failed, bounds that were hit: without an Allow they make the verdict
    /// Indeterminate, never Deny.
    pub(super) troubles: Vec<Trouble>,
}

/// What refers to the subject by name, and where that is to be had.
struct Candidate {
    digest: Digest,
    places: Vec<(Arc<Place>, By)>,
}

/// How a place names what refers to the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// In a list, which may name what is gone.
    List,
    /// By a tag. What that names is there: a place that does not have it contradicts itself.
    Tag,
}

/// Asks every place in every way that the formats are kept, all at once, and reads what they name. The
/// union counts: registries move from the tag schema to the referrers API and keep both.
pub(super) async fn discover(sources: &Sources<'_>, subject: &Digest, formats: &[Format]) -> Discovered {
    let mut discovered = Discovered { troubles: sources.unknown.clone(), ..Discovered::default() };
    let tags = signature_tags(subject, formats);
    let asked = sources.places.iter().map(|place| ask(sources, place, subject, &tags));
    let (mut candidates, mut at) = (Vec::<Candidate>::new(), HashMap::new());
    for (place, (digests, mut troubles)) in sources.places.iter().zip(join_all(asked).await) {
        discovered.troubles.append(&mut troubles);
        for (digest, by) in digests {
            let at = *at.entry(digest).or_insert(candidates.len());
            let Some(known) = candidates.get_mut(at) else {
                candidates.push(Candidate { digest, places: vec![(Arc::clone(place), by)] });
                continue;
            };
            match known.places.iter_mut().find(|(other, _)| Arc::ptr_eq(other, place)) {
                Some((_, known)) if by == By::Tag => *known = by,
                Some(_) => {}
                None => known.places.push((Arc::clone(place), by)),
            }
        }
    }
    read(sources, subject, candidates, formats, &mut discovered).await;
    discovered
}

/// What one place names as referring to the subject.
async fn ask(
    sources: &Sources<'_>,
    place: &Arc<Place>,
    subject: &Digest,
    tags: &[Tag],
) -> (Vec<(Digest, By)>, Vec<Trouble>) {
    let Place { upstream, repository, freshness, .. } = &**place;
    let (listed, by_schema, tagged) = tokio::join!(
        in_time(sources.cache.referrers(upstream, repository, subject, freshness)),
        in_time(listed_by_schema(sources.cache, place, subject)),
        join_all(tags.iter().map(|tag| in_time(tag_digest(sources.cache, place, tag)))),
    );
    let (mut digests, mut troubles) = (Vec::new(), Vec::new());
    match listed {
        Ok(list) => {
            digests.extend(list.value.iter().map(|d| (d.digest, By::List)));
            troubles.extend(list.trouble.map(|e| sources.failed(place, "the list of referrers", &e)));
        }
        Err(Error::NotFound) => {}
        Err(error) => troubles.push(sources.failed(place, "the list of referrers", &error)),
    }
    match by_schema {
        Ok(list) => {
            digests.extend(list.value.into_iter().map(|digest| (digest, By::List)));
            troubles.extend(list.trouble.map(|e| sources.failed(place, "the referrers tag", &e)));
        }
        Err(error) => troubles.push(sources.failed(place, "the referrers tag", &error)),
    }
    for (tag, answer) in tags.iter().zip(tagged) {
        match answer {
            Ok(named) => {
                digests.extend(named.value.map(|digest| (digest, By::Tag)));
                troubles.extend(named.trouble.map(|e| sources.failed(place, &format!("tag {tag}"), &e)));
            }
            Err(error) => troubles.push(sources.failed(place, &format!("tag {tag}"), &error)),
        }
    }
    (digests, troubles)
}

/// Reads the artifacts and keeps those that are signatures of the subject.
async fn read(
    sources: &Sources<'_>,
    subject: &Digest,
    mut candidates: Vec<Candidate>,
    formats: &[Format],
    discovered: &mut Discovered,
) {
    let Bounds { artifacts: most, signatures } = sources.bounds;
    if candidates.len() > most {
        discovered.troubles.push(Trouble {
            code: Code::BoundExceeded,
            message: format!("{} artifacts refer to it; {most} were read", candidates.len()),
        });
        candidates.truncate(most);
    }
    for chunk in candidates.chunks(8) {
        for manifest in join_all(chunk.iter().map(|candidate| manifest(sources, candidate))).await {
            match manifest {
                Ok(Some((artifact, place))) => match signature(&artifact, subject, formats, &place) {
                    Some(found) => discovered.found.push(found),
                    None => discovered.attestations.extend(Via::read(artifact, subject, &place)),
                },
                Ok(None) => {}
                Err(trouble) => discovered.troubles.push(trouble),
            }
        }
    }
    // Of the bounds, too, what the operator names is served first.
    discovered.found.sort_by_key(|f| {
        let is_home = f.place.as_ref().is_some_and(|place| !place.is_elsewhere);
        (is_home, formats.iter().position(|format| *format == f.carrier.format))
    });
    if discovered.found.len() > signatures {
        discovered.troubles.push(Trouble {
            code: Code::BoundExceeded,
            message: format!("{} signatures refer to it; {signatures} were read", discovered.found.len()),
        });
        discovered.found.truncate(signatures);
    }
}

/// The artifact, from the first place that has it.
async fn manifest(
    sources: &Sources<'_>,
    candidate: &Candidate,
) -> Result<Option<(Manifest, Arc<Place>)>, Trouble> {
    let Candidate { digest, places } = candidate;
    let mut failed = None;
    for (place, by) in places {
        match place.manifest(sources.cache, digest).await {
            Ok(manifest) => return Ok(Some((manifest, Arc::clone(place)))),
            // A list may name what is gone, and artifacts that are no manifests we read: neither
            // can be a signature.
            Err(Error::NotFound) if *by == By::List => {}
            Err(Error::Manifest(_)) => {}
            Err(Error::NotFound) => {
                let what = format!("artifact {digest}, which its tag names,");
                failed = Some(sources.failed(place, &what, &Error::NotFound));
            }
            Err(error) => failed = Some(sources.failed(place, &format!("artifact {digest}"), &error)),
        }
    }
    failed.map_or(Ok(None), Err)
}

fn signature(manifest: &Manifest, subject: &Digest, formats: &[Format], place: &Arc<Place>) -> Option<Found> {
    let carrier = layout::carrier(manifest, subject)?;
    let (artifact, place) = (manifest.descriptor().clone(), Some(Arc::clone(place)));
    formats.contains(&carrier.format).then_some(Found { artifact, carrier, via: None, place })
}

/// What the referrers tag schema names (distribution-spec 1.1, "Referrers Tag Schema"), and the
/// manifest under that tag itself: an nv2 index carries its signature as its config.
async fn listed_by_schema(
    cache: &Cache,
    place: &Place,
    subject: &Digest,
) -> Result<Kept<Vec<Digest>>, Error> {
    let Kept { value, trouble } = tag_digest(cache, place, &Tag::about(subject, "")).await?;
    let Some(digest) = value else { return Ok(Kept { value: Vec::new(), trouble }) };
    let value = match place.manifest(cache, &digest).await {
        Ok(index) => std::iter::once(digest).chain(index.manifests().iter().map(|d| d.digest)).collect(),
        Err(Error::Manifest(_)) => Vec::new(),
        // Of what the tag names, that is no word about the subject.
        Err(Error::NotFound) => {
            return Err(Error::Unavailable(format!("it names {digest}, which is not there")));
        }
        Err(error) => return Err(error),
    };
    Ok(Kept { value, trouble })
}

async fn tag_digest(cache: &Cache, place: &Place, tag: &Tag) -> Result<Kept<Option<Digest>>, Error> {
    cache.tag_digest(&place.upstream, &place.repository, tag, &place.freshness).await
}

/// The tags by which artifacts without a `subject` are found.
fn signature_tags(subject: &Digest, formats: &[Format]) -> Vec<Tag> {
    let suffixes = formats.iter().flat_map(|format| match format {
        Format::Cosign => &[".sig", ".att"][..],
        Format::Nv2 => &[".nv2"][..],
        Format::Notation => &[][..],
    });
    suffixes.map(|suffix| Tag::about(subject, suffix)).collect()
}

/// What a source says, unless it takes too long to say it.
pub(super) async fn in_time<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
}
