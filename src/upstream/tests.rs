//! Upstreams against a scripted server: each rule is broken once and must be seen to hold.

mod blobs;
mod limits;
mod listings;
mod logins;
mod mirrors;
mod redirects;
mod server;
mod told;
mod transport;
mod trouble;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Settings, Upstream};
use crate::egress;
use crate::oci::{Descriptor, Digest, Registry, Repository, Tag, Target};
use crate::setting::SettingError;
use crate::telemetry::Metrics;

const MANIFEST: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

/// An upstream named `r.test` with these settings, in an empty environment.
fn upstream(settings: Value) -> Arc<Upstream> {
    try_upstream(settings).unwrap()
}

fn try_upstream(settings: Value) -> Result<Arc<Upstream>, SettingError> {
    in_environment(&[], settings)
}

fn in_environment(environment: &[(&str, String)], settings: Value) -> Result<Arc<Upstream>, SettingError> {
    let settings: Settings = serde_json::from_value(settings).unwrap();
    let look_up = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone());
    let (egress, metrics) = (egress::Settings::default(), Metrics::new());
    Upstream::build_in(&look_up, registry(), &settings, &egress, &metrics, None)
}

fn registry() -> Registry {
    Registry::parse("r.test").unwrap()
}

fn repository(path: &str) -> Repository {
    Repository::new(registry(), path).unwrap()
}

fn tag(text: &str) -> Target {
    Target::Tag(Tag::parse(text).unwrap())
}

fn digest() -> Digest {
    Digest::sha256(b"content")
}

/// Content as large as what waits for its turn.
fn layer() -> Descriptor {
    Descriptor::new("application/octet-stream", digest(), 64 << 20)
}

/// What most tests do to see whether a question is answered.
async fn pull(upstream: &Upstream) -> Result<bytes::Bytes, super::Error> {
    upstream.manifest(&repository("team/app"), &tag("v1")).await
}

fn short() -> Value {
    json!({"connect": "2s", "headers": "300ms", "idle": "300ms"})
}
