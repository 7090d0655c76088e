//! How links are written: some hundred bytes each, since every layer of every image has one.

use super::{Link, Role};
use crate::oci::{Descriptor, Digest, Repository};
use crate::store::key;

impl Role {
    const ALL: [Self; 4] = [Self::Child, Self::Referrer, Self::Config, Self::Layer];

    fn letter(self) -> u8 {
        match self {
            Self::Child => b'i',
            Self::Referrer => b'r',
            Self::Config => b'c',
            Self::Layer => b'l',
        }
    }
}

/// What the records of all links to `child` begin with.
pub(super) fn prefix(repository: &Repository, child: &Digest) -> Vec<u8> {
    key::within(repository, child)
}

/// The key of a link: child, role, parent.
pub(super) fn key(repository: &Repository, parent: &Digest, role: Role, child: &Digest) -> Vec<u8> {
    let mut key = prefix(repository, child);
    key.push(role.letter());
    key::put_digest(&mut key, parent);
    key
}

/// What stands under the key: all that it does not say.
pub(super) fn value(child: &Descriptor) -> Vec<u8> {
    let mut value = child.size.to_be_bytes().to_vec();
    value.extend_from_slice(child.media_type.as_bytes());
    if let Some(artifact_type) = &child.artifact_type {
        // No media type holds a zero byte that could be mistaken for this one.
        value.push(0);
        value.extend_from_slice(artifact_type.as_bytes());
    }
    value
}

/// Reads a link; `None` where it is none.
pub(super) fn read(key: &[u8], value: &[u8]) -> Option<Link> {
    let (child, rest) = key::take_digest(key.get(key::REPOSITORY..)?)?;
    let (letter, rest) = rest.split_first()?;
    let role = Role::ALL.into_iter().find(|role| role.letter() == *letter)?;
    let (parent, []) = key::take_digest(rest)? else { return None };
    let (size, types) = value.split_first_chunk()?;
    let types = std::str::from_utf8(types).ok()?;
    let (media_type, artifact_type) = match types.split_once('\0') {
        Some((media_type, artifact_type)) => (media_type, Some(artifact_type.into())),
        None => (types, None),
    };
    let child = Descriptor { artifact_type, ..Descriptor::new(media_type, child, u64::from_be_bytes(*size)) };
    Some(Link { parent, role, child })
}

/// The parent of a link's record: for whom the link stands.
pub(in crate::admission) fn parent(key: &[u8]) -> Option<Digest> {
    let (_, rest) = key::take_digest(key.get(key::REPOSITORY..)?)?;
    Some(key::take_digest(rest.get(1..)?)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_reads_back_from_its_record_and_nothing_else_does() {
        let repository = Repository::parse("reg.test/app").unwrap();
        let [parent, child] = [b"parent", b"child "].map(|content| Digest::sha256(content));
        for artifact_type in [None, Some("application/vnd.x".into())] {
            let child = Descriptor { artifact_type, ..Descriptor::new("application/x", child, 7) };
            for role in Role::ALL {
                let key = key(&repository, &parent, role, &child.digest);
                let value = value(&child);
                let link = Link { parent, role, child: child.clone() };
                assert_eq!(read(&key, &value), Some(link));
                assert!(key.len() + value.len() < 150);
                assert_eq!(read(&key[..key.len() - 1], &value), None);
                assert_eq!(read(&[key.as_slice(), b"x"].concat(), &value), None);
                assert_eq!(read(&key, &value[..7]), None);
                assert_eq!(super::parent(&key), Some(parent));
            }
        }
    }
}
