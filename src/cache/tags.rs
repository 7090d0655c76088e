//! What tags name: from memory while fresh, by a question to the upstream else, by the last good
//! answer while the upstream is in trouble.
//!
//! A tag that has moved upstream moves here only when the caller says so ([`Cache::moved`]), because
//! what it names now has to be judged first.

mod record;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dashmap::DashSet;
use quick_cache::Equivalent;
use quick_cache::sync::Cache as Front;

use super::{Cache, Error, Freshness};
use crate::oci::{Algorithm, Digest, Manifest, Repository, Tag, Target};
use crate::store::{Records, Table};
use crate::upstream::{self, Upstream};
use record::Record;

/// So many tags are answered from memory.
const FRONT: usize = 65_536;
/// How long a request waits for the upstream when an older answer could serve.
const PATIENCE: Duration = Duration::from_secs(2);
/// A last check that lies further ahead than this was written by a clock that was wrong.
const CLOCK_SLACK: Duration = Duration::from_secs(300);

/// What a tag names.
#[derive(Debug)]
pub struct Resolved {
    /// The digest.
    pub digest: Digest,
    /// Until when the answer needs no recheck.
    pub fresh_until: SystemTime,
    /// How far the answer can be relied on.
    pub standing: Standing,
    /// The right to ask upstream behind the answer; given to one caller at a time.
    pub recheck: Option<Recheck>,
}

/// How far an answer can be relied on.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Checked within `tag_ttl`.
    Fresh,
    /// Older, within `stale_while_revalidate`: serve it, and recheck behind the answer.
    Expired,
    /// Older still, because the upstream is in trouble; within `stale_if_error`. Serve it with a
    /// warning, and recheck behind the answer.
    Stale(Error),
    /// The upstream has just named another digest than before, or the first one. Judge it, then
    /// call [`Cache::moved`].
    New {
        /// What the tag named before, if that may still serve should the new digest be undecidable.
        fallback: Option<Digest>,
    },
}

/// What an upstream said about a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Same(Digest),
    Other(Digest),
}

/// The right to ask upstream about a tag, one holder at a time.
pub struct Recheck {
    cache: Cache,
    key: Key,
}

type Key = (Repository, Tag);

/// The key without its own copies.
#[derive(Hash)]
struct Named<'a>(&'a Repository, &'a Tag);

#[derive(Clone, Copy)]
struct Known {
    digest: Digest,
    checked: SystemTime,
}

pub(super) struct Tags {
    table: Table,
    front: Front<Key, Known>,
    /// When the upstream was last found in trouble over a tag, and how.
    troubled: Front<Key, (SystemTime, Error)>,
    rechecking: DashSet<Key>,
}

impl Equivalent<Key> for Named<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == key.0 && *self.1 == key.1
    }
}

impl Tags {
    pub(super) fn new(records: &Records) -> Self {
        Self {
            table: records.table("tags"),
            front: Front::new(FRONT),
            troubled: Front::new(FRONT / 16),
            rechecking: DashSet::new(),
        }
    }

    /// The last good answer, from memory else from the records.
    async fn known(&self, repository: &Repository, tag: &Tag) -> Result<Option<Known>, Error> {
        if let Some(known) = self.front.get(&Named(repository, tag)) {
            return Ok(Some(known));
        }
        let Some(record) = Record::load(&self.table, repository, tag).await? else { return Ok(None) };
        let known = Known { digest: record.digest, checked: record.checked };
        self.front.insert((repository.clone(), tag.clone()), known);
        Ok(Some(known))
    }

    async fn write(&self, repository: &Repository, tag: &Tag, known: Known) -> Result<(), Error> {
        // An unreadable record is replaced: what it knew besides is history.
        let before = Record::load(&self.table, repository, tag).await.unwrap_or_default();
        Record::renew(before, known.digest, known.checked).save(&self.table, repository, tag)?;
        self.front.insert((repository.clone(), tag.clone()), known);
        self.troubled.remove(&Named(repository, tag));
        Ok(())
    }

    fn forget(&self, repository: &Repository, tag: &Tag) {
        self.table.delete(super::key(repository, tag));
        self.front.remove(&Named(repository, tag));
        self.troubled.remove(&Named(repository, tag));
    }

