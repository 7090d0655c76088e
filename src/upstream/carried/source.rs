//! What was carried here, asked as an upstream is.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::{Carried, Expected, stream};
use crate::oci::{Descriptor, Digest, Manifest, Repository, Tag, Target};
use crate::upstream::{BlobStream, Error, Head, TagPage};

/// Answers like a registry: see [`crate::upstream::Upstream`].
#[derive(Clone, Debug)]
pub struct Source(Arc<Carried>);

impl Source {
    pub(in crate::upstream) async fn head_manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Head, Error> {
        let (repository, target) = (repository.clone(), target.clone());
        self.read(move |carried| {
            let (digest, bytes) = carried.manifest_now(&repository, &target)?;
            let size = Some(bytes.len() as u64);
            let parsed = Manifest::parse_expecting(bytes, &digest).ok();
            let media_type = parsed.map(|manifest| manifest.descriptor().media_type.to_string());
            Ok(Head { digest: Some(digest), media_type, size })
        })
        .await
    }

    pub(in crate::upstream) async fn manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Bytes, Error> {
        let (repository, target) = (repository.clone(), target.clone());
        self.read(move |carried| Ok(carried.manifest_now(&repository, &target)?.1)).await
    }

    pub(in crate::upstream) async fn blob(&self, digest: &Digest, from: u64) -> Result<BlobStream, Error> {
        let digest = *digest;
        let part = self.read(move |carried| carried.find(&digest)?.ok_or_else(|| carried.missing(&digest)));
        stream::of(part.await?, from)
    }

    pub(in crate::upstream) async fn head_blob(&self, digest: &Digest) -> Result<u64, Error> {
        let digest = *digest;
        self.read(move |carried| match (carried.find(&digest)?, carried.expected.get(&digest)) {
            (Some(part), _) => Ok(part.size),
            (None, Some(Expected::LeftOut(size))) => Ok(*size),
            (None, _) => Err(carried.missing(&digest)),
        })
        .await
    }

    pub(in crate::upstream) async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        let (repository, subject) = (repository.clone(), *subject);
        self.read(move |carried| carried.referrers_now(&repository, &subject)).await
    }

    pub(in crate::upstream) fn tags(
        &self,
        repository: &Repository,
        n: Option<u32>,
        last: Option<&str>,
    ) -> TagPage {
        let all = self.0.names.keys().filter(|name| name.repository == *repository);
        let tags: BTreeSet<Tag> = all
            .filter_map(|name| match &name.target {
                Target::Tag(tag) if last.is_none_or(|last| tag.as_str() > last) => Some(tag.clone()),
                _ => None,
            })
            .collect();
        let mut tags: Vec<Tag> = tags.into_iter().collect();
        let wanted = n.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let more = wanted > 0 && tags.len() > wanted;
        tags.truncate(wanted);
        TagPage { tags, more }
    }

    /// Answers where reading files may block.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Carried) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let carried = Arc::clone(&self.0);
        let answer = tokio::task::spawn_blocking(move || question(&carried));
        answer.await.unwrap_or_else(|e| Err(Error::Unavailable(e.to_string())))
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<Arc<Carried>> for Source {
    fn from(carried: Arc<Carried>) -> Self {
        Self(carried)
    }
}
