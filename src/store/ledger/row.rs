//! How the books are written: keys and rows as bytes, in the order that scans need.

use crate::oci::Digest;
use crate::store::key;

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

pub(super) fn use_key(last_use: u64, digest: &Digest) -> Vec<u8> {
    [last_use.to_be_bytes().as_slice(), &key::of_digest(digest)].concat()
}

/// In whose name content is held: a hash of the name.
#[derive(Clone, Copy)]
pub(super) struct Owner([u8; key::REPOSITORY]);

impl Owner {
    pub(super) fn of(name: &str) -> Self {
        Self(key::short(name))
    }

    /// Whose holds of one content stand side by side.
    pub(super) fn hold(self, digest: &Digest) -> Vec<u8> {
        let mut hold = key::of_digest(digest);
        hold.extend_from_slice(&self.0);
        hold
    }

    /// The same the other way round: all that one owner holds stands side by side.
    pub(super) fn holding(self, digest: &Digest) -> Vec<u8> {
        let mut holding = self.0.to_vec();
        key::put_digest(&mut holding, digest);
        holding
    }

    pub(super) fn prefix(&self) -> &[u8] {
        &self.0
    }

    /// What a holding is of.
    pub(super) fn held(holding: &[u8]) -> Option<Digest> {
        Some(key::take_digest(holding.get(key::REPOSITORY..)?)?.0)
    }
}
