//! What is attached to the content: referrers, what refers to those, and the tags of those who do without referrers.
//! From the source as it lies there; from elsewhere what the gate has proven.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::tags::Tagged;
use super::{AT_ONCE, Error, Piece, Promotion, found};
use crate::access::Principal;
use crate::admission::Refusal;
use crate::oci::{Algorithm, Digest, Kind, Manifest, ManifestError, Reference, Tag, Target};
use crate::upstream;

/// So long a chain of referrers is followed: the signature of a bill of materials is the second.
const MAX_DEPTH: usize = 4;
/// How deep something may lie in attached indexes.
const MAX_NESTING: usize = 2;
/// The source is asked for at most so many artifacts with one image, besides those that are proven.
const MAX_ARTIFACTS: usize = 4096;

/// All of it.
#[derive(Default)]
pub(super) struct Attached {
    /// In an order in which they may be written.
    pub(super) referrers: Vec<Piece>,
    pub(super) tagged: Vec<Tagged>,
    /// What was asked for, and whether it goes along.
    asked: HashMap<Digest, bool>,
    /// What was named as a referrer, or is the content.
    named: HashSet<Digest>,
    /// How many artifacts the source may still be asked for.
    left: usize,
    passed_over: usize,
}

impl Attached {
    /// Passes over what names a blob that is `gone`, and what lists such.
    pub(super) fn pass_over(&mut self, gone: &HashSet<Digest>) {
        let mut lost = gone.clone();
        let mut is_whole = |piece: &Piece| {
            let manifest = &piece.manifest;
            let mut named = manifest.config().into_iter().chain(manifest.blobs()).chain(manifest.manifests());
            let Some(missing) = named.find(|named| lost.contains(&named.digest)) else { return true };
            let (artifact, missing) = (manifest.digest(), &missing.digest);
            tracing::warn!(%artifact, %missing, "what is attached is passed over: the source lacks a part of it");
            lost.insert(*artifact);
            false
        };
        self.referrers.retain(&mut is_whole);
        for tagged in &mut self.tagged {
            tagged.pieces.retain(&mut is_whole);
        }
        self.tagged.retain(|tagged| !tagged.pieces.is_empty());
    }
}

/// What one manifest has.
struct Named {
    referrers: Vec<Digest>,
    /// By the gate: some of the referrers, and what lies elsewhere.
    proven: Vec<Digest>,
    tagged: Vec<Tagged>,
}

