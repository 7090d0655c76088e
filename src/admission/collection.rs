//! Turns found signatures into what a policy is evaluated with: fetches their parts, runs the
//! verifiers. Stops as soon as the policy is satisfied, unless everything is wanted.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use super::discovery::{Found, Via, in_time};
use super::elsewhere::Place;
use crate::cache::{Cache, Error};
use crate::oci::{Descriptor, Digest};
use crate::policy::{Belief, Decision, Findings, Judged, Policy, SignatureReport, Trouble};
use crate::signature::cosign::through;
use crate::signature::{Code, Evidence, Rejected, Signature, SignerName, Subject, Verifier, layout};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::VerificationDuration;
use crate::trust::{RevocationSources, Revocations};

/// One signature part is at most this long, and all of a subject's together at most four times it.
pub(super) const MAX_PART_BYTES: u64 = 4 * 1024 * 1024;
const MAX_SUBJECT_BYTES: u64 = 16 * 1024 * 1024;
/// At most so many signatures of a subject are read: one artifact may carry any number.
const MAX_SUBJECT_PARTS: usize = 256;

/// What was collected: the findings, and which artifacts they come from.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) findings: Findings,
    /// The artifacts whose parts were all read.
    pub(super) read: Vec<Found>,
    /// Those of them of which each part is a claim about the subject that a signer of the policy made.
    pub(super) whole: HashSet<Digest>,
    /// How much was read of the subject's signatures, from all sources together.
    bytes: u64,
    parts: usize,
}

impl Collected {
    /// The artifacts that are nothing but proven claims about the subject and of which `decision` believed
    /// one: only they may be served as proven.
    pub(super) fn proven(&self, decision: &Decision) -> Vec<&Found> {
        let is_proven =
            |f: &&Found| f.carrier.pure && self.whole.contains(&f.artifact.digest) && believed(decision, f);
        self.read.iter().filter(is_proven).collect()
    }
}

/// Whether a signature that the artifact carries was believed.
pub(super) fn believed(decision: &Decision, found: &Found) -> bool {
    let trusted = |s: &SignatureReport| s.digest == found.artifact.digest && s.result == Belief::Trusted;
    decision.signatures().iter().any(trusted)
}

/// Runs the policy's verifiers over found signatures, in order.
pub(super) struct Collector<'a> {
    pub(super) cache: &'a Cache,
    pub(super) store: &'a Store,
    pub(super) policy: &'a Policy,
    pub(super) subject: &'a Subject,
    pub(super) metrics: &'a Metrics,
    /// What is known of revocations, and where more can be asked.
    pub(super) revocations: (&'a Revocations, &'a RevocationSources),
    pub(super) now: SystemTime,
    /// Asks whether what was found suffices.
    pub(super) enough: &'a (dyn Fn(&Findings) -> bool + Sync),
}