    fn trouble(&self, repository: &Repository, tag: &Tag) -> Option<(SystemTime, Error)> {
        self.troubled.get(&Named(repository, tag))
    }
}

impl Cache {
    /// What `tag` names, when memory has an answer that needs no question first: no disk, no wait.
    pub fn resolve_at_once(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        tag: &Tag,
        fresh: &Freshness,
    ) -> Option<Resolved> {
        let known = self.0.tags.front.get(&Named(repository, tag))?;
        self.unasked(upstream, repository, tag, known, fresh)
    }

    /// What `tag` names. Asks the upstream when the last answer is too old, and serves that answer
    /// when the upstream is in trouble.
    ///
    /// # Errors
    /// The upstream's answer (404, 401, 403) or its trouble where no older answer may serve.
    pub async fn resolve(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        tag: &Tag,
        fresh: &Freshness,
    ) -> Result<Resolved, Error> {
        let known = self.0.tags.known(repository, tag).await?;
        if let Some(known) = known
            && let Some(resolved) = self.unasked(upstream, repository, tag, known, fresh)
        {
            return Ok(resolved);
        }
        let fallback = known.filter(|known| self.may_serve_stale(known, fresh));
        match (self.ask_patiently(upstream, repository, tag, fresh, fallback.is_some()).await, fallback) {
            (Ok(Answer::Same(digest)), _) => Ok(self.fresh(digest, self.0.clock.now(), fresh)),
            (Ok(Answer::Other(digest)), fallback) => {
                let fallback = fallback.map(|known| known.digest);
                let standing = Standing::New { fallback };
                Ok(Resolved { standing, ..self.fresh(digest, self.0.clock.now(), fresh) })
            }
            (Err(e), Some(known)) if e.is_trouble() => {
                Ok(self.stale(repository, tag, known, fresh, Standing::Stale(e)))
            }
            (Err(e), _) => Err(e),
        }
    }

    /// Asks the upstream what `tag` names. `None`: the same as before, which is now fresh again;
    /// `Some`: another digest, to be judged and then passed to [`Cache::moved`].
    ///
    /// # Errors
    /// As [`Cache::resolve`]; a 404 has removed the tag, a 401 or 403 ended the last answer's use.
    pub async fn recheck(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<Digest>, Error> {
        match self.ask(upstream, repository, tag).await? {
            Answer::Same(_) => Ok(None),
            Answer::Other(digest) => Ok(Some(digest)),
        }
    }

    /// Records that `tag` names `digest` from now on. What it named before stays on record.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn moved(&self, repository: &Repository, tag: &Tag, digest: &Digest) -> Result<(), Error> {
        let known = Known { digest: *digest, checked: self.0.clock.now() };
        self.0.tags.write(repository, tag, known).await
    }

