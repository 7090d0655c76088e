//! Content as upstream registries have it: the login dance, retries, mirrors, the referrers API and
//! its tag fallback. Checks no digest but that of a mirror's manifest (`cache/` does) and keeps
//! nothing but tokens.

mod answer;
mod blob;
mod breaker;
mod build;
pub mod challenge;
mod credentials;
mod endpoint;
mod error;
mod grant;
mod link;
mod meter;
mod realm;
mod referrers;
mod settings;
mod tags;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::egress::{self, Environment};
use crate::oci::media_type::ACCEPTED_MANIFESTS;
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, Registry, Repository, Tag, Target};
use crate::setting::SettingError;
use crate::telemetry::Metrics;

use build::{Ground, Mirror as MirrorEndpoint};
use endpoint::{Answer, Ask, Endpoint, Part};
use meter::Meter;

pub use blob::BlobStream;
pub use error::Error;
pub use settings::{Credentials, Mirror, Secret, Settings, Timeouts};

/// Who waits longer for one of `max_requests` gives up.
const MAX_QUEUE: Duration = Duration::from_secs(60);

/// One upstream registry with its mirrors: connections, tokens, breakers.
#[derive(Debug)]
pub struct Upstream {
    name: Registry,
    settings: Settings,
    egress: egress::Settings,
    authorities: Option<Vec<u8>>,
    home: Endpoint,
    mirrors: Vec<MirrorEndpoint>,
    permits: Arc<Semaphore>,
}

/// What a HEAD of a manifest tells. Nothing of it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The digest that the upstream names.
    pub digest: Option<Digest>,
    /// The media type that it announces, without parameters.
    pub media_type: Option<String>,
    /// The length that it announces, in bytes.
    pub size: Option<u64>,
}

/// A part of a repository's tags, in the upstream's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagPage {
    /// The tags.
    pub tags: Vec<Tag>,
    /// Whether more follow the last one.
    pub more: bool,
}

impl Upstream {
    /// Makes an upstream ready to be asked, or takes over `before` where nothing changed. Contacts
    /// nobody. Proxies are taken from the environment.
    ///
    /// # Errors
    /// A [`SettingError`] names the key that cannot be honoured.
    pub fn build(
        name: Registry,
        settings: &Settings,
        egress: &egress::Settings,
        metrics: &Arc<Metrics>,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, SettingError> {
        Self::build_in(&|variable| std::env::var(variable).ok(), name, settings, egress, metrics, before)
    }

    /// As [`Upstream::build`], in an environment that is given.
    ///
    /// # Errors
    /// As [`Upstream::build`].
    pub fn build_in(
        environment: Environment<'_>,
        name: Registry,
        settings: &Settings,
        egress: &egress::Settings,
        metrics: &Arc<Metrics>,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, SettingError> {
        let authorities = build::authorities(settings)?;
        let is_same = |b: &&Arc<Self>| {
            b.name == name && b.settings == *settings && b.egress == *egress && b.authorities == authorities
        };
        if let Some(before) = before.filter(is_same) {
            return Ok(before.clone());
        }
        let meter = Arc::new(Meter::new(name.clone(), metrics.clone()));
        let ground =
            Ground { name: &name, settings, egress, authorities: authorities.clone(), meter, environment };
        let (home, mirrors) = (ground.home()?, ground.mirrors()?);
        Ok(Arc::new(Self {
            settings: settings.clone(),
            egress: egress.clone(),
            authorities,
            home,
            mirrors,
            permits: Arc::new(Semaphore::new(settings.max_requests.get().min(Semaphore::MAX_PERMITS))),
            name,
        }))
    }

    /// The registry's own name.
    pub fn name(&self) -> &Registry {
        &self.name
    }

    /// Whether it is asked where a request names no upstream.
    pub fn is_default(&self) -> bool {
        self.settings.default
    }

    /// Whether it is never asked.
    pub fn is_offline(&self) -> bool {
        self.settings.offline
    }

    /// Whether content is fetched in somebody's name, so that it may be private.
    pub fn has_credentials(&self) -> bool {
        self.settings.credentials.is_some() || self.settings.mirrors.iter().any(|m| m.credentials.is_some())
    }

    /// Asks what a tag or digest names, without its content.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn head_manifest(&self, repository: &Repository, target: &Target) -> Result<Head, Error> {
        let _permit = self.enter().await?;
        let accept = accepted_manifests();
        let answer = self.ask(&manifest(repository, target, &accept, Part::Head), target).await?;
        let digest =
            answer.headers.get("docker-content-digest").and_then(|d| Digest::parse(d.to_str().ok()?).ok());
        Ok(Head {
            digest,
            media_type: answer::media_type(&answer.headers),
            size: blob::length(&answer.headers),
        })
    }

    /// A manifest's bytes, at most [`MAX_MANIFEST_BYTES`], as the upstream sent them: the caller checks
    /// the digest.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn manifest(&self, repository: &Repository, target: &Target) -> Result<Bytes, Error> {
        let _permit = self.enter().await?;
        let accept = accepted_manifests();
        let whole = Part::Whole(MAX_MANIFEST_BYTES);
        let answer = self.ask(&manifest(repository, target, &accept, whole), target).await?;
        Ok(answer.bytes)
    }

