//! The pull API: each endpoint asks the gate and makes an answer of what it gives leave for.

mod error;

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method};

pub use error::Problem;
#[cfg(test)]
pub(in crate::http) use error::denial;

use super::accept;
use super::meters::RegistryMeters;
use super::range::{Asked, asked};
use super::reply::{Labels, Reply, has_unchanged, wants_another};
use super::route::{Content, Endpoint};
use crate::access::Principal;
use crate::admission::{Admitted, Blob, Gate, Hit, Outlet, Refusal};
use crate::oci::{Descriptor, Digest, Manifest, Reference, Repository, Target};

/// What the endpoints need to answer one request.
pub(super) struct Request<'a> {
    pub(super) gate: &'a Gate,
    pub(super) parts: &'a Parts,
    pub(super) who: &'a Principal,
    pub(super) meters: &'a RegistryMeters,
    /// Where decisions can be read.
    pub(super) decisions: Option<&'a str>,
    /// How files reach the client.
    pub(super) outlet: &'a Outlet,
}

impl Request<'_> {
    /// Answers what memory has an answer to, without waiting for anything.
    pub(super) fn at_hand(&self, content: &Content) -> Option<Reply> {
        let (gate, repository) = (self.gate, &content.repository);
        let answer = match &content.endpoint {
            Endpoint::Manifest(target) => {
                let manifest = gate.manifest_at_hand(repository, target, self.who)?;
                self.of_manifest(&manifest, &Labels::of(manifest.content()))
            }
            Endpoint::Blob(digest) if self.asks_for_head(digest) => {
                self.of_blob_head(&gate.blob_descriptor_at_hand(repository, digest, self.who)?)
            }
            Endpoint::Blob(digest) => self.of_blob(gate.blob_at_hand(repository, digest, self.who)?),
            Endpoint::Tags { .. } | Endpoint::Referrers { .. } => return None,
        };
        Some(self.finished(answer, content))
    }

    /// Answers once more with a manifest that memory had an answer with, where that still holds.
    pub(super) fn again(&self, content: &Content, hit: &Hit, labels: &Labels) -> Option<Reply> {
        let manifest = self.gate.again(hit, self.who)?;
        Some(self.finished(self.of_manifest(manifest, labels), content))
    }

    /// Answers what `content` asks for.
    pub(super) async fn answer(&self, content: &Content) -> Reply {
        let repository = &content.repository;
        let answer = match &content.endpoint {
            Endpoint::Manifest(target) => self.manifest(repository, target).await,
            Endpoint::Blob(digest) if self.asks_for_head(digest) => self.blob_head(repository, digest).await,
            Endpoint::Blob(digest) => self.blob(repository, digest).await,
            Endpoint::Tags { n, last } => {
                self.tags(repository, *n, last.as_deref(), content.namespace.as_deref()).await
            }
            Endpoint::Referrers { subject, artifact_type } => {
                self.referrers(repository, subject, artifact_type.as_deref()).await
            }
        };
        self.finished(answer, content)
    }

    fn finished(&self, answer: Result<Reply, Problem>, content: &Content) -> Reply {
        let mut reply = answer.unwrap_or_else(|problem| Reply::problem(&problem, self.is_head()));
        if let Some(namespace) = &content.namespace {
            reply.echo_namespace(namespace);
        }
        reply
    }

    async fn manifest(&self, repository: &Repository, target: &Target) -> Result<Reply, Problem> {
        let reference = Reference { repository: repository.clone(), target: target.clone() };
        let manifest = self.gate.manifest(&reference, self.who).await.map_err(|r| self.refused(&r))?;
        self.of_manifest(&manifest, &Labels::of(manifest.content()))
    }

    fn of_manifest(&self, manifest: &Admitted<Arc<Manifest>>, labels: &Labels) -> Result<Reply, Problem> {
        self.precondition(manifest.content().digest())?;
        let media_type = &manifest.content().descriptor().media_type;
        if !accept::admits(self.headers(), media_type) {
            return Err(Problem::not_accepted(media_type));
        }
        Ok(Reply::manifest(manifest, labels, self.headers(), self.is_head(), &self.meters.served()))
    }

    async fn blob(&self, repository: &Repository, digest: &Digest) -> Result<Reply, Problem> {
        let blob = self.gate.blob(repository, digest, self.who).await.map_err(|r| self.refused(&r))?;
        self.of_blob(blob)
    }

    fn of_blob(&self, blob: Admitted<Blob>) -> Result<Reply, Problem> {
        self.precondition(blob.content().digest())?;
        let size = blob.content().size();
        let asked = match asked(self.headers(), size, blob.content().digest()) {
            Asked::Outside => return Err(Problem::outside(size)),
            // It can be proven as a whole only; RFC 9110, section 14.2, lets a range be ignored.
            Asked::Part(_) if !blob.content().accepts_ranges() => Asked::Whole,
            asked => asked,
        };
        Ok(Reply::blob(blob, asked, &self.meters.served(), self.outlet.clone()))
    }

    async fn blob_head(&self, repository: &Repository, digest: &Digest) -> Result<Reply, Problem> {
        let blob = self.gate.blob_descriptor(repository, digest, self.who).await;
        self.of_blob_head(&blob.map_err(|r| self.refused(&r))?)
    }

    fn of_blob_head(&self, blob: &Admitted<Descriptor>) -> Result<Reply, Problem> {
        let digest = &blob.content().digest;
        self.precondition(digest)?;
        Ok(Reply::blob_head(blob, has_unchanged(self.headers(), digest)))
    }

    fn precondition(&self, digest: &Digest) -> Result<(), Problem> {
        if wants_another(self.headers(), digest) { Err(Problem::another(digest)) } else { Ok(()) }
    }

    async fn tags(
        &self,
        repository: &Repository,
        n: Option<u32>,
        last: Option<&str>,
        namespace: Option<&str>,
    ) -> Result<Reply, Problem> {
        // Upstreams disagree about 0; the specification wants an empty list of what is there.
        let asked = n.map(|n| n.max(1));
        let mut page =
            self.gate.tags(repository, asked, last, self.who).await.map_err(|r| self.refused(&r))?;
        if n == Some(0) {
            page.tags.clear();
        }
        let next = page.tags.last().filter(|_| page.more).map(|last| {
            let n = n.map_or(page.tags.len(), |n| n as usize);
            let ns = namespace.map_or_else(String::new, |ns| format!("&ns={ns}"));
            // In the client's own naming, whatever the upstream's link says.
            format!("{}?n={n}&last={last}{ns}", self.parts.uri.path())
        });
        let path = self.parts.uri.path();
        let name = path.strip_prefix("/v2/").and_then(|name| name.strip_suffix("/tags/list"));
        Ok(Reply::tags(name.unwrap_or(repository.path()), &page, next, self.is_head()))
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Reply, Problem> {
        let list = self.gate.referrers(repository, subject, artifact_type, self.who).await;
        let list = list.map_err(|r| self.refused(&r))?;
        Ok(Reply::referrers(list.as_ref(), artifact_type.is_some(), self.is_head()))
    }

    fn refused(&self, refusal: &Refusal) -> Problem {
        Problem::of_refusal(refusal, self.decisions)
    }

    fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Whether a blob's head is all of the answer: no more is wanted, or the client has the blob.
    fn asks_for_head(&self, digest: &Digest) -> bool {
        self.is_head() || has_unchanged(self.headers(), digest)
    }

    fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }
}
