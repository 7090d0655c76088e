//! The front door: listeners, routing, answers. Content comes from `admission` alone.

mod accept;
mod range;
pub mod route;
