//! Notary Project with its own tool beside: what notation signs and how it judges, openssl as certificate
//! authority, OCSP responder and timestamp authority, all on loopback.

mod crafted;
mod gate;
mod island;
pub mod pki;
mod policies;
mod revocation;
mod timestamps;
pub mod tool;
mod verdicts;
