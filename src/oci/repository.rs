//! Repository names: an upstream registry and a path, always the source's own name.
//! OCI distribution-spec 1.1, "Pulling manifests", for the path's grammar.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The registry that Docker Hub's aliases stand for.
pub const DOCKER_HUB: &str = "docker.io";

/// Clients limit host, path and the slash between to 255 characters in all.
const MAX_LENGTH: usize = 255;

/// Why a string is not a registry, repository or tag name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `host` or `host:port`.
    #[error("a registry is a host name, with a port where it has one: registry.example:5000")]
    Registry,
    /// A path segment breaks the grammar.
    #[error(
        "a repository path is lower-case letters and digits in segments parted by '/', \
         joined inside by one '.', one or two '_' or any number of '-'"
    )]
    Path,
    /// Host and path are too long together.
    #[error("a repository name has at most {MAX_LENGTH} characters")]
    Length,
    /// No registry stands in front of the path.
    #[error("a repository is named with its registry in front: docker.io/library/nginx")]
    NoRegistry,
    /// A placeholder that there is not.
    #[error(
        "a repository's name may be made of another's with {{registry}} and {{path}} and nothing else in braces: \
         registry.example/signatures/{{path}}"
    )]
    Pattern,
    /// Not a tag.
    #[error("a tag has 1 to 128 of the characters A-Z a-z 0-9 _ . - and starts with none of '.' and '-'")]
    Tag,
    /// What follows the `@` is not a digest.
    #[error("{0}")]
    Digest(#[from] super::digest::DigestError),
}

/// A registry's own host name, lower case, with a port where it has one. Docker Hub's three names
/// are one registry, `docker.io`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registry(Arc<str>);

impl Registry {
    /// Reads `host` or `host:port`, making it canonical.
    ///
    /// # Errors
    /// [`NameError::Registry`] when it is neither.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let canonical = canonical(text);
        if is_host_and_port(&canonical) { Ok(Self(canonical.into())) } else { Err(NameError::Registry) }
    }

    /// The one of `known` that `text` names, if any.
    pub fn among<'a>(known: &'a BTreeSet<Self>, text: &str) -> Option<&'a Self> {
        known.get(&*canonical(text))
    }

    /// The name, as it stands in references.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is Docker Hub, where official images live under `library/`.
    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == DOCKER_HUB
    }
}

impl Borrow<str> for Registry {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// In lower case, and Docker Hub under its one name.
fn canonical(text: &str) -> Cow<'_, str> {
    let lower = if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    };
    match &*lower {
        "index.docker.io" | "registry-1.docker.io" => Cow::Borrowed(DOCKER_HUB),
        _ => lower,
    }
}

fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (None, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or("")) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.is_none_or(|h| h.len() <= 253 && h.split('.').all(label))
        && port.is_none_or(|p| !p.starts_with('+') && p.parse::<u16>().is_ok_and(|n| n > 0))
}

/// An upstream registry and a path in it: `docker.io/library/nginx`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: Registry,
    path: Arc<str>,
}

impl Repository {
    /// Joins a registry and a path such as `library/nginx`.
    ///
    /// # Errors
    /// [`NameError::Path`] or [`NameError::Length`].
    pub fn new(registry: Registry, path: &str) -> Result<Self, NameError> {
        if registry.as_str().len() + 1 + path.len() > MAX_LENGTH {
            return Err(NameError::Length);
        }
        if !path.split('/').all(is_path_component) {
            return Err(NameError::Path);
        }
        Ok(Self { registry, path: path.into() })
    }

    /// Reads `registry/path`. One-segment names on Docker Hub get `library/` in front.
    ///
    /// # Errors
    /// [`NameError`] names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (host, path) = text.split_once('/').ok_or(NameError::NoRegistry)?;
        if !looks_like_host(host) {
            return Err(NameError::NoRegistry);
        }
        let registry = Registry::parse(host)?;
        Self::with_library(registry, path)
    }

    /// Like [`Repository::new`], supplying `library/` to one-segment names of Docker Hub.
    ///
    /// # Errors
    /// As [`Repository::new`].
    pub fn with_library(registry: Registry, path: &str) -> Result<Self, NameError> {
        if registry.is_docker_hub() && !path.contains('/') {
            return Self::new(registry, &format!("library/{path}"));
        }
        Self::new(registry, path)
    }

    /// The upstream that holds it.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The path within the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Registry and path segments, as scopes match them.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.registry.as_str()).chain(self.path.split('/'))
    }
}

/// Whether the first segment of a name is meant as a host, by the convention of every client: it
/// has a dot or a colon, or is `localhost`.
pub fn looks_like_host(segment: &str) -> bool {
    segment.contains(['.', ':']) || segment == "localhost"
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if !bytes.first().is_some_and(alnum) || !bytes.last().is_some_and(alnum) {
        return false;
    }
    let mut separator = 0..0;
    for (i, b) in bytes.iter().enumerate() {
        if alnum(b) {
            if !is_separator(&component[separator.clone()]) {
                return false;
            }
            separator = i + 1..i + 1;
        } else if matches!(b, b'.' | b'_' | b'-') {
            separator.end = i + 1;
        } else {
            return false;
        }
    }
    true
}

fn is_separator(text: &str) -> bool {
    matches!(text, "" | "." | "_" | "__") || text.bytes().all(|b| b == b'-')
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use as_text;

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

as_text!(Registry);
as_text!(Repository);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn docker_hub_has_three_names_and_a_library() {
        for name in ["docker.io/nginx", "index.docker.io/library/nginx", "Registry-1.Docker.IO/nginx"] {
            assert_eq!(Repository::parse(name).unwrap().to_string(), "docker.io/library/nginx");
        }
        assert_eq!(Repository::parse("ghcr.io/nginx").unwrap().path(), "nginx");
    }

    #[test]
    fn hosts_and_ports() {
        for good in ["localhost:5000", "a.b-c.io", "[::1]:5000", "10.0.0.1", "x"] {
            assert!(Registry::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "", "a b", "a..b", "-a.io", "a:", "a:0", "a:65536", "a:+1", "[::1", "a/b", "[x]:1", "[::1]5",
            "a_b",
        ] {
            assert!(Registry::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn path_grammar() {
        for good in ["a", "a/b", "a.b", "a_b", "a__b", "a---b", "0/1/2", "library/net-monitor"] {
            assert!(Repository::new(Registry::parse("x.io").unwrap(), good).is_ok(), "{good}");
        }
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a._b", "a___b", "-a", "a-", ".a", "a b", "a/../b",
            "é", "a%2fb",
        ] {
            assert!(Repository::new(Registry::parse("x.io").unwrap(), bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_repository_reads_as_it_prints(path in "[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,3}(/[a-z0-9]{1,8}){0,3}") {
            let repository = Repository::new(Registry::parse("quay.io:443").unwrap(), &path).unwrap();
            prop_assert_eq!(Repository::parse(&repository.to_string()), Ok(repository));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,80}") {
            let _ = Repository::parse(&text);
        }
    }
}
