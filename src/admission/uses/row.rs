//! How the books are written.

use crate::oci::{Digest, Repository};
use crate::store::key::{REPOSITORY, take_digest};

/// What is known of one manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) last_use: u64,
    /// Links lead from it.
    pub(super) is_linked: bool,
    /// Its content is held.
    pub(super) is_held: bool,
    pub(super) repository: Repository,
}

impl Row {
    pub(super) fn new(repository: &Repository, last_use: u64) -> Self {
        Self { last_use, is_linked: false, is_held: false, repository: repository.clone() }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut value = self.last_use.to_be_bytes().to_vec();
        value.push(u8::from(self.is_linked) | u8::from(self.is_held) << 1);
        value.extend_from_slice(self.repository.to_string().as_bytes());
        value
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (last_use, rest) = value.split_first_chunk()?;
        let (flags, name) = rest.split_first()?;
        let repository = Repository::parse(str::from_utf8(name).ok()?).ok()?;
        let (is_linked, is_held) = (flags & 1 != 0, flags & 2 != 0);
        Some(Self { last_use: u64::from_be_bytes(*last_use), is_linked, is_held, repository })
    }
}

/// The key by which a manifest's key stands in the order of use.
pub(super) fn by_use(last_use: u64, key: &[u8]) -> Vec<u8> {
    [last_use.to_be_bytes().as_slice(), key].concat()
}

/// The last use, the digest and the key of a manifest in the order of use.
pub(super) fn read_by_use(by_use: &[u8]) -> Option<(u64, Digest, &[u8])> {
    let (last_use, key) = by_use.split_first_chunk()?;
    let (digest, []) = take_digest(key.get(REPOSITORY..)?)? else { return None };
    Some((u64::from_be_bytes(*last_use), digest, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::key::within;

    #[test]
    fn rows_and_keys_read_back() {
        let (repository, digest) = (Repository::parse("reg.test/app").unwrap(), Digest::sha256(b"x"));
        for (is_linked, is_held) in [(false, false), (true, false), (true, true)] {
            let row = Row { is_linked, is_held, ..Row::new(&repository, 7) };
            assert_eq!(Row::read(&row.write()), Some(row));
        }
        let key = within(&repository, &digest);
        assert_eq!(read_by_use(&by_use(9, &key)), Some((9, digest, key.as_slice())));
        assert!(by_use(9, &key) < by_use(10, &key));
    }
}
