//! The only HTTP client: TLS, timeouts, size limits, redirects, proxies, and the rules on which
//! addresses may be connected to. Knows nothing of registries.

mod settings;

pub use settings::{Revocation, Settings};
