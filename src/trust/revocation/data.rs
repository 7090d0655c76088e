//! What was found about a set of certificates, for verifiers to ask: pure from here on.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::carried::Carried;
use super::kept::Key;
use super::{Id, Need, RevocationSources};
use crate::x509::Certificate;
use crate::x509::crl::Crl;
use crate::x509::revocation::{self, Known, Question, Status};

/// Answers about certificates. Empty by default: then only certificates that name no server have a
/// status. Cheap to clone.
#[derive(Clone, Default)]
pub struct RevocationData {
    found: Arc<HashMap<Id, Found>>,
    carried: Carried,
    grace: Duration,
}

/// What was found about one certificate.
#[derive(Clone, Default)]
pub(super) struct Found {
    /// Fetched and noted; what was carried in is apart.
    pub(super) known: Known,
    /// What the kept answers among it are about.
    pub(super) answers: Vec<Key>,
    /// Who could not be asked, and why.
    pub(super) failures: Vec<String>,
    /// What our own store could not tell, or was lost on its way here. Nothing is good then: a revocation may stand there.
    pub(super) trouble: Option<String>,
}

impl RevocationData {
    pub(super) fn new(found: HashMap<Id, Found>, sources: &RevocationSources) -> Self {
        Self { found: Arc::new(found), carried: sources.carried().clone(), grace: sources.grace() }
    }

    /// These CRLs and nothing else.
    pub fn carried(crls: Vec<Crl>) -> Self {
        Self { carried: Carried::new(crls), ..Self::default() }
    }

    /// This knowledge and nothing else.
    pub fn of(known: impl IntoIterator<Item = (Need, Known)>) -> Self {
        let found = known.into_iter().map(|(need, known)| (need.id(), Found { known, ..Found::default() }));
        Self { found: Arc::new(found.collect()), ..Self::default() }
    }

    /// The status of `certificate`, issued by `issuer`. `signed_at` is the authentic time of what it
    /// signed, for revocations that tell since when the key was not to be trusted. Where it is
    /// unknown, the reason names each server that failed.
    pub fn status(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: SystemTime,
        signed_at: Option<SystemTime>,
    ) -> Status {
        let found = self.found.get(&Id::of(certificate, issuer));
        let mut known = found.map(|found| found.known.clone()).unwrap_or_default();
        known.crls.extend(self.carried.of(issuer));
        let question = Question { certificate, issuer, now, signed_at, grace: self.grace };
        let status = revocation::status(&question, &known);
        match (status, found) {
            (revoked @ Status::Revoked { .. }, _) => revoked,
            (_, Some(Found { trouble: Some(trouble), .. })) => Status::Unknown { why: trouble.clone() },
            (Status::Unknown { why }, Some(found)) => Status::Unknown { why: found.explain(why) },
            (status, _) => status,
        }
    }
}

impl RevocationData {
    pub(super) fn answers(&self, need: &Need) -> &[Key] {
        self.found.get(&need.id()).map_or(&[], |found| &found.answers)
    }
}

impl Found {
    fn explain(&self, why: String) -> String {
        std::iter::once(&why).chain(&self.failures).map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Debug for RevocationData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationData")
            .field("certificates", &self.found.len())
            .field("carried", &self.carried.len())
            .finish_non_exhaustive()
    }
}
