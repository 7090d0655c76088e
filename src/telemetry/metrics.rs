//! Every metric of the process, with the names that dashboards rely on (`portcullis_…`). No label
//! holds a repository, tag or digest: those are in the audit log.

mod families;
mod family;
mod maker;
mod process;
mod spread;

use std::sync::Arc;

use prometheus::TextEncoder;
use prometheus::core::{GenericCounter, GenericCounterVec};

pub use families::*;
pub use family::{OTHER, OptionalGauge};
pub use prometheus::{Histogram, IntCounter as Counter, IntGauge as Gauge};
pub use spread::SpreadHistogram;

use family::Registries;
use maker::Maker;
use spread::Spread;

/// A counter that every request raises.
pub type SpreadCounter = GenericCounter<Spread>;
type SpreadCounters = GenericCounterVec<Spread>;

/// All metric families. One value a process, handed to whoever counts; there are no globals.
#[derive(Debug)]
pub struct Metrics {
    /// `verifications_total`
    pub verifications: Verifications,
    /// `verification_duration_seconds`
    pub verification_duration: VerificationDurations,
    /// `would_deny_total`
    pub would_deny: WouldDenies,
    /// `counter_signatures_total`
    pub counter_signatures: CounterSignatures,
    /// `decision_cache_hits_total`: requests that a live decision answered.
    pub decision_cache_hits: SpreadCounter,
    /// `decision_cache_misses_total`: requests that had to be judged.
    pub decision_cache_misses: Counter,
    /// `exceptions_used_total`: requests served because an exception names their digest.
    pub exceptions_used: RegistryCounters,
    /// `requests_total`
    pub requests: Requests,
    /// `request_duration_seconds`
    pub request_duration: RequestDurations,
    /// `bytes_served_total`
    pub bytes_served: BytesServed,
    /// `connections`: client connections that are open.
    pub connections: Gauge,
    /// `upstream_requests_total`
    pub upstream_requests: UpstreamRequests,
    /// `token_requests_total`
    pub token_requests: UpstreamRequests,
    /// `upstream_duration_seconds`: time to an upstream's response head.
    pub upstream_duration: UpstreamDurations,
    /// `upstream_available`: 0 while an upstream is left alone and has not answered again, else 1.
    pub upstream_available: RegistryGauges,
    /// `upstream_rate_limit_remaining`: what the upstream said is left.
    pub upstream_rate_limit_remaining: RegistryGauges,
    /// `fetch_failures_total`
    pub fetch_failures: FetchFailures,
    /// `discovery_failures_total`: sources of signatures that failed.
    pub discovery_failures: RegistryCounters,
    /// `store_bytes`: size of what is kept.
    pub store_bytes: Gauge,
    /// `store_limit_bytes`: `store.max_size`.
    pub store_limit: Gauge,
    /// `store_held_bytes`: size of what may not be evicted.
    pub store_held_bytes: Gauge,
    /// `store_manifests`: manifests of which something is kept.
    pub store_manifests: Gauge,
    /// `store_retired_total`: manifests that were given up with all that was kept of them.
    pub store_retired: Counter,
    /// `store_evictions_total`: blobs removed for room.
    pub store_evictions: Counter,
    /// `store_corrupt_total`: stored content that no longer had its digest.
    pub store_corrupt: Counter,
    /// `store_scrub_bytes_total`: what was read to find rot.
    pub store_scrub_bytes: Counter,
    /// `store_scrub_timestamp_seconds`: when all content had last been read, 0 before.
    pub store_scrubbed: Gauge,
    /// `store_sync_failures_total`: small content that the disk would not make durable after it was kept.
    pub store_sync_failures: Counter,
    /// `store_record_failures_total`: attempts to make records durable that the disk refused.
    pub store_record_failures: Counter,
    /// `store_full_total`: content streamed without being kept, for want of room.
    pub store_full: Counter,
    /// `slow_readers_total`: content that passed through unkept, cut off because it was read too slowly.
    pub slow_readers: Counter,
    /// `certificate_expiry_timestamp_seconds`
    pub certificate_expiry: CertificateExpiries,
    /// `listener_certificate_expiry_timestamp_seconds`: when the first certificate of the clients' listener ends, 0
    /// without TLS.
    pub listener_certificate_expiry: Gauge,
    /// `listener_certificate_failures_total`: changed files of `listen.tls` that cannot be used.
    pub listener_certificate_failures: Counter,
    /// `revocation_requests_total`
    pub revocation_requests: RevocationRequests,
    /// `revocation_status_total`
    pub revocation_status: RevocationStatuses,
    /// `revocations_noted`: certificates that were seen revoked and are not restored.
    pub revocations_noted: Gauge,
    /// `revocation_data_expiry_timestamp_seconds`: when the first answer in use ends, 0 without any.
    pub revocation_data_expiry: Gauge,
    /// `trust_root_age_seconds`: since sigstore's trusted root was last known to be the current one.
    /// Shown where a signer rests on it.
    pub trust_root_age: OptionalGauge,
    /// `config_reloads_total`
    pub config_reloads: ConfigReloads,
    /// `config_last_reload_successful`: 0 while the file is not what is in use, else 1.
    pub config_successful: Gauge,
    /// `config_last_reload_success_timestamp_seconds`: when the configuration in use was taken into it.
    pub config_since: Gauge,
    /// `carried_references_total`
    pub carried_references: CarriedReferences,
    /// `audit_write_failures_total`: decisions that could not be recorded.
    pub audit_write_failures: Counter,

