//! Counters of requests, looked up when an engine is taken into use and not at each request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};

use super::reply::Served;
use super::route::{Endpoint, Route, RouteError};
use crate::oci::Registry;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{self, OTHER, Request, RequestDuration, SpreadCounter, SpreadHistogram};

/// Endpoints, as metrics tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Base,
    Manifest,
    Blob,
    Tags,
    Referrers,
    Other,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Base, Self::Manifest, Self::Blob, Self::Tags, Self::Referrers, Self::Other];

    pub(super) fn of(route: &Result<Route, RouteError>) -> Self {
        match route {
            Ok(Route::Base) => Self::Base,
            Ok(Route::Content(content)) => match content.endpoint {
                Endpoint::Manifest(_) => Self::Manifest,
                Endpoint::Blob(_) => Self::Blob,
                Endpoint::Tags { .. } => Self::Tags,
                Endpoint::Referrers { .. } => Self::Referrers,
            },
            Err(_) => Self::Other,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Other => OTHER,
        }
    }
}

const METHODS: [&str; 3] = ["GET", "HEAD", OTHER];

fn method_index(method: &Method) -> usize {
    METHODS.iter().position(|known| method == *known).unwrap_or(METHODS.len() - 1)
}

/// The statuses that this server answers with.
const STATUSES: [u16; 12] = [200, 206, 304, 400, 401, 403, 404, 405, 416, 429, 500, 503];

/// The meters of one engine's upstreams.
pub(super) struct Meters {
    /// A handful: comparing their names is faster than any map.
    registries: Vec<(Registry, RegistryMeters)>,
    none: RegistryMeters,
    durations: [SpreadHistogram; Kind::ALL.len()],
}

/// The meters of one upstream. A series begins when it is first counted.
pub(super) struct RegistryMeters {
    metrics: Arc<Metrics>,
    registry: String,
    requests: [[[OnceLock<SpreadCounter>; STATUSES.len()]; METHODS.len()]; Kind::ALL.len()],
    store: SpreadCounter,
    upstream: SpreadCounter,
}

impl Meters {
    pub(super) fn new<'a>(metrics: &Arc<Metrics>, registries: impl Iterator<Item = &'a Registry>) -> Self {
        Self {
            registries: registries
                .map(|registry| (registry.clone(), RegistryMeters::new(metrics, registry.as_str())))
                .collect(),
            none: RegistryMeters::new(metrics, OTHER),
            durations: Kind::ALL
                .map(|kind| metrics.request_duration.at(RequestDuration { kind: kind.label() })),
        }
    }

    pub(super) fn of(&self, registry: Option<&Registry>) -> &RegistryMeters {
        let own = self.registries.iter().find(|(known, _)| Some(known) == registry);
        own.map_or(&self.none, |(_, meters)| meters)
    }

    pub(super) fn observe(&self, kind: Kind, duration: Duration) {
        self.durations[kind as usize].observe(duration.as_secs_f64());
    }
}

impl RegistryMeters {
    fn new(metrics: &Arc<Metrics>, registry: &str) -> Self {
        let bytes = |source| metrics.bytes_served.at(metrics::Served { registry, source });
        Self {
            metrics: metrics.clone(),
            registry: registry.to_owned(),
            requests: Default::default(),
            store: bytes("store"),
            upstream: bytes("upstream"),
        }
    }

    pub(super) fn served(&self) -> Served<'_> {
        Served { store: &self.store, upstream: &self.upstream }
    }

    pub(super) fn count(&self, kind: Kind, method: &Method, status: StatusCode) {
        let method = method_index(method);
        let counter = |code: &'static str| {
            let labels =
                Request { registry: &self.registry, kind: kind.label(), method: METHODS[method], code };
            self.metrics.requests.at(labels)
        };
        let code = metrics::status(status.as_u16());
        match STATUSES.iter().position(|known| *known == status.as_u16()) {
            Some(at) => self.requests[kind as usize][method][at].get_or_init(|| counter(code)).inc(),
            None => counter(code).inc(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_registry_endpoint_method_and_status() {
        let metrics = Metrics::new();
        let hub = Registry::parse("docker.io").unwrap();
        metrics.know_registries([hub.as_str()]);
        let meters = Meters::new(&metrics, [&hub].into_iter());
        for _ in 0..2 {
            meters.of(Some(&hub)).count(Kind::Manifest, &Method::HEAD, StatusCode::OK);
        }
        meters.of(Some(&hub)).count(Kind::Blob, &Method::GET, StatusCode::IM_A_TEAPOT);
        let made_up = Registry::parse("made-up.example").unwrap();
        meters.of(Some(&made_up)).count(Kind::Other, &Method::PUT, StatusCode::METHOD_NOT_ALLOWED);
        meters.observe(Kind::Tags, Duration::from_secs(1));
        let text = metrics.render();
        for line in [
            r#"portcullis_requests_total{code="200",kind="manifest",method="HEAD",registry="docker.io"} 2"#,
            r#"portcullis_requests_total{code="4xx",kind="blob",method="GET",registry="docker.io"} 1"#,
            r#"portcullis_requests_total{code="405",kind="other",method="other",registry="other"} 1"#,
            r#"portcullis_request_duration_seconds_sum{kind="tags"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
