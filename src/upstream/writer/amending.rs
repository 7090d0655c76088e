//! What several write to under one tag: the list of referrers under the subject's own tag, for registries without the
//! API (distribution-spec 1.1, "Referrers Tag Schema"), and cosign's signatures. Registries cannot replace a tag only
//! where it is still what was read, so whoever writes may overwrite what another has just added. Nothing is lost
//! all the same, among those who keep the same two times and are at most three times as slow as each other: what was
//! read is written back within [`WINDOW`] and sent once, else read anew; and who wrote, or found there what somebody may
//! just have written, looks again after [`SETTLED`], when everybody who had read before that has written, and adds what is
//! missing. Both times grow with what the registry was seen to need ([`Pace`]). The wait is the caller's to spend: nothing
//! need stand still meanwhile.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{Error, Scope, Writer, is_listed};
use crate::oci::media_type::OCI_INDEX;
use crate::oci::{Algorithm, Digest, Kind, Manifest, Repository, Tag, Target};

const WINDOW: Duration = Duration::from_millis(250);
/// Longer than the window: another's request that writes needs its time too, up to a second.
const SETTLED: Duration = Duration::from_millis(1250);
/// Nobody waits longer for that, however slow the registry was once.
const LONGEST: Duration = Duration::from_secs(30);
/// So often it is written. Among twenty who begin at once, each is done after a few.
const ATTEMPTS: u32 = 30;
/// So often in a row the registry may take what is written for damaged.
const REFUSALS: u32 = 3;
/// So many tags are looked at at once.
const AT_ONCE: usize = 6;

/// What is to stand under a tag: a manifest, and the blobs that it newly names.
pub type Amended = (Vec<Bytes>, Manifest);

type Change<'a, E> = Box<dyn Fn(Option<Manifest>) -> Result<Option<Amended>, E> + Send + Sync + 'a>;

/// A change of what stands under a tag.
pub struct Amendment<'a, E> {
    tag: Tag,
    change: Change<'a, E>,
    sent: HashSet<Digest>,
    /// How often in a row the registry took it for damaged.
    refusals: u32,
    /// Whether the last look left it as it should be, so that the next one tells whether it stays.
    settles: bool,
}

impl<'a, E> Amendment<'a, E> {
    /// `change` is given what stands there now, and says what should, or nothing where that is so already.
    pub fn new(
        tag: Tag,
        change: impl Fn(Option<Manifest>) -> Result<Option<Amended>, E> + Send + Sync + 'a,
    ) -> Self {
        Self { tag, change: Box::new(change), sent: HashSet::new(), refusals: 0, settles: false }
    }
}

/// Changes that were written and may yet be overwritten, by who had read before.
#[must_use = "what was written may yet be lost"]
pub struct Settling<'a, E> {
    writer: &'a Writer,
    repository: &'a Repository,
    unsettled: Vec<Amendment<'a, E>>,
    pace: Pace,
    /// When to look again.
    at: Instant,
}

/// What a registry was seen to need. Others who write there may need as long.
#[derive(Clone, Copy, Default)]
struct Pace {
    /// The fastest answer to a question: none comes sooner.
    read: Option<Duration>,
    /// The slowest answer to what was written.
    write: Duration,
}

impl Pace {
    /// For how long what was read may be written back. Who reads once late has to read anew; where it never goes
    /// faster that would never end.
    fn window(self) -> Duration {
        self.read.map_or(WINDOW, |read| WINDOW.max(read * 2))
    }

    /// When all who had read before have written, be they three times as slow as we: their windows are longer, too.
    fn settled(self) -> Duration {
        let window = self.read.map_or(WINDOW, |read| WINDOW.max(read * 6));
        SETTLED.max(window + self.write * 3).min(LONGEST)
    }
}

/// What came of a look at one tag.
struct Looked<'a, E> {
    /// What is not known to be there to stay.
    left: Option<Amendment<'a, E>>,
    read: Duration,
    /// Nothing where nothing was written.
    write: Duration,
    /// What the registry asks to wait.
    pause: Duration,
}

/// What came of a request that writes.
enum Put {
    Done,
    /// What was read is too old by now.
    Late,
    /// It may fare better after a pause. It may have been written all the same.
    Failed(Error, Duration),
}

impl Writer {
    /// Changes what stands under tags, all of which settle at the same time.
    ///
    /// # Errors
    /// [`Error`], and those of the changes.
    pub async fn amend<'a, E: From<Error>>(
        &'a self,
        repository: &'a Repository,
        amendments: Vec<Amendment<'a, E>>,
    ) -> Result<Settling<'a, E>, E> {
        let mut settling = Settling {
            writer: self,
            repository,
            unsettled: amendments,
            pace: Pace::default(),
            at: Instant::now(),
        };
        settling.look().await?;
        Ok(settling)
    }

    /// Writes a manifest by then, or not at all.
    async fn put_until(
        &self,
        repository: &Repository,
        target: &Target,
        manifest: &Manifest,
        until: Instant,
    ) -> Result<Put, Error> {
        let request = self.put(repository, target, manifest)?;
        match self.home.change_once(&Scope::push(repository), &request, until).await {
            Ok(Some(response)) => is_listed(&response, manifest).map(|_| Put::Done),
            Ok(None) => Ok(Put::Late),
            Err((error, Some(pause))) => Ok(Put::Failed(error, pause)),
            Err((error, None)) => Err(error),
        }
    }
}

