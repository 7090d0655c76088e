//! Lists that upstreams gave: referrers, what a signature's tag names, tags.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::tags::Answer;
use super::{Cache, Error, Freshness, key};
use crate::flight::Flight;
use crate::oci::{Descriptor, Digest, Repository, Tag, Target};
use crate::store::key::of_digest;
use crate::store::{Records, Table};
use crate::upstream::{TagPage, Upstream};

/// What is known, and whether the upstream could be asked.
#[derive(Clone, Debug)]
pub struct Kept<T> {
    /// The last good answer.
    pub value: T,
    /// Why the upstream could not be asked, where the answer is an older one. What is missing in it
    /// proves nothing then.
    pub trouble: Option<Error>,
}

type Asked = Result<Arc<[Descriptor]>, Error>;

pub(super) struct Lists {
    referrers: Table,
    asking: Flight<(Repository, Digest), Asked>,
}

/// A list's record.
#[derive(Serialize, Deserialize)]
struct Written {
    checked: u64,
    list: Vec<Descriptor>,
}

impl Lists {
    pub(super) fn new(records: &Records) -> Self {
        Self { referrers: records.table("referrers"), asking: Flight::default() }
    }

    pub(super) fn table(&self) -> &Table {
        &self.referrers
    }

    pub(super) fn forget(&self, repository: &Repository, subject: &Digest) {
        self.referrers.delete(key(repository, &of_digest(subject)));
    }

    async fn load(&self, repository: &Repository, subject: &Digest) -> Result<Option<Written>, Error> {
        let Some(bytes) = self.referrers.get(&key(repository, &of_digest(subject))).await? else {
            return Ok(None);
        };
        let written = serde_json::from_slice(&bytes);
        written
            .map(Some)
            .map_err(|e| Error::Store(format!("the referrers of {repository}@{subject} are unreadable: {e}")))
    }

    fn save(
        &self,
        repository: &Repository,
        subject: &Digest,
        list: &[Descriptor],
        now: SystemTime,
    ) -> Result<(), Error> {
        let checked = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let written = Written { checked, list: list.to_vec() };
        let bytes = serde_json::to_vec(&written).map_err(|e| Error::Store(e.to_string()))?;
        self.referrers.put(key(repository, &of_digest(subject)), bytes);
        Ok(())
    }
}

impl Cache {
    /// What refers to `subject`, kept for `referrers_ttl`. No list of the upstream admits anything.
    ///
    /// # Errors
    /// The upstream's answer, or its trouble where no older list may serve.
    pub async fn referrers(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        subject: &Digest,
        fresh: &Freshness,
    ) -> Result<Kept<Vec<Descriptor>>, Error> {
        let kept = self.0.lists.load(repository, subject).await?;
        let age =
            kept.as_ref().and_then(|k| self.age(UNIX_EPOCH.checked_add(Duration::from_secs(k.checked))?));
        if let Some(kept) = &kept
            && (upstream.is_offline() || age.is_some_and(|age| age < fresh.referrers_ttl))
        {
            return Ok(Kept { value: kept.list.clone(), trouble: None });
        }
        let serves_stale = age.is_none_or(|age| age < fresh.stale_if_error);
        match (self.ask_referrers(upstream, repository, subject).await, kept) {
            (Ok(list), _) => Ok(Kept { value: list.to_vec(), trouble: None }),
            (Err(e), Some(kept)) if e.is_trouble() && serves_stale => {
                Ok(Kept { value: kept.list, trouble: Some(e) })
            }
            (Err(e), _) => Err(e),
        }
    }

    /// What a tag such as `sha256-….sig` names, `None` when the upstream says that there is none.
    /// Such a tag moves without being judged: what it names is judged on its own.
    ///
    /// # Errors
    /// As [`Cache::referrers`].
    pub async fn tag_digest(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        tag: &Tag,
        fresh: &Freshness,
    ) -> Result<Kept<Option<Digest>>, Error> {
        let last = self.last_answer(repository, tag).await?;
        let known = last.map(|(digest, _)| digest);
        let age = last.and_then(|(_, age)| age);
        let is_fresh = age.is_some_and(|age| age < fresh.referrers_ttl);
        if upstream.is_offline() || (known.is_some() && is_fresh) {
            return Ok(Kept { value: known, trouble: None });
        }
        let target = Target::Tag(tag.clone());
        if self.0.negative.holds(repository, &target, self.0.clock.now(), fresh.negative_ttl) {
            return Ok(Kept { value: None, trouble: None });
        }
        let serves_stale = known.is_some() && age.is_none_or(|age| age < fresh.stale_if_error);
        match self.ask(upstream, repository, tag).await {
            Ok(Answer::Same(digest)) => Ok(Kept { value: Some(digest), trouble: None }),
            Ok(Answer::Other(digest)) => {
                self.moved(repository, tag, &digest).await?;
                Ok(Kept { value: Some(digest), trouble: None })
            }
            Err(Error::NotFound) => Ok(Kept { value: None, trouble: None }),
            Err(e) if e.is_trouble() && serves_stale => Ok(Kept { value: known, trouble: Some(e) }),
            Err(e) => Err(e),
        }
    }

    /// A part of the upstream's list of tags, as it is at the moment.
    ///
    /// # Errors
    /// The upstream's answer or trouble.
    pub async fn tags(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        n: Option<u32>,
        last: Option<&str>,
    ) -> Result<TagPage, Error> {
        Ok(upstream.tags(repository, n, last).await?)
    }

    async fn ask_referrers(&self, upstream: &Arc<Upstream>, r: &Repository, subject: &Digest) -> Asked {
        let run = || {
            let (cache, upstream, r, subject) = (self.clone(), upstream.clone(), r.clone(), *subject);
            async move {
                let list = upstream.referrers(&r, &subject).await?;
                cache.0.lists.save(&r, &subject, &list, cache.0.clock.now())?;
                Ok(list.into())
            }
        };
        self.0.lists.asking.run((r.clone(), *subject), run).await?
    }
}
