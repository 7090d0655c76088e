//! What came of pulling a reference.

use serde::{Deserialize, Serialize};

use super::Platform;
use crate::oci::Digest;

/// What came of one reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pulled {
    /// As it was asked for.
    pub reference: String,
    /// Whether it is there now.
    pub outcome: Outcome,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Manifests that were pulled for it.
    pub manifests: u64,
    /// Bytes that came from the upstream for its configs and layers.
    pub bytes: u64,
    /// What below it was refused; the others are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// What of it was damaged or lost on its way here, where nobody had reason to read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

/// A manifest below a reference that was refused, or something of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// Which.
    pub digest: Digest,
    /// What it runs on, where its index says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Why.
    pub reason: String,
}

/// Whether content is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All of it.
    Kept,
    /// The policy says no, or there is no such thing.
    Refused,
    /// It could not be found out or fetched.
    Trouble,
}

impl Outcome {
    /// The label in metrics.
    pub(in crate::engine::upkeep) const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Refused => "refused",
            Self::Trouble => "trouble",
        }
    }
}

impl Pulled {
    /// It is not looked at further.
    pub(in crate::engine::upkeep) fn refused(reference: String, why: String) -> Self {
        Self { reason: Some(why), ..Self::nothing(reference, Outcome::Refused) }
    }

    /// Nobody can tell.
    pub(in crate::engine::upkeep) fn troubled(reference: String, why: String) -> Self {
        Self { reason: Some(why), ..Self::nothing(reference, Outcome::Trouble) }
    }

    /// Nothing came of it yet.
    pub(in crate::engine::upkeep) fn nothing(reference: String, outcome: Outcome) -> Self {
        Self {
            reference,
            outcome,
            reason: None,
            manifests: 0,
            bytes: 0,
            refused: Vec::new(),
            damaged: Vec::new(),
        }
    }
}
