//! Whether a certificate of a chain was revoked (trust-store-trust-policy, "Certificate Revocation
//! Evaluation"). What the answers of OCSP servers and CRLs mean, `x509` decides.

use std::time::SystemTime;

use crate::setting::time::show;
use crate::signature::Rejection;
use crate::trust::{Need, RevocationData};
use crate::x509::Certificate;
use crate::x509::revocation::Status;

/// The questions about a chain: each certificate but the root, which nobody can revoke.
pub(super) fn needs(chain: &[Certificate]) -> impl Iterator<Item = Need> {
    chain.windows(2).filter_map(|pair| match pair {
        [certificate, issuer] => Some(Need { certificate: certificate.clone(), issuer: issuer.clone() }),
        _ => None,
    })
}

/// A chain of which no certificate was revoked.
pub(super) struct Unrevoked {
    /// Until when the answers hold; `None` where nobody had to be asked.
    pub(super) until: Option<SystemTime>,
    /// Who answered, in words.
    pub(super) basis: String,
}

/// Judges a chain. `signed_at` is the authentic time of the signature, where there is one. That one
/// certificate was revoked says more than that another could not be asked about.
pub(super) fn check(
    chain: &[Certificate],
    data: &RevocationData,
    now: SystemTime,
    signed_at: Option<SystemTime>,
) -> Result<Unrevoked, Rejection> {
    let (mut until, mut basis, mut unknown) = (None::<SystemTime>, Vec::new(), None);
    for Need { certificate, issuer } in needs(chain) {
        let subject = certificate.subject().to_string();
        match data.status(&certificate, &issuer, now, signed_at) {
            Status::Good { until: end, by } => {
                basis.push(format!("{subject}: not revoked, by {} until {}", by.as_str(), show(end)));
                until = Some(until.map_or(end, |before| before.min(end)));
            }
            Status::NotRevocable => basis.push(format!("{subject}: names no OCSP server and no CRL")),
            Status::Revoked { entry, by } => {
                let (at, reason) = (entry.revoked_at, entry.reason.as_str());
                return Err(Rejection::Revoked { subject: subject.into(), at, reason, by: by.as_str() });
            }
            Status::Unknown { why } => {
                unknown = Some(Rejection::RevocationUnknown { subject: subject.into(), why: why.into() });
            }
        }
    }
    match unknown {
        Some(rejection) => Err(rejection),
        None => Ok(Unrevoked { until, basis: basis.join("; ") }),
    }
}
