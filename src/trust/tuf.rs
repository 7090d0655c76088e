//! The Update Framework, as much of its client as one top-level target needs (TUF 1.0.34, section 5):
//! sigstore's `trusted_root.json`, renewed from a repository that is believed by nothing but signatures.
//! No delegations. Only the command line comes here; serving reads what this has written.

mod canonical;
mod error;
mod folder;
mod metadata;
mod repository;
mod role;
mod settings;
mod target;
mod trusted;
mod update;

#[cfg(test)]
mod tests;

pub use error::{Error, Refusal};
pub use role::Role;
pub use settings::Settings;
pub use target::{Anchor, TRUSTED_ROOT, anchors};
pub use update::{Order, Outcome, Versions, update};

/// Whether `next` is the root after `root`, by the keys of both.
///
/// # Errors
/// Why it is not, or why `root` is none.
pub fn follows(root: &[u8], next: &[u8]) -> Result<(), Refusal> {
    trusted::Trusted::anchored(root)?.advance("the next root", next)
}
