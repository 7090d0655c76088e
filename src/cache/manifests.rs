//! Manifests and small blobs: whole, in memory, digest checked, kept.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::body::Body;
use super::{Cache, Error, Freshness, Role};
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, Repository, Target};
use crate::store;
use crate::upstream::Upstream;

impl Cache {
    /// The manifest of that digest, kept or from the upstream.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes have another digest, [`Error::Manifest`] when they are no
    /// manifest that may be judged, else the upstream's answer or trouble.
    pub async fn manifest(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        digest: &Digest,
        fresh: &Freshness,
    ) -> Result<Manifest, Error> {
        if let Some(manifest) = self.kept_manifest(repository, digest).await? {
            return Ok(manifest);
        }
        if upstream.is_offline() {
            return Err(self.0.counted(repository, Error::Offline));
        }
        let target = Target::Digest(*digest);
        if self.0.negative.holds(repository, &target, self.0.clock.now(), fresh.negative_ttl) {
            return Err(Error::NotFound);
        }
        let key = (repository.clone(), *digest);
        let run = || {
            let (cache, upstream, (repository, digest)) = (self.clone(), upstream.clone(), key.clone());
            async move {
                let fetched = cache.fetch_manifest(&upstream, &repository, &digest).await;
                if matches!(fetched, Err(Error::NotFound)) {
                    let target = Target::Digest(digest);
                    cache.0.negative.add(&repository, &target, cache.0.clock.now());
                    cache.0.seen.remove(&repository, &digest, Role::Manifest);
                }
                fetched.map_err(|e| cache.0.counted(&repository, e))
            }
        };
        self.0.manifests.run(key.clone(), run).await?
    }

    /// A blob of at most `limit` bytes, whole: configs and signatures.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Corrupt`], else as the upstream answers.
    pub async fn small_blob(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        blob: &Descriptor,
        limit: u64,
    ) -> Result<Bytes, Error> {
        if blob.size > limit {
            return Err(Error::TooLarge { limit });
        }
        if let Some(bytes) = self.kept_small_blob(repository, blob).await? {
            return Ok(bytes);
        }
        if upstream.is_offline() {
            return Err(self.0.counted(repository, Error::Offline));
        }
        let run = || {
            let (cache, upstream, repository, blob) =
                (self.clone(), upstream.clone(), repository.clone(), blob.clone());
            async move {
                let fetched = cache.fetch_small_blob(&upstream, &repository, &blob).await;
                fetched.map_err(|e| cache.0.counted(&repository, e))
            }
        };
        // Sharers ask for the same digest, but each by its own descriptor.
        let bytes = self.0.small_blobs.run((repository.clone(), blob.digest), run).await??;
        right_length(blob, bytes)
    }

    /// Takes in manifests that were made here or found elsewhere, each with its blobs, as such that the repository's
    /// upstream holds, and keeps all of it from eviction in the name of `owner`. Says what that is.
    ///
    /// # Errors
    /// [`Error::Store`]: no room among others.
    pub async fn adopt<'a>(
        &self,
        repository: &Repository,
        found: impl IntoIterator<Item = (&'a Manifest, Vec<(Digest, Bytes)>)>,
        owner: &str,
    ) -> Result<Vec<Digest>, Error> {
        let (mut contents, mut roles) = (Vec::new(), Vec::new());
        for (manifest, blobs) in found {
            roles.extend(blobs.iter().map(|(digest, _)| (*digest, Role::Blob)));
            contents.extend(blobs);
            roles.push((*manifest.digest(), Role::Manifest));
            contents.push((*manifest.digest(), manifest.bytes().clone()));
        }
        self.0.store.write_held(contents, owner).await?;
        for (digest, role) in &roles {
            self.0.seen.add(repository, digest, *role);
        }
        Ok(roles.into_iter().map(|(digest, _)| digest).collect())
    }

    /// Forgets that the repository holds a manifest that was made here.
    pub fn disown(&self, repository: &Repository, digest: &Digest) {
        self.0.seen.remove(repository, digest, Role::Manifest);
    }

    /// Keeps a manifest that this repository's upstream gave. Without room it is used unkept.
    pub(super) async fn keep_manifest(
        &self,
        repository: &Repository,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        self.keep(manifest.digest(), manifest.bytes()).await?;
        self.0.seen.add(repository, manifest.digest(), Role::Manifest);
        self.0.negative.remove(repository, &Target::Digest(*manifest.digest()));
        Ok(())
    }

    async fn kept_manifest(&self, r: &Repository, digest: &Digest) -> Result<Option<Manifest>, Error> {
        if !self.0.seen.holds(r, digest, Role::Manifest).await? {
            return Ok(None);
        }
        let Some(bytes) = self.0.store.read(digest, MAX_MANIFEST_BYTES).await? else { return Ok(None) };
        Ok(Some(Manifest::parse_expecting(bytes, digest)?))
    }

    async fn fetch_manifest(
        &self,
        upstream: &Upstream,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Manifest, Error> {
        // Another run may have ended since the caller looked.
        if let Some(manifest) = self.kept_manifest(repository, digest).await? {
            return Ok(manifest);
        }
        let bytes = upstream.manifest(repository, &Target::Digest(*digest)).await?;
        let manifest = Manifest::parse_expecting(bytes, digest)?;
        self.keep_manifest(repository, &manifest).await?;
        Ok(manifest)
    }

    pub(super) async fn kept_small_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<Option<Bytes>, Error> {
        // Where another repository has it: a HEAD costs as much as fetching something small.
        if !self.0.seen.holds(repository, &blob.digest, Role::Blob).await? {
            return Ok(None);
        }
        match self.0.store.read(&blob.digest, blob.size).await {
            Err(store::Error::TooLarge { size, .. }) => Err(Error::length(blob, size)),
            Ok(Some(bytes)) => right_length(blob, bytes).map(Some),
            Ok(None) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    async fn fetch_small_blob(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<Bytes, Error> {
        if let Some(bytes) = self.kept_small_blob(repository, blob).await? {
            return Ok(bytes);
        }
        let mut body = Body::open(upstream, repository, blob).await?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = body.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let bytes = bytes.freeze();
        let found = Digest::of(blob.digest.algorithm(), &bytes);
        if found != blob.digest {
            return Err(Error::Corrupt { expected: blob.digest, found: found.to_string().into() });
        }
        self.keep(&blob.digest, &bytes).await?;
        self.0.seen.add(repository, &blob.digest, Role::Blob);
        Ok(bytes)
    }

    async fn keep(&self, digest: &Digest, bytes: &Bytes) -> Result<(), Error> {
        match self.0.store.write(digest, bytes.clone()).await {
            Err(store::Error::Full) => {
                self.0.metrics.store_full.inc();
                Ok(())
            }
            written => Ok(written?),
        }
    }
}

fn right_length(blob: &Descriptor, bytes: Bytes) -> Result<Bytes, Error> {
    let found = bytes.len() as u64;
    if found == blob.size { Ok(bytes) } else { Err(Error::length(blob, found)) }
}
