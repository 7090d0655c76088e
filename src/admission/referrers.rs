//! Lists of artifacts about an admitted subject, made here from what is admitted: the upstream's
//! own lists are read, never served.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::admitted::{Admitted, Content};
use super::discovery::{MAX_ARTIFACTS, in_time};
use super::links::{Leave, Link, Role};
use super::refusal::{Refusal, Unknown, denied, internal, refusal};
use super::request::Request;
use crate::cache::{self, Kept};
use crate::oci::{Algorithm, Descriptor, Digest, Index, MAX_MANIFEST_BYTES, Manifest};
use crate::policy::Verdict;
use crate::signature::layout::{self, Carrier};

/// A list in which more may belong is not made at all: it would be short in silence.
const MAX_LISTED: usize = 1024;

/// An index of referrers, as it is served.
#[derive(Debug)]
pub struct Referrers {
    bytes: Bytes,
    digest: Digest,
    filtered: bool,
}

impl Referrers {
    /// The index's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether the list was filtered by artifact type.
    pub fn filtered(&self) -> bool {
        self.filtered
    }
}

impl Content for Referrers {
    fn digest(&self) -> Digest {
        self.digest
    }
}

/// What is listed of a subject.
struct Listed {
    artifacts: Vec<Descriptor>,
    /// It is made of the last good answer of an upstream that is in trouble now.
    stale: bool,
}

