//! Faults of the wire: an upstream that breaks off, resets, stalls, drips, lies and talks nonsense at
//! every point of an answer. Whatever it does, no wrong byte is served as right, nobody hangs, and
//! nothing is left behind.

#[path = "faults/bodies.rs"]
mod bodies;
#[path = "faults/clocks.rs"]
mod clocks;
#[path = "faults/crashes.rs"]
mod crashes;
#[path = "faults/crowds.rs"]
mod crowds;
#[path = "faults/heads.rs"]
mod heads;
#[path = "faults/known.rs"]
mod known;
#[path = "faults/stand.rs"]
mod stand;
#[path = "faults/wire.rs"]
mod wire;

pub use stand::noise;