    /// A blob from the byte `from` on, or from its start where the upstream cannot do that.
    ///
    /// # Errors
    /// [`Error`], for the head; the body brings its own.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: u64,
    ) -> Result<BlobStream, Error> {
        let permit = self.enter().await?;
        let answer =
            self.ask(&blob(repository, digest, Part::Stream(from)), &Target::Digest(*digest)).await?;
        BlobStream::of(answer, from, permit)
    }

    /// A blob's length in bytes, as the upstream announces it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn head_blob(&self, repository: &Repository, digest: &Digest) -> Result<u64, Error> {
        let permit = self.enter().await?;
        let size = match self.ask(&blob(repository, digest, Part::Head), &Target::Digest(*digest)).await {
            Ok(answer) => blob::length(&answer.headers),
            // Links that a registry signs for GET are refused to HEAD by the storage behind it.
            Err(Error::Refused { .. }) => {
                drop(permit);
                self.blob(repository, digest, 0).await?.size
            }
            Err(error) => return Err(error),
        };
        size.ok_or_else(|| Error::nonsense("a blob without a length"))
    }

    /// What refers to `digest`: by the referrers API, all pages, or by its tag schema where the
    /// upstream does not have the API. Empty only when the upstream said so; mirrors, which may lag
    /// behind, are not asked. The types in the list are the upstream's word, often wrong.
    ///
    /// # Errors
    /// [`Error`]: any trouble, so that nobody takes it for "unsigned".
    pub async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        let _permit = self.enter().await?;
        referrers::referrers(&self.home, repository, digest).await
    }

    /// At most `n` of the tags that follow `last`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn tags(
        &self,
        repository: &Repository,
        n: Option<u32>,
        last: Option<&str>,
    ) -> Result<TagPage, Error> {
        let _permit = self.enter().await?;
        tags::tags(&self.home, repository, n, last).await
    }

    /// Leave for one of `max_requests`.
    async fn enter(&self) -> Result<OwnedSemaphorePermit, Error> {
        if self.settings.offline {
            return Err(Error::Offline);
        }
        match tokio::time::timeout(MAX_QUEUE, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::Unavailable("all of its max_requests are taken".to_owned())),
        }
    }

    /// Asks the mirrors that may know, then the upstream. Whatever is wrong with a mirror means that
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

fn accepted_manifests() -> String {
    ACCEPTED_MANIFESTS.join(", ")
}

/// The closed list of upstreams.
#[derive(Clone, Debug, Default)]
pub struct Upstreams {
    by_name: BTreeMap<Registry, Arc<Upstream>>,
    default: Option<Arc<Upstream>>,
}

impl Upstreams {
    /// Gathers them; the first that says it is the default is it.
    pub fn new(all: impl IntoIterator<Item = Arc<Upstream>>) -> Self {
        let by_name: BTreeMap<_, _> = all.into_iter().map(|u| (u.name().clone(), u)).collect();
        let default = by_name.values().find(|u| u.is_default()).cloned();
        Self { by_name, default }
    }

    /// The upstream of that name.
    pub fn of(&self, registry: &Registry) -> Option<&Arc<Upstream>> {
        self.by_name.get(registry)
    }

    /// The one to ask where a request names none.
    pub fn default(&self) -> Option<&Arc<Upstream>> {
        self.default.as_ref()
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Registry> {
        self.by_name.keys()
    }
}
