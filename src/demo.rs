//! The demo: registries in memory with content that was signed on the spot. Also the tests' fake.

mod archive;
pub mod client;
pub mod package;
pub mod registry;
pub mod signing;

pub use package::Package;
pub use registry::{Fault, Registry};
