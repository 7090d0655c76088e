//! Pulls references as a client would, so that they are there when one comes: what an index lists, configs,
//! layers, and what is attached. Each goes through the gate; what is refused is told, and the others go on.

mod around;
mod outcome;
mod platform;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Found, Progress, Tell, told};
use crate::access::Principal;
use crate::admission::{Gate, Refusal, Trouble};
use crate::oci::{Descriptor, Digest, Manifest, Reference, Repository, Target};
use crate::policy::Verdict;
use crate::store::Store;

pub use outcome::{Outcome, Pulled, Refused};
pub use platform::Platform;

/// How deep indexes may lie in indexes.
const MAX_DEPTH: usize = 4;
/// At most so many manifests are pulled for one reference.
const MAX_MANIFESTS: usize = 1024;
/// So far from an image is what is attached to what is attached followed, where it is to be whole elsewhere.
const MAX_ATTACHED: usize = 3;
/// How often trouble is met with another attempt, and after how long.
const RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// How references are pulled, and how far.
pub(super) struct Course<'a> {
    gate: &'a Gate,
    store: &'a Store,
    /// Of an index only what runs on one of these; without any, everything.
    platforms: &'a [Platform],
    /// How far what is attached to what is attached is followed.
    attached: usize,
    /// Whether trouble is met with other attempts.
    patient: bool,
    /// Who is told of each thing that is there now.
    watch: Option<&'a Tell>,
}

/// One reference on its way.
struct Pull<'a> {
    course: &'a Course<'a>,
    repository: &'a Repository,
    manifests: u64,
    bytes: u64,
    refused: Vec<Refused>,
    /// What was looked at for what is attached to it.
    around: HashSet<Digest>,
    /// All that belongs to it and has content.
    content: HashSet<Digest>,
    /// So long counter-signatures are still waited for, in all.
    patience: Duration,
}

impl<'a> Course<'a> {
    /// For clients that come later.
    pub(super) fn prefetch(gate: &'a Gate, store: &'a Store, platforms: &'a [Platform]) -> Self {
        Self { gate, store, platforms, attached: 1, patient: true, watch: None }
    }

    /// For another network: `watch` is told of each thing that is there.
    pub(super) fn export(
        gate: &'a Gate,
        store: &'a Store,
        platforms: &'a [Platform],
        watch: &'a Tell,
    ) -> Self {
        Self { attached: MAX_ATTACHED, watch: Some(watch), ..Self::prefetch(gate, store, platforms) }
    }

    /// From another network: what is not there now will not be there in a moment.
    pub(super) fn import(gate: &'a Gate, store: &'a Store, platforms: &'a [Platform]) -> Self {
        Self { attached: MAX_ATTACHED, patient: false, ..Self::prefetch(gate, store, platforms) }
    }

    /// Whether what a reference stands for may have its name. The name does not move.
    async fn admits(&self, reference: &Reference) -> Result<(), Fault> {
        let decision = self.gate.decide(reference, &Principal::Process).await;
        let decision = decision.map_err(|refusal| self.fault(&refusal))?;
        match decision.verdict() {
            _ if decision.serve() => Ok(()),
            Verdict::Indeterminate => Err(Fault::Trouble(decision.message())),
            Verdict::Allow | Verdict::Deny => Err(Fault::Refused(decision.message())),
        }
    }

    fn fault(&self, refusal: &Refusal) -> Fault {
        match refusal {
            Refusal::Denied(_) | Refusal::Closed { .. } | Refusal::Unknown(_) => {
                Fault::Refused(refusal.to_string())
            }
            Refusal::Upstream(Trouble::Unavailable { message, .. }) if !self.patient => {
                // Whoever carried it is no upstream.
                let why = message.to_string();
                Fault::Trouble(why.strip_prefix("the upstream is unavailable: ").unwrap_or(&why).to_owned())
            }
            Refusal::Undecided { .. } | Refusal::Upstream(_) => Fault::Trouble(refusal.to_string()),
        }
    }
}

/// Pulls what a reference names, and all that belongs to it.
pub(super) async fn pull(course: &Course<'_>, reference: String) -> Pulled {
    pull_listing(course, reference).await.0
}

/// As [`pull`], and lists the content that was there or came.
pub(super) async fn pull_listing(course: &Course<'_>, reference: String) -> (Pulled, HashSet<Digest>) {
    let parsed = match Reference::parse(&reference) {
        Ok(parsed) => parsed,
        Err(error) => {
            let why = format!("this is no reference: {error}");
            return (Pulled::refused(reference, why), HashSet::new());
        }
    };
    let repository = &parsed.repository;
    let mut pull = Pull {
        course,
        repository,
        manifests: 0,
        bytes: 0,
        refused: Vec::new(),
        around: HashSet::new(),
        content: HashSet::new(),
        patience: around::SIGNING,
    };
    let done = pull.patiently(&parsed.target).await;
    let Pull { manifests, bytes, refused, content, .. } = pull;
    let pulled = Pulled { manifests, bytes, refused, ..Pulled::nothing(reference, Outcome::Kept) };
    match done {
        Ok(()) => (pulled, content),
        Err(fault) => (fault.of(pulled), content),
    }
}

