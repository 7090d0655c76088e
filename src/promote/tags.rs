//! The tags of what is attached, each written once. What the destination has there of its own is kept: signatures are
//! united with it, anything else is left as it is, and named.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{AT_ONCE, Error, Piece, Promotion};
use crate::oci::{Digest, Manifest, Tag, Target};
use crate::signing::{self, cosign};
use crate::upstream::{Amended, Amendment};

/// The tags under which cosign has signatures and attestations as layers of one image.
const UNITED: [&str; 2] = [".sig", ".att"];

/// What belongs under one tag.
pub(super) struct Tagged {
    pub(super) tag: Tag,
    /// In the source, and through the gate where that is something else: one, or two that are united.
    pub(super) pieces: Vec<Piece>,
    /// What the source has there, where what the gate has takes its place.
    left_out: Option<Digest>,
}

impl Tagged {
    /// What the gate has there was proven or made here, what the source has may be anybody's: where only one can have
    /// the tag, it is not the source's.
    pub(super) fn of(tag: Tag, own: Option<Piece>, gates: Option<Piece>) -> Option<Self> {
        let (pieces, left_out) = match (own, gates) {
            (Some(own), Some(gates)) if own.manifest.digest() == gates.manifest.digest() => (vec![own], None),
            (Some(own), Some(gates)) if !is_united(&tag) => (vec![gates], Some(*own.manifest.digest())),
            (own, gates) => (own.into_iter().chain(gates).collect(), None),
        };
        (!pieces.is_empty()).then_some(Self { tag, pieces, left_out })
    }
}

/// An artifact that is not under its tag at the destination.
#[derive(Clone, Debug)]
pub struct Left {
    /// The tag.
    pub tag: Tag,
    /// The artifact.
    pub artifact: Digest,
    /// What has its place.
    pub why: Why,
}

/// What has an artifact's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// What the destination had there before.
    Taken {
        /// Whether the policy admits the artifact that is not there now.
        admitted: bool,
    },
    /// What the gate has proven or made.
    Unproven,
}

impl Promotion<'_> {
    /// Writes the tags, but for those that are [`shared`]. Says what is not under them, since something else is.
    pub(super) async fn write_tags(&self, tagged: &[Tagged]) -> Result<Vec<Left>, Error> {
        let alone = tagged.iter().filter(|tagged| !is_united(&tagged.tag));
        let writing = stream::iter(alone.map(|tagged| self.write_tag(tagged)));
        let taken: Vec<Option<Left>> = writing.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(taken.into_iter().flatten().collect())
    }

    async fn write_tag(&self, Tagged { tag, pieces, .. }: &Tagged) -> Result<Option<Left>, Error> {
        let target = Target::Tag(tag.clone());
        let Some(piece) = pieces.first() else { return Ok(None) };
        let present = self.writer.manifest(self.destination, &target).await;
        match present.map_err(|e| self.failed(&target, &e))? {
            Some(bytes) if bytes == *piece.manifest.bytes() => Ok(None),
            Some(_) => self.taken(tag, piece).await.map(Some),
            None => self.put(&target, &piece.manifest).await.map(|()| None),
        }
    }

    async fn taken(&self, tag: &Tag, piece: &Piece) -> Result<Left, Error> {
        let artifact = *piece.manifest.digest();
        let admitted = piece.through_gate || {
            let gates = self.piece(&Target::Tag(tag.clone()), true).await?;
            gates.is_some_and(|gates| *gates.manifest.digest() == artifact)
        };
        if admitted {
            let destination = self.destination;
            tracing::warn!(%destination, %tag, %artifact, "what the policy admits does not go along: the tag is taken");
        }
        Ok(Left { tag: tag.clone(), artifact, why: Why::Taken { admitted } })
    }
}

/// What the source has under tags where what the gate has takes its place.
pub(super) fn left_out(tagged: &[Tagged]) -> impl Iterator<Item = Left> {
    tagged.iter().filter_map(|Tagged { tag, left_out, .. }| {
        Some(Left { tag: tag.clone(), artifact: (*left_out)?, why: Why::Unproven })
    })
}

/// What is to be united with what the destination has.
pub(super) fn unions<'a>(shared: &[&'a Tagged]) -> impl Iterator<Item = Amendment<'a, signing::Error>> {
    shared
        .iter()
        .map(|Tagged { tag, pieces, .. }| Amendment::new(tag.clone(), move |present| united(present, pieces)))
}

/// Those whose tags others write to as well.
pub(super) fn shared(tagged: &[Tagged]) -> impl Iterator<Item = &Tagged> {
    tagged.iter().filter(|tagged| is_united(&tagged.tag))
}

/// The signatures of what is there and of all pieces; `None` where all of them are there.
pub(super) fn united(present: Option<Manifest>, pieces: &[Piece]) -> Result<Option<Amended>, signing::Error> {
    let mut amended: Option<Amended> = None;
    for piece in pieces {
        let so_far = amended.as_ref().map(|(_, manifest)| manifest).or(present.as_ref());
        if let Some(more) = cosign::united(so_far, &piece.manifest)? {
            amended = Some(more);
        }
    }
    Ok(amended)
}

fn is_united(tag: &Tag) -> bool {
    UNITED.iter().any(|suffix| tag.as_str().ends_with(suffix))
}