impl Promotion<'_> {
    /// Within bounds, which whoever can attach something can reach: beyond them it is passed over, unless it is proven.
    pub(super) async fn attached(&self, tree: &[Piece]) -> Result<Attached, Error> {
        let mut subjects: Vec<Digest> = tree.iter().rev().map(|piece| *piece.manifest.digest()).collect();
        let mut all = Attached {
            asked: subjects.iter().map(|digest| (*digest, true)).collect(),
            named: subjects.iter().copied().collect(),
            left: MAX_ARTIFACTS,
            ..Attached::default()
        };
        for _ in 0..MAX_DEPTH {
            let asked = stream::iter(subjects.iter().map(|subject| self.named(subject)));
            let mut named: Vec<Named> = asked.buffered(AT_ONCE).try_collect().await?;
            if named.iter().map(|named| named.referrers.len()).sum::<usize>() > all.left {
                for (named, subject) in named.iter_mut().zip(&subjects) {
                    named.proven = self.proven(subject).await?;
                }
            }
            subjects = self.take_all(named, &mut all).await?;
        }
        let (source, passed_over) = (self.source, all.passed_over);
        if passed_over > 0 {
            tracing::warn!(%source, passed_over, "more than {MAX_ARTIFACTS} artifacts, or too deep in indexes");
        }
        if !subjects.is_empty() {
            tracing::warn!(%source, "what refers to the last of {MAX_DEPTH} artifacts, one upon the other, is passed over");
        }
        Ok(all)
    }

    /// Takes along what manifests have, first what is proven. Says which referrers may have some of their own.
    async fn take_all(&self, named: Vec<Named>, all: &mut Attached) -> Result<Vec<Digest>, Error> {
        let mut new = Vec::new();
        for digest in named.iter().flat_map(|named| &named.proven) {
            if all.named.insert(*digest) && self.take(*digest, true, 0, all).await? {
                new.push(*digest);
            }
        }
        for digest in named.iter().flat_map(|named| &named.referrers) {
            if all.named.insert(*digest) && self.take(*digest, false, 0, all).await? {
                new.push(*digest);
            }
        }
        for mut tagged in named.into_iter().flat_map(|named| named.tagged) {
            let mut pieces = Vec::with_capacity(tagged.pieces.len());
            for piece in tagged.pieces {
                if self.take_listed(&piece, 0, all).await? {
                    pieces.push(piece);
                }
            }
            tagged.pieces = pieces;
            all.tagged.extend((!tagged.pieces.is_empty()).then_some(tagged));
        }
        Ok(new)
    }

    /// Takes an artifact along, behind what it lists where it is an index. Says whether it goes: a list may name what is
    /// gone.
    fn take<'a>(
        &'a self,
        digest: Digest,
        through_gate: bool,
        nesting: usize,
        all: &'a mut Attached,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            match all.asked.get(&digest) {
                Some(true) => return Ok(true),
                // What the source lacks the gate may have.
                Some(false) if !through_gate => return Ok(false),
                Some(false) | None => {}
            }
            if nesting > MAX_NESTING || (all.left == 0 && !through_gate) {
                all.passed_over += 1;
                return Ok(false);
            }
            all.left -= usize::from(!through_gate);
            all.asked.insert(digest, false);
            let Some(piece) = self.piece(&Target::Digest(digest), through_gate).await? else {
                return Ok(false);
            };
            let goes = self.take_listed(&piece, nesting, all).await?;
            if goes {
                all.asked.insert(digest, true);
                all.referrers.push(piece);
            }
            Ok(goes)
        })
    }

    /// Takes along what an index lists. Says whether that is all of it: registries take no index without.
    async fn take_listed(&self, index: &Piece, nesting: usize, all: &mut Attached) -> Result<bool, Error> {
        for listed in index.manifest.manifests() {
            if !self.take(listed.digest, index.through_gate, nesting + 1, all).await? {
                let (artifact, listed) = (index.manifest.digest(), &listed.digest);
                tracing::warn!(%artifact, %listed, "an attached index is passed over: what it lists does not go along");
                return Ok(false);
            }
        }
        Ok(true)
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
            let nv2 = index.manifest.config().is_some().then(|| index.clone());
            tagged.extend(Tagged::of(Tag::about(subject, ""), nv2, None));
        }
        let gate_has_more = self.gate_has_more();
        let tags = Tag::SUFFIXES.map(|suffix| self.tagged(Tag::about(subject, suffix), gate_has_more));
        tagged.extend(try_join_all(tags).await?.into_iter().flatten());
        let proven = if gate_has_more { self.proven(subject).await? } else { Vec::new() };
        Ok(Named { referrers, proven, tagged })
    }

    /// What stands under a tag: in the source, and through the gate, where that is something else.
    async fn tagged(&self, tag: Tag, gate_has_more: bool) -> Result<Option<Tagged>, Error> {
        let target = Target::Tag(tag.clone());
        let own = self.piece(&target, false).await?;
        let gates = if gate_has_more { self.piece(&target, true).await? } else { None };
        Ok(Tagged::of(tag, own, gates))
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
    pub(super) async fn piece(&self, target: &Target, through_gate: bool) -> Result<Option<Piece>, Error> {
        let reference = Reference { repository: self.source.repository.clone(), target: target.clone() };
        if through_gate {
            return match self.gate.manifest(&reference, &Principal::Process).await {
                Ok(admitted) => Ok(Some(Piece { manifest: admitted.into_content(), through_gate })),
                Err(Refusal::Denied(_) | Refusal::Unknown(_)) => Ok(None),
                Err(refusal) => Err(refusal.into()),
            };
        }
        let answer = match found(self.upstream()?.manifest(&reference.repository, target).await) {
            Ok(bytes) => bytes.map(|bytes| parsed(bytes, target)).transpose(),
            Err(upstream::Error::TooLarge { limit }) => Err(ManifestError::TooLarge(limit)),
            Err(error) => return Err(Error::trouble(&reference, error)),
        };
        match answer {
            Ok(manifest) => Ok(manifest.map(|manifest| Piece { manifest: Arc::new(manifest), through_gate })),
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
