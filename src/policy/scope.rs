//! Scopes: patterns of repository names, in whole segments.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::oci::{Registry, Repository};

/// A repository name of at most 255 characters has no more segments.
const MAX_SEGMENTS: usize = 128;

/// A registry, and a pattern of paths in it: literal segments, `*` for one, `**` for one or more.
/// Docker Hub's aliases are one registry, and `docker.io/nginx` means `docker.io/library/nginx`, as
/// it does when it is pulled.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    registry: Registry,
    path: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Segment {
    Literal(String),
    One,
    Many,
}

/// Why a string is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// The registry part is absent, holds a wildcard or is no host.
    #[error("a scope starts with a registry's literal name and a path: docker.io/library/*, ghcr.io/acme/**")]
    Registry,
    /// A wildcard that is a part of a segment.
    #[error("`*` stands for a whole segment and `**` for one or more: {0:?} is neither these nor literal")]
    Wildcard(String),
    /// A literal segment that no repository can have.
    #[error("no repository has the segment {0:?}: lower-case letters, digits and single separators")]
    Segment(String),
    /// Docker Hub has no repositories of one segment.
    #[error(
        "docker.io/* matches nothing: write docker.io/library/* for official images or docker.io/** for all"
    )]
    HubOne,
    /// Too many segments.
    #[error("a scope has at most {MAX_SEGMENTS} segments")]
    Length,
}

impl Scope {
    /// Reads `registry/path`, making it canonical.
    ///
    /// # Errors
    /// [`ScopeError`] names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let (registry, path) = text.split_once('/').ok_or(ScopeError::Registry)?;
        let registry = Registry::parse(registry).map_err(|_| ScopeError::Registry)?;
        let mut path = path.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        if path.len() > MAX_SEGMENTS {
            return Err(ScopeError::Length);
        }
        if registry.is_docker_hub() && path.len() == 1 {
            match path[0] {
                Segment::Literal(_) => path.insert(0, Segment::Literal("library".to_owned())),
                Segment::One => return Err(ScopeError::HubOne),
                Segment::Many => {}
            }
        }
        Ok(Self { registry, path })
    }

    /// The registry that it is about.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether the scope covers the repository.
    pub fn matches(&self, repository: &Repository) -> bool {
        if self.registry != *repository.registry() {
            return false;
        }
        let name: Vec<&str> = repository.path().split('/').collect();
        common(&self.path, name.len(), |segment, i| segment.fits(name[i]))
    }

    /// Whether any repository is covered by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.registry == other.registry && meet(&self.path, &other.path)
    }

    /// A repository that it covers, with `x` for each wildcard.
    pub(super) fn sample(&self) -> Option<Repository> {
        let path: Vec<&str> = self.path.iter().map(|segment| segment.literal().unwrap_or("x")).collect();
        Repository::new(self.registry.clone(), &path.join("/")).ok()
    }
}

/// Whether a pattern covers a name of `length` segments, with `fits` telling for each. Linear in
/// the product of both lengths, whatever the wildcards.
fn common(pattern: &[Segment], length: usize, fits: impl Fn(&Segment, usize) -> bool) -> bool {
    // reached[i]: the pattern so far covers exactly the first i segments.
    let mut reached = vec![false; length + 1];
    reached[0] = true;
    for segment in pattern {
        let mut next = vec![false; length + 1];
        for i in 0..length {
            let from = reached[i] || (*segment == Segment::Many && next[i]);
            next[i + 1] = from && fits(segment, i);
        }
        reached = next;
    }
    reached[length]
}

/// Whether two patterns have a name in common.
fn meet(a: &[Segment], b: &[Segment]) -> bool {
    // met[i][j]: some name is covered by a's first i segments and by b's first j. Each step adds
    // one segment to that name; `**` takes it and stays, or takes it and is done.
    let mut met = vec![vec![false; b.len() + 1]; a.len() + 1];
    met[0][0] = true;
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            if a[i - 1].meets(&b[j - 1]) {
                let (a_stays, b_stays) = (a[i - 1] == Segment::Many, b[j - 1] == Segment::Many);
                met[i][j] = met[i - 1][j - 1] || (a_stays && met[i][j - 1]) || (b_stays && met[i - 1][j]);
            }
        }
    }
    met[a.len()][b.len()]
}

impl Segment {
    fn parse(text: &str) -> Result<Self, ScopeError> {
        match text {
            "*" => Ok(Self::One),
            "**" => Ok(Self::Many),
            _ if text.contains('*') => Err(ScopeError::Wildcard(text.to_owned())),
            _ if is_path_segment(text) => Ok(Self::Literal(text.to_owned())),
            _ => Err(ScopeError::Segment(text.to_owned())),
        }
    }

    fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::One | Self::Many => None,
        }
    }

    fn fits(&self, name: &str) -> bool {
        self.literal().is_none_or(|text| text == name)
    }

    fn meets(&self, other: &Self) -> bool {
        self.literal().is_none_or(|text| other.fits(text))
    }

    /// Literal over `*` over `**`.
    fn kind(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::One => 1,
            Self::Many => 2,
        }
    }
}

/// A name's segment has the same grammar in every registry, so any will do to ask.
fn is_path_segment(text: &str) -> bool {
    !text.contains('/') && Registry::parse("localhost").is_ok_and(|r| Repository::new(r, text).is_ok())
}

/// The most specific first. Compared from the left: literal over `*` over `**` over the end (of two
/// that share a start and cover one name, the longer says more). Where all that is equal the text
/// decides, so that only equal scopes tie.
impl Ord for Scope {
    fn cmp(&self, other: &Self) -> Ordering {
        let kinds = |scope: &Self| scope.path.iter().map(Segment::kind).chain([3]).collect::<Vec<_>>();
        let texts = |scope: &Self| {
            scope.path.iter().filter_map(Segment::literal).map(str::to_owned).collect::<Vec<_>>()
        };
        self.registry
            .cmp(&other.registry)
            .then_with(|| kinds(self).cmp(&kinds(other)))
            .then_with(|| texts(self).cmp(&texts(other)))
    }
}

impl PartialOrd for Scope {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.registry.as_str())?;
        for segment in &self.path {
            let text = match segment {
                Segment::Literal(text) => text,
                Segment::One => "*",
                Segment::Many => "**",
            };
            write!(f, "/{text}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|why| serde::de::Error::custom(format!("bad scope {text:?}: {why}")))
    }
}

#[cfg(test)]
mod tests;
