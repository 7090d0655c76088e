//! Waits for what is signed behind answers: for those who carry it away with its subject.

use std::ops::Range;
use std::time::Duration;

use crate::access::Principal;
use crate::admission::gate::Gate;
use crate::admission::memory::How;
use crate::admission::refusal::Refusal;
use crate::admission::request::Request;
use crate::oci::{Manifest, Repository};
use crate::policy::Decision;

/// How long the first and the longest pause is before looking again.
const PAUSES: Range<Duration> = Duration::from_millis(5)..Duration::from_millis(200);

impl Gate {
    /// Whether an admitted manifest has the counter-signatures that its policy wants of it. Waits for those that are being
    /// made as long as `patience` lasts, and takes from it how long that was; what another manifest vouches for needs none.
    ///
    /// # Errors
    /// [`Refusal`] of the manifest.
    pub async fn is_counter_signed(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        patience: &mut Duration,
    ) -> Result<bool, Refusal> {
        let request = self.request(repository, &Principal::Process)?;
        let mut pause = PAUSES.start;
        loop {
            let leave = request.leave(manifest.digest(), None).await?;
            let decision = leave.decision();
            let is_own = decision.subject() == manifest.digest() && request.vouches_for_all(manifest);
            if !is_own || request.counter_signer(decision).is_none() {
                return Ok(true);
            }
            // Asked in this order: what was under way is there when it is not any more.
            let is_under_way = request.is_signing(decision);
            if request.countersigned(&leave).await?.is_some() {
                return Ok(true);
            }
            if !is_under_way || patience.is_zero() {
                return Ok(false);
            }
            tokio::time::sleep(pause).await;
            *patience = patience.saturating_sub(pause);
            pause = PAUSES.end.min(pause * 2);
        }
    }
}

impl Request {
    fn is_signing(&self, decision: &Decision) -> bool {
        let Some(signer) = self.counter_signer(decision) else { return false };
        let name = (self.repository.clone(), *decision.subject());
        let key = |how| (name.clone(), how, signer.name(decision.revision()));
        [How::Usual, How::Anew, How::Whole]
            .into_iter()
            .any(|how| self.memory().signing.is_under_way(&key(how)))
    }
}
