//! Making a counter-signature: what is there already, what is signed beside, what is kept and what takes its place.

use std::sync::Arc;

use bytes::Bytes;

use super::records::Record;
use super::signer::{CounterSigner, Made};
use super::{COSIGN, maker};
use crate::admission::refusal::Refusal;
use crate::admission::request::Request;
use crate::oci::{Digest, MAX_MANIFEST_BYTES, Manifest, Tag};
use crate::policy::Decision;
use crate::signature::{Format, layout};
use crate::signing::Artifact;
use crate::store::key::within;

impl Request {
    /// Makes and keeps what is not there yet. Says whether something was made.
    pub(super) async fn make(
        &self,
        signer: &CounterSigner,
        manifest: &Manifest,
        decision: &Arc<Decision>,
        inputs: &[Digest],
    ) -> Result<bool, String> {
        let (memory, repository, subject) = (self.memory(), &self.repository, manifest.digest());
        // One at a time: what is made twice would be kept twice.
        let _turn = memory.countersigned.turn(subject).lock().await;
        let by = signer.name(decision.revision());
        let known = memory.countersigned.get(repository, subject).await.map_err(|e| e.to_string())?;
        let (current, former) = match known {
            Some(record) if record.by == by && self.is_whole(&record).await => (Some(record), None),
            former => (None, former),
        };
        let beside = if signer.is_tagged() { self.upstreams_own(decision, inputs).await } else { Ok(None) };
        let beside = match beside {
            Ok(image) => image,
            // Nobody can tell what stands there now, as on an island: what was made stays as it is.
            Err(_) if current.is_some() => return Ok(false),
            Err(_) => None,
        };
        let others = beside.as_ref().map(|image| *image.digest());
        if current.as_ref().is_some_and(|record| record.beside == others) {
            return Ok(false);
        }
        let made = signer.sign(repository, manifest.descriptor(), decision, inputs, beside.as_deref()).await;
        let made = made.map_err(|e| e.to_string())?;
        let digest = |artifact: &Artifact| *artifact.manifest.digest();
        let artifacts = made.referrers.iter().map(digest).collect();
        let record = Record { by, beside: others, artifacts, tagged: made.tagged.as_ref().map(digest) };
        // Written down before it is kept, and so before it is served: what the key has signed stands there whatever
        // comes of it, and what cannot be written down leaves nothing behind.
        self.note_counter_signature("counter-signed", decision, &record, Some(signer)).await?;
        let kept = match self.keep_made(subject, &made).await {
            Ok(kept) => kept,
            Err(error) => {
                self.note_withdrawn(decision, &record).await;
                return Err(error.to_string());
            }
        };
        let value = serde_json::to_vec(&record).map_err(|e| e.to_string())?;
        memory.countersigned.table.put(within(repository, subject), value);
        // What a crash left without a record goes with its subject.
        if let Some(former) = current.or(former) {
            self.let_go(subject, &former, &kept).await;
        }
        Ok(true)
    }

    /// Whether all that a record names can be read.
    async fn is_whole(&self, record: &Record) -> bool {
        for digest in record.all() {
            let Some(manifest) = self.kept(digest).await else { return false };
            for blob in manifest.config().into_iter().chain(manifest.blobs().first()) {
                let size = self.memory().store.size_now(&blob.digest);
                // The layers of others' signatures are the upstream's.
                if record.tagged.as_ref() != Some(digest) && !matches!(size, Ok(Some(_))) {
                    return false;
                }
            }
        }
        true
    }

    async fn kept(&self, digest: &Digest) -> Option<Manifest> {
        let bytes = self.memory().store.read(digest, MAX_MANIFEST_BYTES).await.ok()??;
        Manifest::parse_expecting(bytes, digest).ok()
    }

    /// Ends what was made before, but for what is made now: nobody finds it by its digest any more.
    pub(super) async fn let_go(&self, subject: &Digest, former: &Record, now: &[Digest]) {
        let (memory, repository) = (self.memory(), &self.repository);
        for digest in former.all().filter(|digest| !now.contains(digest)) {
            memory.cache.disown(repository, digest);
        }
        let released = memory.store.hold_only(now, &maker(repository, subject)).await;
        if let Err(error) = released {
            tracing::error!(%repository, %subject, %error, "former counter-signatures cannot be released");
        }
    }

    /// Keeps what was made, and says what that is.
    async fn keep_made(&self, subject: &Digest, made: &Made) -> Result<Vec<Digest>, crate::cache::Error> {
        let (memory, repository) = (self.memory(), &self.repository);
        memory.keeps(&(repository.clone(), *subject), false)?;
        let by_digest = |blob: &Bytes| (Digest::sha256(blob), blob.clone());
        let artifacts =
            made.all().map(|artifact| (&artifact.manifest, artifact.blobs.iter().map(by_digest).collect()));
        memory.cache.adopt(repository, artifacts, &maker(repository, subject)).await
    }

    /// The signatures under the upstream's own `.sig` tag, where they may be served.
    async fn upstreams_own(
        &self,
        decision: &Decision,
        proven: &[Digest],
    ) -> Result<Option<Arc<Manifest>>, Refusal> {
        let tag = Tag::about(decision.subject(), COSIGN);
        let found = async {
            let resolved = self.resolve(&tag).await?;
            let is_served = proven.contains(&resolved.digest) || self.lists_all_referrers(decision);
            if is_served { self.fetch(&resolved.digest).await.map(Some) } else { Ok(None) }
        };
        let is_signatures = |image: &Arc<Manifest>| {
            let carrier = layout::carrier(image, decision.subject());
            carrier.is_some_and(|carrier| carrier.pure && carrier.format == Format::Cosign)
        };
        match found.await {
            Ok(image) => Ok(image.filter(is_signatures)),
            Err(Refusal::Unknown(_) | Refusal::Denied(_)) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }
}
