//! Pulls references as a client would, so that they are there when one comes.

use std::collections::HashSet;

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::pulling::{Course, Outcome, Platform, Pulled, pull_listing};
use super::{Progress, Tell, told};
use crate::engine::{Engine, State};
use crate::oci::Digest;
use crate::store::{Error, Store};

/// A reference, and the content that belongs to it.
type Listed = (String, HashSet<Digest>);

/// What is to be pulled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prefetch {
    /// Tags or digests, by their source names.
    pub references: Vec<String>,
    /// Of an index only what runs on this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// So many references at once.
    #[serde(default = "four")]
    pub at_once: usize,
}

fn four() -> usize {
    4
}

pub(super) async fn run(
    prefetch: Prefetch,
    state: &State,
    engine: &Engine,
    tell: &Tell,
) -> Result<(), String> {
    let Prefetch { references, platform, at_once } = prefetch;
    let store = state.memory.store();
    let failures = store.sync_failures();
    let course = &Course::prefetch(engine.gate(), store, platform.as_slice());
    let pulls = references.into_iter().map(|reference| pull_listing(course, reference));
    let mut pulls = stream::iter(pulls).buffer_unordered(at_once.clamp(1, 64));
    let mut kept = Vec::new();
    while let Some((pulled, content)) = pulls.next().await {
        if pulled.outcome == Outcome::Kept {
            kept.push((pulled.reference.clone(), content));
        }
        told(tell, Progress::Pulled(pulled)).await?;
    }
    // What was told as kept must be here after a loss of power.
    store.settled_since(failures).await.map_err(|e| e.to_string())?;
    for pulled in evicted(store, kept).await? {
        told(tell, Progress::Pulled(pulled)).await?;
    }
    Ok(())
}

/// Of what was told as kept, what is whole no more: a list that is larger than the store evicts with its end
/// what its beginning brought.
async fn evicted(store: &Store, kept: Vec<Listed>) -> Result<Vec<Pulled>, String> {
    let store = store.clone();
    let look = move || {
        let mut evicted = Vec::new();
        for (reference, content) in kept {
            let gone = content.iter().map(|digest| store.size_now(digest));
            let gone = gone.filter(|size| !matches!(size, Ok(Some(_)))).collect::<Result<Vec<_>, Error>>()?;
            if !gone.is_empty() {
                let (gone, all, limit) = (gone.len(), content.len(), store.sizes().limit);
                let why = format!(
                    "{gone} of its {all} manifests and blobs were evicted again for what came after them: the \
                     store has no room for the whole list; raise store.max_size ({limit} bytes) or prefetch less"
                );
                evicted.push(Pulled::troubled(reference, why));
            }
        }
        Ok(evicted)
    };
    let looked = tokio::task::spawn_blocking(look).await.map_err(|e| e.to_string())?;
    looked.map_err(|e: Error| e.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::config::{self, Settings};
    use crate::engine::Unmatched;

    fn settings(folder: &Path) -> Settings {
        config::parse("store: { path: store }", &folder.join("portcullis.yaml")).unwrap()
    }

    async fn opened(folder: &Path) -> Arc<State> {
        State::open(&settings(folder), Clock::system(), Unmatched::Refused).await.unwrap()
    }

    /// Content is told as kept before its record is written. The copy is what a loss of power leaves.
    #[tokio::test]
    async fn what_was_told_as_kept_is_durable_at_the_end() {
        let [folder, copy] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let state = opened(folder.path()).await;
        let engine = Engine::build(settings(folder.path()), &state, None).unwrap();
        let (tell, _told) = tokio::sync::mpsc::channel(1);
        state.memory.store().records().table("pending").put("k", "v");
        let prefetch = Prefetch { references: Vec::new(), platform: None, at_once: 1 };
        run(prefetch, &state, &engine, &tell).await.unwrap();
        let records = |folder: &Path| folder.join("store/records.redb");
        std::fs::create_dir_all(copy.path().join("store")).unwrap();
        std::fs::copy(records(folder.path()), records(copy.path())).unwrap();
        let kept = opened(copy.path()).await.memory.store().records().table("pending").get(b"k").await;
        assert!(kept.unwrap().is_some());
    }
}
