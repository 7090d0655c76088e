//! What an operator has done with the store: the same steps behind the admin listener of a running server and
//! in a process of their own. Each tells what it does as it goes on.

pub mod contents;
mod export;
mod gc;
mod import;
mod prefetch;
mod pulling;
mod stats;
mod verify;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{Engine, State};
use crate::oci::Digest;
use crate::telemetry::metrics::CarriedReference;

pub use contents::{Contents, Listed, Named, Sealed, Standing};
pub use export::{Export, Found};
pub use import::{Import, Layout};
pub use prefetch::Prefetch;
pub use pulling::{Outcome, Platform, Pulled, Refused};
pub use stats::Stats;

/// The header of a request by which a command says which opening of a store it means ([`State::opening`]).
pub const OPENING: &str = "portcullis-store-opening";

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Order {
    /// Read all content and compare it with its digests.
    Verify,
    /// Evict, retire, drop what leads nowhere.
    Gc {
        /// Rewrite the records' file, which keeps everybody waiting.
        compact: bool,
    },
    /// Pull references through the gate.
    Prefetch(Prefetch),
    /// Pull references through the gate, and tell of everything that belongs to them.
    Export(Export),
    /// Pull what was carried here through the gate.
    Import(Import),
}

/// What is told on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Progress {
    /// How far it is.
    Read {
        /// Bytes that were read.
        bytes: u64,
        /// Of about so many.
        of: u64,
    },
    /// Content that is not what its digest says. It was moved to the quarantine.
    Rotten {
        /// Whose content.
        digest: Digest,
        /// What was found.
        found: String,
    },
    /// A step of the collection.
    Freed {
        /// What of.
        what: String,
        /// How many.
        count: u64,
        /// How many bytes, where that is known.
        bytes: u64,
    },
    /// A reference that was pulled, or why not.
    Pulled(Pulled),
    /// Something of an export that is in the store now.
    Found(Found),
    /// What is known of a layout that was carried here.
    Layout(Layout),
    /// It ended before its time.
    Failed {
        /// Why.
        message: String,
    },
    /// It is done.
    Done,
}

/// Who is told. One who went away ends the work.
pub type Tell = mpsc::Sender<Progress>;

/// Does what was ordered, and tells of it to the end.
pub async fn run(order: Order, state: &Arc<State>, engine: &Arc<Engine>, tell: &Tell) {
    let done = match order {
        Order::Verify => verify::run(state, tell).await,
        Order::Gc { compact } => gc::run(state, compact, tell).await,
        Order::Prefetch(prefetch) => prefetch::run(prefetch, state, engine, tell).await,
        Order::Export(export) => export::run(export, state, engine, tell).await,
        Order::Import(import) => import::run(import, state, engine, tell).await,
    };
    let last = match done {
        Ok(()) => Progress::Done,
        Err(message) => Progress::Failed { message },
    };
    // Where nobody listens any more there is nobody to tell.
    let _ = tell.send(last).await;
}

/// Tells of one step; an error where nobody listens any more.
async fn told(tell: &Tell, progress: Progress) -> Result<(), String> {
    tell.send(progress).await.map_err(|_| "nobody waits for it any more".to_owned())
}

fn count(state: &State, direction: &str, pulled: &Pulled) {
    let outcome = pulled.outcome.as_str();
    state.metrics.carried_references.at(CarriedReference { direction, outcome }).inc();
}
