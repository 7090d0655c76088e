//! Ranges of files as bytes that the kernel sends by itself, with `sendfile(2)`: no copy through the
//! process, no memory for it. The one module with unsafe code; its reasons stand beside it.
//!
//! hyper writes bytes, `sendfile(2)` wants a file. [`Lane::piece`] gives bytes that lie over a
//! read-only mapping of the file, which nobody touches on the way; the connection's [`Wire`] knows
//! them by their address when hyper writes them, and has the kernel send the file instead. Whoever
//! reads the bytes all the same finds the file's content in them.

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod mapping;
mod wire;

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

pub use wire::Wire;

/// Knows which bytes on their way over one connection are ranges of files. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lane(Arc<Mutex<Vec<Piece>>>);

/// Bytes that are a range of a file.
#[derive(Debug)]
struct Piece {
    /// The address of the first byte, and of the one behind the last.
    start: usize,
    end: usize,
    file: Arc<File>,
    /// Where in the file the first byte is.
    offset: u64,
}

impl Lane {
    /// The `length` bytes of `file` from `offset` on, as bytes that this connection's [`Wire`] has the
    /// kernel send. The file's bytes must never change.
    ///
    /// # Errors
    /// The system's, where it cannot map files: then they can still be read.
    /// [`io::ErrorKind::UnexpectedEof`] where the file does not have them all.
    #[cfg(target_os = "linux")]
    pub fn piece(&self, file: &Arc<File>, offset: u64, length: usize) -> io::Result<Bytes> {
        let mapping = mapping::Mapping::of(file, offset, length)?;
        let range = mapping.as_ref().as_ptr_range();
        let (start, end) = (range.start as usize, range.end as usize);
        self.pieces().push(Piece { start, end, file: Arc::clone(file), offset });
        Ok(Bytes::from_owner(OnLane { mapping, lane: self.clone() }))
    }

    /// Elsewhere files are read.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`], always.
    #[cfg(not(target_os = "linux"))]
    pub fn piece(&self, _: &Arc<File>, _: u64, _: usize) -> io::Result<Bytes> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The file that `bytes` are a range of, and where in it they begin.
    fn find(&self, bytes: &[u8]) -> Option<(Arc<File>, u64)> {
        let start = bytes.as_ptr() as usize;
        let end = start + bytes.len();
        let pieces = self.pieces();
        let piece = pieces.iter().find(|p| p.start <= start && start < end && end <= p.end)?;
        Some((Arc::clone(&piece.file), piece.offset + (start - piece.start) as u64))
    }

    /// Whether the kernel would send these bytes.
    #[cfg(test)]
    pub fn carries(&self, bytes: &[u8]) -> bool {
        self.find(bytes).is_some()
    }

    fn is_empty(&self) -> bool {
        self.pieces().is_empty()
    }

    fn pieces(&self) -> MutexGuard<'_, Vec<Piece>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mapping that leaves its lane before it goes, so that its address means nothing any more when
/// other memory gets it.
#[cfg(target_os = "linux")]
struct OnLane {
    mapping: mapping::Mapping,
    lane: Lane,
}

#[cfg(target_os = "linux")]
impl AsRef<[u8]> for OnLane {
    fn as_ref(&self) -> &[u8] {
        self.mapping.as_ref()
    }
}

#[cfg(target_os = "linux")]
impl Drop for OnLane {
    fn drop(&mut self) {
        let start = self.mapping.as_ref().as_ptr() as usize;
        self.lane.pieces().retain(|piece| piece.start != start);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
