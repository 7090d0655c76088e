//! A registry that content is written to (distribution-spec 1.1, "Pushing"): blobs, manifests, and what refers
//! to others. Reads nothing but what it has to know for that; chooses nothing.

mod amending;
#[cfg(test)]
mod tests;
mod uploads;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::Error;
use super::answer;
use super::build::{self, Ground};
use super::endpoint::{Answer, Ask, Endpoint, Part};
use super::meter::Meter;
use super::referrers;
use super::scope::Scope;
use super::settings::Settings;
use crate::egress::{self, Environment, Request, Response};
use crate::oci::media_type::ACCEPTED_MANIFESTS;
use crate::oci::{Digest, MAX_MANIFEST_BYTES, Manifest, Registry, Repository, Target};
use crate::setting::SettingError;
use crate::telemetry::Metrics;

pub use amending::{Amended, Amendment, Settling};
pub use uploads::Open;

/// A registry and leave to write to it.
#[derive(Debug)]
pub struct Writer {
    home: Endpoint,
}

/// What became of referrers that were written.
pub struct Referred<'a, E> {
    /// What they have yet to be entered in, where the registry does not list them by itself.
    pub lists: Vec<Amendment<'a, E>>,
    /// What it did not take, and why.
    pub refused: Vec<(Digest, Error)>,
}

impl Writer {
    /// Makes a registry ready to be written to. Contacts nobody. Proxies are taken from the environment.
    ///
    /// # Errors
    /// A [`SettingError`] names the key that cannot be honoured.
    pub fn build(
        name: &Registry,
        settings: &Settings,
        egress: &egress::Settings,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, SettingError> {
        let environment: Environment<'_> = &|variable| std::env::var(variable).ok();
        let authorities = build::authorities(settings)?;
        let meter = Arc::new(Meter::new(name.clone(), metrics.clone()));
        let home = Ground { name, settings, egress, authorities, meter, environment }.home()?;
        Ok(Self { home: Endpoint { writes: true, ..home } })
    }

    /// The digest that a tag or digest names, where it names one.
    ///
    /// # Errors
    /// [`Error`], but for one that it is not there; something else than the digest says.
    pub async fn resolve(&self, repository: &Repository, target: &Target) -> Result<Option<Digest>, Error> {
        let Some(bytes) = self.manifest(repository, target).await? else { return Ok(None) };
        match target {
            Target::Digest(digest) if digest.matches(&bytes) => Ok(Some(*digest)),
            Target::Digest(digest) => {
                Err(Error::nonsense(&format!("the manifest under {digest} is something else")))
            }
            Target::Tag(_) => Ok(Some(Digest::sha256(&bytes))),
        }
    }

    /// A manifest as the registry has it, where it has it. The caller checks the digest.
    ///
    /// # Errors
    /// [`Error`], but for one that it is not there.
    pub async fn manifest(&self, repository: &Repository, target: &Target) -> Result<Option<Bytes>, Error> {
        let accept = ACCEPTED_MANIFESTS.join(", ");
        let part = Part::Whole(MAX_MANIFEST_BYTES);
        let what = format!("manifests/{target}");
        let ask = Ask { repository, what, query: None, accept: Some(&accept), part };
        Ok(found(self.home.ask(&ask).await)?.map(|answer| answer.bytes))
    }

    /// Writes a manifest under a tag or its digest. What it names must be there. Tells whether the registry
    /// lists it as a referrer of its subject (`OCI-Subject`).
    ///
    /// # Errors
    /// [`Error`].
    pub async fn put_manifest(
        &self,
        repository: &Repository,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<bool, Error> {
        let request = self.put(repository, target, manifest)?;
        let response = self.home.change(&Scope::push(repository), &request, answer::taken).await?;
        is_listed(&response, manifest)
    }

    /// The request that writes a manifest under a tag or its digest.
    fn put(&self, repository: &Repository, target: &Target, manifest: &Manifest) -> Result<Request, Error> {
        let url = self.home.at(repository, &format!("manifests/{target}"));
        let media_type = HeaderValue::from_str(&manifest.descriptor().media_type)
            .map_err(|_| Error::Forbidden("a media type that no header can carry".to_owned()))?;
        Ok(Request::put(url, media_type, manifest.bytes().clone()))
    }

    /// Writes a manifest under its digest and sees to it that it is found as a referrer of its subject: by the
    /// registry, or else by the tag schema ("Unavailable Referrers API").
    ///
    /// # Errors
    /// [`Error`].
    pub async fn attach(&self, repository: &Repository, manifest: &Manifest) -> Result<(), Error> {
        let Referred { lists, refused } = self.put_referrers(repository, &[manifest]).await?;
        if let Some((_, refusal)) = refused.into_iter().next() {
            return Err(refusal);
        }
        self.amend(repository, lists).await?.settled().await
    }

    /// Writes manifests under their digests, in this order. What they refer to need not be there (distribution-spec
    /// 1.1, "Pushing Manifests with Subject"), but some registries refuse them then: with that it goes on.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn put_referrers<'a, E: From<Error>>(
        &self,
        repository: &Repository,
        manifests: &[&'a Manifest],
    ) -> Result<Referred<'a, E>, Error> {
        let mut refused = Vec::new();
        let mut unlisted: BTreeMap<Digest, Vec<&Manifest>> = BTreeMap::new();
        for manifest in manifests {
            let by_digest = Target::Digest(*manifest.digest());
            let is_told = match self.put_manifest(repository, &by_digest, manifest).await {
                Ok(is_told) => is_told,
                Err(refusal @ (Error::Refused { .. } | Error::NotFound)) => {
                    refused.push((*manifest.digest(), refusal));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(subject) = manifest.subject().filter(|_| !is_told) else { continue };
            if !self.lists(repository, &subject.digest, manifest.digest()).await {
                unlisted.entry(subject.digest).or_default().push(manifest);
            }
        }
        let lists = unlisted.into_iter().map(|(subject, all)| amending::list(&subject, all)).collect();
        Ok(Referred { lists, refused })
    }

    /// Whether the registry lists a referrer by its API: some do, and do not say so when they are given it. Who does
    /// not answer that gets the list under the tag.
    async fn lists(&self, repository: &Repository, subject: &Digest, referrer: &Digest) -> bool {
        let listed = referrers::by_api(&self.home, repository, subject).await.ok().flatten();
        listed.is_some_and(|listed| listed.iter().any(|entry| entry.digest == *referrer))
    }
}

/// Whether the answer to a manifest says that it is listed as a referrer of its subject, once it is clear that it is
/// about that manifest.
fn is_listed(response: &Response, manifest: &Manifest) -> Result<bool, Error> {
    match response.header("docker-content-digest").map(Digest::parse) {
        Some(Ok(digest)) if manifest.digest().algorithm() == digest.algorithm() => {
            if digest != *manifest.digest() {
                return Err(Error::nonsense("it took the manifest and calls it by another digest"));
            }
        }
        // It may know content by another algorithm than the one it was asked with.
        Some(Ok(_)) | None => {}
        Some(Err(_)) => return Err(Error::nonsense("it calls the manifest by what is no digest")),
    }
    let listed = response.header("oci-subject").and_then(|subject| Digest::parse(subject).ok());
    Ok(listed.is_some() && listed == manifest.subject().map(|subject| subject.digest))
}

/// Nothing is an answer too.
fn found(answer: Result<Answer, Error>) -> Result<Option<Answer>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