/// The admitted artifacts about `subject`; `None` where there is no such manifest.
pub(super) async fn list(
    request: &Request,
    subject: &Digest,
    artifact_type: Option<&str>,
) -> Result<Option<Admitted<Referrers>>, Refusal> {
    let leave = match request.leave(subject, None).await {
        Ok(leave) => leave,
        Err(Refusal::Unknown(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    let Listed { mut artifacts, stale } = admitted(request, &leave, artifact_type).await?;
    if let Some(wanted) = artifact_type {
        artifacts.retain(|a| a.artifact_type.as_deref() == Some(wanted));
    }
    let bytes = index(&artifacts)?;
    let digest = Digest::sha256(&bytes);
    let about = leave.list(subject, digest).ok_or_else(|| denied(leave.decision()))?;
    let list = Referrers { bytes, digest, filtered: artifact_type.is_some() };
    Admitted::new(about.decision(), about.unlocks(), list, stale)
        .map(Some)
        .ok_or_else(|| denied(about.decision()))
}

/// The same list as the manifest under the tag `sha256-<hex>`, for clients of the tag schema.
pub(super) async fn as_manifest(
    request: &Request,
    subject: &Digest,
) -> Result<Admitted<Arc<Manifest>>, Refusal> {
    let leave = request.leave(subject, None).await?;
    let Listed { artifacts, stale } = admitted(request, &leave, None).await?;
    if artifacts.is_empty() {
        return Err(Refusal::Unknown(Unknown::Manifest));
    }
    let manifest = Manifest::parse(index(&artifacts)?, Algorithm::Sha256).map_err(|e| internal(&e))?;
    let list = leave.list(subject, *manifest.digest()).ok_or_else(|| denied(leave.decision()))?;
    // Hot, so that a client that resolves the tag first finds the list by its digest too.
    request.serve_list(list, Arc::new(manifest), stale)
}

/// Leave for one artifact about an admitted subject, which is linked to it from then on: for any
/// where the policy lists all, else for a signature that is nothing but a signature, and believed.
///
/// # Errors
/// [`Refusal`] where the subject cannot be judged as a whole.
pub(super) async fn admit(
    request: &Request,
    parent: &Leave,
    artifact: &Manifest,
) -> Result<Option<Leave>, Refusal> {
    let subject = parent.manifest();
    let carrier = layout::carrier(artifact, subject).filter(|carrier| carrier.pure);
    let names_subject = artifact.subject().is_some_and(|s| s.digest == *subject);
    let leave = if request.is_counter_signature(parent, artifact.digest()).await? {
        Some(parent.clone())
    } else if request.lists_all_referrers(parent.decision()) {
        (names_subject || carrier.is_some()).then(|| parent.clone())
    } else if let Some(carrier) = carrier {
        match proven(request, parent, artifact.digest()).await? {
            Some(leave) if has_plain_config(request, &carrier).await? => Some(leave),
            _ => None,
        }
    } else {
        None
    };
    let Some(leave) = leave else { return Ok(None) };
    let link = Link { parent: *subject, role: Role::Referrer, child: artifact.descriptor().clone() };
    request.memory().links.write(&request.repository, subject, link.role, &link.child);
    Ok(leave.through(&link))
}

/// The subject's leave, where a decision about it proved the artifact. The one at hand may have
/// stopped at the first signature that sufficed, or may be about an index that lists the subject.
async fn proven(request: &Request, parent: &Leave, artifact: &Digest) -> Result<Option<Leave>, Refusal> {
    let (subject, decision) = (parent.manifest(), parent.decision());
    let is_own = decision.subject() == subject;
    if is_own && request.memory().proves(request, decision, artifact) {
        return Ok(Some(parent.clone()));
    }
    let whole = request.judge_whole(subject).await?;
    // A decision of its own that has fallen meanwhile opens nothing any more.
    let leave = if is_own { Leave::of_subject(&whole) } else { Some(parent.clone()) };
    if request.memory().proves(request, &whole, artifact) {
        return Ok(leave);
    }
    if whole.verdict() == Verdict::Indeterminate { Err(denied(&whole)) } else { Ok(None) }
}

/// Whether the artifact's config says nothing of its own: nobody has signed it.
async fn has_plain_config(request: &Request, carrier: &Carrier) -> Result<bool, Refusal> {
    let Some(config) = &carrier.config else { return Ok(true) };
    let Request { upstream, repository, .. } = request;
    match in_time(request.memory().cache.small_blob(upstream, repository, config, config.size)).await {
        Ok(bytes) => Ok(carrier.is_plain_config(&bytes)),
        Err(cache::Error::NotFound) => Ok(false),
        Err(error) => Err(refusal(error, Unknown::Blob)),
    }
}

/// The descriptors of all artifacts about the subject that would be served, with the type and the
/// annotations of their own manifests. Those of another type than `wanted` may be among them, or not.
async fn admitted(request: &Request, leave: &Leave, wanted: Option<&str>) -> Result<Listed, Refusal> {
    let subject = leave.manifest();
    let cache = &request.memory().cache;
    let listed = cache.referrers(&request.upstream, &request.repository, subject, request.freshness()).await;
    let listed = match listed {
        Ok(listed) => listed,
        Err(cache::Error::NotFound) => Kept { value: Vec::new(), trouble: None },
        Err(error) => return Err(refusal(error, Unknown::Manifest)),
    };
    let mut own = request.counter_signatures(leave).await?;
    let lists_all = request.lists_all_referrers(leave.decision());
    // Where all are listed, none is crowded out.
    let crowd = if lists_all { 0 } else { listed.value.len() };
    own.extend(proven_referrers(request, subject, crowd).await?);
    let digests = looked_at(own, &listed.value, wanted, lists_all)?;
    // A longer manifest goes without its annotations, so that the whole list is no longer than a manifest may be.
    let annotated = MAX_MANIFEST_BYTES / digests.len().max(MAX_ARTIFACTS) as u64 / 2;
    let mut artifacts = Vec::new();
    for chunk in digests.chunks(8) {
        let served = join_all(chunk.iter().copied().map(|d| describe(request, leave, d, annotated))).await;
        for descriptor in served {
            artifacts.extend(descriptor?);
        }
    }
    Ok(Listed { artifacts, stale: listed.trouble.is_some() })
}

/// Which artifacts are looked at: what is the gate's `own` or proven, and what the upstream lists. What anybody may
/// have attached comes last, and of that what is listed as of another type than `wanted`, so that it crowds out
/// nothing. Where policy lists all, none of those that may belong in the list are left out.
///
/// # Errors
/// [`Refusal`] where those are too many.
fn looked_at(
    own: Vec<Digest>,
    listed: &[Descriptor],
    wanted: Option<&str>,
    lists_all: bool,
) -> Result<Vec<Digest>, Refusal> {
    let is_other = |d: &&Descriptor| {
        wanted.is_some_and(|wanted| d.artifact_type.as_deref().is_some_and(|listed| listed != wanted))
    };
    let (other, likely): (Vec<_>, Vec<_>) = listed.iter().partition(is_other);
    let mut seen = HashSet::new();
    let mut digests = own;
    digests.retain(|digest| seen.insert(*digest));
    let mut needed = digests.len();
    digests.extend(likely.iter().map(|d| d.digest).filter(|digest| seen.insert(*digest)));
    if lists_all {
        needed = digests.len();
    }
    if needed > MAX_LISTED {
        let narrower = if wanted.is_none() { "; ask for one type of them with ?artifactType=" } else { "" };
        return Err(internal(&format!(
            "{needed} artifacts belong in this list of referrers, which may hold {MAX_LISTED}{narrower}"
        )));
    }
    digests.extend(other.iter().map(|d| d.digest).filter(|digest| seen.insert(*digest)));
    digests.truncate(needed.max(MAX_ARTIFACTS));
    Ok(digests)
}

/// The proven signatures that refer to the subject, where those may be others than the first that its upstream lists.
async fn proven_referrers(request: &Request, subject: &Digest, crowd: usize) -> Result<Vec<Digest>, Refusal> {
    // Where it is not known which are proven, the first of the crowd would be a list that is short in silence.
    let proven = match request.looks_elsewhere() || crowd > MAX_ARTIFACTS {
        true => request.proven_anywhere(subject).await?,
        false => Vec::new(),
    };
    let mut referrers = Vec::with_capacity(proven.len());
    for digest in proven {
        // What names no subject has a tag instead, and is no referrer.
        if request.fetch(&digest).await?.subject().is_some() {
            referrers.push(digest);
        }
    }
    Ok(referrers)
}

/// An artifact as it is listed: with the annotations of a manifest of at most `annotated` bytes.
async fn describe(
    request: &Request,
    leave: &Leave,
    artifact: Digest,
    annotated: u64,
) -> Result<Option<Descriptor>, Refusal> {
    let manifest = match request.fetch(&artifact).await {
        Ok(manifest) => manifest,
        Err(Refusal::Unknown(_) | Refusal::Denied(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    if admit(request, leave, &manifest).await?.is_none() {
        return Ok(None);
    }
    let mut descriptor = manifest.descriptor().clone();
    if descriptor.size <= annotated {
        descriptor.annotations = manifest.annotations().clone();
    }
    Ok(Some(descriptor))
}

fn index(manifests: &[Descriptor]) -> Result<Bytes, Refusal> {
    serde_json::to_vec(&Index::of(manifests)).map(Bytes::from).map_err(|e| internal(&e))
}
