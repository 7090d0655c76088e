//! Lists of artifacts about an admitted subject, made here from what is admitted: the upstream's
//! own lists are read, never served.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::Serialize;

use super::admitted::{Admitted, Content};
use super::discovery::MAX_ARTIFACTS;
use super::gate::{Request, denied, internal, proves, refusal};
use super::links::{Leave, Link, Role};
use super::refusal::{Refusal, Unknown};
use crate::cache;
use crate::oci::{Algorithm, Descriptor, Digest, Manifest, media_type};
use crate::signature::layout;

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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [Descriptor],
}

/// The admitted artifacts about `subject`; `None` where there is no such manifest.
pub(super) async fn list(
    request: &Request,
    subject: &Digest,
    artifact_type: Option<&str>,
) -> Result<Option<Admitted<Referrers>>, Refusal> {
    let leave = match request.leave(subject, None, 0).await {
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
    let leave = request.leave(subject, None, 0).await?;
    let artifacts = admitted(request, &leave).await?;
    if artifacts.is_empty() {
        return Err(Refusal::Unknown(Unknown::Manifest));
    }
    let manifest = Manifest::parse(index(&artifacts)?, Algorithm::Sha256).map_err(|e| internal(&e))?;
    let list = leave.list(subject, *manifest.digest()).ok_or_else(|| denied(leave.decision()))?;
    // Hot, so that a client that resolves the tag first finds the list by its digest too.
    request.serve_list(list, Arc::new(manifest))
}

/// Leave for one artifact about an admitted subject, which is linked to it from then on.
pub(super) async fn admit(request: &Request, parent: &Leave, artifact: &Manifest) -> Option<Leave> {
    let link = link(request, parent, artifact)?;
    if link.role == Role::Signature && !proves(parent.decision(), &link.child.digest) {
        // The decision may have stopped at the first signature that sufficed.
        let subject = request.fetch(parent.manifest()).await.ok()?;
        let whole = request.judge_whole(&subject).await.ok()?;
        if !proves(&whole, &link.child.digest) {
            return None;
        }
        request.memory().links.write(&request.repository, &link.parent, link.role, &link.child);
        return Leave::of_subject(&whole)?.through(&link);
    }
    request.memory().links.write(&request.repository, &link.parent, link.role, &link.child);
    parent.through(&link)
}

/// What the artifact is to the subject: any referrer where the policy lists all, else a signature
/// that is nothing but a signature.
fn link(request: &Request, parent: &Leave, artifact: &Manifest) -> Option<Link> {
    let subject = parent.manifest();
    let carrier = layout::carrier(artifact, subject).filter(|c| c.pure);
    let names_subject = artifact.subject().is_some_and(|s| s.digest == *subject);
    let role = if request.lists_all_referrers(parent.decision()) && (names_subject || carrier.is_some()) {
        Role::Referrer
    } else if carrier.is_some() {
        Role::Signature
    } else {
        return None;
    };
    Some(Link { parent: *subject, role, child: artifact.descriptor().clone() })
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
    let digests: Vec<Digest> = listed.iter().map(|d| d.digest).take(MAX_ARTIFACTS).collect();
    let mut descriptors = Vec::new();
    for chunk in digests.chunks(8) {
        let served = join_all(chunk.iter().copied().map(|d| describe(request, leave, d))).await;
        for descriptor in served {
            descriptors.extend(descriptor?);
        }
    }
    Ok(descriptors)
}

async fn describe(request: &Request, leave: &Leave, artifact: Digest) -> Result<Option<Descriptor>, Refusal> {
    let manifest = match request.fetch(&artifact).await {
        Ok(manifest) => manifest,
        Err(Refusal::Unknown(_) | Refusal::Denied(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    if admit(request, leave, &manifest).await.is_none() {
        return Ok(None);
    }
    let mut descriptor = manifest.descriptor().clone();
    descriptor.annotations = manifest.annotations().clone();
    Ok(Some(descriptor))
}

fn index(manifests: &[Descriptor]) -> Result<Bytes, Refusal> {
    let index = Index { schema_version: 2, media_type: media_type::OCI_INDEX, manifests };
    serde_json::to_vec(&index).map(Bytes::from).map_err(|e| internal(&e))
}
