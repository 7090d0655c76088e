//! What is counted about an upstream.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::egress;
use crate::oci::Registry;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{
    Histogram, NO_ANSWER, OfRegistry, UpstreamDuration, UpstreamRequest, status,
};

/// Counts for one upstream.
#[derive(Debug)]
pub(super) struct Meter {
    registry: Registry,
    metrics: Arc<Metrics>,
    duration: Histogram,
}

impl Meter {
    /// What finds no answer is counted from zero.
    pub(super) fn new(registry: Registry, metrics: Arc<Metrics>) -> Self {
        for code in NO_ANSWER {
            let labels = UpstreamRequest { registry: registry.as_str(), code };
            metrics.upstream_requests.at(labels);
            metrics.token_requests.at(labels);
        }
        let duration = metrics.upstream_duration.at(UpstreamDuration { registry: registry.as_str() });
        Self { registry, metrics, duration }
    }

    /// Whose requests are counted.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// One exchange with the registry: how long its head took, and what became of it.
    pub(super) fn count(&self, took: Duration, result: &Result<egress::Response, egress::Error>) {
        self.metrics.upstream_requests.at(self.labels(result)).inc();
        self.duration.observe(took.as_secs_f64());
        if let Some(left) = result.as_ref().ok().and_then(|response| remaining(&response.headers)) {
            let labels = OfRegistry { registry: self.registry.as_str() };
            self.metrics.upstream_rate_limit_remaining.at(labels).set(left);
        }
    }

    /// One exchange with its token server.
    pub(super) fn count_token(&self, result: &Result<egress::Response, egress::Error>) {
        self.metrics.token_requests.at(self.labels(result)).inc();
    }

    fn labels(&self, result: &Result<egress::Response, egress::Error>) -> UpstreamRequest<'_> {
        let code = match result {
            Ok(response) => status(response.status.as_u16()),
            Err(error) => error.kind(),
        };
        UpstreamRequest { registry: self.registry.as_str(), code }
    }
}

/// Docker Hub's `ratelimit-remaining: 97;w=21600`.
fn remaining(headers: &HeaderMap) -> Option<i64> {
    let value = headers.get("ratelimit-remaining")?.to_str().ok()?;
    value.split(';').next()?.trim().parse().ok().filter(|left| *left >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hubs_rate_limit_is_read() {
        let left = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("ratelimit-remaining", value.parse().unwrap());
            remaining(&headers)
        };
        assert_eq!(left("97;w=21600"), Some(97));
        assert_eq!(left("0"), Some(0));
        assert_eq!(left("-5;w=1"), None);
        assert_eq!(left("many"), None);
    }
}
