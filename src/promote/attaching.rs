//! The order in which what is attached is written. First, so that it settles beside the layers where others write to the
//! same tags. What has to come behind the content does: what may list it, and what registries refuse while that which it
//! refers to is not there. Registries may also take back by then what referred to nothing that was there.

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::attached::Attached;
use super::tags::{self, Left, Tagged};
use super::{AT_ONCE, Error, Piece, Promotion};
use crate::oci::{Algorithm, Digest, Manifest, Target};
use crate::signing;
use crate::upstream::{self, Referred, Settling};

/// What is written in one go, in an order in which it may be.
pub(super) struct Round<'a> {
    referrers: Vec<&'a Manifest>,
    /// Tags that others write to as well.
    tagged: Vec<&'a Tagged>,
}

/// What became of it.
pub(super) struct Written<'a> {
    pub(super) settling: Settling<'a, signing::Error>,
    pub(super) refused: Vec<(Digest, upstream::Error)>,
}

impl Attached {
    /// What may be written before the content.
    pub(super) fn early(&self) -> Round<'_> {
        let referrers = self.referrers.iter().filter(|piece| !is_list(piece));
        Round {
            referrers: referrers.map(|piece| &*piece.manifest).collect(),
            tagged: tags::shared(&self.tagged).filter(|tagged| !is_late(tagged)).collect(),
        }
    }
}

impl Promotion<'_> {
    /// Writes what is attached, whose blobs are there.
    pub(super) async fn attach<'a>(&'a self, round: &Round<'a>) -> Result<Written<'a>, Error> {
        let put = self.writer.put_referrers(self.destination, &round.referrers).await;
        let Referred { lists: mut amendments, refused } = put.map_err(|e| self.unattached(&e))?;
        amendments.extend(tags::unions(&round.tagged));
        let settling = self.writer.amend(self.destination, amendments).await;
        let settling = settling.map_err(|e| self.unattached(&e))?;
        Ok(Written { settling, refused })
    }

    /// Writes the rest of it once the content is there, and the tags that nobody else writes to, which have nothing to settle.
    /// Says what is not under its tag.
    pub(super) async fn complete(
        &self,
        attached: &Attached,
        refused: &[(Digest, upstream::Error)],
    ) -> Result<Vec<Left>, Error> {
        let written = self.attach(&self.late(attached, refused).await?).await?;
        if let Some((referrer, why)) = written.refused.first() {
            return Err(self.failed(&Target::Digest(*referrer), why));
        }
        let taken = self.write_tags(&attached.tagged).await?;
        self.settled(written.settling).await?;
        Ok(taken)
    }

    pub(super) async fn settled(&self, settling: Settling<'_, signing::Error>) -> Result<(), Error> {
        settling.settled().await.map_err(|e| self.unattached(&e))
    }

    /// What was not to be written before the content, was refused, or is gone. Whether it is there shows what the registry
    /// gives: what it says that it has may be older.
    async fn late<'a>(
        &self,
        attached: &'a Attached,
        refused: &[(Digest, upstream::Error)],
    ) -> Result<Round<'a>, Error> {
        let refused: HashSet<&Digest> = refused.iter().map(|(digest, _)| digest).collect();
        let referrers = stream::iter(attached.referrers.iter().map(|piece| async {
            let digest = piece.manifest.digest();
            let comes = is_list(piece) || refused.contains(digest) || self.is_gone(digest).await?;
            Ok::<_, Error>(comes.then_some(&*piece.manifest))
        }));
        let tagged = stream::iter(tags::shared(&attached.tagged).map(|tagged| async move {
            let comes = is_late(tagged) || self.lacks(tagged).await?;
            Ok::<_, Error>(comes.then_some(tagged))
        }));
        let referrers: Vec<_> = referrers.buffered(AT_ONCE).try_collect().await?;
        let tagged: Vec<_> = tagged.buffered(AT_ONCE).try_collect().await?;
        Ok(Round {
            referrers: referrers.into_iter().flatten().collect(),
            tagged: tagged.into_iter().flatten().collect(),
        })
    }

    async fn is_gone(&self, referrer: &Digest) -> Result<bool, Error> {
        let target = Target::Digest(*referrer);
        let there = self.writer.resolve(self.destination, &target).await;
        there.map(|there| there.is_none()).map_err(|e| self.failed(&target, &e))
    }

    /// Whether not all of the signatures are under their tag.
    async fn lacks(&self, tagged: &Tagged) -> Result<bool, Error> {
        let target = Target::Tag(tagged.tag.clone());
        let there = self.writer.manifest(self.destination, &target).await;
        let there = there.map_err(|e| self.failed(&target, &e))?;
        let present = there.map(|bytes| Manifest::parse(bytes, Algorithm::Sha256)).transpose();
        let present = present.map_err(|e| self.failed(&target, &e))?;
        Ok(tags::united(present, &tagged.pieces).map_err(|e| self.unattached(&e))?.is_some())
    }
}

/// What it lists may be the content's.
fn is_list(piece: &Piece) -> bool {
    !piece.manifest.manifests().is_empty()
}

/// Whether what stands under a tag has to come behind the content, or may have to.
fn is_late(tagged: &Tagged) -> bool {
    tagged.pieces.iter().any(|piece| is_list(piece) || piece.manifest.subject().is_some())
}
