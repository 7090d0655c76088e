//! References: a repository and a tag or digest in it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digest::Digest;
use super::repository::{DOCKER_HUB, NameError, Registry, Repository, as_text, looks_like_host};

/// A name in a repository that may be moved. `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// Checks the grammar of OCI distribution-spec 1.1.
    ///
    /// # Errors
    /// [`NameError::Tag`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let character = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let fits =
            (1..=128).contains(&text.len()) && text.bytes().all(character) && !text.starts_with(['.', '-']);
        if fits { Ok(Self(text.into())) } else { Err(NameError::Tag) }
    }

    /// The tag's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject's digest and what follows it, where the tag is made by the convention
    /// `sha256-<hex>[.suffix]` of the referrers tag schema and of cosign.
    pub fn names_subject(&self) -> Option<(Digest, &str)> {
        let (algorithm, rest) = self.0.split_once('-')?;
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let digest = Digest::parse(&format!("{algorithm}:{}", &rest[..end])).ok()?;
        Some((digest, &rest[end..]))
    }

    /// What follows the hash in the tags of artifacts that name no subject: cosign's signatures, attestations and bills of
    /// materials, and nv2's signatures.
    pub const SUFFIXES: [&str; 4] = [".sig", ".att", ".sbom", ".nv2"];

    /// The tag `sha256-<hex><suffix>` under which things about `subject` are found. The referrers
    /// tag schema cuts the hash at 64 characters, and so do we, that sha512 fits into a tag.
    pub fn about(subject: &Digest, suffix: &str) -> Self {
        let mut hex = subject.hex();
        hex.truncate(64);
        Self(format!("{}-{hex}{suffix}", subject.algorithm().as_str()).into())
    }
}

/// Which manifest of a repository is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// What the tag names at the moment.
    Tag(Tag),
    /// Exactly these bytes.
    Digest(Digest),
}

impl Target {
    /// Reads what stands behind `/manifests/` in a request.
    ///
    /// # Errors
    /// [`NameError`] of the form that the text was taken for: a digest where it has a colon.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.contains(':') {
            return Ok(Self::Digest(Digest::parse(text)?));
        }
        Ok(Self::Tag(Tag::parse(text)?))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// A repository plus a tag or a digest.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Where.
    pub repository: Repository,
    /// Which.
    pub target: Target,
}

impl Reference {
    /// Reads a reference as people type it for `docker pull`: without a registry it means Docker
    /// Hub, without tag and digest it means `latest`; a digest beside a tag decides.
    ///
    /// # Errors
    /// [`NameError`] names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let path_start = named.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match named[path_start..].find(':') {
            Some(colon) => {
                (&named[..path_start + colon], Some(Tag::parse(&named[path_start + colon + 1..])?))
            }
            None => (named, None),
        };
        let repository = match name.split_once('/') {
            Some((host, path)) if looks_like_host(host) => {
                Repository::with_library(Registry::parse(host)?, path)?
            }
            _ => Repository::with_library(Registry::parse(DOCKER_HUB)?, name)?,
        };
        let target = match (digest, tag) {
            (Some(digest), _) => Target::Digest(digest),
            (None, Some(tag)) => Target::Tag(tag),
            (None, None) => Target::Tag(Tag("latest".into())),
        };
        Ok(Self { repository, target })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if matches!(self.target, Target::Tag(_)) { ':' } else { '@' };
        write!(f, "{}{mark}{}", self.repository, self.target)
    }
}

as_text!(Tag);
as_text!(Reference);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_as_people_type_them() {
        let hash = "a".repeat(64);
        for (typed, meant) in [
            ("nginx", "docker.io/library/nginx:latest".to_owned()),
            ("nginx:1.27", "docker.io/library/nginx:1.27".to_owned()),
            ("wabbit/net", "docker.io/wabbit/net:latest".to_owned()),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c".to_owned()),
            ("quay.io/a", "quay.io/a:latest".to_owned()),
            (&format!("quay.io/a:tag@sha256:{hash}"), format!("quay.io/a@sha256:{hash}")),
        ] {
            assert_eq!(Reference::parse(typed).unwrap().to_string(), meant);
        }
        for bad in ["", ":", "a:", "a@", "a@sha256:1", "A", "quay.io/", "a/b:c:d", "a b", "a:b/c@"] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_that_name_a_subject() {
        let digest = Digest::sha256(b"x");
        let tag = Tag::about(&digest, ".sig");
        assert_eq!(tag.names_subject(), Some((digest, ".sig")));
        assert_eq!(Tag::parse("v1").unwrap().names_subject(), None);
        assert_eq!(Tag::parse("sha256-abc").unwrap().names_subject(), None);
    }

    proptest! {
        #[test]
        fn a_reference_reads_as_it_prints(text in "\\PC{0,60}|[a-z0-9./:@_-]{0,60}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
            }
        }
    }
}