/// Takes in what a reference stands for: it is named only when all of it is there.
pub(super) async fn pull_named(course: &Course<'_>, reference: &Reference, digest: &Digest) -> Pulled {
    let Reference { repository, target } = reference;
    // Signatures and revocations that are new with it are found, though what is known may suffice.
    course.gate.renew(repository, digest).await;
    let name = reference.to_string();
    if let Err(fault) = course.admits(reference).await {
        return fault.of(Pulled::nothing(name, Outcome::Refused));
    }
    let whole = pull(course, format!("{repository}@{digest}")).await;
    let pulled = Pulled { reference: name, ..whole };
    if pulled.outcome != Outcome::Kept || matches!(target, Target::Digest(_)) {
        return pulled;
    }
    match course.gate.manifest(reference, &Principal::Process).await {
        Ok(_) => pulled,
        Err(refusal) => course.fault(&refusal).of(pulled),
    }
}

impl Fault {
    fn of(self, pulled: Pulled) -> Pulled {
        let (outcome, why) = match self {
            Self::Refused(why) => (Outcome::Refused, why),
            Self::Trouble(why) | Self::Unsigned(why) => (Outcome::Trouble, why),
        };
        Pulled { outcome, reason: Some(why), ..pulled }
    }
}

enum Fault {
    Refused(String),
    Trouble(String),
    /// A counter-signature that was waited for is not there.
    Unsigned(String),
}

impl Pull<'_> {
    async fn patiently(&mut self, target: &Target) -> Result<(), Fault> {
        let mut pauses = RETRIES.into_iter().filter(|_| self.course.patient);
        loop {
            match (self.tree(target).await, pauses.next()) {
                (Err(Fault::Trouble(_)), Some(pause)) => tokio::time::sleep(pause).await,
                (done, _) => return done,
            }
        }
    }

    /// The manifest, and below it all that is wanted. A refusal below it is noted, and the others go on.
    async fn tree(&mut self, target: &Target) -> Result<(), Fault> {
        (self.manifests, self.refused) = (0, Vec::new());
        self.around.clear();
        self.content.clear();
        let top = self.manifest(target).await?;
        self.around(&top).await?;
        let mut seen = HashSet::from([*top.digest()]);
        let mut level = vec![Arc::clone(&top)];
        for _ in 0..MAX_DEPTH {
            let mut below = Vec::new();
            for index in &level {
                let mut wanted = self.wanted(index)?;
                wanted.retain(|child| seen.insert(child.digest));
                if seen.len() > MAX_MANIFESTS {
                    return Err(Fault::Refused(format!("it has more than {MAX_MANIFESTS} manifests")));
                }
                for child in wanted {
                    let pulled = self.child(child).await;
                    below.extend(self.unless_refused(child, pulled)?);
                }
            }
            level = below;
        }
        if !level.is_empty() {
            return Err(Fault::Refused(format!("its indexes lie deeper than {MAX_DEPTH} in each other")));
        }
        if !self.refused.is_empty() {
            let (refused, listed) = (self.refused.len(), seen.len() - 1);
            return Err(Fault::Refused(format!("{refused} of the {listed} manifests that it lists")));
        }
        // Named last: what has a name is whole.
        self.named(target, &top).await
    }

    /// What of an index is asked for.
    fn wanted<'m>(&self, index: &'m Manifest) -> Result<Vec<&'m Descriptor>, Fault> {
        let (listed, platforms) = (index.manifests(), self.course.platforms);
        if platforms.is_empty() {
            return Ok(listed.iter().collect());
        }
        let runs = |child: &&Descriptor| platforms.iter().any(|platform| platform.runs(child));
        let wanted: Vec<_> = listed.iter().filter(runs).collect();
        if wanted.is_empty() && !listed.is_empty() {
            let platforms: Vec<String> = platforms.iter().map(Platform::to_string).collect();
            return Err(Fault::Refused(format!("nothing that it lists runs on {}", platforms.join(" or "))));
        }
        Ok(wanted)
    }

    async fn child(&mut self, child: &Descriptor) -> Result<Arc<Manifest>, Fault> {
        let manifest = self.manifest(&Target::Digest(child.digest)).await?;
        self.tell(Found::Manifest { descriptor: child.clone(), listed: false, name: None }).await?;
        self.around(&manifest).await?;
        Ok(manifest)
    }

    fn unless_refused<T>(
        &mut self,
        child: &Descriptor,
        pulled: Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match pulled {
            Ok(pulled) => Ok(Some(pulled)),
            Err(Fault::Refused(reason)) => {
                let platform = Platform::of(child);
                self.refused.push(Refused { digest: child.digest, platform, reason });
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn manifest(&mut self, target: &Target) -> Result<Arc<Manifest>, Fault> {
        let reference = Reference { repository: self.repository.clone(), target: target.clone() };
        let admitted = self.course.gate.manifest(&reference, &Principal::Process).await;
        let admitted = admitted.map_err(|refusal| self.course.fault(&refusal))?;
        self.manifests += 1;
        self.content.insert(*admitted.content().digest());
        Ok(admitted.into_content())
    }

    async fn named(&self, target: &Target, manifest: &Manifest) -> Result<(), Fault> {
        let name = Reference { repository: self.repository.clone(), target: target.clone() }.to_string();
        let descriptor = manifest.descriptor().clone();
        self.tell(Found::Manifest { descriptor, listed: true, name: Some(name) }).await
    }

    async fn tell(&self, found: Found) -> Result<(), Fault> {
        match self.course.watch {
            Some(watch) => told(watch, Progress::Found(found)).await.map_err(Fault::Trouble),
            None => Ok(()),
        }
    }
}
