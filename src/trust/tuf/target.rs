//! The one target: sigstore's trusted root, as far as it has to be understood to be kept and told about.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;

use super::error::Refusal;
use crate::oci::json;
use crate::telemetry::Untrusted;

/// Its name in the repository, and in the folder that it is kept in.
pub const TRUSTED_ROOT: &str = "trusted_root.json";
/// The most bytes that are read.
pub(super) const MAX_BYTES: u64 = 1 << 20;
/// The version that is understood.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

/// Somebody whom a trusted root trusts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anchor {
    kind: &'static str,
    place: Untrusted,
    /// What tells it from others at the same place: a log's key id, an authority's own certificate.
    id: Untrusted,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.kind, self.place, self.id)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TrustedRoot {
    media_type: String,
    #[serde(default)]
    tlogs: Vec<Log>,
    #[serde(default)]
    ctlogs: Vec<Log>,
    #[serde(default)]
    certificate_authorities: Vec<Authority>,
    #[serde(default)]
    timestamp_authorities: Vec<Authority>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(default)]
    base_url: String,
    log_id: LogId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authority {
    #[serde(default)]
    uri: String,
    cert_chain: Chain,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<RawCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    raw_bytes: String,
}

/// Whether these bytes may become the trusted root in use.
///
/// # Errors
/// What is wrong with them.
pub(super) fn check(bytes: &[u8]) -> Result<(), Refusal> {
    anchors(bytes).map(drop)
}

/// Whom the trusted root in these bytes trusts.
///
/// # Errors
/// They are no trusted root.
pub fn anchors(bytes: &[u8]) -> Result<BTreeSet<Anchor>, Refusal> {
    let root: TrustedRoot = json::strict(bytes).map_err(|e| Refusal::malformed(TRUSTED_ROOT, e))?;
    if root.media_type != MEDIA_TYPE {
        let why = format!("expected the media type {MEDIA_TYPE}, found {:?}", root.media_type);
        return Err(Refusal::malformed(TRUSTED_ROOT, why));
    }
    let logs = |kind, logs: Vec<Log>| logs.into_iter().map(move |log| log.anchor(kind));
    let authorities =
        |kind, all: Vec<Authority>| all.into_iter().map(move |authority| authority.anchor(kind));
    Ok(logs("transparency log", root.tlogs)
        .chain(logs("certificate log", root.ctlogs))
        .chain(authorities("certificate authority", root.certificate_authorities))
        .chain(authorities("timestamp authority", root.timestamp_authorities))
        .collect())
}

impl Log {
    fn anchor(self, kind: &'static str) -> Anchor {
        let id = format!("log id {}", self.log_id.key_id);
        Anchor { kind, place: self.base_url.into(), id: id.into() }
    }
}

impl Authority {
    /// A chain begins with the certificate that the authority signs with.
    fn anchor(self, kind: &'static str) -> Anchor {
        let own = self.cert_chain.certificates.first().map(|c| c.raw_bytes.as_bytes()).unwrap_or_default();
        let id = format!("certificate {}", fingerprint(own));
        Anchor { kind, place: self.uri.into(), id: id.into() }
    }
}

/// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` has it, begun.
fn fingerprint(base64: &[u8]) -> String {
    use base64::Engine as _;
    let der = base64::engine::general_purpose::STANDARD.decode(base64).unwrap_or_default();
    let hex = crate::oci::Digest::sha256(&der).hex();
    hex.chars().take(16).collect()
}