    /// What `tag` named before, newest first, with the time at which it was last seen to.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn earlier(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Vec<(Digest, SystemTime)>, Error> {
        let record = Record::load(&self.0.tags.table, repository, tag).await?;
        Ok(record.map_or_else(Vec::new, |r| r.earlier))
    }

    /// An answer that needs no question first: fresh, offline, just expired, or known to be all
    /// that can be had while the upstream is in trouble.
    fn unasked(
        &self,
        upstream: &Upstream,
        repository: &Repository,
        tag: &Tag,
        known: Known,
        fresh: &Freshness,
    ) -> Option<Resolved> {
        if upstream.is_offline() {
            return Some(self.fresh(known.digest, self.0.clock.now(), fresh));
        }
        let age = self.age(known.checked)?;
        if age < fresh.tag_ttl {
            return Some(self.fresh(known.digest, known.checked, fresh));
        }
        if age < fresh.tag_ttl.saturating_add(fresh.stale_while_revalidate) {
            return Some(self.stale(repository, tag, known, fresh, Standing::Expired));
        }
        // Whoever got the right to recheck is at it; past `tag_ttl` it seems that nobody was.
        let (at, trouble) = self.0.tags.trouble(repository, tag)?;
        let is_recent = self.age(at).is_some_and(|age| age < fresh.tag_ttl.max(fresh.negative_ttl));
        let may = is_recent && self.may_serve_stale(&known, fresh);
        may.then(|| self.stale(repository, tag, known, fresh, Standing::Stale(trouble)))
    }

    fn fresh(&self, digest: Digest, checked: SystemTime, fresh: &Freshness) -> Resolved {
        let fresh_until = checked.checked_add(fresh.tag_ttl).unwrap_or(checked);
        Resolved { digest, fresh_until, standing: Standing::Fresh, recheck: None }
    }

    fn stale(
        &self,
        repository: &Repository,
        tag: &Tag,
        known: Known,
        fresh: &Freshness,
        standing: Standing,
    ) -> Resolved {
        let recheck = self.turn(repository, tag, fresh.negative_ttl);
        Resolved { standing, recheck, ..self.fresh(known.digest, known.checked, fresh) }
    }

    /// The right to recheck, unless someone has it, or the upstream was in trouble over this tag
    /// less than `pause` ago.
    fn turn(&self, repository: &Repository, tag: &Tag, pause: Duration) -> Option<Recheck> {
        let tags = &self.0.tags;
        let since = tags.trouble(repository, tag).and_then(|(at, _)| self.age(at));
        if since.is_some_and(|since| since < pause) {
            return None;
        }
        let key = (repository.clone(), tag.clone());
        tags.rechecking.insert(key.clone()).then(|| Recheck { cache: self.clone(), key })
    }

    /// Waits no longer than [`PATIENCE`] where an older answer can serve; the question goes on.
    async fn ask_patiently(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        tag: &Tag,
        fresh: &Freshness,
        can_fall_back: bool,
    ) -> Result<Answer, Error> {
        if upstream.is_offline() {
            return Err(Error::Offline);
        }
        let target = Target::Tag(tag.clone());
        if self.0.negative.holds(repository, &target, self.0.clock.now(), fresh.negative_ttl) {
            return Err(Error::NotFound);
        }
        let answer = self.ask(upstream, repository, tag);
        if !can_fall_back {
            return answer.await;
        }
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let slow = Error::Unavailable("it is slow to answer".to_owned());
                let key = (repository.clone(), tag.clone());
                self.0.tags.troubled.insert(key, (self.0.clock.now(), slow.clone()));
                Err(slow)
            }
        }
    }

    pub(super) async fn ask(
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
                cache.settle(&key, answer).await
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
                let manifest = Manifest::parse(bytes, Algorithm::Sha256)?;
                self.keep_manifest(repository, &manifest).await?;
                *manifest.digest()
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

    fn may_serve_stale(&self, known: &Known, fresh: &Freshness) -> bool {
        // Where the clock went back, the age is unknown and below every limit that matters.
        self.age(known.checked).is_none_or(|age| age < fresh.stale_if_error)
    }

    /// How long ago that was; `None` where the clock has gone back since.
    pub(super) fn age(&self, at: SystemTime) -> Option<Duration> {
        let now = self.0.clock.now();
        match now.duration_since(at) {
            Ok(age) => Some(age),
            Err(ahead) if ahead.duration() <= CLOCK_SLACK => Some(Duration::ZERO),
            Err(_) => None,
        }
    }

    /// The last good answer with its age, for tags that need no judging before they move.
    pub(super) async fn last_answer(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<(Digest, Option<Duration>)>, Error> {
        let known = self.0.tags.known(repository, tag).await?;
        Ok(known.map(|known| (known.digest, self.age(known.checked))))
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

impl Recheck {
    /// Asks the upstream: see [`Cache::recheck`].
    ///
    /// # Errors
    /// As [`Cache::recheck`].
    pub async fn ask(&self, upstream: &Arc<Upstream>) -> Result<Option<Digest>, Error> {
        self.cache.recheck(upstream, &self.key.0, &self.key.1).await
    }
}

impl std::fmt::Debug for Recheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recheck({}:{})", self.key.0, self.key.1)
    }
}

impl Drop for Recheck {
    fn drop(&mut self) {
        self.cache.0.tags.rechecking.remove(&self.key);
    }
}
