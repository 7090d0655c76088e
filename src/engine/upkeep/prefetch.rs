//! Pulls references as a client would, so that they are there when one comes.

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::pulling::{Course, Platform, pull};
use super::{Progress, Tell, told};
use crate::engine::{Engine, State};

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
    let course = &Course::prefetch(engine.gate(), state.memory.store(), platform.as_slice());
    let pulls = references
        .into_iter()
        .map(|reference| async move { told(tell, Progress::Pulled(pull(course, reference).await)).await });
    let mut pulls = stream::iter(pulls).buffer_unordered(at_once.clamp(1, 64));
    while let Some(told) = pulls.next().await {
        told?;
    }
    Ok(())
}
