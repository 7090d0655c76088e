//! What was made, as it is served: for as long as who made it signs under the same decision.

use super::{COSIGN, Record};
use crate::admission::links::Leave;
use crate::admission::refusal::{Refusal, internal};
use crate::admission::request::Request;
use crate::oci::Digest;

impl Request {
    /// Whether an artifact is one that was made here about the subject, by who signs today.
    ///
    /// # Errors
    /// [`Refusal`]: it cannot be found out.
    pub(in crate::admission) async fn is_counter_signature(
        &self,
        parent: &Leave,
        artifact: &Digest,
    ) -> Result<bool, Refusal> {
        let record = self.countersigned(parent).await?;
        Ok(record.is_some_and(|record| record.all().any(|made| made == artifact)))
    }

    /// The referrers that were made here about a subject.
    ///
    /// # Errors
    /// As [`Request::is_counter_signature`].
    pub(in crate::admission) async fn counter_signatures(
        &self,
        parent: &Leave,
    ) -> Result<Vec<Digest>, Refusal> {
        Ok(self.countersigned(parent).await?.map(|record| record.artifacts).unwrap_or_default())
    }

    /// What stands here under a subject's `.sig` tag.
    ///
    /// # Errors
    /// [`Refusal`] of the subject; as [`Request::is_counter_signature`].
    pub(in crate::admission) async fn counter_signed_tag(
        &self,
        subject: &Digest,
        suffix: &str,
    ) -> Result<Option<Digest>, Refusal> {
        if suffix != COSIGN || !self.gate.counter_signs(&self.repository) {
            return Ok(None);
        }
        // Without leave nothing was made; what else stands under the tag says why.
        let Ok(leave) = self.leave(subject, None).await else { return Ok(None) };
        Ok(self.countersigned(&leave).await?.and_then(|record| record.tagged))
    }

    pub(super) async fn countersigned(&self, parent: &Leave) -> Result<Option<Record>, Refusal> {
        let decision = parent.decision();
        let Some(signer) = self.counter_signer(decision) else { return Ok(None) };
        let record = self.memory().countersigned.get(&self.repository, parent.manifest()).await;
        let record = record.map_err(|e| internal(&e))?;
        Ok(record.filter(|record| record.by == signer.name(decision.revision())))
    }
}
