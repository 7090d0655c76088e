//! Decides what may be served and gives leave for it: finds signatures, has them verified, asks
//! the policy, keeps the decision and what it unlocks. The one door between content and `http`.

mod admitted;
mod at_hand;
mod attestations;
mod climb;
mod collection;
mod countersign;
mod discovery;
mod elsewhere;
mod gate;
mod gathering;
mod judge;
mod kept;
mod links;
mod memory;
mod reach;
mod referrers;
mod refusal;
mod request;
mod retire;
mod sweep;
mod uses;

#[cfg(test)]
mod tests;

pub use admitted::{Admitted, Content, Unlocks};
pub use at_hand::Hit;
pub use countersign::CounterSigners;
pub use discovery::Bounds;
pub use gate::{Gate, Parts, Referrers};
pub use memory::Memory;
pub use refusal::{Refusal, Trouble, Unknown};

// `http` streams blobs and lists tags without knowing where they come from.
pub use crate::cache::{Blob, BlobReader, Outlet, Room, Source};
pub use crate::upstream::TagPage;

use std::time::Duration;

/// Evaluations of one upstream's content at once, from what is kept and, apart, by asking: a slow
/// upstream holds up no other, and nothing that is kept.
const MAX_EVALUATIONS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(30);
/// A clock that goes back further than this cannot be decided by.
const MAX_CLOCK_SETBACK: Duration = Duration::from_secs(5 * 60);