impl Collector<'_> {
    /// Adds what these artifacts say to what was collected before.
    pub(super) async fn collect(&self, collected: &mut Collected, found: Vec<Found>) {
        for found in found {
            if (self.enough)(&collected.findings) {
                break;
            }
            let statements = found.via.iter().flat_map(|via| &via.statements);
            let all: Vec<_> = found.carrier.parts.iter().chain(statements).collect();
            let size = all.iter().map(|p| p.size).fold(0, u64::saturating_add);
            let too_large = all.iter().any(|p| p.size > MAX_PART_BYTES)
                || collected.bytes.saturating_add(size) > MAX_SUBJECT_BYTES
                || collected.parts + all.len() > MAX_SUBJECT_PARTS;
            if too_large {
                collected.findings.troubles.push(out_of_bounds(&found.artifact.digest));
                continue;
            }
            collected.bytes += size;
            collected.parts += all.len();
            self.add(collected, found).await;
        }
    }

    async fn add(&self, collected: &mut Collected, found: Found) {
        match self.signatures(&found).await {
            Ok(signatures) => {
                let statements = match self.statements(&found).await {
                    Ok(statements) => statements,
                    Err(error) => return collected.findings.troubles.push(unread(&found, &error)),
                };
                let mut is_whole = true;
                for signature in &signatures {
                    let (direct, through) = match &found.via {
                        Some(via) => self.judge_through(signature, via, &statements).await,
                        None => (Some(self.judge(signature).await), Vec::new()),
                    };
                    is_whole &= direct.as_ref().is_some_and(Judged::is_proven);
                    collected.findings.signatures.extend(direct.into_iter().chain(through));
                }
                if is_whole {
                    collected.whole.insert(found.artifact.digest);
                }
                collected.read.push(found);
            }
            Err(error) => collected.findings.troubles.push(unread(&found, &error)),
        }
    }

    /// Fetches the statements that the signed attestation manifest holds.
    async fn statements(&self, found: &Found) -> Result<Vec<(Descriptor, Bytes)>, Error> {
        let mut statements = Vec::new();
        let Some(via) = &found.via else { return Ok(statements) };
        for layer in &via.statements {
            statements.push((layer.clone(), self.part(via.place.as_deref(), layer).await?));
        }
        Ok(statements)
    }

    /// Fetches the parts of one artifact. One that is gone is trouble: the artifact names it.
    async fn signatures(&self, found: &Found) -> Result<Vec<Signature>, Error> {
        let mut signatures = Vec::with_capacity(found.carrier.parts.len());
        for part in &found.carrier.parts {
            let payload = self.part(found.place.as_deref(), part).await?;
            signatures.push(layout::signature(&found.carrier, found.artifact.digest, part, payload));
        }
        Ok(signatures)
    }

    /// By way of the cache from where it lies; what is kept from the store, without network.
    async fn part(&self, place: Option<&Place>, part: &Descriptor) -> Result<Bytes, Error> {
        match place {
            Some(Place { upstream, repository, .. }) => {
                in_time(self.cache.small_blob(upstream, repository, part, MAX_PART_BYTES)).await
            }
            None => self
                .store
                .read(&part.digest, MAX_PART_BYTES)
                .await
                .map_err(|e| Error::Store(e.to_string()))?
                .ok_or(Error::NotFound),
        }
    }

    async fn judge(&self, signature: &Signature) -> Judged {
        let results = self.results(signature, self.subject).await;
        self.judged(signature, results).await
    }

    /// What a signature of an attestation manifest says of the subject: itself, where it is a statement about the subject
    /// that lies with the manifest; and by each statement in the manifest that names it.
    async fn judge_through(
        &self,
        signature: &Signature,
        via: &Via,
        statements: &[(Descriptor, Bytes)],
    ) -> (Option<Judged>, Vec<Judged>) {
        // It may be about both. What is about another platform says nothing of this one.
        let direct = match layout::claims(signature, &self.subject.descriptor) {
            Ok(()) => Some(self.judge(signature).await),
            Err(_) => None,
        };
        let mut through = Vec::new();
        if layout::claims(signature, via.manifest.descriptor()).is_err() {
            return (direct, through);
        }
        let manifest = Subject {
            repository: self.subject.repository.clone(),
            descriptor: via.manifest.descriptor().clone(),
        };
        let signed = self.results(signature, &manifest).await;
        for (layer, statement) in statements {
            let lead = |result: &Result<Evidence, Rejected>| {
                let evidence = result.as_ref().map_err(Clone::clone)?;
                let subject = &self.subject.descriptor.digest;
                Ok(through::attested(evidence, &via.manifest, (layer, statement), subject)?)
            };
            let results = signed.iter().map(|(signer, result)| (signer.clone(), lead(result))).collect();
            through.push(self.judged(signature, results).await);
        }
        (direct, through)
    }

    async fn results(
        &self,
        signature: &Signature,
        subject: &Subject,
    ) -> Vec<(SignerName, Result<Evidence, Rejected>)> {
        let mut results = Vec::new();
        let repository = &self.subject.repository;
        for verifier in self.policy.verifiers(repository).filter(|v| v.format() == signature.format) {
            results.push((verifier.signer().clone(), self.verify(verifier, signature, subject).await));
            // A claim may be made to be verified slowly, by each signer: let others run, and the deadline be seen.
            tokio::task::yield_now().await;
        }
        results
    }

    async fn judged(
        &self,
        signature: &Signature,
        results: Vec<(SignerName, Result<Evidence, Rejected>)>,
    ) -> Judged {
        let judged = Judged::new(self.policy, &self.subject.repository, signature, results);
        if judged.is_attestation() {
            // Conditions take no time that anybody waits in: let others run, and the deadline be seen.
            tokio::task::yield_now().await;
        }
        judged
    }

    /// Asks what the verifier needs to know, then has it decide.
    async fn verify(
        &self,
        verifier: &Arc<dyn Verifier>,
        signature: &Signature,
        subject: &Subject,
    ) -> Result<Evidence, Rejected> {
        let started = Instant::now();
        let needs = verifier.needs(subject, signature, self.now);
        let mut taken = started.elapsed();
        let (known, sources) = self.revocations;
        let data = known.gather(&needs, sources).await;
        let started = Instant::now();
        let result = verifier.verify(subject, signature, &data, self.now);
        taken += started.elapsed();
        self.metrics
            .verification_duration
            .at(VerificationDuration { format: signature.format.as_str() })
            .observe(taken.as_secs_f64());
        result
    }
}

fn unread(found: &Found, error: &Error) -> Trouble {
    let what = format!("signature {}", found.artifact.digest);
    let what = found.place.as_ref().map_or_else(|| what.clone(), |place| place.names(&what));
    Trouble { code: Code::SourceUnavailable, message: format!("{what} could not be read: {error}") }
}

fn out_of_bounds(artifact: &Digest) -> Trouble {
    Trouble {
        code: Code::BoundExceeded,
        message: format!(
            "signature {artifact} was not read: with it, the signatures of this subject are more than \
             {MAX_SUBJECT_PARTS} or {MAX_SUBJECT_BYTES} bytes, or one is over {MAX_PART_BYTES}"
        ),
    }
}
