//! Finds the artifacts that carry signatures for a subject. Proves nothing; `signature/` does.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::cache::{Cache, Error, Freshness, Kept};
use crate::oci::{Descriptor, Digest, Manifest, Repository, Tag};
use crate::policy::Trouble;
use crate::signature::cosign::through;
use crate::signature::layout::{self, Carrier};
use crate::signature::{Code, Format};
use crate::upstream::Upstream;

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
    pub(super) upstream: &'a Arc<Upstream>,
    pub(super) repository: &'a Repository,
    pub(super) freshness: &'a Freshness,
    pub(super) bounds: Bounds,
}

/// An artifact that is laid out as a signature of the subject, or of an attestation manifest about it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) artifact: Descriptor,
    pub(super) carrier: Carrier,
    /// What it is a signature of, where that is not the subject itself.
    pub(super) via: Option<Arc<Via>>,
}

/// An attestation manifest about the subject: unsigned statements that somebody signed together.
#[derive(Debug)]
pub(super) struct Via {
    pub(super) manifest: Manifest,
    /// Those of its layers that may be about the subject; none where it is about another platform.
    pub(super) statements: Vec<Descriptor>,
}

impl Via {
    /// One that is known to be an attestation manifest.
    pub(super) fn of(manifest: Manifest, subject: &Digest) -> Self {
        let statements = through::statements(&manifest, subject).unwrap_or_default();
        Self { manifest, statements }
    }

    /// Reads a manifest as one; `None` where it is something else.
    pub(super) fn read(manifest: Manifest, subject: &Digest) -> Option<Self> {
        let statements = through::statements(&manifest, subject)?;
        Some(Self { manifest, statements })
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

/// Asks every source that the formats are kept in, all at once, and reads what they name. The
/// union counts: registries move from the tag schema to the referrers API and keep both.
pub(super) async fn discover(sources: &Sources<'_>, subject: &Digest, formats: &[Format]) -> Discovered {
    let mut discovered = Discovered::default();
    let tags = signature_tags(subject, formats);
    let (listed, by_schema, tagged) = tokio::join!(
        in_time(sources.cache.referrers(sources.upstream, sources.repository, subject, sources.freshness)),
        in_time(listed_by_schema(sources, subject)),
        join_all(tags.iter().cloned().map(|tag| in_time(tag_digest(sources, tag)))),
    );
    let mut candidates = Vec::new();
    match listed {
        Ok(list) => {
            candidates.extend(list.value.iter().map(|d| d.digest));
            discovered.troubles.extend(list.trouble.map(|e| failed("the list of referrers", &e)));
        }
        Err(Error::NotFound) => {}
        Err(error) => discovered.troubles.push(failed("the list of referrers", &error)),
    }
    match by_schema {
        Ok(list) => {
            candidates.extend(list.value);
            discovered.troubles.extend(list.trouble.map(|e| failed("the referrers tag", &e)));
        }
        Err(error) => discovered.troubles.push(failed("the referrers tag", &error)),
    }
    for (tag, answer) in tags.iter().zip(tagged) {
        match answer {
            Ok(named) => {
                candidates.extend(named.value);
                discovered.troubles.extend(named.trouble.map(|e| failed(&format!("tag {tag}"), &e)));
            }
            Err(error) => discovered.troubles.push(failed(&format!("tag {tag}"), &error)),
        }
    }
    read(sources, subject, candidates, formats, &mut discovered).await;
    discovered
}

/// Reads the artifacts and keeps those that are signatures of the subject.
async fn read(
    sources: &Sources<'_>,
    subject: &Digest,
    candidates: Vec<Digest>,
    formats: &[Format],
    discovered: &mut Discovered,
) {
    let mut seen = HashSet::new();
    let mut candidates: Vec<Digest> = candidates.into_iter().filter(|d| seen.insert(*d)).collect();
    let Bounds { artifacts: most, signatures } = sources.bounds;
    if candidates.len() > most {
        discovered.troubles.push(Trouble {
            code: Code::BoundExceeded,
            message: format!("{} artifacts refer to it; {most} were read", candidates.len()),
        });
        candidates.truncate(most);
    }
    for chunk in candidates.chunks(8) {
        let manifests = join_all(chunk.iter().copied().map(|d| in_time(manifest(sources, d)))).await;
        for (digest, manifest) in chunk.iter().zip(manifests) {
            match manifest {
                Ok(artifact) => match signature(&artifact, subject, formats) {
                    Some(found) => discovered.found.push(found),
                    None => discovered.attestations.extend(Via::read(artifact, subject)),
                },
                // A list may name what is gone, and artifacts that are no manifests we read: neither
                // can be a signature.
                Err(Error::NotFound | Error::Manifest(_)) => {}
                Err(error) => discovered.troubles.push(failed(&format!("artifact {digest}"), &error)),
            }
        }
    }
    discovered.found.sort_by_key(|f| formats.iter().position(|format| *format == f.carrier.format));
    if discovered.found.len() > signatures {
        discovered.troubles.push(Trouble {
            code: Code::BoundExceeded,
            message: format!("{} signatures refer to it; {signatures} were read", discovered.found.len()),
        });
        discovered.found.truncate(signatures);
    }
}

fn signature(manifest: &Manifest, subject: &Digest, formats: &[Format]) -> Option<Found> {
    let carrier = layout::carrier(manifest, subject)?;
    let wanted = formats.contains(&carrier.format);
    wanted.then(|| Found { artifact: manifest.descriptor().clone(), carrier, via: None })
}

/// What the referrers tag schema names (distribution-spec 1.1, "Referrers Tag Schema"), and the
/// manifest under that tag itself: an nv2 index carries its signature as its config.
async fn listed_by_schema(sources: &Sources<'_>, subject: &Digest) -> Result<Kept<Vec<Digest>>, Error> {
    let Kept { value, trouble } = tag_digest(sources, Tag::about(subject, "")).await?;
    let Some(digest) = value else { return Ok(Kept { value: Vec::new(), trouble }) };
    let value = match manifest(sources, digest).await {
        Ok(index) => std::iter::once(digest).chain(index.manifests().iter().map(|d| d.digest)).collect(),
        Err(Error::NotFound | Error::Manifest(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(Kept { value, trouble })
}

async fn tag_digest(sources: &Sources<'_>, tag: Tag) -> Result<Kept<Option<Digest>>, Error> {
    sources.cache.tag_digest(sources.upstream, sources.repository, &tag, sources.freshness).await
}

pub(super) async fn manifest(sources: &Sources<'_>, digest: Digest) -> Result<Manifest, Error> {
    sources.cache.manifest(sources.upstream, sources.repository, &digest, sources.freshness).await
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

pub(super) fn failed(what: &str, error: &Error) -> Trouble {
    Trouble { code: Code::SourceUnavailable, message: format!("{what} could not be read: {error}") }
}
