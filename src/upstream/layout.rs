//! An OCI image layout on disk (image-spec 1.1, `image-layout.md`) that answers as a registry's one
//! repository would. Read anew for each question, never written; whoever made it is not trusted.

pub(super) mod files;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;
use serde::Deserialize;
use tokio::io::AsyncSeekExt as _;
use tokio_util::io::ReaderStream;

use self::files::Files;
use super::blob::BlobStream;
use super::error::Error;
use super::settings::Layout;
use super::{Head, TagPage};
use crate::oci::{
    Algorithm, Descriptor, Digest, Kind, MAX_MANIFEST_BYTES, Manifest, ManifestError, Repository, Tag, Target,
};
use crate::setting::SettingError;

/// The file that makes a folder a layout, and the one version of its content that there is.
const MARKER: &str = "oci-layout";
const VERSION: &str = "1.0.0";
const MAX_MARKER_BYTES: u64 = 4096;
pub(super) const INDEX: &str = "index.json";
/// The annotation of an index entry that is its tag.
const TAG: &str = "org.opencontainers.image.ref.name";
/// To find what refers to a manifest, at most so many others are read, and so many bytes of them.
const MAX_READ: usize = 4096;
const MAX_READ_BYTES: u64 = 64 * 1024 * 1024;

/// A layout that stands for a repository.
#[derive(Debug)]
pub(super) struct ImageLayout {
    files: Files,
    repository: Repository,
}

impl ImageLayout {
    /// Checks that the folder is a layout.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn open(settings: &Layout) -> Result<Self, SettingError> {
        let files = Files::new(settings.folder.clone());
        check_version(&files).map_err(|why| match why {
            Error::Unavailable(why) => SettingError::new(["layout"], why),
            other => SettingError::new(["layout"], other.to_string()),
        })?;
        Ok(Self { files, repository: settings.repository.clone() })
    }

    pub(super) async fn head_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Head, Error> {
        let target = target.clone();
        self.read(repository, move |content| {
            let (digest, bytes) = content.manifest(&target)?;
            let size = Some(bytes.len() as u64);
            let parsed = Manifest::parse_expecting(bytes, &digest).ok();
            Ok(Head {
                digest: Some(digest),
                media_type: parsed.map(|m| m.descriptor().media_type.to_string()),
                size,
            })
        })
        .await
    }

    pub(super) async fn manifest(&self, repository: &Repository, target: &Target) -> Result<Bytes, Error> {
        let target = target.clone();
        self.read(repository, move |content| Ok(content.manifest(&target)?.1)).await
    }

    pub(super) async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: u64,
    ) -> Result<BlobStream, Error> {
        let digest = *digest;
        let (file, size) = self.read(repository, move |content| content.blob(&digest)).await?;
        if from > size {
            return Err(Error::nonsense("the blob ends before the byte that was asked for"));
        }
        let mut file = tokio::fs::File::from_std(file);
        let broken = |e: std::io::Error| Error::Unavailable(e.to_string());
        file.seek(std::io::SeekFrom::Start(from)).await.map_err(broken)?;
        let body = futures_util::StreamExt::map(ReaderStream::new(file), move |piece| piece.map_err(broken));
        Ok(BlobStream { offset: from, size: Some(size), body: Box::pin(body) })
    }

    pub(super) async fn head_blob(&self, repository: &Repository, digest: &Digest) -> Result<u64, Error> {
        let digest = *digest;
        self.read(repository, move |content| Ok(content.blob(&digest)?.1)).await
    }

    pub(super) async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        let subject = *subject;
        self.read(repository, move |content| content.referrers(&subject)).await
    }

    pub(super) async fn tags(
        &self,
        repository: &Repository,
        n: Option<u32>,
        last: Option<&str>,
    ) -> Result<TagPage, Error> {
        let last = last.map(str::to_owned);
        self.read(repository, move |content| {
            let tags: BTreeSet<Tag> = content.index.iter().filter_map(tag_of).collect();
            let mut tags: Vec<Tag> =
                tags.into_iter().filter(|t| last.as_deref().is_none_or(|last| t.as_str() > last)).collect();
            let wanted = n.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
            let more = wanted > 0 && tags.len() > wanted;
            tags.truncate(wanted);
            Ok(TagPage { tags, more })
        })
        .await
    }

    /// Answers a question from the index as it is now, where reading files may block.
    async fn read<T: Send + 'static>(
        &self,
        repository: &Repository,
        question: impl FnOnce(&Content) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if *repository != self.repository {
            return Err(Error::NotFound);
        }
        let files = self.files.clone();
        let answer = tokio::task::spawn_blocking(move || question(&Content::read(files)?));
        answer.await.unwrap_or_else(|e| Err(Error::Unavailable(e.to_string())))
    }
}

pub(super) fn check_version(files: &Files) -> Result<(), Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    let fault = |why: String| files.fault(MARKER, why);
    let missing = || fault("is not there: no OCI image layout".to_owned());
    let bytes = files.read(&[MARKER], MAX_MARKER_BYTES)?.ok_or_else(missing)?;
    let marker: Marker = serde_json::from_slice(&bytes).map_err(|e| fault(e.to_string()))?;
    match marker.image_layout_version.as_str() {
        VERSION => Ok(()),
        _ => Err(fault(format!("a version other than {VERSION}"))),
    }
}