impl<'a, E: From<Error>> Settling<'a, E> {
    /// Waits, looks again and adds what is missing, until all of it is there to stay.
    ///
    /// # Errors
    /// [`Error`], and those of the changes.
    pub async fn settled(self) -> Result<(), E> {
        self.settled_within(ATTEMPTS).await
    }

    async fn settled_within(mut self, attempts: u32) -> Result<(), E> {
        for _ in 1..attempts {
            sleep_until(self.at).await;
            self.look().await?;
            // Those who overwrote each other do not meet again.
            self.at += self.pace.settled().mul_f64(fastrand::f64());
            if self.unsettled.is_empty() {
                return Ok(());
            }
        }
        let tags: Vec<_> = self.unsettled.iter().map(|amendment| amendment.tag.as_str()).collect();
        let why = format!(
            "others overwrite {} again and again, or it is now fast and now too slow to write in time",
            tags.join(", ")
        );
        Err(Error::Unavailable(why).into())
    }

    /// Looks at each tag, and writes what is missing there. What is there now has to settle.
    async fn look(&mut self) -> Result<(), E> {
        let amendments = std::mem::take(&mut self.unsettled);
        let this = &*self;
        let looking: Vec<_> = amendments.into_iter().map(|amendment| this.written(amendment)).collect();
        let looked: Vec<_> = stream::iter(looking).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut pause = Duration::ZERO;
        for Looked { left, read, write, pause: asked } in looked {
            self.pace.read = Some(self.pace.read.map_or(read, |fastest| fastest.min(read)));
            self.pace.write = self.pace.write.max(write);
            pause = pause.max(asked);
            self.unsettled.extend(left);
        }
        if self.unsettled.iter().any(|amendment| amendment.settles) {
            pause = pause.max(self.pace.settled());
        }
        self.at = Instant::now() + pause;
        Ok(())
    }

    /// Looks at one tag. What is found there was there before only at a second look: somebody may just have written it.
    async fn written(&self, mut amendment: Amendment<'a, E>) -> Result<Looked<'a, E>, E> {
        let (start, target) = (Instant::now(), Target::Tag(amendment.tag.clone()));
        let present = self.writer.manifest(self.repository, &target).await?.map(parsed).transpose()?;
        let (read, nothing) = (start.elapsed(), Duration::ZERO);
        let Some((blobs, manifest)) = (amendment.change)(present)? else {
            let is_settled = std::mem::replace(&mut amendment.settles, true);
            let left = (!is_settled).then_some(amendment);
            return Ok(Looked { left, read, write: nothing, pause: nothing });
        };
        for blob in &blobs {
            if amendment.sent.insert(Digest::sha256(blob)) {
                self.writer.put_bytes(self.repository, blob).await?;
            }
        }
        let (until, begun) = (start + self.pace.window(), Instant::now());
        let put = self.writer.put_until(self.repository, &target, &manifest, until).await?;
        amendment.settles = !matches!(put, Put::Late);
        amendment.refusals =
            if matches!(put, Put::Failed(Error::Refused { .. }, _)) { amendment.refusals + 1 } else { 0 };
        let (write, pause) = match put {
            Put::Done => (begun.elapsed(), nothing),
            Put::Late => (nothing, nothing),
            Put::Failed(why, _) if amendment.refusals == REFUSALS => return Err(why.into()),
            // Took as long as we wait, not as the registry needs.
            Put::Failed(_, pause) => (nothing, pause),
        };
        Ok(Looked { left: Some(amendment), read, write, pause })
    }
}

fn parsed(bytes: Bytes) -> Result<Manifest, Error> {
    Manifest::parse(bytes, Algorithm::Sha256).map_err(|why| Error::nonsense(&why.to_string()))
}

/// Sees to it that all of the `referrers` are in the list of what refers to `subject`.
pub(super) fn list<'a, E: From<Error>>(subject: &Digest, referrers: Vec<&'a Manifest>) -> Amendment<'a, E> {
    Amendment::new(Tag::about(subject, ""), move |present| Ok(with(present, &referrers)?))
}

/// The list with the referrers, or nothing where they are in it.
fn with(present: Option<Manifest>, referrers: &[&Manifest]) -> Result<Option<Amended>, Error> {
    let nonsense = |why: &dyn std::fmt::Display| Error::nonsense(&why.to_string());
    let is_listed = |referrer: &Manifest| {
        let listed = present.iter().flat_map(|index| index.manifests());
        listed.into_iter().any(|entry| entry.digest == *referrer.digest())
    };
    let missing: Vec<&&Manifest> = referrers.iter().filter(|referrer| !is_listed(referrer)).collect();
    let mut list = match &present {
        None => json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}),
        Some(index) if index.kind() != Kind::Index => {
            return Err(Error::nonsense("its list of referrers is not an index"));
        }
        Some(_) if missing.is_empty() => return Ok(None),
        // As it stands, with what we know nothing of.
        Some(index) => serde_json::from_slice(index.bytes()).map_err(|why| nonsense(&why))?,
    };
    for referrer in missing {
        let mut entry = referrer.descriptor().clone();
        entry.annotations.clone_from(referrer.annotations());
        let entry = serde_json::to_value(entry).map_err(|why| nonsense(&why))?;
        match list.get_mut("manifests") {
            Some(Value::Array(entries)) => entries.push(entry),
            // As Go writes an empty list.
            _ => list["manifests"] = json!([entry]),
        }
    }
    Ok(Some((Vec::new(), parsed(list.to_string().into())?)))
}

#[cfg(test)]
mod tests;
