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
use crate::cache;
use crate::oci::{Algorithm, Descriptor, Digest, Index, MAX_MANIFEST_BYTES, Manifest};
use crate::policy::Verdict;
use crate::signature::layout::{self, Carrier};

/// A longer manifest is listed without its annotations, so that the whole list is no longer than a
/// manifest may be.
const MAX_ANNOTATED: u64 = MAX_MANIFEST_BYTES / MAX_ARTIFACTS as u64 / 2;

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
    let mut artifacts = admitted(request, &leave).await?;
    if let Some(wanted) = artifact_type {
        artifacts.retain(|a| a.artifact_type.as_deref() == Some(wanted));
    }
    let bytes = index(&artifacts)?;
    let digest = Digest::sha256(&bytes);
    let about = leave.list(subject, digest).ok_or_else(|| denied(leave.decision()))?;
    let list = Referrers { bytes, digest, filtered: artifact_type.is_some() };
    Admitted::new(about.decision(), about.unlocks(), list, false)
        .map(Some)
        .ok_or_else(|| denied(about.decision()))
}

/// The same list as the manifest under the tag `sha256-<hex>`, for clients of the tag schema.
pub(super) async fn as_manifest(
    request: &Request,
    subject: &Digest,
) -> Result<Admitted<Arc<Manifest>>, Refusal> {
    let leave = request.leave(subject, None).await?;
    let artifacts = admitted(request, &leave).await?;
    if artifacts.is_empty() {
        return Err(Refusal::Unknown(Unknown::Manifest));
    }
    let manifest = Manifest::parse(index(&artifacts)?, Algorithm::Sha256).map_err(|e| internal(&e))?;
    let list = leave.list(subject, *manifest.digest()).ok_or_else(|| denied(leave.decision()))?;
    // Hot, so that a client that resolves the tag first finds the list by its digest too.
    request.serve_list(list, Arc::new(manifest))
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
/// annotations of their own manifests.
async fn admitted(request: &Request, leave: &Leave) -> Result<Vec<Descriptor>, Refusal> {
    let subject = leave.manifest();
    let cache = &request.memory().cache;
    let listed = cache.referrers(&request.upstream, &request.repository, subject, request.freshness()).await;
    let listed = match listed {
        Ok(listed) => listed.value,
        Err(cache::Error::NotFound) => Vec::new(),
        Err(error) => return Err(refusal(error, Unknown::Manifest)),
    };
    let mut digests = request.counter_signatures(leave).await?;
    digests.extend(proven_referrers(request, subject, listed.len()).await?);
    // What anybody may have attached comes last, so that it crowds out nothing that is proven.
    digests.extend(listed.iter().map(|d| d.digest));
    let mut seen = HashSet::new();
    digests.retain(|digest| seen.insert(*digest));
    digests.truncate(MAX_ARTIFACTS);
    let mut descriptors = Vec::new();
    for chunk in digests.chunks(8) {
        let served = join_all(chunk.iter().copied().map(|d| describe(request, leave, d))).await;
        for descriptor in served {
            descriptors.extend(descriptor?);
        }
    }
    Ok(descriptors)
}

/// The proven signatures that refer to the subject, where those may be others than the first that its upstream lists.
async fn proven_referrers(
    request: &Request,
    subject: &Digest,
    listed: usize,
) -> Result<Vec<Digest>, Refusal> {
    let proven = match request.looks_elsewhere() {
        true => request.proven_anywhere(subject).await?,
        // A subject that is served in spite of what is known of its own signatures has its list too.
        false if listed > MAX_ARTIFACTS => request.proven_anywhere(subject).await.unwrap_or_default(),
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

async fn describe(request: &Request, leave: &Leave, artifact: Digest) -> Result<Option<Descriptor>, Refusal> {
    let manifest = match request.fetch(&artifact).await {
        Ok(manifest) => manifest,
        Err(Refusal::Unknown(_) | Refusal::Denied(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    if admit(request, leave, &manifest).await?.is_none() {
        return Ok(None);
    }
    let mut descriptor = manifest.descriptor().clone();
    if descriptor.size <= MAX_ANNOTATED {
        descriptor.annotations = manifest.annotations().clone();
    }
    Ok(Some(descriptor))
}

fn index(manifests: &[Descriptor]) -> Result<Bytes, Refusal> {
    serde_json::to_vec(&Index::of(manifests)).map(Bytes::from).map_err(|e| internal(&e))
}
