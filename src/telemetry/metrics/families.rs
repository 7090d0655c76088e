//! The families with labels. The names that dashboards see are given in the parent module.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::family::family;
use super::spread::{Histograms, SpreadHistogram};
use super::{Counter, Gauge, Histogram, SpreadCounter, SpreadCounters};

family! {
    /// Decisions made.
    Verifications: IntCounterVec => Counter, Verification {
        registry: "The source registry.",
        policy: "The policy's name.",
        format: "The format of the signature that was believed, else of the first; `none` without any.",
        mode: "The policy's mode.",
        result: "`allow`, `deny` or `indeterminate`.",
        reason: "The first reason's code.",
    }
}

family! {
    /// How long judging one signature took, in seconds.
    VerificationDurations: HistogramVec => Histogram, VerificationDuration {
        format: "The signature's format.",
    }
}

family! {
    /// Decisions of policies in audit mode that enforcing would have refused.
    WouldDenies: IntCounterVec => Counter, WouldDeny {
        registry: "The source registry.",
        policy: "The policy's name.",
        reason: "The first reason's code.",
    }
}

family! {
    /// Counter-signatures.
    CounterSignatures: IntCounterVec => Counter, CounterSigned {
        registry: "The source registry.",
        policy: "The policy's name.",
        result: "`made`, `failed` or `withdrawn`.",
    }
}

family! {
    /// Requests of clients, answered.
    Requests: SpreadCounters => SpreadCounter, Request {
        registry: "The source registry.",
        kind: "The endpoint: `base`, `manifest`, `blob`, `tags`, `referrers` or `other`.",
        method: "`GET`, `HEAD` or `other`.",
        code: "The answer's status.",
    }
}

family! {
    /// Time from a request's head to its answer's head, in seconds.
    RequestDurations: Histograms => SpreadHistogram, RequestDuration {
        kind: "The endpoint, as in [`Request::kind`].",
    }
}

family! {
    /// Bytes of manifests and blobs handed to clients' connections.
    BytesServed: SpreadCounters => SpreadCounter, Served {
        registry: "The source registry.",
        source: "`store`, or `upstream` while it was arriving.",
    }
}

family! {
    /// Requests sent upstream, or to an upstream's token server.
    UpstreamRequests: IntCounterVec => Counter, UpstreamRequest {
        registry: "The registry that was asked, or for which a token was.",
        code: "The answer's status as [`super::status`] gives it, or one of [`NO_ANSWER`] where none came.",
    }
}

/// Why no answer came: the name was not resolved, no connection, no TLS, too late, not HTTP, or forbidden by our rules.
pub const NO_ANSWER: [&str; 6] = ["dns", "connect", "tls", "timeout", "broken", "forbidden"];

family! {
    /// Time to the head of an upstream's answer, in seconds.
    UpstreamDurations: HistogramVec => Histogram, UpstreamDuration {
        registry: "The registry that was asked.",
    }
}

family! {
    /// Manifests and blobs that were asked for and did not come.
    FetchFailures: IntCounterVec => Counter, FetchFailure {
        registry: "The registry that was asked.",
        reason: "One of [`FETCH_FAILURES`].",
    }
}

/// Why a fetch failed; `invalid` is no manifest.
pub const FETCH_FAILURES: [&str; 9] = [
    "corrupt",
    "unavailable",
    "throttled",
    "refused",
    "too_large",
    "forbidden",
    "offline",
    "invalid",
    "store",
];

family! {
    /// A gauge a registry.
    RegistryGauges: IntGaugeVec => Gauge, OfRegistry {
        registry: "The registry.",
    }
}

family! {
    /// A counter a registry.
    RegistryCounters: IntCounterVec => Counter, InRegistry {
        registry: "The source registry.",
    }
}

family! {
    /// When the certificates end that signers are trusted by, in Unix seconds.
    CertificateExpiries: IntGaugeVec => Gauge, SignerCertificate {
        signer: "The signer's name.",
    }
}

family! {
    /// Questions to revocation servers.
    RevocationRequests: IntCounterVec => Counter, RevocationRequest {
        kind: "`ocsp` or `crl`.",
        result: "One of [`REVOCATION_RESULTS`].",
    }
}

/// What came of a question: `forbidden` is by our rules, `outdated` has ended or is older than what is kept.
pub const REVOCATION_RESULTS: [&str; 11] = [
    "ok",
    "unreachable",
    "timeout",
    "forbidden",
    "http_status",
    "too_large",
    "broken",
    "invalid",
    "unknown_certificate",
    "outdated",
    "not_kept",
];

family! {
    /// Statuses of certificates that decisions asked for.
    RevocationStatuses: IntCounterVec => Counter, RevocationStatus {
        status: "`good`, `revoked`, `unknown` or `not_revocable`.",
    }
}

family! {
    /// Reloads of the configuration.
    ConfigReloads: IntCounterVec => Counter, ConfigReload {
        result: "`ok` or `error`.",
    }
}

family! {
    /// References that were exported to another network, or imported from one.
    CarriedReferences: IntCounterVec => Counter, CarriedReference {
        direction: "`export` or `import`.",
        outcome: "`kept`, `refused` or `trouble`.",
    }
}
