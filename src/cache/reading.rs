//! Reads files for responses: what is in the page cache at once, on the calling thread; what has to
//! come from the disk on a thread that may wait.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::outlet::{Held, Outlet};
use crate::sendfile::Lane;

/// What is read at once where no disk is waited for: large enough to make calls cheap, small enough
/// to stay in the processor's cache until it is sent.
const AT_ONCE: usize = 256 << 10;
/// What is read where the disk is waited for.
const FROM_DISK: usize = 1 << 20;
/// So much behind it the disk is told to have ready.
const AHEAD: u64 = 8 << 20;
/// What the kernel is given to send at once: large enough to make mappings cheap, small enough for a slow
/// client to take it in time.
const SENT_AT_ONCE: usize = 4 << 20;
/// Less than this is copied sooner than it is mapped: a file's end, or the little that a slow upstream has sent.
const SENT_AT_LEAST: usize = 64 << 10;
/// So many buffers wait for their next use.
const MOST_SPARE: usize = 16;

static SPARE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// Up to `most` bytes from `offset` on, at least one: what a client's `outlet` has the kernel send, where it can, or what
/// is in memory as long as there is room.
///
/// # Errors
/// The disk's, and [`io::ErrorKind::UnexpectedEof`] where the file ends before `offset`.
pub(super) async fn read(
    file: &Arc<File>,
    offset: u64,
    most: u64,
    outlet: Option<&Outlet>,
) -> io::Result<Bytes> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if let Some(lane) = outlet.and_then(Outlet::lane)
        && most >= SENT_AT_LEAST
        && let Some(bytes) = send(file, offset, most, lane).await?
    {
        return Ok(bytes);
    }
    match outlet {
        Some(outlet) => {
            let held = outlet.hold().await;
            let bytes = read_into_memory(file, offset, most).await?;
            Ok(Bytes::from_owner(Piece { bytes, _held: held }))
        }
        None => read_into_memory(file, offset, most).await,
    }
}

async fn read_into_memory(file: &Arc<File>, offset: u64, most: usize) -> io::Result<Bytes> {
    match read_cached(file, offset, most) {
        Some(bytes) => bytes,
        None => {
            let file = file.clone();
            tokio::task::spawn_blocking(move || read_disk(&file, offset, most.min(FROM_DISK))).await?
        }
    }
}

/// What is in memory for a client until it has taken it.
struct Piece {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The kernel sends on the calling thread, so what is not in memory is read first, on a thread that may wait. `None`
/// where files cannot be mapped.
async fn send(file: &Arc<File>, offset: u64, most: usize, lane: &Lane) -> io::Result<Option<Bytes>> {
    let mut length = most.min(SENT_AT_ONCE);
    if !is_cached(file, offset) || !is_cached(file, offset + length as u64 - 1) {
        length = length.min(FROM_DISK);
        let file = file.clone();
        tokio::task::spawn_blocking(move || load(&file, offset, length)).await??;
    }
    Ok(lane.piece(file, offset, length).ok())
}

/// Whether the byte at `offset` is in memory. Pages come and go together, so that the ends of a range
/// tell enough: a mistake costs a wait.
#[cfg(target_os = "linux")]
fn is_cached(file: &File, offset: u64) -> bool {
    use rustix::io::ReadWriteFlags;

    let mut byte = [0];
    let mut room = [io::IoSliceMut::new(&mut byte)];
    rustix::io::preadv2(file, &mut room, offset, ReadWriteFlags::NOWAIT).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn is_cached(_: &File, _: u64) -> bool {
    false
}

/// Brings a range into memory, and has the disk begin with what follows it.
fn load(file: &File, offset: u64, length: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Some(ahead) = std::num::NonZero::new(AHEAD) {
        // It is advice: without it the next wait is longer.
        let _ = rustix::fs::fadvise(file, offset, Some(ahead), rustix::fs::Advice::WillNeed);
    }
    let mut buffer = Buffer::take();
    let end = offset + length as u64;
    let mut at = offset;
    while at < end {
        let room = usize::try_from(end - at).unwrap_or(AT_ONCE).min(AT_ONCE);
        match file.read_at(&mut buffer.0[..room], at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => at += read as u64,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// `None`: it would have to wait, or the filesystem cannot tell.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, offset: u64, most: usize) -> Option<io::Result<Bytes>> {
    use rustix::io::{Errno, ReadWriteFlags};

    let mut buffer = Buffer::take();
    let wanted = most.min(AT_ONCE);
    let mut room = [io::IoSliceMut::new(&mut buffer.0[..wanted])];
    match rustix::io::preadv2(file, &mut room, offset, ReadWriteFlags::NOWAIT) {
        Ok(0) => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        Ok(read) => Some(Ok(Bytes::from_owner(buffer).slice(..read))),
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::INVAL | Errno::NOSYS) => None,
        Err(e) => Some(Err(e.into())),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: u64, _: usize) -> Option<io::Result<Bytes>> {
    None
}

fn read_disk(file: &File, offset: u64, most: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; most];
    let mut filled = 0;
    while filled < most {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    if filled == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}

/// A buffer that is used again, so that it is zeroed once and not for each read.
struct Buffer(Box<[u8]>);

impl Buffer {
    fn take() -> Self {
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(spare.unwrap_or_else(|| vec![0; AT_ONCE].into_boxed_slice()))
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MOST_SPARE {
            spare.push(std::mem::take(&mut self.0));
        }
    }
}
