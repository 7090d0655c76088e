//! Turns found signatures into what a policy is evaluated with: fetches their parts, runs the
//! verifiers. Stops as soon as the policy is satisfied, unless everything is wanted.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use super::discovery::{Found, Sources};
use crate::cache::Error;
use crate::oci::Digest;
use crate::policy::{Findings, Judged, Policy, Trouble};
use crate::signature::{Code, Signature, Subject, Verifier, layout};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::VerificationDuration;
use crate::trust::RevocationData;

/// One signature part is at most this long, and all of a subject's together at most four times it.
pub(super) const MAX_PART_BYTES: u64 = 4 * 1024 * 1024;
const MAX_SUBJECT_BYTES: u64 = 16 * 1024 * 1024;

/// What was collected: the findings, and which artifacts they come from.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) findings: Findings,
    /// The artifacts whose parts were all read, to be kept with the subject.
    pub(super) read: Vec<Found>,
    /// Those of them of which each part is a claim about the subject, proven or not.
    pub(super) claims: HashSet<Digest>,
}

/// Where the parts of an artifact are read from.
pub(super) enum Parts<'a> {
    /// The upstream, by way of the cache.
    Fetched(&'a Sources<'a>),
    /// What is kept with the subject: no network is touched.
    Kept(&'a Store),
}

/// Runs the policy's verifiers over found signatures, in order.
pub(super) struct Collector<'a> {
    pub(super) parts: Parts<'a>,
    pub(super) policy: &'a Policy,
    pub(super) subject: &'a Subject,
    pub(super) metrics: &'a Metrics,
    pub(super) now: SystemTime,
    /// Asks whether what was found suffices.
    pub(super) enough: &'a (dyn Fn(&Findings) -> bool + Sync),
}

impl Collector<'_> {
    pub(super) async fn collect(&self, found: Vec<Found>, troubles: Vec<Trouble>) -> Collected {
        let mut collected = Collected::default();
        collected.findings.troubles = troubles;
        let mut bytes = 0;
        for found in found {
            if (self.enough)(&collected.findings) {
                break;
            }
            bytes += found.carrier.parts.iter().map(|p| p.size).fold(0, u64::saturating_add);
            if bytes > MAX_SUBJECT_BYTES || found.carrier.parts.iter().any(|p| p.size > MAX_PART_BYTES) {
                collected.findings.troubles.push(too_large(&found.artifact.digest));
                break;
            }
            match self.signatures(&found).await {
                Ok(signatures) => {
                    let descriptor = &self.subject.descriptor;
                    if signatures.iter().all(|s| layout::claims(s, descriptor).is_ok()) {
                        collected.claims.insert(found.artifact.digest);
                    }
                    collected.findings.signatures.extend(signatures.iter().map(|s| self.judge(s)));
                    collected.read.push(found);
                }
                Err(error) => collected.findings.troubles.push(Trouble {
                    code: Code::SourceUnavailable,
                    message: format!("signature {} could not be read: {error}", found.artifact.digest),
                }),
            }
        }
        collected
    }

    /// Fetches the parts of one artifact. One that is gone is trouble: the artifact names it.
    async fn signatures(&self, found: &Found) -> Result<Vec<Signature>, Error> {
        let mut signatures = Vec::with_capacity(found.carrier.parts.len());
        for part in &found.carrier.parts {
            let payload = match self.parts {
                Parts::Fetched(s) => {
                    s.cache.small_blob(s.upstream, s.repository, part, MAX_PART_BYTES).await?
                }
                Parts::Kept(store) => store
                    .read(&part.digest, MAX_PART_BYTES)
                    .await
                    .map_err(|e| Error::Store(e.to_string()))?
                    .ok_or(Error::NotFound)?,
            };
            signatures.push(layout::signature(&found.carrier, found.artifact.digest, part, payload));
        }
        Ok(signatures)
    }

    fn judge(&self, signature: &Signature) -> Judged {
        let verifiers = self.policy.verifiers().filter(|v| v.format() == signature.format);
        let results = verifiers.map(|v| (v.signer().clone(), self.verify(v, signature))).collect();
        Judged { format: signature.format, digest: signature.digest, results }
    }

    fn verify(
        &self,
        verifier: &Arc<dyn Verifier>,
        signature: &Signature,
    ) -> Result<crate::signature::Evidence, crate::signature::Rejection> {
        let started = std::time::Instant::now();
        let result = verifier.verify(self.subject, signature, &RevocationData::default(), self.now);
        self.metrics
            .verification_duration
            .at(VerificationDuration { format: signature.format.as_str() })
            .observe(started.elapsed().as_secs_f64());
        result
    }
}

fn too_large(artifact: &Digest) -> Trouble {
    Trouble {
        code: Code::BoundExceeded,
        message: format!(
            "signature {artifact} takes the signatures of this subject over {MAX_SUBJECT_BYTES} bytes, \
             or one part over {MAX_PART_BYTES}"
        ),
    }
}
