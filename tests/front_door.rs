//! The proxy through its front door: real configuration, engine and listeners on loopback, upstreams
//! in memory that are honest or not. Each security check has a test here that fails without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "front_door/audit.rs"]
mod audit;
#[path = "front_door/carry.rs"]
mod carry;
#[path = "front_door/check.rs"]
mod check;
#[path = "front_door/cluster_image_policy.rs"]
mod cluster_image_policy;
#[path = "front_door/countersign.rs"]
mod countersign;
#[path = "front_door/countersign_keys.rs"]
mod countersign_keys;
#[path = "front_door/elsewhere.rs"]
mod elsewhere;
#[path = "front_door/faults.rs"]
mod faults;
#[path = "front_door/gate.rs"]
mod gate;
#[path = "front_door/links.rs"]
mod links;
#[path = "front_door/metrics.rs"]
mod metrics;
#[path = "front_door/modes.rs"]
mod modes;
#[path = "front_door/names.rs"]
mod names;
#[path = "front_door/nv2.rs"]
mod nv2;
#[path = "front_door/promote.rs"]
mod promote;
#[path = "front_door/protocol.rs"]
mod protocol;
#[path = "front_door/referrers.rs"]
mod referrers;
#[path = "front_door/reload.rs"]
mod reload;
#[path = "front_door/restart.rs"]
mod restart;
#[path = "front_door/revocation.rs"]
mod revocation;
#[path = "front_door/sent.rs"]
mod sent;
#[path = "front_door/serve.rs"]
mod serve;
#[path = "front_door/sign.rs"]
mod sign;
#[path = "front_door/sigstore.rs"]
mod sigstore;
#[path = "front_door/store.rs"]
mod store;
#[path = "front_door/test_proxy.rs"]
mod test_proxy;
#[path = "front_door/trouble.rs"]
mod trouble;
#[path = "front_door/trust.rs"]
mod trust;
#[path = "front_door/trust_anchors.rs"]
mod trust_anchors;
#[path = "front_door/verify.rs"]
mod verify;
#[path = "front_door/watch.rs"]
mod watch;
