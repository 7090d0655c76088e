//! The front door: listeners, routing, answers. Content comes from `admission` alone.

pub mod route;
