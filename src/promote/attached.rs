//! What is attached to the content: referrers, what refers to those, and the tags of those who do without referrers.
//! From the source as it lies there; from elsewhere what the gate has proven.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{AT_ONCE, Error, Piece, Promotion, found};
use crate::access::Principal;
use crate::admission::Refusal;
use crate::oci::{Algorithm, Digest, Kind, Manifest, ManifestError, Reference, Tag, Target};

/// How long a chain of referrers may be: the signature of a bill of materials is the second.
const MAX_DEPTH: usize = 4;
/// At most so many artifacts are copied with one image.
const MAX_ARTIFACTS: usize = 4096;

/// All of it.
#[derive(Default)]
pub(super) struct Attached {
    /// In an order in which they may be written.
    pub(super) referrers: Vec<Piece>,
    pub(super) tagged: Vec<(Tag, Piece)>,
}

/// What one manifest has.
struct Named {
    referrers: Vec<Digest>,
    proven_elsewhere: Vec<Digest>,
    tagged: Vec<(Tag, Piece)>,
}

impl Promotion<'_> {
    pub(super) async fn attached(&self, tree: &[Piece]) -> Result<Attached, Error> {
        let mut all = Attached::default();
        let mut seen: HashSet<Digest> = tree.iter().map(|piece| *piece.manifest.digest()).collect();
        let mut subjects: Vec<Digest> = seen.iter().copied().collect();
        for depth in 0.. {
            if subjects.is_empty() {
                break;
            }
            if depth == MAX_DEPTH || seen.len() > MAX_ARTIFACTS {
                let what = format!("more than {MAX_ARTIFACTS} artifacts, or {MAX_DEPTH} one upon the other");
                return Err(Error::Refused(format!("what refers to it is {what}")));
            }
            let asked = stream::iter(subjects.iter().map(|subject| self.named(subject)));
            let named: Vec<Named> = asked.buffered(AT_ONCE).try_collect().await?;
            let mut new = Vec::new();
            for Named { referrers, proven_elsewhere, tagged } in named {
                for (digests, through_gate) in [(referrers, false), (proven_elsewhere, true)] {
                    for digest in digests {
                        if seen.insert(digest) {
                            new.push(digest);
                            self.referrer(&digest, through_gate, &mut seen, &mut all.referrers).await?;
                        }
                    }
                }
                all.tagged.extend(tagged);
            }
            subjects = new;
        }
        Ok(all)
    }

    /// A referrer, behind what it lists where it is an index. A list may name what is gone.
    async fn referrer(
        &self,
        digest: &Digest,
        through_gate: bool,
        seen: &mut HashSet<Digest>,
        all: &mut Vec<Piece>,
    ) -> Result<(), Error> {
        let Some(piece) = self.piece(&Target::Digest(*digest), through_gate).await? else { return Ok(()) };
        for listed in piece.manifest.manifests() {
            if seen.insert(listed.digest)
                && let Some(child) = self.piece(&Target::Digest(listed.digest), through_gate).await?
            {
                all.push(child);
            }
        }
        all.push(piece);
        Ok(())
    }

    async fn named(&self, subject: &Digest) -> Result<Named, Error> {
        let (upstream, repository) = (self.upstream()?, &self.source.repository);
        let failed = |what: &str, why: &dyn std::fmt::Display| {
            Error::trouble(format!("{what} of {repository}@{subject}"), why)
        };
        let schema = Target::Tag(Tag::about(subject, ""));
        let (listed, index) =
            tokio::join!(upstream.referrers(repository, subject), self.piece(&schema, false));
        let listed = found(listed).map_err(|e| failed("the list of referrers", &e))?.unwrap_or_default();
        let mut referrers: Vec<Digest> = listed.iter().map(|referrer| referrer.digest).collect();
        let mut tagged = Vec::new();
        if let Some(index) = index?.filter(|index| index.manifest.kind() == Kind::Index) {
            referrers.extend(index.manifest.manifests().iter().map(|referrer| referrer.digest));
            // nv2's index is a signature itself; any other is made anew where it is needed.
            tagged
                .extend(index.manifest.config().is_some().then(|| (Tag::about(subject, ""), index.clone())));
        }
        let gate_has_more = self.gate_has_more();
        let tags = Tag::SUFFIXES.map(|suffix| self.tagged(Tag::about(subject, suffix), gate_has_more));
        tagged.extend(try_join_all(tags).await?.into_iter().flatten());
        let proven_elsewhere = if gate_has_more { self.proven(subject).await? } else { Vec::new() };
        Ok(Named { referrers, proven_elsewhere, tagged })
    }

    /// What stands under a tag: in the source, and through the gate, where that is something else.
    async fn tagged(&self, tag: Tag, gate_has_more: bool) -> Result<Vec<(Tag, Piece)>, Error> {
        let target = Target::Tag(tag.clone());
        let own = self.piece(&target, false).await?;
        let gates = if gate_has_more { self.piece(&target, true).await? } else { None };
        let digest = |piece: &Piece| *piece.manifest.digest();
        let gates = gates.filter(|piece| own.as_ref().map(digest) != Some(digest(piece)));
        Ok(own.into_iter().chain(gates).map(|piece| (tag.clone(), piece)).collect())
    }

    /// Whether it looks for signatures beside the source, or adds its own.
    fn gate_has_more(&self) -> bool {
        let repository = &self.source.repository;
        let policy = self.gate.policies().matching(repository);
        let looks_elsewhere =
            policy.is_some_and(|policy| policy.signature_sources(repository).next().is_some());
        looks_elsewhere || self.gate.counter_signs(repository)
    }

    /// The signatures that the gate has proven or made, and lists, wherever they lie.
    async fn proven(&self, subject: &Digest) -> Result<Vec<Digest>, Error> {
        let repository = &self.source.repository;
        let list = match self.gate.referrers(repository, subject, None, &Principal::Process).await {
            Ok(list) => list,
            // Of what is no content of its own nothing is proven.
            Err(Refusal::Denied(_) | Refusal::Unknown(_)) => None,
            Err(refusal) => return Err(refusal.into()),
        };
        let Some(list) = list else { return Ok(Vec::new()) };
        let list = Manifest::parse(list.content().bytes().clone(), Algorithm::Sha256);
        let list = list.map_err(|why| Error::trouble("the list of referrers", why))?;
        Ok(list.manifests().iter().map(|referrer| referrer.digest).collect())
    }

    /// A manifest as it lies in the source, or through the gate.
    async fn piece(&self, target: &Target, through_gate: bool) -> Result<Option<Piece>, Error> {
        let reference = Reference { repository: self.source.repository.clone(), target: target.clone() };
        if through_gate {
            return match self.gate.manifest(&reference, &Principal::Process).await {
                Ok(admitted) => Ok(Some(Piece { manifest: admitted.into_content(), through_gate })),
                Err(Refusal::Denied(_) | Refusal::Unknown(_)) => Ok(None),
                Err(refusal) => Err(refusal.into()),
            };
        }
        let answer = found(self.upstream()?.manifest(&reference.repository, target).await);
        let Some(bytes) = answer.map_err(|e| Error::trouble(&reference, e))? else { return Ok(None) };
        match parsed(bytes, target) {
            Ok(manifest) => Ok(Some(Piece { manifest: Arc::new(manifest), through_gate })),
            Err(why @ ManifestError::Digest { .. }) => Err(Error::trouble(&reference, why)),
            // Whoever can attach artifacts could hold everything up with what nobody reads.
            Err(why) => {
                tracing::warn!(%reference, %why, "what is attached there is passed over");
                Ok(None)
            }
        }
    }
}

fn parsed(bytes: Bytes, target: &Target) -> Result<Manifest, ManifestError> {
    match target {
        Target::Digest(digest) => Manifest::parse_expecting(bytes, digest),
        Target::Tag(_) => Manifest::parse(bytes, Algorithm::Sha256),
    }
}
