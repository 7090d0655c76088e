//! Keys of records: short, since there are millions, and in the order that scans need. A repository is its
//! name's hash: who meets two names with one hash finds records that prove nothing.

use sha2::{Digest as _, Sha256};

use crate::oci::digest::Algorithm;
use crate::oci::{Digest, Repository};

/// How long the key of a repository is, in bytes: 2⁶⁴ names until two are likely to share one.
pub const REPOSITORY: usize = 16;

/// The key of a repository.
pub fn of_repository(repository: &Repository) -> [u8; REPOSITORY] {
    short(&repository.to_string())
}

/// The key of a digest. None is the beginning of another.
pub fn of_digest(digest: &Digest) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + digest.as_bytes().len());
    put_digest(&mut key, digest);
    key
}

/// The key of content in a repository.
pub fn within(repository: &Repository, digest: &Digest) -> Vec<u8> {
    let mut key = Vec::with_capacity(REPOSITORY + 33);
    key.extend_from_slice(&of_repository(repository));
    put_digest(&mut key, digest);
    key
}

/// Appends the key of a digest.
pub fn put_digest(key: &mut Vec<u8>, digest: &Digest) {
    key.push(match digest.algorithm() {
        Algorithm::Sha256 => 1,
        Algorithm::Sha512 => 2,
    });
    key.extend_from_slice(digest.as_bytes());
}

/// Reads the digest that a key begins with, and gives back the rest.
pub fn take_digest(key: &[u8]) -> Option<(Digest, &[u8])> {
    let (algorithm, rest) = key.split_first()?;
    let algorithm = match algorithm {
        1 => Algorithm::Sha256,
        2 => Algorithm::Sha512,
        _ => return None,
    };
    let (hash, rest) = rest.split_at_checked(algorithm.hash_len())?;
    Some((Digest::from_hash(algorithm, hash)?, rest))
}

/// A name's hash, cut.
pub(super) fn short(name: &str) -> [u8; REPOSITORY] {
    let hash: [u8; 32] = Sha256::digest(name).into();
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_no_digest_begins_another() {
        let repository = Repository::parse("reg.test/app").unwrap();
        let digests = [Algorithm::Sha256, Algorithm::Sha512].map(|a| Digest::of(a, b"content"));
        for digest in digests {
            let key = [within(&repository, &digest), b"rest".to_vec()].concat();
            assert_eq!(take_digest(&key[REPOSITORY..]), Some((digest, &b"rest"[..])));
            assert_eq!(take_digest(&key[REPOSITORY..REPOSITORY + 20]), None);
        }
        assert_eq!(take_digest(b"\x03abc"), None);
        assert_ne!(of_repository(&repository), of_repository(&Repository::parse("reg.test/ap").unwrap()));
    }
}
