//! Which answer a tag gets: from memory, from the upstream, or an older one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::record::Record;
use super::{Answer, Known, Named, Recheck, Resolved, Standing, Turn};
use crate::cache::{Cache, Error, Freshness};
use crate::oci::{Digest, Repository, Tag};
use crate::upstream::Upstream;

/// A last check that lies further ahead than this was written by a clock that was wrong.
const CLOCK_SLACK: Duration = Duration::from_secs(300);

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
                Ok(self.stale(upstream, repository, tag, known, fresh, Standing::Stale(e)))
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

    /// An answer that needs no question first: fresh, offline, just expired, or all that can be
    /// expected while the upstream is in trouble, over this tag or at all.
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
        let is_within = |limit| self.age(known.checked).is_some_and(|age| age < limit);
        if is_within(fresh.tag_ttl) {
            return Some(self.fresh(known.digest, known.checked, fresh));
        }
        let stale = |standing| Some(self.stale(upstream, repository, tag, known, fresh, standing));
        if is_within(fresh.tag_ttl.saturating_add(fresh.stale_while_revalidate)) {
            return stale(Standing::Expired);
        }
        if !self.may_serve_stale(&known, fresh) {
            return None;
        }
        // Whoever got the right to recheck is at it; past `tag_ttl` it seems that nobody was.
        let trouble = self.0.tags.trouble(repository, tag);
        let is_recent = |at| self.age(at).is_some_and(|age| age < fresh.tag_ttl.max(fresh.negative_ttl));
        match trouble {
            Some((at, trouble)) if is_recent(at) => stale(Standing::Stale(trouble)),
            _ if upstream.is_suspect() => stale(Standing::Stale(unexpected())),
            _ => None,
        }
    }

    fn fresh(&self, digest: Digest, checked: SystemTime, fresh: &Freshness) -> Resolved {
        let fresh_until = checked.checked_add(fresh.tag_ttl).unwrap_or(checked);
        Resolved { digest, fresh_until, standing: Standing::Fresh, recheck: None }
    }

    fn stale(
        &self,
        upstream: &Upstream,
        repository: &Repository,
        tag: &Tag,
        known: Known,
        fresh: &Freshness,
        standing: Standing,
    ) -> Resolved {
        let recheck = self.turn(upstream, repository, tag, fresh.negative_ttl);
        Resolved { standing, recheck, ..self.fresh(known.digest, known.checked, fresh) }
    }

    /// The right to recheck, unless someone has it, or the upstream was in trouble over this tag
    /// less than `pause` ago. Of a silent upstream one tag at a time is rechecked: a thousand would
    /// tell no more.
    fn turn(
        &self,
        upstream: &Upstream,
        repository: &Repository,
        tag: &Tag,
        pause: Duration,
    ) -> Option<Recheck> {
        let tags = &self.0.tags;
        let since = tags.trouble(repository, tag).and_then(|(at, _)| self.age(at));
        if since.is_some_and(|since| since < pause) {
            return None;
        }
        let turn = Turn::take(&tags.rechecking, (repository.clone(), tag.clone()))?;
        let trial = match upstream.is_silent() {
            true => Some(Turn::take(&tags.trying, upstream.name().clone())?),
            false => None,
        };
        Some(Recheck { cache: self.clone(), turn, _trial: trial })
    }

    fn may_serve_stale(&self, known: &Known, fresh: &Freshness) -> bool {
        // Where the clock went back, the age is unknown and below every limit that matters.
        self.age(known.checked).is_none_or(|age| age < fresh.stale_if_error)
    }

    /// How long ago that was; `None` where the clock has gone back since.
    pub(in crate::cache) fn age(&self, at: SystemTime) -> Option<Duration> {
        let now = self.0.clock.now();
        match now.duration_since(at) {
            Ok(age) => Some(age),
            Err(ahead) if ahead.duration() <= CLOCK_SLACK => Some(Duration::ZERO),
            Err(_) => None,
        }
    }

    /// The last good answer with its age, for tags that need no judging before they move.
    pub(in crate::cache) async fn last_answer(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<Option<(Digest, Option<Duration>)>, Error> {
        let known = self.0.tags.known(repository, tag).await?;
        Ok(known.map(|known| (known.digest, self.age(known.checked))))
    }
}

/// What stands for an answer that nobody waited for.
fn unexpected() -> Error {
    Error::Unavailable("it left its last question without an answer".to_owned())
}
