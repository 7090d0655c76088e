//! Configs and layers: skipped where they are there, mounted within one registry, else streamed from one to the other.
//! The last piece of a blob is sent once the digest of all of it is right. The content's must all be there; whoever may
//! attach artifacts may name what is not.

use std::collections::{HashMap, HashSet};

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::attached::Attached;
use super::{AT_ONCE, Error, Piece, Promotion, Step, found};
use crate::access::Principal;
use crate::admission::Refusal;
use crate::egress::{self, Pieces};
use crate::oci::{Descriptor, Digest, Hasher, Manifest};
use crate::upstream::{self, BlobStream};

/// Blobs, by how they came there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blobs {
    /// Sent.
    pub sent: usize,
    /// So many bytes.
    pub bytes: u64,
    /// Taken over from another repository of the same registry.
    pub mounted: usize,
    /// There before.
    pub there: usize,
}

/// Blobs that were asked for.
#[derive(Default)]
pub(super) struct Copied {
    pub(super) blobs: Blobs,
    there: HashSet<Digest>,
}

/// A blob, and where it is had.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    blob: &'a Descriptor,
    from: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It is a part of the content: the source must have it.
    Content,
    /// It is a part of something attached, which the source may have lost.
    Source,
    /// It is a part of something that was proven, maybe elsewhere.
    Gate,
}

enum Way {
    Sent,
    Mounted,
    There,
    /// Nobody has it.
    Gone,
}