    known: Arc<Registries>,
    registry: prometheus::Registry,
}

impl Metrics {
    /// All families at zero.
    pub fn new() -> Arc<Self> {
        let make = Maker::default();
        make.build_info();
        make.process();
        let metrics = Self {
            verifications: make.verifications(),
            verification_duration: make.verification_duration(),
            would_deny: make.would_deny(),
            counter_signatures: make.counter_signatures(),
            decision_cache_hits: make
                .spread_counter("decision_cache_hits_total", "Requests that a live decision answered."),
            decision_cache_misses: make
                .counter("decision_cache_misses_total", "Requests that had to be judged."),
            exceptions_used: make.exceptions_used(),
            requests: make.requests(),
            request_duration: make.request_duration(),
            bytes_served: make.bytes_served(),
            connections: make.gauge("connections", "Client connections that are open."),
            upstream_requests: make.upstream_requests(),
            token_requests: make.token_requests(),
            upstream_duration: make.upstream_duration(),
            upstream_available: make.upstream_available(),
            upstream_rate_limit_remaining: make.upstream_rate_limit_remaining(),
            fetch_failures: make.fetch_failures(),
            discovery_failures: make.discovery_failures(),
            store_bytes: make.gauge("store_bytes", "Bytes of content that are kept."),
            store_limit: make.gauge("store_limit_bytes", "What the content's bytes are to stay below."),
            store_held_bytes: make.gauge(
                "store_held_bytes",
                "Bytes of content that goes only with the manifests that need it.",
            ),
            store_manifests: make.gauge("store_manifests", "Manifests of which something is kept."),
            store_retired: make
                .counter("store_retired_total", "Manifests given up with all that was kept of them."),
            store_evictions: make.counter("store_evictions_total", "Blobs removed to make room."),
            store_corrupt: make
                .counter("store_corrupt_total", "Stored content that no longer had its digest."),
            store_scrub_bytes: make
                .counter("store_scrub_bytes_total", "Bytes of stored content read to find what rotted."),
            store_scrubbed: make.gauge(
                "store_scrub_timestamp_seconds",
                "When all stored content had last been read and compared, in Unix seconds; 0 before.",
            ),
            store_sync_failures: make.counter(
                "store_sync_failures_total",
                "Small content that the disk would not make durable; it is fetched anew.",
            ),
            store_record_failures: make.counter(
                "store_record_failures_total",
                "Attempts to make records durable that the disk refused; they are made again each second.",
            ),
            store_full: make
                .counter("store_full_total", "Content streamed without being kept, for want of room."),
            slow_readers: make.counter(
                "slow_readers_total",
                "Answers with unkept content that were cut off, for it was read too slowly.",
            ),
            certificate_expiry: make.certificate_expiry(),
            listener_certificate_expiry: make.gauge(
                "listener_certificate_expiry_timestamp_seconds",
                "When the first certificate of the clients' listener ends, in Unix seconds; 0 without TLS.",
            ),
            listener_certificate_failures: make.counter(
                "listener_certificate_failures_total",
                "Changed files of listen.tls that cannot be used; the ones before stay in use.",
            ),
            revocation_requests: make.revocation_requests(),
            revocation_status: make.revocation_status(),
            revocations_noted: make
                .gauge("revocations_noted", "Certificates that were seen revoked and are not restored."),
            revocation_data_expiry: make.gauge(
                "revocation_data_expiry_timestamp_seconds",
                "When the first revocation answer in use ends, in Unix seconds; 0 without any.",
            ),
            trust_root_age: make.trust_root_age(),
            config_reloads: make.config_reloads(),
            config_successful: make.gauge(
                "config_last_reload_successful",
                "1, or 0 after a reload that failed: the configuration before goes on.",
            ),
            config_since: make.gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration in use was taken into it, in Unix seconds.",
            ),
            carried_references: make.carried_references(),
            audit_write_failures: make
                .counter("audit_write_failures_total", "Decisions that could not be recorded."),
            known: make.known,
            registry: make.registry,
        };
        metrics.begin();
        Arc::new(metrics)
    }

    /// Lets labels name these registries, the configured ones, whose failures are counted from zero. All
    /// others are `other`. To be called before anything that looks handles up is built.
    pub fn know_registries<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        for registry in names {
            self.known.know(registry);
            self.exceptions_used.at(InRegistry { registry });
            self.discovery_failures.at(InRegistry { registry });
            for reason in FETCH_FAILURES {
                self.fetch_failures.at(FetchFailure { registry, reason });
            }
        }
    }

    /// Counts from zero what comes of few kinds: a series that appeared with its first event would have no increase.
    fn begin(&self) {
        self.config_successful.set(1);
        for result in ["ok", "error"] {
            self.config_reloads.at(ConfigReload { result });
        }
        for outcome in ["kept", "refused", "trouble"] {
            self.carried_references.at(CarriedReference { direction: "export", outcome });
            self.carried_references.at(CarriedReference { direction: "import", outcome });
        }
        for result in REVOCATION_RESULTS {
            self.revocation_requests.at(RevocationRequest { kind: "ocsp", result });
            self.revocation_requests.at(RevocationRequest { kind: "crl", result });
        }
        for status in ["good", "revoked", "unknown", "not_revocable"] {
            self.revocation_status.at(RevocationStatus { status });
        }
    }

    /// Everything, in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        // An encoder into a string fails only on families without a metric, and those are not gathered.
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// An upstream's status as a label: those that registries use by number, others by class.
pub fn status(code: u16) -> &'static str {
    match code {
        200 => "200",
        201 => "201",
        204 => "204",
        206 => "206",
        301 => "301",
        302 => "302",
        304 => "304",
        307 => "307",
        308 => "308",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        406 => "406",
        408 => "408",
        416 => "416",
        429 => "429",
        431 => "431",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => class(code),
    }
}

