//! Makes the families and registers them under the names that dashboards see.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts};

use super::families::*;
use super::family::{OptionalGauge, Registries};
use super::process::Process;
use super::spread::Histograms;
use super::{Counter, Gauge, SpreadCounter, SpreadCounters};

/// Seconds from half a millisecond, a hit, to a minute, a judgement with a slow upstream.
const REQUEST_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Seconds from ten microseconds: one ECDSA verification takes some fifty.
const VERIFICATION_BUCKETS: &[f64] =
    &[0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1];

/// Makes families and registers them.
#[derive(Default)]
pub(super) struct Maker {
    pub(super) registry: prometheus::Registry,
    pub(super) known: Arc<Registries>,
}

impl Maker {
    pub(super) fn verifications(&self) -> Verifications {
        let vector = self.counters("verifications_total", "Decisions that were made.", Verifications::LABELS);
        Verifications::over(vector, &self.known)
    }

    pub(super) fn verification_duration(&self) -> VerificationDurations {
        let opts = histogram("verification_duration_seconds", "Seconds that judging one signature took.")
            .buckets(VERIFICATION_BUCKETS.to_vec());
        let vector = self.register(HistogramVec::new(opts, VerificationDurations::LABELS));
        VerificationDurations::over(vector, &self.known)
    }

    pub(super) fn would_deny(&self) -> WouldDenies {
        let help = "Content served in audit mode that enforcing would have refused.";
        WouldDenies::over(self.counters("would_deny_total", help, WouldDenies::LABELS), &self.known)
    }

    pub(super) fn counter_signatures(&self) -> CounterSignatures {
        let help = "Allowed manifests that were signed with the organisation's own key, or not.";
        let vector = self.counters("counter_signatures_total", help, CounterSignatures::LABELS);
        CounterSignatures::over(vector, &self.known)
    }

    pub(super) fn exceptions_used(&self) -> RegistryCounters {
        let help = "Requests served because an exception names their digest.";
        let vector = self.counters("exceptions_used_total", help, RegistryCounters::LABELS);
        RegistryCounters::over(vector, &self.known)
    }

    pub(super) fn requests(&self) -> Requests {
        let vector = self.spread_counters("requests_total", "Requests of clients.", Requests::LABELS);
        Requests::over(vector, &self.known)
    }

    pub(super) fn request_duration(&self) -> RequestDurations {
        let opts = histogram("request_duration_seconds", "Seconds from a request's head to its answer's.")
            .buckets(REQUEST_BUCKETS.to_vec());
        let vector = self.register(Histograms::new(&opts, RequestDurations::LABELS));
        RequestDurations::over(vector, &self.known)
    }

    pub(super) fn bytes_served(&self) -> BytesServed {
        let help = "Bytes of manifests and blobs handed to clients.";
        BytesServed::over(self.spread_counters("bytes_served_total", help, BytesServed::LABELS), &self.known)
    }

    pub(super) fn upstream_requests(&self) -> UpstreamRequests {
        let help = "Requests sent to upstream registries.";
        let vector = self.counters("upstream_requests_total", help, UpstreamRequests::LABELS);
        UpstreamRequests::over(vector, &self.known)
    }

    pub(super) fn token_requests(&self) -> UpstreamRequests {
        let help = "Requests sent to the token servers of upstream registries.";
        let vector = self.counters("token_requests_total", help, UpstreamRequests::LABELS);
        UpstreamRequests::over(vector, &self.known)
    }

    pub(super) fn upstream_duration(&self) -> UpstreamDurations {
        let opts = histogram("upstream_duration_seconds", "Seconds to an upstream's response head.")
            .buckets(REQUEST_BUCKETS.to_vec());
        let vector = self.register(HistogramVec::new(opts, UpstreamDurations::LABELS));
        UpstreamDurations::over(vector, &self.known)
    }

    pub(super) fn upstream_available(&self) -> RegistryGauges {
        let help = "1, or 0 while an upstream is left alone and has not answered again.";
        RegistryGauges::over(self.gauges("upstream_available", help, RegistryGauges::LABELS), &self.known)
    }

    pub(super) fn discovery_failures(&self) -> RegistryCounters {
        let help = "Questions for signatures that a source left without an answer.";
        let vector = self.counters("discovery_failures_total", help, RegistryCounters::LABELS);
        RegistryCounters::over(vector, &self.known)
    }

    pub(super) fn fetch_failures(&self) -> FetchFailures {
        let help = "Manifests and blobs that were asked for and did not come.";
        FetchFailures::over(self.counters("fetch_failures_total", help, FetchFailures::LABELS), &self.known)
    }

    pub(super) fn upstream_rate_limit_remaining(&self) -> RegistryGauges {
        let help = "Requests that the upstream's rate limit still allows.";
        let vector = self.gauges("upstream_rate_limit_remaining", help, RegistryGauges::LABELS);
        RegistryGauges::over(vector, &self.known)
    }

    pub(super) fn certificate_expiry(&self) -> CertificateExpiries {
        let help = "When a signer's first certificate ends, in Unix seconds.";
        let vector = self.gauges("certificate_expiry_timestamp_seconds", help, CertificateExpiries::LABELS);
        CertificateExpiries::over(vector, &self.known)
    }

    pub(super) fn revocation_requests(&self) -> RevocationRequests {
        let help = "Questions to OCSP responders and for CRLs.";
        let vector = self.counters("revocation_requests_total", help, RevocationRequests::LABELS);
        RevocationRequests::over(vector, &self.known)
    }

    pub(super) fn revocation_status(&self) -> RevocationStatuses {
        let help = "Statuses of certificates that decisions asked for.";
        let vector = self.counters("revocation_status_total", help, RevocationStatuses::LABELS);
        RevocationStatuses::over(vector, &self.known)
    }

    pub(super) fn config_reloads(&self) -> ConfigReloads {
        let vector =
            self.counters("config_reloads_total", "Reloads of the configuration.", ConfigReloads::LABELS);
        ConfigReloads::over(vector, &self.known)
    }

    pub(super) fn carried_references(&self) -> CarriedReferences {
        let help = "References that were exported to another network, or imported from one.";
        let vector = self.counters("carried_references_total", help, CarriedReferences::LABELS);
        CarriedReferences::over(vector, &self.known)
    }

    pub(super) fn build_info(&self) {
        let opts = options("build_info", "Always 1; the label tells the version.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        self.register(Gauge::with_opts(opts)).set(1);
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Counter {
        self.register(Counter::with_opts(options(name, help)))
    }

    pub(super) fn spread_counter(&self, name: &str, help: &str) -> SpreadCounter {
        self.register(SpreadCounter::with_opts(options(name, help)))
    }

    pub(super) fn process(&self) {
        self.register(Process::new());
    }

    pub(super) fn trust_root_age(&self) -> OptionalGauge {
        let help = "Seconds since sigstore's trusted root was last known to be the current one.";
        OptionalGauge(self.gauges("trust_root_age_seconds", help, &[]))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(Gauge::with_opts(options(name, help)))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(options(name, help), labels))
    }

    fn spread_counters(&self, name: &str, help: &str, labels: &[&str]) -> SpreadCounters {
        self.register(SpreadCounters::new(options(name, help), labels))
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
