//! The only HTTP client: TLS, timeouts, size limits, redirects, proxies, and the rules on which
//! addresses may be connected to. Knows nothing of registries.

mod address;
mod body;
mod client;
mod connector;
mod error;
mod message;
mod origin;
mod outgoing;
mod proxy;
mod rules;
mod settings;
mod tcp;
mod tls;

pub use body::Body;
pub use client::{Authorities, Client, Options, Timeouts};
pub use error::Error;
pub use message::{Request, Response};
pub use origin::{HostPattern, Origin};
pub use outgoing::Pieces;
pub use proxy::Environment;
pub use settings::{Revocation, Settings};
