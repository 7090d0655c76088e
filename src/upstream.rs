//! Content as upstream registries have it: the login dance, retries, mirrors, the referrers API and
//! its tag fallback; or as an OCI image layout on disk has it. Checks no digest but that of a mirror's
//! manifest (`cache/` does) and keeps nothing but tokens.

mod answer;
mod blob;
mod breaker;
mod build;
mod carried;
pub mod challenge;
mod credentials;
mod endpoint;
mod error;
mod grant;
mod layout;
mod link;
mod meter;
mod permits;
mod realm;
mod referrers;
mod remote;
mod scope;
mod settings;
mod tags;
#[cfg(test)]
mod tests;
mod tokens;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::egress::{self, Environment};
use crate::oci::media_type::ACCEPTED_MANIFESTS;
use crate::oci::{Descriptor, Digest, Registry, Repository, Tag, Target};
use crate::setting::SettingError;
use crate::telemetry::Metrics;

use build::Ground;
use layout::ImageLayout;
use meter::Meter;
use permits::Permits;
use remote::Remote;

pub use blob::BlobStream;
pub use breaker::PATIENCE;
pub use carried::{Carried, CarriedLayout, Expected, Source as CarriedSource, fuzz_archive};
pub use error::Error;
pub use settings::{Credentials, Layout, Mirror, Secret, Settings, Timeouts};
pub use writer::{Amended, Amendment, Open, Referred, Settling, Writer};

/// One upstream registry with its mirrors: connections, tokens, breakers.
#[derive(Debug)]
pub struct Upstream {
    name: Registry,
    settings: Settings,
    egress: egress::Settings,
    authorities: Option<Vec<u8>>,
    source: Source,
    permits: Permits,
}

/// Where the content is.
#[derive(Debug)]
enum Source {
    Remote(Box<Remote>),
    Layout(ImageLayout),
    Carried(CarriedSource),
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
        let source = match (&settings.layout, &settings.carried) {
            (Some(layout), _) => Source::Layout(ImageLayout::open(layout)?),
            (None, Some(carried)) => Source::Carried(carried.clone()),
            (None, None) => {
                let meter = Arc::new(Meter::new(name.clone(), metrics.clone()));
                let authorities = authorities.clone();
                let ground = Ground { name: &name, settings, egress, authorities, meter, environment };
                Source::Remote(Box::new(Remote { home: ground.home()?, mirrors: ground.mirrors()? }))
            }
        };
        Ok(Arc::new(Self {
            settings: settings.clone(),
            egress: egress.clone(),
            authorities,
            source,
            permits: Permits::new(settings.max_requests.get()),
            name,
        }))
    }

    /// The registry's own name.
    pub fn name(&self) -> &Registry {
        &self.name
    }

    /// The folder that it reads, where it is no registry.
    pub fn layout(&self) -> Option<&Layout> {
        self.settings.layout.as_ref()
    }

    /// Whether it is asked where a request names no upstream.
    pub fn is_default(&self) -> bool {
        self.settings.default
    }

    /// Whether it is never asked.
    pub fn is_offline(&self) -> bool {
        self.settings.offline
    }

    /// Whether it left the last question without an answer, or asked for a pause, and has answered
    /// nothing in time since: who has an older answer need not wait for it.
    pub fn is_suspect(&self) -> bool {
        match &self.source {
            Source::Remote(remote) => remote.is_suspect(),
            Source::Layout(_) | Source::Carried(_) => false,
        }
    }

    /// Whether it is suspect and has answered nothing since, not even late: one question at a time
    /// shows whether that is over.
    pub fn is_silent(&self) -> bool {
        match &self.source {
            Source::Remote(remote) => remote.is_silent(),
            Source::Layout(_) | Source::Carried(_) => false,
        }
    }

    /// Whether the registry itself was left alone, for its failures or at its wish, and has answered nothing since.
    pub fn is_left_alone(&self) -> bool {
        match &self.source {
            Source::Remote(remote) => remote.home.breaker.is_open(),
            Source::Layout(_) | Source::Carried(_) => false,
        }
    }

    /// Makes it suspect: somebody waited for [`PATIENCE`] in vain.
    pub fn doubt(&self) {
        if let Source::Remote(remote) = &self.source {
            remote.doubt();
        }
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
        self.may_ask()?;
        let _permit = self.permits.question().await?;
        match &self.source {
            Source::Remote(remote) => remote.head_manifest(repository, target).await,
            Source::Layout(layout) => layout.head_manifest(repository, target).await,
            Source::Carried(carried) => carried.head_manifest(repository, target).await,
        }
    }

    /// A manifest's bytes, at most [`crate::oci::MAX_MANIFEST_BYTES`], as the upstream sent them: the caller checks
    /// the digest.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn manifest(&self, repository: &Repository, target: &Target) -> Result<Bytes, Error> {
        self.manifest_of(repository, target, &ACCEPTED_MANIFESTS).await
    }

    /// As [`Upstream::manifest`], where only these media types are asked for. A registry may answer with
    /// another.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn manifest_of(
        &self,
        repository: &Repository,
        target: &Target,
        types: &[&str],
    ) -> Result<Bytes, Error> {
        self.may_ask()?;
        let _permit = self.permits.question().await?;
        match &self.source {
            Source::Remote(remote) => remote.manifest(repository, target, types).await,
            Source::Layout(layout) => layout.manifest(repository, target).await,
            Source::Carried(carried) => carried.manifest(repository, target).await,
        }
    }

    /// A blob from the byte `from` on, or from its start where the upstream cannot do that. A small one,
    /// as a signature's payload, does not wait for layers.
    ///
    /// # Errors
    /// [`Error`], for the head; the body brings its own.
    pub async fn blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        from: u64,
    ) -> Result<BlobStream, Error> {
        self.may_ask()?;
        let permit = self.permits.body(blob.size).await?;
        match &self.source {
            Source::Remote(remote) => remote.blob(repository, &blob.digest, from, permit).await,
            Source::Layout(layout) => layout.blob(repository, &blob.digest, from).await,
            Source::Carried(carried) => carried.blob(&blob.digest, from).await,
        }
    }

    /// A blob's length in bytes, as the upstream announces it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn head_blob(&self, repository: &Repository, digest: &Digest) -> Result<u64, Error> {
        self.may_ask()?;
        let permit = self.permits.question().await?;
        match &self.source {
            Source::Remote(remote) => remote.head_blob(repository, digest, permit).await,
            Source::Layout(layout) => layout.head_blob(repository, digest).await,
            Source::Carried(carried) => carried.head_blob(digest).await,
        }
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
        self.may_ask()?;
        let _permit = self.permits.question().await?;
        match &self.source {
            Source::Remote(remote) => remote.referrers(repository, digest).await,
            Source::Layout(layout) => layout.referrers(repository, digest).await,
            Source::Carried(carried) => carried.referrers(repository, digest).await,
        }
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
        self.may_ask()?;
        let _permit = self.permits.question().await?;
        match &self.source {
            Source::Remote(remote) => remote.tags(repository, n, last).await,
            Source::Layout(layout) => layout.tags(repository, n, last).await,
            Source::Carried(carried) => Ok(carried.tags(repository, n, last)),
        }
    }

    fn may_ask(&self) -> Result<(), Error> {
        if self.settings.offline { Err(Error::Offline) } else { Ok(()) }
    }
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

    /// All of them, in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.by_name.values()
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Registry> {
        self.by_name.keys()
    }
}
