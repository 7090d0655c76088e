//! Every metric of the process, with the names that dashboards rely on (`portcullis_…`). No label
//! holds a repository, tag or digest: those are in the audit log.

mod families;
mod family;

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, TextEncoder};

pub use families::*;
pub use family::OTHER;
pub use prometheus::{Histogram, IntCounter as Counter, IntGauge as Gauge};

use family::Registries;

/// All metric families. One value a process, handed to whoever counts; there are no globals.
#[derive(Debug)]
pub struct Metrics {
    /// `verifications_total`
    pub verifications: Verifications,
    /// `verification_duration_seconds`
    pub verification_duration: VerificationDurations,
    /// `would_deny_total`
    pub would_deny: WouldDenies,
    /// `decision_cache_hits_total`: requests that a live decision answered.
    pub decision_cache_hits: Counter,
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
    /// `upstream_duration_seconds`: time to an upstream's response head.
    pub upstream_duration: Histogram,
    /// `upstream_rate_limit_remaining`: what the upstream said is left.
    pub upstream_rate_limit_remaining: RegistryGauges,
    /// `store_bytes`: size of what is kept.
    pub store_bytes: Gauge,
    /// `store_evictions_total`: blobs removed for room.
    pub store_evictions: Counter,
    /// `store_corrupt_total`: stored content that no longer had its digest.
    pub store_corrupt: Counter,
    /// `store_full_total`: content streamed without being kept, for want of room.
    pub store_full: Counter,
    /// `trust_root_age_seconds`: since the oldest trust material was last changed.
    pub trust_root_age: Gauge,
    /// `certificate_expiry_timestamp_seconds`
    pub certificate_expiry: CertificateExpiries,
    /// `config_reloads_total`
    pub config_reloads: ConfigReloads,
    /// `audit_write_failures_total`: decisions that could not be recorded.
    pub audit_write_failures: Counter,

    known: Arc<Registries>,
    registry: prometheus::Registry,
}

/// Seconds from half a millisecond, a hit, to a minute, a judgement with a slow upstream.
const REQUEST_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Seconds from ten microseconds: one ECDSA verification takes some fifty.
const VERIFICATION_BUCKETS: &[f64] =
    &[0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1];

impl Metrics {
    /// All families at zero.
    pub fn new() -> Arc<Self> {
        let make = Maker::default();
        make.build_info();
        Arc::new(Self {
            verifications: make.verifications(),
            verification_duration: make.verification_duration(),
            would_deny: make.would_deny(),
            decision_cache_hits: make
                .counter("decision_cache_hits_total", "Requests that a live decision answered."),
            decision_cache_misses: make
                .counter("decision_cache_misses_total", "Requests that had to be judged."),
            exceptions_used: make.exceptions_used(),
            requests: make.requests(),
            request_duration: make.request_duration(),
            bytes_served: make.bytes_served(),
            connections: make.gauge("connections", "Client connections that are open."),
            upstream_requests: make.upstream_requests(),
            upstream_duration: make.upstream_duration(),
            upstream_rate_limit_remaining: make.upstream_rate_limit_remaining(),
            store_bytes: make.gauge("store_bytes", "Bytes of content that are kept."),
            store_evictions: make.counter("store_evictions_total", "Blobs removed to make room."),
            store_corrupt: make
                .counter("store_corrupt_total", "Stored content that no longer had its digest."),
            store_full: make
                .counter("store_full_total", "Content streamed without being kept, for want of room."),
            trust_root_age: make
                .gauge("trust_root_age_seconds", "Seconds since the oldest trust material was changed."),
            certificate_expiry: make.certificate_expiry(),
            config_reloads: make.config_reloads(),
            audit_write_failures: make
                .counter("audit_write_failures_total", "Decisions that could not be recorded."),
            known: make.known,
            registry: make.registry,
        })
    }

    /// Lets labels name these registries, the configured ones. All others are `other`. To be called
    /// before anything that looks handles up is built.
    pub fn know_registries<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        self.known.know(names);
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
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => OTHER,
    }
}

/// Makes families and registers them.
#[derive(Default)]
struct Maker {
    registry: prometheus::Registry,
    known: Arc<Registries>,
}

impl Maker {
    fn verifications(&self) -> Verifications {
        let vector =
            self.counters("verifications_total", "Signatures that were judged.", Verifications::LABELS);
        Verifications::over(vector, &self.known)
    }

