//! Asks upstreams what tags name, once for all callers.

use std::sync::Arc;

use super::{Answer, Key, Known};
use crate::cache::{Cache, Error, Freshness};
use crate::oci::{Digest, Manifest, Repository, Tag, Target};
use crate::upstream::{self, Upstream};

impl Cache {
    /// Waits no longer than [`upstream::PATIENCE`] where an older answer can serve; the question goes
    /// on, and the next ones do not wait until the upstream has answered something.
    pub(super) async fn ask_patiently(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        tag: &Tag,
        fresh: &Freshness,
        can_fall_back: bool,
    ) -> Result<Answer, Error> {
        if upstream.is_offline() {
            return Err(self.0.counted(repository, Error::Offline));
        }
        let target = Target::Tag(tag.clone());
        if self.0.negative.holds(repository, &target, self.0.clock.now(), fresh.negative_ttl) {
            return Err(Error::NotFound);
        }
        let answer = self.ask(upstream, repository, tag);
        if !can_fall_back {
            return answer.await;
        }
        match tokio::time::timeout(upstream::PATIENCE, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                upstream.doubt();
                let slow = Error::Unavailable("it is slow to answer".to_owned());
                let key = (repository.clone(), tag.clone());
                self.0.tags.troubled.insert(key, (self.0.clock.now(), slow.clone()));
                Err(slow)
            }
        }
    }

    pub(in crate::cache) async fn ask(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Answer, Error> {
        let (cache, upstream, key) = (self.clone(), upstream.clone(), (repository.clone(), tag.clone()));
        let run = || {
            let key = key.clone();
            async move {
                let answer = cache.ask_once(&upstream, &key.0, &key.1).await;
                cache.settle(&key, answer.map_err(|e| cache.0.counted(&key.0, e))).await
            }
        };
        self.0.rechecks.run(key.clone(), run).await?
    }

    /// HEAD where an answer is known, since registries count it less; GET else, or where HEAD names
    /// no digest: the manifest will be wanted anyway.
    async fn ask_once(&self, up: &Upstream, repository: &Repository, tag: &Tag) -> Result<Answer, Error> {
        let known = self.0.tags.known(repository, tag).await?;
        let target = Target::Tag(tag.clone());
        let digest = match head_digest(up, repository, &target, known.is_some()).await? {
            Some(digest) => digest,
            None => {
                let bytes = up.manifest(repository, &target).await?;
                let digest = Digest::sha256(&bytes);
                // What may not be judged has a digest too: asked for by it, it is refused with the reason.
                if let Ok(manifest) = Manifest::parse_expecting(bytes, &digest) {
                    self.keep_manifest(repository, &manifest).await?;
                }
                digest
            }
        };
        Ok(match known {
            Some(known) if known.digest == digest => Answer::Same(digest),
            _ => Answer::Other(digest),
        })
    }

    /// Records what an answer means for the tag.
    async fn settle(&self, key: &Key, answer: Result<Answer, Error>) -> Result<Answer, Error> {
        let (repository, tag) = key;
        let tags = &self.0.tags;
        let now = self.0.clock.now();
        match &answer {
            Ok(Answer::Same(digest)) => {
                tags.write(repository, tag, Known { digest: *digest, checked: now }).await?;
            }
            Ok(Answer::Other(_)) => {}
            Err(Error::NotFound) => {
                tags.forget(repository, tag);
                self.0.negative.add(repository, &Target::Tag(tag.clone()), now);
            }
            Err(Error::Refused { .. }) => tags.forget(repository, tag),
            Err(e) if e.is_trouble() => {
                tags.troubled.insert(key.clone(), (now, e.clone()));
            }
            Err(_) => {}
        }
        answer
    }
}

async fn head_digest(
    up: &Upstream,
    repository: &Repository,
    target: &Target,
    is_known: bool,
) -> Result<Option<Digest>, Error> {
    if !is_known {
        return Ok(None);
    }
    match up.head_manifest(repository, target).await {
        Ok(head) => Ok(head.digest),
        // Method not allowed: a registry that is none, but GET may do.
        Err(upstream::Error::Refused { status: 405, .. }) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
