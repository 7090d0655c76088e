//! What belongs to a manifest and is no manifest that it lists: its config and layers, and what is attached to it.

use std::ops::Range;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::{Fault, MAX_MANIFESTS, Pull};
use crate::access::Principal;
use crate::admission::Source;
use crate::engine::upkeep::Found;
use crate::oci::{Algorithm, Descriptor, Digest, Kind, MAX_MANIFEST_BYTES, Manifest, Reference, Tag, Target};
use crate::policy::Belief;
use crate::signature::Format;
use crate::store::Error;

/// How long the first and the last pause is for content that is being made durable.
const SETTLING: Range<Duration> = Duration::from_millis(5)..Duration::from_secs(30);
/// How long the counter-signatures of one reference are waited for in all: a failure's first repetition falls into it.
pub(super) const SIGNING: Duration = Duration::from_secs(10);

impl Pull<'_> {
    pub(super) async fn around(&mut self, manifest: &Manifest) -> Result<(), Fault> {
        self.content(manifest).await?;
        // What a decision in memory rests on may be gone from the disk, and tags need not be followed.
        self.course.gate.renew_unkept(self.repository, manifest.digest()).await;
        self.counter_signed(manifest).await?;
        let mut subjects = self.attached(manifest.digest()).await?;
        for _ in 1..self.course.attached {
            let mut further = Vec::new();
            for subject in std::mem::take(&mut subjects) {
                match self.attached(&subject).await {
                    Ok(found) => further.extend(found),
                    // It is there for what it is attached to; about itself nothing is admitted.
                    Err(Fault::Refused(_)) => {}
                    Err(trouble) => return Err(trouble),
                }
            }
            subjects = further;
        }
        Ok(())
    }

    /// What the gate signs behind its answers is to be whole elsewhere too.
    async fn counter_signed(&mut self, manifest: &Manifest) -> Result<(), Fault> {
        if self.course.watch.is_none() {
            return Ok(());
        }
        let gate = self.course.gate;
        let signed = gate.is_counter_signed(self.repository, manifest, &mut self.patience).await;
        match signed.map_err(|refusal| self.course.fault(&refusal))? {
            true => Ok(()),
            false => Err(Fault::Unsigned(format!(
                "the counter-signature of {} that its policy wants is not there: the log says why; export it again when \
                 it is",
                manifest.digest()
            ))),
        }
    }

    /// What is attached and admitted: signatures and, where the policy lists them, all others.
    async fn attached(&mut self, subject: &Digest) -> Result<Vec<Digest>, Fault> {
        if !self.around.insert(*subject) {
            return Ok(Vec::new());
        }
        if self.around.len() > MAX_MANIFESTS {
            return Err(Fault::Refused(format!("more than {MAX_MANIFESTS} manifests belong to it")));
        }
        let mut found = self.referrers(subject).await?;
        if self.course.attached > 1 {
            for suffix in Tag::SUFFIXES {
                found.extend(self.under_tag(Tag::about(subject, suffix)).await?);
            }
        }
        Ok(found)
    }

    async fn referrers(&mut self, subject: &Digest) -> Result<Vec<Digest>, Fault> {
        let gate = self.course.gate;
        let list = gate.referrers(self.repository, subject, None, &Principal::Process).await;
        let list = list.map_err(|refusal| self.course.fault(&refusal))?;
        let Some(list) = list else { return Ok(Vec::new()) };
        let list = Manifest::parse(list.content().bytes().clone(), Algorithm::Sha256);
        let list = list.map_err(|e| Fault::Trouble(e.to_string()))?;
        for artifact in list.manifests() {
            let manifest = self.manifest(&Target::Digest(artifact.digest)).await?;
            self.artifact(&manifest).await?;
            self.tell(Found::Manifest { descriptor: artifact.clone(), listed: true, name: None }).await?;
        }
        if !self.signed_index(subject).await? && !list.manifests().is_empty() {
            let target = Target::Tag(Tag::about(subject, ""));
            let name = Reference { repository: self.repository.clone(), target }.to_string();
            let json = String::from_utf8_lossy(list.bytes()).into_owned();
            self.tell(Found::List { name, json }).await?;
        }
        Ok(list.manifests().iter().map(|artifact| artifact.digest).collect())
    }

    /// nv2's index under the tag of the list of referrers: its config is the signature. It is no referrer, and clients
    /// get the list in its place; whoever judges finds it there.
    async fn signed_index(&self, subject: &Digest) -> Result<bool, Fault> {
        if self.course.watch.is_none() {
            return Ok(false);
        }
        let (repository, target) = (self.repository.clone(), Target::Digest(*subject));
        let decision = self.course.gate.decide(&Reference { repository, target }, &Principal::Process).await;
        let decision = decision.map_err(|refusal| self.course.fault(&refusal))?;
        let own = if decision.subject() == subject { decision.signatures() } else { &[] };
        let believed = own.iter().filter(|s| s.format == Format::Nv2 && s.result == Belief::Trusted);
        for digest in believed.map(|signature| signature.digest) {
            let read =
                self.course.store.read(&digest, MAX_MANIFEST_BYTES).await.map_err(|e| trouble(&digest, &e));
            let index = read?.and_then(|bytes| Manifest::parse_expecting(bytes, &digest).ok());
            let Some(index) = index.filter(|index| index.kind() == Kind::Index) else { continue };
            if let Some(signature) = index.config() {
                self.tell(Found::Blob { descriptor: signature.clone() }).await?;
            }
            self.named(&Target::Tag(Tag::about(subject, "")), &index).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// What has a tag of its own, where it is there and admitted.
    async fn under_tag(&mut self, tag: Tag) -> Result<Option<Digest>, Fault> {
        let target = Target::Tag(tag);
        let manifest = match self.manifest(&target).await {
            Ok(manifest) => manifest,
            Err(Fault::Refused(_)) => return Ok(None),
            Err(trouble) => return Err(trouble),
        };
        self.artifact(&manifest).await?;
        self.named(&target, &manifest).await?;
        Ok(Some(*manifest.digest()))
    }

    async fn artifact(&mut self, manifest: &Manifest) -> Result<(), Fault> {
        match manifest.kind() {
            Kind::Index => Ok(()),
            Kind::Image | Kind::Artifact => self.content(manifest).await,
        }
    }

    /// Configs and layers, read to their end so that they are kept.
    async fn content(&mut self, manifest: &Manifest) -> Result<(), Fault> {
        self.kept(manifest).await?;
        for blob in manifest.config().into_iter().chain(manifest.blobs()) {
            self.blob(blob).await?;
            self.tell(Found::Blob { descriptor: blob.clone() }).await?;
        }
        Ok(())
    }

    /// Sees that a manifest is in the store: one that memory answers may be gone from the disk, or had no room.
    async fn kept(&self, manifest: &Manifest) -> Result<(), Fault> {
        let (store, digest) = (self.course.store, manifest.digest());
        if store.open_blob(digest).await.map_err(|e| trouble(digest, &e))?.is_some() {
            return Ok(());
        }
        store.write(digest, manifest.bytes().clone()).await.map_err(|error| match error {
            Error::Full => no_room(digest),
            other => trouble(digest, &other),
        })
    }

    async fn blob(&mut self, blob: &Descriptor) -> Result<(), Fault> {
        let admitted = self.course.gate.blob(self.repository, &blob.digest, &Principal::Process).await;
        let blob = admitted.map_err(|refusal| self.course.fault(&refusal))?.into_content();
        // The empty blob is kept nowhere.
        self.content.extend((blob.size() > 0).then_some(*blob.digest()));
        if blob.source() == Source::Store {
            return Ok(());
        }
        let (size, digest) = (blob.size(), *blob.digest());
        if !blob.accepts_ranges() {
            return Err(no_room(&digest));
        }
        let mut reader = blob.read(0..size, None);
        while let Some(piece) = reader.next().await {
            self.bytes += piece.map_err(|e| trouble(&digest, &e))?.len() as u64;
        }
        self.settled(&digest).await
    }

    /// Waits until what was read is kept, which follows the last byte.
    async fn settled(&self, digest: &Digest) -> Result<(), Fault> {
        let mut pause = SETTLING.start;
        while self.course.store.open_blob(digest).await.map_err(|e| trouble(digest, &e))?.is_none() {
            if pause > SETTLING.end {
                return Err(trouble(digest, &"it was fetched and could not be kept; the log says why"));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }
}

fn trouble(digest: &Digest, why: &dyn std::fmt::Display) -> Fault {
    Fault::Trouble(format!("blob {digest}: {why}"))
}

fn no_room(digest: &Digest) -> Fault {
    Fault::Trouble(format!(
        "the store has no room for blob {digest}: see store.max_size, and what is free on its disk"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::Clock;
    use crate::config::Settings;
    use crate::engine::upkeep::pulling::Course;
    use crate::engine::{Engine, State};
    use crate::oci::Repository;

    /// Whatever is attached to whatever: the gate, which does not know this registry, is not asked about one more.
    #[tokio::test]
    async fn only_so_many_manifests_belong_to_one_reference() {
        let state = State::ephemeral(Clock::system()).await.unwrap();
        let engine = Engine::build(Settings::built_in(), &state, None).unwrap();
        let course = &Course::prefetch(engine.gate(), state.memory.store(), &[]);
        let repository = &Repository::parse("nowhere.test/app").unwrap();
        for (known, too_many) in [(MAX_MANIFESTS - 1, false), (MAX_MANIFESTS, true)] {
            let around: HashSet<Digest> = (0..known).map(|n| Digest::sha256(&n.to_be_bytes())).collect();
            let (manifests, bytes, refused, patience) = (0, 0, Vec::new(), SIGNING);
            let content = HashSet::new();
            let mut pull = Pull { course, repository, manifests, bytes, refused, around, content, patience };
            let Err(Fault::Refused(why)) = pull.attached(&Digest::sha256(b"more")).await else { panic!() };
            assert_eq!(why.contains("more than 1024 manifests belong to it"), too_many, "{why}");
        }
    }
}