/// The tag of an index entry. Other names that tools write there name nothing that can be pulled.
fn tag_of(entry: &Descriptor) -> Option<Tag> {
    entry.annotations.get(TAG).and_then(|name| Tag::parse(name).ok())
}

/// The layout at one moment.
struct Content {
    files: Files,
    index: Vec<Descriptor>,
}

impl Content {
    fn read(files: Files) -> Result<Self, Error> {
        let bytes = files
            .read(&[INDEX], MAX_MANIFEST_BYTES)?
            .ok_or_else(|| files.fault(INDEX, "is not there".to_owned()))?;
        let index =
            Manifest::parse(bytes, Algorithm::Sha256).map_err(|why| files.fault(INDEX, why.to_string()))?;
        match index.kind() {
            Kind::Index => Ok(Self { index: index.manifests().to_vec(), files }),
            Kind::Image | Kind::Artifact => Err(files.fault(INDEX, "is no index".to_owned())),
        }
    }

    fn manifest(&self, target: &Target) -> Result<(Digest, Bytes), Error> {
        let digest = match target {
            Target::Digest(digest) => *digest,
            Target::Tag(tag) => self.resolve(tag)?.ok_or(Error::NotFound)?,
        };
        let bytes = self.files.read(&path(&digest), MAX_MANIFEST_BYTES)?;
        Ok((digest, bytes.ok_or_else(|| self.missing(&digest))?))
    }

    /// The one manifest under the tag.
    fn resolve(&self, tag: &Tag) -> Result<Option<Digest>, Error> {
        let mut named = self.index.iter().filter(|entry| tag_of(entry).as_ref() == Some(tag));
        let Some(first) = named.next() else { return Ok(None) };
        match named.find(|other| other.digest != first.digest) {
            // Readers differ in which of them they take.
            Some(other) => Err(self.files.fault(
                INDEX,
                format!("the name {tag} stands there for both {} and {}", first.digest, other.digest),
            )),
            None => Ok(Some(first.digest)),
        }
    }

    fn blob(&self, digest: &Digest) -> Result<(std::fs::File, u64), Error> {
        self.files.open(&path(digest))?.ok_or_else(|| self.missing(digest))
    }

    /// What is listed and not there is trouble, not an answer.
    fn missing(&self, digest: &Digest) -> Error {
        match self.index.iter().any(|entry| entry.digest == *digest) {
            true => self.files.fault(&path(digest).join("/"), format!("is not there, and {INDEX} lists it")),
            false => Error::NotFound,
        }
    }

    /// The listed manifests whose `subject` it is, and what the tag schema lists. Those that cannot be
    /// read are among them, so that nobody takes trouble for "unsigned".
    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let mut seen = HashSet::new();
        let listed: Vec<_> = self.index.iter().filter(|entry| seen.insert(entry.digest)).collect();
        if listed.len() > MAX_READ {
            return Err(self.files.fault(INDEX, format!("lists more than {MAX_READ} manifests")));
        }
        let mut left = MAX_READ_BYTES;
        let mut found = Vec::new();
        for entry in listed {
            let bytes = self.files.read(&path(&entry.digest), MAX_MANIFEST_BYTES)?;
            let size = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
            left = left.checked_sub(size).ok_or(Error::TooLarge { limit: MAX_READ_BYTES })?;
            found.extend(may_refer(entry, bytes, subject));
        }
        found.extend(self.listed_by_schema(subject)?);
        Ok(found)
    }

    /// distribution-spec 1.1, "Referrers Tag Schema": copied from a registry without the API.
    fn listed_by_schema(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let Some(digest) = self.resolve(&Tag::about(subject, ""))? else { return Ok(Vec::new()) };
        let (_, bytes) = self.manifest(&Target::Digest(digest))?;
        let index = Manifest::parse_expecting(bytes, &digest);
        Ok(index.map(|index| index.manifests().to_vec()).unwrap_or_default())
    }
}

/// The listed manifest, where it names the subject or nobody can tell.
pub(super) fn may_refer(entry: &Descriptor, bytes: Option<Bytes>, subject: &Digest) -> Option<Descriptor> {
    let Some(bytes) = bytes else { return Some(entry.clone()) };
    match Manifest::parse_expecting(bytes, &entry.digest) {
        Ok(manifest) => {
            let refers = manifest.subject().is_some_and(|named| named.digest == *subject);
            refers.then(|| manifest.descriptor().clone())
        }
        Err(ManifestError::Digest { .. }) => Some(entry.clone()),
        // What is no manifest that may be judged carries no signature.
        Err(_) => None,
    }
}

/// Where a digest's content is. A digest holds nothing but an algorithm's name and hexadecimal digits.
pub(super) fn path(digest: &Digest) -> [String; 3] {
    ["blobs".to_owned(), digest.algorithm().as_str().to_owned(), digest.hex()]
}
