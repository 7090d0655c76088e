//! A range of a file in memory, read-only.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Bytes of a file, mapped. Pages that nobody touches cost address space and nothing else.
pub(super) struct Mapping {
    /// Where the mapped pages begin, and how many bytes they are.
    base: NonNull<c_void>,
    mapped: usize,
    /// Where in them the range begins, and how long it is.
    start: usize,
    length: usize,
}

// SAFETY: nobody writes through the pointer, and the mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared reads of memory that does not change.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the `length` bytes from `offset` on.
    ///
    /// # Errors
    /// The system's, and [`io::ErrorKind::UnexpectedEof`] where the file ends before the range does: to touch
    /// mapped pages beyond a file's end is a signal (`SIGBUS`), not an error.
    pub(super) fn of(file: &File, offset: u64, length: usize) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let page = rustix::param::page_size() as u64;
        let start = usize::try_from(offset % page).unwrap_or_default();
        let mapped = start.checked_add(length).ok_or(io::ErrorKind::InvalidInput)?;
        if length == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if offset.checked_add(length as u64).is_none_or(|end| end > size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing. Its bytes are
        // those of a file of the store, which are written once, before they are mapped, and never
        // changed or cut afterwards: rotten files are renamed, evicted ones unlinked. Behind them, in
        // their last page too, a file that is arriving may still be written.
        let base = unsafe {
            let no_address = std::ptr::null_mut();
            mmap(no_address, mapped, ProtFlags::READ, MapFlags::SHARED, file, offset - start as u64)?
        };
        match NonNull::new(base) {
            Some(base) => Ok(Self { base, mapped, start, length }),
            None => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the range lies within the mapping, which lives as long as `self` and is readable;
        // its bytes do not change (see `of`).
        unsafe {
            let start = self.base.as_ptr().cast::<u8>().add(self.start);
            std::slice::from_raw_parts(start, self.length)
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `of` mapped; no reference into it outlives `self`. It cannot fail for
        // such a range, and if it did only address space would be lost.
        let _ = unsafe { munmap(self.base.as_ptr(), self.mapped) };
    }
}
