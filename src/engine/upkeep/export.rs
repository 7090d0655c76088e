//! Pulls references through the gate and tells of everything that belongs to them, for whoever writes it down:
//! only what is admitted is told of.

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::pulling::{Course, Platform, pull};
use super::{Progress, Tell, count, told};
use crate::engine::{Engine, State};
use crate::oci::Descriptor;
use crate::trust::revocation::Answer;

/// What is to leave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Export {
    /// Tags or digests, by their source names.
    pub references: Vec<String>,
    /// Of indexes only what runs on these; without any, everything.
    pub platforms: Vec<Platform>,
    /// So many references at once.
    pub at_once: usize,
}

/// Something that is in the store now. A name comes after everything that belongs to what it names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "found")]
pub enum Found {
    /// A manifest.
    Manifest {
        /// What it is.
        descriptor: Descriptor,
        /// Whether nothing but a layout's index leads to it.
        listed: bool,
        /// What it is called there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A config or layer.
    Blob {
        /// What it is.
        descriptor: Descriptor,
    },
    /// A list of what refers to a manifest, which was made for this (distribution-spec 1.1, "Referrers Tag Schema").
    List {
        /// What it is called in a layout's index.
        name: String,
        /// The list.
        json: String,
    },
    /// What decisions knew of revocations.
    Revocation {
        /// An answer of a revocation server.
        answer: Answer,
    },
}

pub(super) async fn run(export: Export, state: &State, engine: &Engine, tell: &Tell) -> Result<(), String> {
    let Export { references, platforms, at_once } = export;
    let course = &Course::export(engine.gate(), state.memory.store(), &platforms, tell);
    let pulls = references.into_iter().map(|reference| async move {
        let pulled = pull(course, reference).await;
        count(state, "export", &pulled);
        told(tell, Progress::Pulled(pulled)).await
    });
    let mut pulls = stream::iter(pulls).buffer_unordered(at_once.clamp(1, 64));
    while let Some(told) = pulls.next().await {
        told?;
    }
    for answer in engine.gate().revocation_answers().await? {
        told(tell, Progress::Found(Found::Revocation { answer })).await?;
    }
    Ok(())
}
