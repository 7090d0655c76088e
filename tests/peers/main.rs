//! The built program between real registries, real signing tools and real clients.
//!
//! Every test is ignored unless asked for, since it needs programs that `.ci/peers.sh` installs and,
//! for containerd, dockerd and full disks, root: `.ci/peers.sh && cargo test --test peers -- --ignored`.
//! Everything runs on loopback, on free ports, in a folder that goes away with the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod content;
mod namespace;
mod notary;
mod process;
mod proxy;
mod signing;
mod sigstore;
mod stand;
mod upstream;

mod carry;
mod containerd;
mod crane;
mod disk;
mod docker;
mod elsewhere;
mod helm;
mod keys;
mod made;
mod oras;
mod podman;
mod promote;
mod signers;
mod skopeo;
mod tampering;
mod verify;