fn class(code: u16) -> &'static str {
    match code / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_that_dashboards_rely_on() {
        let metrics = Metrics::new();
        metrics.know_registries(["docker.io"]);
        let registry = "docker.io";
        metrics
            .verifications
            .at(Verification {
                registry,
                policy: "p",
                format: "nv2",
                mode: "enforce",
                result: "rejected",
                reason: "unsigned",
            })
            .inc();
        metrics.verification_duration.at(VerificationDuration { format: "nv2" }).observe(0.1);
        metrics.would_deny.at(WouldDeny { registry, policy: "p", reason: "unsigned" }).inc();
        metrics.requests.at(Request { registry, kind: "manifest", method: "GET", code: "200" }).inc();
        metrics.request_duration.at(RequestDuration { kind: "manifest" }).observe(0.1);
        metrics.bytes_served.at(Served { registry, source: "store" }).inc_by(5);
        metrics.upstream_requests.at(UpstreamRequest { registry, code: status(200) }).inc();
        metrics.upstream_duration.at(UpstreamDuration { registry }).observe(0.1);
        metrics.upstream_available.at(OfRegistry { registry }).set(1);
        metrics.upstream_rate_limit_remaining.at(OfRegistry { registry }).set(76);
        metrics.fetch_failures.at(FetchFailure { registry, reason: "corrupt" }).inc();
        metrics.certificate_expiry.at(SignerCertificate { signer: "wabbit" }).set(1);
        metrics.config_reloads.at(ConfigReload { result: "ok" }).inc();
        metrics.revocation_requests.at(RevocationRequest { kind: "ocsp", result: "ok" }).inc();
        metrics.revocation_status.at(RevocationStatus { status: "good" }).inc();
        metrics.trust_root_age.set(Some(7));
        let text = metrics.render();
        for line in [
            "portcullis_verifications_total{format=\"nv2\",mode=\"enforce\",policy=\"p\",reason=\"unsigned\",registry=\"docker.io\",result=\"rejected\"} 1",
            "portcullis_verification_duration_seconds_count{format=\"nv2\"} 1",
            "portcullis_would_deny_total{policy=\"p\",reason=\"unsigned\",registry=\"docker.io\"} 1",
            "portcullis_decision_cache_hits_total 0",
            "portcullis_decision_cache_misses_total 0",
            "portcullis_requests_total{code=\"200\",kind=\"manifest\",method=\"GET\",registry=\"docker.io\"} 1",
            "portcullis_request_duration_seconds_count{kind=\"manifest\"} 1",
            "portcullis_bytes_served_total{registry=\"docker.io\",source=\"store\"} 5",
            "portcullis_upstream_requests_total{code=\"200\",registry=\"docker.io\"} 1",
            "portcullis_upstream_duration_seconds_count{registry=\"docker.io\"} 1",
            "portcullis_upstream_available{registry=\"docker.io\"} 1",
            "portcullis_upstream_rate_limit_remaining{registry=\"docker.io\"} 76",
            "portcullis_fetch_failures_total{reason=\"corrupt\",registry=\"docker.io\"} 1",
            "portcullis_store_bytes 0",
            "portcullis_store_evictions_total 0",
            "portcullis_certificate_expiry_timestamp_seconds{signer=\"wabbit\"} 1",
            "portcullis_config_reloads_total{result=\"ok\"} 1",
            "portcullis_revocation_requests_total{kind=\"ocsp\",result=\"ok\"} 1",
            "portcullis_revocation_status_total{status=\"good\"} 1",
            "portcullis_revocations_noted 0",
            "portcullis_revocation_data_expiry_timestamp_seconds 0",
            "portcullis_trust_root_age_seconds 7",
            concat!("portcullis_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_registry_that_is_not_configured_makes_no_series() {
        let metrics = Metrics::new();
        metrics.know_registries(["ghcr.io"]);
        for registry in ["made-up.example", "another.example", "ghcr.io"] {
            metrics.exceptions_used.at(InRegistry { registry }).inc();
        }
        let text = metrics.render();
        assert!(text.contains("exceptions_used_total{registry=\"other\"} 2"));
        assert!(text.contains("exceptions_used_total{registry=\"ghcr.io\"} 1"));
        assert!(!text.contains("example"));
    }

    #[test]
    fn failures_are_counted_from_zero() {
        let metrics = Metrics::new();
        metrics.know_registries(["docker.io"]);
        let text = metrics.render();
        for line in [
            "portcullis_config_last_reload_successful 1",
            "portcullis_config_reloads_total{result=\"error\"} 0",
            "portcullis_carried_references_total{direction=\"import\",outcome=\"trouble\"} 0",
            "portcullis_revocation_requests_total{kind=\"crl\",result=\"not_kept\"} 0",
            "portcullis_revocation_status_total{status=\"revoked\"} 0",
            "portcullis_exceptions_used_total{registry=\"docker.io\"} 0",
            "portcullis_discovery_failures_total{registry=\"docker.io\"} 0",
            "portcullis_fetch_failures_total{reason=\"corrupt\",registry=\"docker.io\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        // Known again, as a reload does, it is counted on.
        metrics.exceptions_used.at(InRegistry { registry: "docker.io" }).inc();
        metrics.know_registries(["docker.io"]);
        assert!(metrics.render().contains("exceptions_used_total{registry=\"docker.io\"} 1"));
    }

    #[test]
    fn a_gauge_without_a_value_is_not_shown() {
        let metrics = Metrics::new();
        let is_shown = || metrics.render().contains("trust_root_age");
        assert!(!is_shown());
        metrics.trust_root_age.set(Some(0));
        assert!(is_shown());
        metrics.trust_root_age.set(None);
        assert!(!is_shown());
    }
}
