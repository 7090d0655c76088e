//! The one target: sigstore's trusted root, which must be one to be kept.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::Refusal;
use crate::telemetry::Untrusted;
use crate::trust::sigstore::{Authority, Log, MAX_SIZE, TrustedRoot};

/// Its name in the repository, and in the folder that it is kept in.
pub const TRUSTED_ROOT: &str = "trusted_root.json";
/// The most bytes that are read.
pub(super) const MAX_BYTES: u64 = MAX_SIZE;

/// Somebody whom a trusted root trusts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anchor {
    kind: &'static str,
    place: Untrusted,
    /// What tells it from others at the same place: a log's id, an authority's own certificate.
    id: String,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.kind, self.place, self.id)
    }
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
    let root = TrustedRoot::parse(bytes).map_err(|why| Refusal::malformed(TRUSTED_ROOT, why))?;
    let logs = root.logs().iter().map(|log| of_log("transparency log", log));
    let ct_logs = root.ct_logs().iter().map(|log| of_log("certificate log", log));
    let authorities = root.authorities().iter().map(|a| of_authority("certificate authority", a));
    let stamps = root.timestamp_authorities().iter().map(|a| of_authority("timestamp authority", a));
    Ok(logs.chain(ct_logs).chain(authorities).chain(stamps).collect())
}

fn of_log(kind: &'static str, log: &Log) -> Anchor {
    Anchor { kind, place: Untrusted::new(&log.url), id: format!("log id {}", STANDARD.encode(&log.id)) }
}

/// A chain begins with the certificate that the authority signs with.
fn of_authority(kind: &'static str, authority: &Authority) -> Anchor {
    let own = authority.others().first().or(authority.root());
    let fingerprint = own.map(|certificate| hex::encode(certificate.fingerprint())).unwrap_or_default();
    let begun: String = fingerprint.chars().take(16).collect();
    Anchor { kind, place: Untrusted::new(&authority.name), id: format!("certificate {begun}") }
}
