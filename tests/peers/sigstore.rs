//! Sigstore with its own tools beside: what cosign 2 and 3 sign against a private Fulcio, timestamp authority and
//! two logs, pulled through the proxy from real registries, moved, cut off and forged.

mod attested;
mod bundles;
mod forged;
mod gate;
mod island;
mod moved;
mod pulled;
mod services;
mod ways;
