//! Registry scopes: which statement of a trust policy applies to a repository
//! (trust-store-trust-policy, "Selecting a trust policy to verify a signed OCI artifact").

use std::fmt;

use crate::oci::repository::NameError;
use crate::oci::{Registry, Repository};

/// What a statement covers. The order is the order of preference: the most specific is the greatest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Scope {
    /// `*`: every repository.
    Global,
    /// Our extension: what lies below a registry or path.
    Below {
        /// How many segments, the registry included, stand before the wildcard.
        literals: usize,
        /// `*`, exactly one segment (`true`), rather than `**`, one or more.
        one: bool,
        /// The registry and path before the wildcard.
        prefix: Vec<String>,
    },
    /// One repository.
    Exact(String),
}

impl Scope {
    /// Reads `*`, `registry/path`, or one of our extensions `registry/path/*` and `registry/path/**`.
    ///
    /// # Errors
    /// What a scope looks like.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Global);
        }
        let below = text.strip_suffix("/**").map(|p| (p, false));
        if let Some((prefix, one)) = below.or_else(|| text.strip_suffix("/*").map(|p| (p, true))) {
            let prefix = segments(prefix).map_err(|e| format!("{text:?}: {e}"))?;
            return Ok(Self::Below { literals: prefix.len(), one, prefix });
        }
        let (host, path) = text
            .split_once('/')
            .ok_or_else(|| format!("{text:?}: name a repository with its registry in front, or \"*\""))?;
        // Docker Hub's one-segment names lie under `library/`, as in the names that requests are given.
        Registry::parse(host)
            .and_then(|registry| Repository::with_library(registry, path))
            .map(|repository| Self::Exact(repository.to_string()))
            .map_err(|e| format!("{text:?}: {e}"))
    }

    /// Whether the repository is covered.
    pub(super) fn covers(&self, repository: &Repository) -> bool {
        match self {
            Self::Global => true,
            Self::Exact(name) => *name == repository.to_string(),
            Self::Below { literals, one, prefix } => {
                let more = repository.segments().count().saturating_sub(*literals);
                prefix.iter().map(String::as_str).eq(repository.segments().take(*literals))
                    && (more == 1 || (more > 1 && !one))
            }
        }
    }
}

/// The canonical segments of `registry` or `registry/path`.
fn segments(text: &str) -> Result<Vec<String>, NameError> {
    let (host, path) = match text.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (text, None),
    };
    let registry = Registry::parse(host)?;
    match path {
        None => Ok(vec![registry.as_str().to_owned()]),
        Some(path) => Ok(Repository::new(registry, path)?.segments().map(str::to_owned).collect()),
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Below { one, prefix, .. } => {
                write!(f, "{}/{}", prefix.join("/"), if *one { "*" } else { "**" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(scope: &str, repository: &str) -> bool {
        Scope::parse(scope).unwrap().covers(&Repository::parse(repository).unwrap())
    }

    #[test]
    fn exact_scopes_cover_one_repository() {
        assert!(covers("acme.io/a/b", "acme.io/a/b"));
        assert!(covers("ACME.io:443/a/b", "acme.io:443/a/b"));
        assert!(covers("index.docker.io/nginx", "docker.io/library/nginx"));
        for other in ["acme.io/a", "acme.io/a/b/c", "acme.io/a/bb", "other.io/a/b"] {
            assert!(!covers("acme.io/a/b", other), "{other}");
        }
        assert_eq!(Scope::parse("build/app").unwrap().to_string(), "build/app");
    }

    #[test]
    fn wildcards_cover_whole_segments() {
        assert!(covers("*", "acme.io/a"));
        assert!(covers("acme.io/*", "acme.io/a"));
        assert!(!covers("acme.io/*", "acme.io/a/b"));
        assert!(covers("acme.io/a/*", "acme.io/a/b"));
        assert!(!covers("acme.io/a/*", "acme.io/a"));
        assert!(!covers("acme.io/a/*", "acme.io/ab/c"));
        assert!(covers("acme.io/**", "acme.io/a/b/c"));
        assert!(!covers("acme.io/a/**", "acme.io/b/c"));
    }

    #[test]
    fn the_most_specific_is_the_greatest() {
        let order = ["*", "acme.io/**", "acme.io/*", "acme.io/a/**", "acme.io/a/*", "acme.io/a/b"];
        let scopes: Vec<Scope> = order.iter().map(|s| Scope::parse(s).unwrap()).collect();
        assert!(scopes.is_sorted(), "{scopes:?}");
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for bad in [
            "",
            "nginx",
            "**",
            "/*",
            "acme.io/",
            "acme.io/*/b",
            "*/a",
            "acme.io/a*",
            "acme.io/a:v1",
            "https://acme.io/a",
            "acme.io/A",
            "acme.io/a//*",
            "a b/c",
        ] {
            assert!(Scope::parse(bad).is_err(), "{bad}");
        }
    }
}
