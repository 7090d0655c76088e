//! How the books are written: keys and rows as bytes, in the order that scans need.

use crate::oci::Digest;
use crate::oci::digest::Algorithm;

#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) size: u64,
    pub(super) last_use: u64,
}

impl Row {
    pub(super) fn read(value: &[u8]) -> Self {
        Self { size: read_u64(value), last_use: value.get(8..).map_or(0, read_u64) }
    }

    pub(super) fn write(self) -> Vec<u8> {
        [self.size.to_be_bytes(), self.last_use.to_be_bytes()].concat()
    }
}

pub(super) fn read_u64(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_be_bytes(*chunk))
}

pub(super) fn digest_key(digest: &Digest) -> Vec<u8> {
    let algorithm = match digest.algorithm() {
        Algorithm::Sha256 => 1,
        Algorithm::Sha512 => 2,
    };
    let mut key = vec![algorithm];
    key.extend_from_slice(digest.as_bytes());
    key
}

pub(super) fn read_digest(key: &[u8]) -> Option<Digest> {
    let (algorithm, hash) = key.split_first()?;
    let algorithm = match algorithm {
        1 => Algorithm::Sha256,
        2 => Algorithm::Sha512,
        _ => return None,
    };
    Digest::parse(&format!("{}:{}", algorithm.as_str(), hex::encode(hash))).ok()
}

pub(super) fn use_key(last_use: u64, digest: &Digest) -> Vec<u8> {
    [last_use.to_be_bytes().as_slice(), &digest_key(digest)].concat()
}

pub(super) fn hold_key(digest: &Digest, owner: &str) -> Vec<u8> {
    [digest_key(digest).as_slice(), owner.as_bytes()].concat()
}