impl Promotion<'_> {
    /// Copies the blobs of what is attached, and passes over what lacks one.
    pub(super) async fn copy_attached(&self, attached: &mut Attached) -> Result<Copied, Error> {
        let mut wanted: HashMap<Digest, Wanted<'_>> = HashMap::new();
        let tagged = attached.tagged.iter().flat_map(|tagged| &tagged.pieces);
        for Piece { manifest, through_gate } in attached.referrers.iter().chain(tagged) {
            for blob in named(manifest) {
                let from = if *through_gate { Origin::Gate } else { Origin::Source };
                let first = wanted.entry(blob.digest).or_insert(Wanted { blob, from });
                // What the source lacks the gate may have.
                if from == Origin::Gate {
                    first.from = from;
                }
            }
        }
        let mut copied = Copied::default();
        let gone = self.copy_all(wanted.into_values().collect(), &mut copied).await?;
        attached.pass_over(&gone);
        Ok(copied)
    }

    /// Copies the blobs of the content, but for those that were copied with what is attached.
    pub(super) async fn copy_content(&self, tree: &[Piece], copied: &mut Copied) -> Result<(), Error> {
        let blobs = tree.iter().flat_map(|piece| named(&piece.manifest));
        let blobs: HashMap<Digest, &Descriptor> = blobs.map(|blob| (blob.digest, blob)).collect();
        let missing = blobs.into_values().filter(|blob| !copied.there.contains(&blob.digest));
        let wanted = missing.map(|blob| Wanted { blob, from: Origin::Content }).collect();
        self.copy_all(wanted, copied).await.map(drop)
    }

    /// Says which are gone.
    async fn copy_all(
        &self,
        wanted: Vec<Wanted<'_>>,
        Copied { blobs, there }: &mut Copied,
    ) -> Result<HashSet<Digest>, Error> {
        (self.tell)(Step::Found(wanted.iter().map(|wanted| wanted.blob.size).sum()));
        let copying = wanted.into_iter().map(|wanted| async move {
            let way = self.copy(wanted).await?;
            (self.tell)(Step::Copied(wanted.blob.size));
            Ok::<_, Error>((wanted.blob, way))
        });
        let mut copying = stream::iter(copying).buffer_unordered(AT_ONCE);
        let mut gone = HashSet::new();
        while let Some((blob, way)) = copying.try_next().await? {
            match way {
                Way::Sent => {
                    blobs.sent += 1;
                    blobs.bytes += blob.size;
                }
                Way::Mounted => blobs.mounted += 1,
                Way::There => blobs.there += 1,
                Way::Gone => {
                    gone.insert(blob.digest);
                    continue;
                }
            }
            there.insert(blob.digest);
        }
        Ok(gone)
    }

    async fn copy(&self, Wanted { blob, from }: Wanted<'_>) -> Result<Way, Error> {
        let failed = |why: &dyn std::fmt::Display| Error::trouble(format!("blob {}", blob.digest), why);
        let (writer, source, to) = (self.writer, &self.source.repository, self.destination);
        if writer.has_blob(to, &blob.digest).await.map_err(|e| failed(&e))? {
            return Ok(Way::There);
        }
        let is_near = from != Origin::Gate && source.registry() == to.registry();
        if is_near && writer.mount(to, &blob.digest, source).await.map_err(|e| failed(&e))? {
            return Ok(Way::Mounted);
        }
        let has = match from {
            Origin::Content => true,
            Origin::Source => self.source_has(blob).await?,
            Origin::Gate => self.gate_has(blob).await?,
        };
        if !has {
            return Ok(Way::Gone);
        }
        let open = || match from {
            Origin::Content | Origin::Source => self.open(blob),
            Origin::Gate => self.open_admitted(blob),
        };
        writer.put_blob(to, blob, &open).await.map_err(|e| failed(&e))?;
        Ok(Way::Sent)
    }

    /// Whether the source has a blob as it is named.
    async fn source_has(&self, blob: &Descriptor) -> Result<bool, Error> {
        let length = found(self.upstream()?.head_blob(&self.source.repository, &blob.digest).await);
        let length = length.map_err(|e| Error::trouble(format!("blob {}", blob.digest), e))?;
        Ok(length == Some(blob.size))
    }

    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Pieces, upstream::Error>> {
        Box::pin(async move {
            let upstream = self.gate.upstreams().of(self.source.repository.registry());
            let upstream = upstream.ok_or(upstream::Error::NotFound)?;
            Ok(checked(upstream.blob(&self.source.repository, blob, 0).await?, blob))
        })
    }

    async fn gate_has(&self, blob: &Descriptor) -> Result<bool, Error> {
        match self.gate.blob(&self.source.repository, &blob.digest, &Principal::Process).await {
            Ok(admitted) => Ok(admitted.content().size() == blob.size),
            Err(Refusal::Denied(_) | Refusal::Unknown(_)) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn open_admitted<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Pieces, upstream::Error>> {
        Box::pin(async move {
            let unavailable = |why: &dyn std::fmt::Display| upstream::Error::Unavailable(why.to_string());
            let admitted = self.gate.blob(&self.source.repository, &blob.digest, &Principal::Process).await;
            let reader = admitted.map_err(|e| unavailable(&e))?.into_content().read(0..blob.size, None);
            let pieces = reader.map(|piece| piece.map_err(|e| egress::Error::Broken(e.to_string())));
            Ok::<Pieces, _>(Box::pin(pieces))
        })
    }
}

/// The blobs that a manifest names.
fn named(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    manifest.config().into_iter().chain(manifest.blobs())
}

/// The pieces of a blob, of which the last one comes only where all of it has the digest.
fn checked(blob: BlobStream, expected: &Descriptor) -> Pieces {
    let (digest, size) = (expected.digest, expected.size);
    let start = (blob.body, Some(Hasher::new(digest.algorithm())), 0u64);
    Box::pin(stream::try_unfold(start, move |(mut body, mut hasher, taken)| async move {
        let broken = |why: String| egress::Error::Broken(format!("the source's blob {digest} {why}"));
        let Some(piece) = body.next().await else {
            return if taken == size { Ok(None) } else { Err(broken(format!("ends after {taken} bytes"))) };
        };
        let piece = piece.map_err(|e| broken(format!("breaks off: {e}")))?;
        let taken = taken + piece.len() as u64;
        if let Some(hasher) = &mut hasher {
            hasher.update(&piece);
        }
        if taken >= size {
            let found = hasher.take().map(Hasher::finish);
            if taken > size || found != Some(digest) {
                return Err(broken("is something else".to_owned()));
            }
        }
        Ok(Some((piece, (body, hasher, taken))))
    }))
}
