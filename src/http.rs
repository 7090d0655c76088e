//! The front door: listeners, routing, answers. Content comes from `admission` alone.

mod accept;
mod admin;
mod front;
mod meters;
mod range;
mod registry;
mod reply;
pub mod route;
mod server;

pub use server::{BindError, Server};
