//! A part of a file, piece by piece.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;

use super::place::Part;
use crate::upstream::{BlobStream, Error};

const PIECE: u64 = 1 << 20;

/// The part from its byte `from` on.
///
/// # Errors
/// It ends before.
pub(super) fn of(part: Part, from: u64) -> Result<BlobStream, Error> {
    if from > part.size {
        return Err(Error::nonsense("the blob ends before the byte that was asked for"));
    }
    let size = Some(part.size);
    let body = stream::try_unfold((Arc::new(part), from), |(part, at)| async move {
        let length = (part.size - at).min(PIECE);
        if length == 0 {
            return Ok(None);
        }
        let reading = Arc::clone(&part);
        let piece = tokio::task::spawn_blocking(move || read(&reading, at, length)).await;
        let piece = piece.unwrap_or_else(|e| Err(Error::Unavailable(e.to_string())))?;
        Ok(Some((piece, (part, at + length))))
    });
    Ok(BlobStream { offset: from, size, body: Box::pin(body) })
}

fn read(part: &Part, at: u64, length: u64) -> Result<Bytes, Error> {
    let mut piece = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let read = part.file.read_exact_at(&mut piece, part.start + at);
    read.map_err(|e| Error::Unavailable(e.to_string()))?;
    Ok(piece.into())
}
