//! Takes in what was carried here: an engine with this side's own policies and trust, whose upstreams are what was
//! carried, pulls it through its gate into the same store. What was carried vouches for nothing.

mod moved;
mod opening;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::contents::Standing;
use super::pulling::{Course, Outcome, Pulled, pull_named};
use super::{Platform, Progress, Tell, count, told};
use crate::cache::Freshness;
use crate::engine::{Engine, State};
use crate::oci::{Digest, Reference, Repository};
use crate::trust::revocation::Brought;
use crate::upstream::{self, Carried, CarriedSource};
use crate::x509::PublicKey;
use moved::Moved;
use opening::Opened;

const HAS_NOTHING: &str = "nothing that was given names an image, so that none is taken in: look at what the export said, \
     and at what is passed over; what other tools name by a tag alone needs its repository";

/// What is to be taken in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Import {
    /// Folders and archives, whole layouts or pieces of them.
    pub paths: Vec<PathBuf>,
    /// Public keys (PEM), one of which must have signed the contents. Without any, nobody need have. Where the
    /// configuration has some, those count and these do not.
    pub trusted_keys: Vec<String>,
    /// The repository of entries that are named by a tag alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// Whether names go back to what older contents say.
    #[serde(default)]
    pub older: bool,
    /// So many references at once.
    pub at_once: usize,
}

/// A layout that was carried here, before anything of it is taken in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Where its index is.
    pub path: PathBuf,
    /// Who made it.
    #[serde(flatten)]
    pub standing: Standing,
    /// When, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
    /// The contents that it builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Digest>,
    /// How many references it names.
    pub references: usize,
    /// Why nothing of it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// How many artifacts of it, which no name leads to, are not what their digests say or cannot be read. Somebody or
    /// something damaged what was carried.
    #[serde(default)]
    pub damaged: usize,
    /// How many answers of revocation servers cannot be read, are something else, or have no room. A revocation may be
    /// missed: what they are about cannot be judged.
    #[serde(default)]
    pub answers_lost: usize,
    /// Pieces of which content is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_pieces: Vec<u32>,
    /// What is in it and of no use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<String>,
}

/// A reference on its way in.
struct Wanted {
    reference: Reference,
    digest: Digest,
    platforms: Arc<[Platform]>,
    /// When the contents that list it were made, and whether somebody trusted says so.
    made: Option<SystemTime>,
    trusted: bool,
}

impl Layout {
    /// Whether something of it was damaged or left behind, whatever became of its references.
    pub fn is_damaged(&self) -> bool {
        self.broken.is_some() || self.damaged > 0 || self.answers_lost > 0
    }

    fn warn(&self) {
        let (path, damaged, answers_lost) = (self.path.display(), self.damaged, self.answers_lost);
        if let Some(why) = &self.broken {
            tracing::warn!(layout = %path, %why, "nothing of what was carried here can be read");
        } else if damaged > 0 {
            tracing::warn!(layout = %path, damaged, "artifacts were damaged on the way here");
        }
        if answers_lost > 0 {
            tracing::warn!(layout = %path, answers_lost, "revocation data that was carried here is passed over");
        }
    }
}

pub(super) async fn run(
    import: Import,
    state: &Arc<State>,
    engine: &Engine,
    tell: &Tell,
) -> Result<(), String> {
    let (paths, now) = (import.paths, state.clock.now());
    let failures = state.memory.store().sync_failures();
    let keys = keys(&import.trusted_keys, engine)?;
    let opening = move || Opened::open(&paths, import.repository, &keys, now);
    let opened = tokio::task::spawn_blocking(opening).await.map_err(|e| e.to_string())??;
    let has_nothing = opened.wanted.is_empty() && opened.refused.is_empty() && opened.brought.is_empty();
    for layout in opened.layouts {
        layout.warn();
        told(tell, Progress::Layout(layout)).await?;
    }
    for refused in opened.refused {
        report(refused, state, tell).await?;
    }
    let carried = Arc::new(opened.carried);
    let own = Arc::new(inward(engine, state, &carried, opened.brought)?);
    // A revocation closes what is here already, whether or not that is named again.
    own.gate().refresh_revocations().await;
    let pulls = opened.wanted.into_iter().map(|wanted| {
        let (own, carried) = (Arc::clone(&own), Arc::clone(&carried));
        async move {
            let pulled = bring(&own, state, &wanted, import.older).await;
            report(inspected(pulled, &wanted, carried, state).await, state, tell).await
        }
    });
    let mut pulls = stream::iter(pulls).buffer_unordered(import.at_once.clamp(1, 64));
    while let Some(told) = pulls.next().await {
        told?;
    }
    // What is said to be here must be here after a loss of power.
    state.memory.store().settled_since(failures).await.map_err(|e| e.to_string())?;
    if has_nothing {
        return Err(HAS_NOTHING.to_owned());
    }
    Ok(())
}

