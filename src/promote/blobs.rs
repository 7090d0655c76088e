//! Configs and layers: skipped where they are there, mounted within one registry, else streamed from one to the other.
//! The last piece of a blob is sent once the digest of all of it is right.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{AT_ONCE, Error, Piece, Promotion, Step};
use crate::access::Principal;
use crate::egress::{self, Pieces};
use crate::oci::{Descriptor, Digest, Hasher};
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

enum Way {
    Sent,
    Mounted,
    There,
}

impl Promotion<'_> {
    pub(super) async fn copy_blobs<'p>(
        &self,
        pieces: impl Iterator<Item = &'p Piece>,
    ) -> Result<Blobs, Error> {
        let mut all: HashMap<Digest, (&Descriptor, bool)> = HashMap::new();
        for Piece { manifest, through_gate } in pieces {
            for blob in manifest.config().into_iter().chain(manifest.blobs()) {
                let (_, gate) = all.entry(blob.digest).or_insert((blob, *through_gate));
                // What the source has too needs no other way.
                *gate &= *through_gate;
            }
        }
        (self.tell)(Step::Found(all.values().map(|(blob, _)| blob.size).sum()));
        let copying = all.into_values().map(|(blob, through_gate)| async move {
            Ok::<_, Error>((blob.size, self.copy(blob, through_gate).await?))
        });
        let mut copying = stream::iter(copying).buffer_unordered(AT_ONCE);
        let mut blobs = Blobs::default();
        while let Some((size, way)) = copying.try_next().await? {
            match way {
                Way::Sent => {
                    blobs.sent += 1;
                    blobs.bytes += size;
                }
                Way::Mounted => blobs.mounted += 1,
                Way::There => blobs.there += 1,
            }
        }
        Ok(blobs)
    }

    async fn copy(&self, blob: &Descriptor, through_gate: bool) -> Result<Way, Error> {
        let failed = |why: &dyn std::fmt::Display| Error::trouble(format!("blob {}", blob.digest), why);
        let (writer, to) = (self.writer, self.destination);
        let there = |way| {
            (self.tell)(Step::Copied(blob.size));
            Ok(way)
        };
        if writer.has_blob(to, &blob.digest).await.map_err(|e| failed(&e))? {
            return there(Way::There);
        }
        if through_gate {
            let bytes = self.small(blob).await?;
            writer.put_bytes(to, &bytes).await.map_err(|e| failed(&e))?;
            return there(Way::Sent);
        }
        let from = &self.source.repository;
        if from.registry() == to.registry()
            && writer.mount(to, &blob.digest, from).await.map_err(|e| failed(&e))?
        {
            return there(Way::Mounted);
        }
        let open = || self.open(blob);
        writer.put_blob(to, blob, &open).await.map_err(|e| failed(&e))?;
        there(Way::Sent)
    }

    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<Pieces, upstream::Error>> {
        Box::pin(async move {
            let upstream = self.gate.upstreams().of(self.source.repository.registry());
            let upstream = upstream.ok_or(upstream::Error::NotFound)?;
            Ok(checked(upstream.blob(&self.source.repository, blob, 0).await?, blob))
        })
    }

    /// A part of a signature from elsewhere, which the gate has whole.
    async fn small(&self, blob: &Descriptor) -> Result<Bytes, Error> {
        let admitted = self.gate.blob(&self.source.repository, &blob.digest, &Principal::Process).await?;
        let blob = admitted.into_content();
        let (size, digest) = (blob.size(), *blob.digest());
        let mut reader = blob.read(0..size, None);
        let mut bytes = BytesMut::new();
        while let Some(piece) = reader.next().await {
            bytes.extend_from_slice(&piece.map_err(|e| Error::trouble(format!("blob {digest}"), e))?);
        }
        Ok(bytes.freeze())
    }
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
