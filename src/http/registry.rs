//! The pull API: each endpoint asks the gate and makes an answer of what it gives leave for.

mod error;

use http::request::Parts;
use http::{HeaderMap, Method};

pub use error::Problem;
#[cfg(test)]
pub(in crate::http) use error::denial;

use super::accept;
use super::meters::RegistryMeters;
use super::range::{Asked, asked};
use super::reply::{Reply, has_unchanged};
use super::route::{Content, Endpoint};
use crate::access::Principal;
use crate::admission::{Gate, Refusal};
use crate::oci::{Digest, Reference, Repository};

/// What the endpoints need to answer one request.
pub(super) struct Request<'a> {
    pub(super) gate: &'a Gate,
    pub(super) parts: &'a Parts,
    pub(super) who: &'a Principal,
    pub(super) meters: &'a RegistryMeters,
    /// Where decisions can be read.
    pub(super) decisions: Option<&'a str>,
}

impl Request<'_> {
    /// Answers what `content` asks for.
    pub(super) async fn answer(&self, content: Content) -> Reply {
        let Content { repository, endpoint, namespace } = content;
        let answer = match endpoint {
            Endpoint::Manifest(target) => self.manifest(Reference { repository, target }).await,
            Endpoint::Blob(digest) if self.is_head() => self.blob_head(&repository, &digest).await,
            Endpoint::Blob(digest) => self.blob(&repository, &digest).await,
            Endpoint::Tags { n, last } => {
                self.tags(&repository, n, last.as_deref(), namespace.as_deref()).await
            }
            Endpoint::Referrers { subject, artifact_type } => {
                self.referrers(&repository, &subject, artifact_type.as_deref()).await
            }
        };
        let mut reply = answer.unwrap_or_else(|problem| Reply::problem(&problem, self.is_head()));
        if let Some(namespace) = namespace {
            reply.echo_namespace(&namespace);
        }
        reply
    }

    async fn manifest(&self, reference: Reference) -> Result<Reply, Problem> {
        let manifest = self.gate.manifest(&reference, self.who).await.map_err(|r| self.refused(&r))?;
        let media_type = &manifest.content().descriptor().media_type;
        if !accept::admits(self.headers(), media_type) {
            return Err(Problem::not_accepted(media_type));
        }
        Ok(Reply::manifest(&manifest, self.headers(), self.is_head(), &self.meters.served()))
    }

    async fn blob(&self, repository: &Repository, digest: &Digest) -> Result<Reply, Problem> {
        if has_unchanged(self.headers(), digest) {
            return self.blob_head(repository, digest).await;
        }
        let blob = self.gate.blob(repository, digest, self.who).await.map_err(|r| self.refused(&r))?;
        let size = blob.content().size();
        let asked = match asked(self.headers(), size, digest) {
            Asked::Outside => return Err(Problem::outside(size)),
            // It can be proven as a whole only; RFC 9110, section 14.2, lets a range be ignored.
            Asked::Part(_) if !blob.content().accepts_ranges() => Asked::Whole,
            asked => asked,
        };
        Ok(Reply::blob(blob, asked, &self.meters.served()))
    }

    async fn blob_head(&self, repository: &Repository, digest: &Digest) -> Result<Reply, Problem> {
        let blob = self.gate.blob_descriptor(repository, digest, self.who).await;
        let blob = blob.map_err(|r| self.refused(&r))?;
        Ok(Reply::blob_head(&blob, has_unchanged(self.headers(), digest)))
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
        let mut page = self.gate.tags(repository, asked, last).await.map_err(|r| self.refused(&r))?;
        if n == Some(0) {
            page.tags.clear();
        }
        let next = page.tags.last().filter(|_| page.more).map(|last| {
            let n = n.map_or(page.tags.len(), |n| n as usize);
            let ns = namespace.map_or_else(String::new, |ns| format!("&ns={ns}"));
            // In the client's own naming, whatever the upstream's link says.
            format!("{}?n={n}&last={last}{ns}", self.parts.uri.path())
        });
        Ok(Reply::tags(repository, &page, next, self.is_head()))
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

    fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }
}