/// The keys of the configuration bind whoever imports; only where there are none may others be named.
fn keys(named: &[String], engine: &Engine) -> Result<Vec<PublicKey>, String> {
    if !engine.import_keys.is_empty() {
        return Ok(engine.import_keys.clone());
    }
    let keys = named.iter().map(|pem| PublicKey::from_pem(pem.as_bytes()));
    keys.collect::<Result<_, _>>().map_err(|e| format!("trusted key: {e}"))
}

/// The engine that takes in: all as in the one that serves, but for where content and revocations come from. What is
/// known already is never taken for what was carried.
fn inward(
    engine: &Engine,
    state: &Arc<State>,
    carried: &Arc<Carried>,
    brought: Brought,
) -> Result<Engine, String> {
    let mut settings = engine.settings().clone();
    let carried = CarriedSource::from(Arc::clone(carried));
    for upstream in settings.upstreams.values_mut() {
        let (default, carried) = (upstream.default, Some(carried.clone()));
        *upstream = upstream::Settings { default, carried, ..upstream::Settings::default() };
    }
    settings.trust.brought = Some(brought);
    settings.freshness = Freshness {
        tag_ttl: Duration::ZERO,
        referrers_ttl: Duration::ZERO,
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
        negative_ttl: Duration::ZERO,
    };
    Engine::build(settings, state, None).map_err(|e| e.to_string())
}

async fn bring(engine: &Engine, state: &State, wanted: &Wanted, older: bool) -> Pulled {
    let (store, name) = (state.memory.store(), wanted.reference.to_string());
    let moved = Moved::open(store);
    match moved.holds(wanted).await {
        Ok(Some(why)) if !older => return Pulled::refused(name, why),
        Ok(_) => {}
        Err(why) => return Pulled::troubled(name, why),
    }
    let course = Course::import(engine.gate(), store, &wanted.platforms);
    let pulled = pull_named(&course, &wanted.reference, &wanted.digest).await;
    if pulled.outcome != Outcome::Kept {
        return pulled;
    }
    match moved.note(wanted).await {
        Ok(()) => pulled,
        Err(why) => Pulled::troubled(name, why),
    }
}

/// With what was damaged of a reference that is not taken in: it was not read, or not all of it, and may be admitted
/// another day.
async fn inspected(pulled: Pulled, wanted: &Wanted, carried: Arc<Carried>, state: &State) -> Pulled {
    if pulled.outcome == Outcome::Kept {
        return pulled;
    }
    let (store, repository, digest) =
        (state.memory.store().clone(), wanted.reference.repository.clone(), wanted.digest);
    let is_kept = move |blob: &Digest| matches!(store.size_now(blob), Ok(Some(_)));
    // Held by whoever waits for it: reading goes on for nobody.
    let waiting = Arc::new(());
    let waited_for = Arc::downgrade(&waiting);
    let look = move || carried.damage(&repository, &digest, is_kept, || waited_for.strong_count() > 0);
    let damaged = tokio::task::spawn_blocking(look).await.unwrap_or_else(|e| vec![e.to_string()]);
    drop(waiting);
    // Trouble is told once.
    let is_told = |why: &String| pulled.reason.as_ref().is_some_and(|reason| reason.contains(why));
    let damaged = damaged.into_iter().filter(|why| !is_told(why)).collect();
    Pulled { damaged, ..pulled }
}

async fn report(pulled: Pulled, state: &State, tell: &Tell) -> Result<(), String> {
    count(state, "import", &pulled);
    if let Some(why) = pulled.reason.as_ref() {
        let damaged = pulled.damaged.len();
        tracing::warn!(reference = %pulled.reference, %why, damaged, "what was carried here is not taken in");
    }
    told(tell, Progress::Pulled(pulled)).await
}
