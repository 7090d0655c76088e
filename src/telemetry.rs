//! Metrics, logs, and text from outside made safe to show. Knows nothing of what it counts.

pub mod logs;
pub mod metrics;
pub mod untrusted;

pub use metrics::Metrics;
pub use untrusted::Untrusted;
