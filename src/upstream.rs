//! Content as upstream registries have it: the login dance, retries, mirrors, the referrers API and
//! its tag fallback. Checks no digest (that is `cache/`) and keeps nothing but tokens.

mod error;
mod settings;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;

use crate::egress;
use crate::oci::{Descriptor, Digest, Registry, Repository, Tag, Target};
use crate::setting::SettingError;
use crate::telemetry::Metrics;

pub use error::Error;
pub use settings::{Credentials, Mirror, Secret, Settings, Timeouts};

/// One upstream registry with its mirrors: connections, tokens, breakers.
#[derive(Debug)]
pub struct Upstream {
    name: Registry,
    settings: Settings,
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

/// A blob that is arriving.
pub struct BlobStream {
    /// Where the body starts: what was asked for, or 0 if the upstream ignored that.
    pub offset: u64,
    /// The whole blob's length in bytes, where the upstream tells.
    pub size: Option<u64>,
    /// The bytes from `offset` on. Ends with an error when they end early.
    pub body: Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>,
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
    /// nobody.
    ///
    /// # Errors
    /// A [`SettingError`] names the key that cannot be honoured.
    pub fn build(
        name: Registry,
        settings: &Settings,
        _egress: &egress::Settings,
        _metrics: &Arc<Metrics>,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, SettingError> {
        if let Some(before) = before.filter(|b| b.name == name && b.settings == *settings) {
            return Ok(before.clone());
        }
        Ok(Arc::new(Self { name, settings: settings.clone() }))
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
    pub async fn head_manifest(&self, _repository: &Repository, _target: &Target) -> Result<Head, Error> {
        Err(Error::Offline)
    }

    /// A manifest's bytes, at most [`crate::oci::MAX_MANIFEST_BYTES`], as the upstream sent them: the
    /// caller checks the digest.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn manifest(&self, _repository: &Repository, _target: &Target) -> Result<Bytes, Error> {
        Err(Error::Offline)
    }

    /// A blob from the byte `from` on, or from its start where the upstream cannot do that.
    ///
    /// # Errors
    /// [`Error`], for the head; the body brings its own.
    pub async fn blob(
        &self,
        _repository: &Repository,
        _digest: &Digest,
        _from: u64,
    ) -> Result<BlobStream, Error> {
        Err(Error::Offline)
    }

    /// A blob's length in bytes, as the upstream announces it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn head_blob(&self, _repository: &Repository, _digest: &Digest) -> Result<u64, Error> {
        Err(Error::Offline)
    }

    /// What refers to `digest`: by the referrers API, all pages, or by its tag schema where the
    /// upstream does not have the API. Empty only when the upstream said so.
    ///
    /// # Errors
    /// [`Error`]: any trouble, so that nobody takes it for "unsigned".
    pub async fn referrers(
        &self,
        _repository: &Repository,
        _digest: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        Err(Error::Offline)
    }

    /// At most `n` of the tags that follow `last`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn tags(
        &self,
        _repository: &Repository,
        _n: Option<u32>,
        _last: Option<&str>,
    ) -> Result<TagPage, Error> {
        Err(Error::Offline)
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

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Registry> {
        self.by_name.keys()
    }
}
