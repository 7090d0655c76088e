//! Hashes a file in steps, within a rate, and leaves the page cache to those who are served from it.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Advice;
use rustix::io::ReadWriteFlags;
use tokio::time::Instant;

use crate::oci::digest::Algorithm;
use crate::oci::{Digest, Hasher};
use crate::store::{Error, incoming};
use crate::telemetry::metrics::Counter;

/// What is read at once.
const STEP: u64 = 1 << 20;
/// So long a changed rate may go unnoticed.
const NAP: Duration = Duration::from_secs(1);

pub(super) struct Hashing {
    file: Arc<File>,
    hasher: Hasher,
}

impl Hashing {
    pub(super) fn new(file: File, algorithm: Algorithm) -> Self {
        Self { file: Arc::new(file), hasher: Hasher::new(algorithm) }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Hashes the first `size` bytes, within what `rate` says at each moment. The inner error is the disk's about this content.
    pub(super) async fn run(
        &mut self,
        size: u64,
        rate: impl Fn() -> u64,
        read: &Counter,
    ) -> Result<io::Result<Digest>, Error> {
        let mut at = 0;
        while at < size {
            let began = Instant::now();
            let length = STEP.min(size - at);
            let (file, hasher) = (self.file.clone(), self.hasher.clone());
            let step = move || Ok(hash(&file, hasher, at, length));
            match incoming::blocking("read content", step).await? {
                Ok(hasher) => self.hasher = hasher,
                Err(error) => return Ok(Err(error)),
            }
            at += length;
            read.inc_by(length);
            rest(&rate, length, began).await;
        }
        Ok(Ok(self.hasher.clone().finish()))
    }
}

fn hash(file: &File, mut hasher: Hasher, at: u64, length: u64) -> io::Result<Hasher> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    if !read_cached(file, &mut bytes, at) {
        file.read_exact_at(&mut bytes, at)?;
        // It was not in memory before, so nobody is served from it. Where that cannot be said nothing is lost.
        let _ = rustix::fs::fadvise(file, at, NonZeroU64::new(length), Advice::DontNeed);
    }
    hasher.update(&bytes);
    Ok(hasher)
}

/// Reads what is in memory already: whether that was all of it.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, bytes: &mut [u8], at: u64) -> bool {
    let wanted = bytes.len();
    let read = rustix::io::preadv2(file, &mut [io::IoSliceMut::new(bytes)], at, ReadWriteFlags::NOWAIT);
    read.is_ok_and(|read| read == wanted)
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: &mut [u8], _: u64) -> bool {
    false
}

/// Waits until `length` bytes, begun with at `began`, have taken as long as they may, by the rate of the moment.
async fn rest(rate: impl Fn() -> u64, length: u64, began: Instant) {
    loop {
        let rate = rate();
        if rate == 0 {
            return;
        }
        let due = Duration::from_secs_f64(length as f64 / rate as f64);
        let left = due.saturating_sub(began.elapsed());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(NAP)).await;
    }
}
