//! What a registry holds: per repository, as content does not pass from one to another.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::package::Package;
use crate::oci::media_type::OCI_INDEX;
use crate::oci::{Descriptor, Digest, Manifest, Tag};

pub(super) struct Repositories {
    pub(super) referrers_api: bool,
    pub(super) subjects_first: bool,
    pub(super) page_size: Option<usize>,
    by_name: HashMap<String, Repository>,
}

#[derive(Default)]
pub(super) struct Repository {
    pub(super) blobs: HashMap<Digest, Bytes>,
    pub(super) manifests: HashMap<Digest, (String, Bytes)>,
    pub(super) tags: BTreeMap<String, Digest>,
    referrers: Vec<(Digest, Descriptor)>,
}

impl Default for Repositories {
    fn default() -> Self {
        Self { referrers_api: true, subjects_first: false, page_size: None, by_name: HashMap::new() }
    }
}

impl Repositories {
    pub(super) fn of(&self, name: &str) -> Option<&Repository> {
        self.by_name.get(name)
    }

    pub(super) fn push(&mut self, name: &str, tag: Option<&str>, package: &Package) {
        for child in package.children() {
            self.push(name, None, child);
        }
        let repository = self.by_name.entry(name.to_owned()).or_default();
        for blob in package.blobs() {
            repository.blobs.insert(Digest::sha256(blob), blob.clone());
        }
        repository.hold(package.descriptor(), package.bytes().clone());
        if let Some(tag) = tag {
            repository.tags.insert(tag.to_owned(), package.digest());
        }
        repository.refer(package, self.referrers_api);
    }

    /// Whether the repository has what a manifest names.
    pub(super) fn has_all(&self, name: &str, manifest: &Manifest) -> bool {
        let nothing = Repository::default();
        let repository = self.by_name.get(name).unwrap_or(&nothing);
        let has_blob = |blob: &Descriptor| repository.blobs.contains_key(&blob.digest);
        let has_child = |child: &Descriptor| repository.manifests.contains_key(&child.digest);
        manifest.config().into_iter().chain(manifest.blobs()).all(has_blob)
            && manifest.manifests().iter().all(has_child)
            && (!self.subjects_first || manifest.subject().is_none_or(has_child))
    }

    /// Takes in a manifest as a client sends it: listing it without the referrers API is the client's task.
    pub(super) fn put(&mut self, name: &str, reference: &str, manifest: &Manifest) {
        let api = self.referrers_api;
        let repository = self.by_name.entry(name.to_owned()).or_default();
        repository.hold(manifest.descriptor(), manifest.bytes().clone());
        if Digest::parse(reference).is_err() {
            repository.tags.insert(reference.to_owned(), *manifest.digest());
        }
        if let Some(subject) = manifest.subject().filter(|_| api) {
            repository.referrers.retain(|(_, referrer)| referrer.digest != *manifest.digest());
            repository.referrers.push((subject.digest, manifest.descriptor().clone()));
        }
    }

    pub(super) fn push_blob(&mut self, name: &str, blob: &[u8]) -> Digest {
        let digest = Digest::sha256(blob);
        self.forge_blob(name, digest, blob);
        digest
    }

    pub(super) fn forge_blob(&mut self, name: &str, digest: Digest, bytes: &[u8]) {
        let repository = self.by_name.entry(name.to_owned()).or_default();
        repository.blobs.insert(digest, Bytes::copy_from_slice(bytes));
    }

    pub(super) fn tag(&mut self, name: &str, tag: &str, digest: Digest) {
        self.by_name.entry(name.to_owned()).or_default().tags.insert(tag.to_owned(), digest);
    }

    pub(super) fn delete(&mut self, name: &str, digest: &Digest) {
        if let Some(repository) = self.by_name.get_mut(name) {
            repository.manifests.remove(digest);
            repository.tags.retain(|_, tagged| tagged != digest);
            repository.referrers.retain(|(_, referrer)| referrer.digest != *digest);
        }
    }
}

impl Repository {
    pub(super) fn referrers(&self, subject: &Digest, artifact_type: Option<&str>) -> Vec<&Descriptor> {
        let wanted = |d: &&Descriptor| artifact_type.is_none_or(|t| d.artifact_type.as_deref() == Some(t));
        self.referrers.iter().filter(|(about, _)| about == subject).map(|(_, d)| d).filter(wanted).collect()
    }

    fn hold(&mut self, descriptor: &Descriptor, bytes: Bytes) {
        self.manifests.insert(descriptor.digest, (descriptor.media_type.to_string(), bytes));
    }

    fn refer(&mut self, package: &Package, api: bool) {
        let manifest: Value = serde_json::from_slice(package.bytes()).unwrap_or_default();
        let named = manifest["subject"]["digest"].as_str().and_then(|digest| Digest::parse(digest).ok());
        let Some(subject) = named else { return };
        self.referrers.push((subject, package.descriptor().clone()));
        if !api {
            let index = referrers_index(&self.referrers(&subject, None));
            let descriptor = Descriptor::new(OCI_INDEX, Digest::sha256(&index), index.len() as u64);
            self.hold(&descriptor, index);
            self.tags.insert(Tag::about(&subject, "").to_string(), descriptor.digest);
        }
    }
}

/// The image index that the referrers API answers (distribution-spec 1.1, "Listing Referrers").
pub(super) fn referrers_index(referrers: &[&Descriptor]) -> Bytes {
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": referrers});
    index.to_string().into()
}