    fn verification_duration(&self) -> VerificationDurations {
        let opts = histogram("verification_duration_seconds", "Seconds that judging one signature took.")
            .buckets(VERIFICATION_BUCKETS.to_vec());
        let vector = self.register(HistogramVec::new(opts, VerificationDurations::LABELS));
        VerificationDurations::over(vector, &self.known)
    }

    fn would_deny(&self) -> WouldDenies {
        let help = "Content served in audit mode that enforcing would have refused.";
        WouldDenies::over(self.counters("would_deny_total", help, WouldDenies::LABELS), &self.known)
    }

    fn exceptions_used(&self) -> RegistryCounters {
        let help = "Requests served because an exception names their digest.";
        let vector = self.counters("exceptions_used_total", help, RegistryCounters::LABELS);
        RegistryCounters::over(vector, &self.known)
    }

    fn requests(&self) -> Requests {
        let vector = self.counters("requests_total", "Requests of clients.", Requests::LABELS);
        Requests::over(vector, &self.known)
    }

    fn request_duration(&self) -> RequestDurations {
        let opts = histogram("request_duration_seconds", "Seconds from a request's head to its answer's.")
            .buckets(REQUEST_BUCKETS.to_vec());
        let vector = self.register(HistogramVec::new(opts, RequestDurations::LABELS));
        RequestDurations::over(vector, &self.known)
    }

    fn bytes_served(&self) -> BytesServed {
        let help = "Bytes of manifests and blobs handed to clients.";
        BytesServed::over(self.counters("bytes_served_total", help, BytesServed::LABELS), &self.known)
    }

    fn upstream_requests(&self) -> UpstreamRequests {
        let help = "Requests sent to upstream registries.";
        let vector = self.counters("upstream_requests_total", help, UpstreamRequests::LABELS);
        UpstreamRequests::over(vector, &self.known)
    }

    fn upstream_duration(&self) -> Histogram {
        let opts = histogram("upstream_duration_seconds", "Seconds to an upstream's response head.")
            .buckets(REQUEST_BUCKETS.to_vec());
        self.register(Histogram::with_opts(opts))
    }

    fn upstream_rate_limit_remaining(&self) -> RegistryGauges {
        let help = "Requests that the upstream's rate limit still allows.";
        let vector = self.gauges("upstream_rate_limit_remaining", help, RegistryGauges::LABELS);
        RegistryGauges::over(vector, &self.known)
    }

    fn certificate_expiry(&self) -> CertificateExpiries {
        let help = "When a signer's first certificate ends, in Unix seconds.";
        let vector = self.gauges("certificate_expiry_timestamp_seconds", help, CertificateExpiries::LABELS);
        CertificateExpiries::over(vector, &self.known)
    }

    fn config_reloads(&self) -> ConfigReloads {
        let vector =
            self.counters("config_reloads_total", "Reloads of the configuration.", ConfigReloads::LABELS);
        ConfigReloads::over(vector, &self.known)
    }

    fn build_info(&self) {
        let opts = options("build_info", "Always 1; the label tells the version.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        self.register(Gauge::with_opts(opts)).set(1);
    }

    fn counter(&self, name: &str, help: &str) -> Counter {
        self.register(Counter::with_opts(options(name, help)))
    }

    fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(Gauge::with_opts(options(name, help)))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(options(name, help), labels))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(options(name, help), labels))
    }

    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants of this file, and every start and test makes them all"
    )]
    fn register<T: Collector + Clone + 'static>(&self, made: prometheus::Result<T>) -> T {
        let family = made.expect("the family's name, help and labels are well-formed");
        self.registry.register(Box::new(family.clone())).expect("no other family has this name");
        family
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("portcullis")
}

fn histogram(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).namespace("portcullis")
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
        metrics.upstream_rate_limit_remaining.at(OfRegistry { registry }).set(76);
        metrics.certificate_expiry.at(SignerCertificate { signer: "wabbit" }).set(1);
        metrics.config_reloads.at(ConfigReload { result: "ok" }).inc();
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
            "portcullis_upstream_duration_seconds_count 0",
            "portcullis_upstream_rate_limit_remaining{registry=\"docker.io\"} 76",
            "portcullis_store_bytes 0",
            "portcullis_store_evictions_total 0",
            "portcullis_trust_root_age_seconds 0",
            "portcullis_certificate_expiry_timestamp_seconds{signer=\"wabbit\"} 1",
            "portcullis_config_reloads_total{result=\"ok\"} 1",
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
}
