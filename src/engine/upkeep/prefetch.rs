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
