//! A registry with its mirrors: who is asked for what, and who decides.

use bytes::Bytes;

use super::answer;
use super::blob::{self, BlobStream};
use super::build::Mirror;
use super::endpoint::{Answer, Ask, Endpoint, Part};
use super::error::Error;
use super::permits::Permit;
use super::{Head, TagPage, referrers, tags};
use crate::oci::media_type::ACCEPTED_MANIFESTS;
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, Repository, Target};

/// A registry, and copies of it that are asked first.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) home: Endpoint,
    pub(super) mirrors: Vec<Mirror>,
}

impl Remote {
    pub(super) async fn head_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Head, Error> {
        let accept = ACCEPTED_MANIFESTS.join(", ");
        let answer = self.ask(&manifest(repository, target, &accept, Part::Head), target).await?;
        let digest =
            answer.headers.get("docker-content-digest").and_then(|d| Digest::parse(d.to_str().ok()?).ok());
        Ok(Head {
            digest,
            media_type: answer::media_type(&answer.headers),
            size: blob::length(&answer.headers),
        })
    }

    pub(super) async fn manifest(
        &self,
        repository: &Repository,
        target: &Target,
        types: &[&str],
    ) -> Result<Bytes, Error> {
        let accept = types.join(", ");
        let whole = Part::Whole(MAX_MANIFEST_BYTES);
        let answer = self.ask(&manifest(repository, target, &accept, whole), target).await?;
        Ok(answer.bytes)
    }

    /// Holds the permit until the body has ended.
    pub(super) async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: u64,
        permit: Permit,
    ) -> Result<BlobStream, Error> {
        let answer =
            self.ask(&blob(repository, digest, Part::Stream(from)), &Target::Digest(*digest)).await?;
        BlobStream::of(answer, from, permit)
    }

    pub(super) async fn head_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        permit: Permit,
    ) -> Result<u64, Error> {
        let size = match self.ask(&blob(repository, digest, Part::Head), &Target::Digest(*digest)).await {
            Ok(answer) => blob::length(&answer.headers),
            // Links that a registry signs for GET are refused to HEAD by the storage behind it.
            Err(Error::Refused { .. }) => self.blob(repository, digest, 0, permit).await?.size,
            Err(error) => return Err(error),
        };
        size.ok_or_else(|| Error::nonsense("a blob without a length"))
    }

    /// Whether none of those that are asked for tags can be expected to answer.
    pub(super) fn is_suspect(&self) -> bool {
        self.asked_for_tags().all(|endpoint| endpoint.breaker.is_suspect())
    }

    /// Whether none of them has answered anything since.
    pub(super) fn is_silent(&self) -> bool {
        self.asked_for_tags().all(|endpoint| endpoint.breaker.is_silent())
    }

    /// One of those that are asked for tags did not answer in time.
    pub(super) fn doubt(&self) {
        self.asked_for_tags().for_each(|endpoint| endpoint.breaker.doubt());
    }

    /// Mirrors, which may lag behind, are not asked.
    pub(super) async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        referrers::referrers(&self.home, repository, digest).await
    }

    pub(super) async fn tags(
        &self,
        repository: &Repository,
        n: Option<u32>,
        last: Option<&str>,
    ) -> Result<TagPage, Error> {
        tags::tags(&self.home, repository, n, last).await
    }

    fn asked_for_tags(&self) -> impl Iterator<Item = &Endpoint> {
        let mirrors = self.mirrors.iter().filter(|mirror| mirror.tags).map(|mirror| &mirror.endpoint);
        mirrors.chain([&self.home])
    }

    /// Asks the mirrors that may know, then the registry. Whatever is wrong with a mirror means that
    /// the next is asked, so a mirror can slow things down but not decide anything.
    async fn ask(&self, ask: &Ask<'_>, target: &Target) -> Result<Answer, Error> {
        let digest = match target {
            Target::Digest(digest) => Some(digest),
            Target::Tag(_) => None,
        };
        for mirror in self.mirrors.iter().filter(|mirror| mirror.tags || digest.is_some()) {
            let host = mirror.endpoint.origin.host();
            match (mirror.endpoint.ask(ask).await, digest, ask.part) {
                (Ok(answer), Some(digest), Part::Whole(_)) if !digest.matches(&answer.bytes) => {
                    tracing::warn!(mirror = host, %digest, "a mirror sent other content than was asked for");
                }
                (Ok(answer), ..) => return Ok(answer),
                (Err(error), ..) => tracing::debug!(mirror = host, %error, "a mirror does not help"),
            }
        }
        self.home.ask(ask).await
    }
}

fn manifest<'a>(repository: &'a Repository, target: &Target, accept: &'a str, part: Part) -> Ask<'a> {
    Ask { repository, what: format!("manifests/{target}"), query: None, accept: Some(accept), part }
}

fn blob<'a>(repository: &'a Repository, digest: &Digest, part: Part) -> Ask<'a> {
    Ask { repository, what: format!("blobs/{digest}"), query: None, accept: None, part }
}
