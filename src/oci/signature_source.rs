//! Where signatures are kept that do not lie beside what they sign: in a repository of their own, whose name may be
//! made of the subject's, or in an OCI image layout on disk. Names alone; nothing is read here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::repository::{NameError, Registry, Repository, as_text, looks_like_host};

const REGISTRY: &str = "{registry}";
const PATH: &str = "{path}";

/// A place where signatures are looked for beside the subject's own repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SignatureSource {
    /// A repository at a configured upstream: `registry.corp/sigs/{path}`.
    Repository(#[cfg_attr(test, schemars(with = "String"))] RepositoryPattern),
    /// The folder of an OCI image layout.
    Layout(PathBuf),
}

impl SignatureSource {
    /// Makes the path in it absolute.
    pub fn resolve(&mut self, base: &Path) {
        if let Self::Layout(folder) = self {
            *folder = base.join(&*folder);
        }
    }
}

/// A repository's name in which `{registry}` and `{path}` stand for those of another. Without either, it is one
/// repository for all: what is in it is found by digest.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RepositoryPattern(Arc<str>);

impl RepositoryPattern {
    /// Reads `registry.corp/sigs/{registry}/{path}`, or `{registry}/sigs/{path}` for a repository at the subject's own
    /// registry.
    ///
    /// # Errors
    /// [`NameError`] names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let pattern = Self(text.into());
        let sample = Repository::new(Registry::parse("registry.example")?, "app")?;
        match pattern.of(&sample) {
            Err(_) if text.contains(['{', '}']) => Err(NameError::Pattern),
            made => made.map(|_| pattern),
        }
    }

    /// The repository that it means for a subject in `repository`. Within a path, a registry's colon becomes `-`.
    ///
    /// # Errors
    /// [`NameError`] where what comes of it is no name: most of all, one that is too long.
    pub fn of(&self, repository: &Repository) -> Result<Repository, NameError> {
        let (host, path) = self.0.split_once('/').ok_or(NameError::NoRegistry)?;
        let registry = match host {
            REGISTRY => repository.registry().clone(),
            host if looks_like_host(host) => Registry::parse(host)?,
            _ => return Err(NameError::NoRegistry),
        };
        let in_path = repository.registry().as_str().replace(':', "-");
        Repository::with_library(registry, &path.replace(REGISTRY, &in_path).replace(PATH, repository.path()))
    }

    /// The registry that it is at, unless that is the subject's own.
    pub fn registry(&self) -> Option<Registry> {
        let (host, _) = self.0.split_once('/')?;
        Registry::parse(host).ok()
    }
}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(RepositoryPattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_makes_a_name_of_another() {
        let subject = Repository::parse("localhost:5000/team/app").unwrap();
        for (pattern, made) in [
            ("registry.corp/sigs/{path}", "registry.corp/sigs/team/app"),
            ("registry.corp/sigs/{registry}/{path}", "registry.corp/sigs/localhost-5000/team/app"),
            ("{registry}/sigs/{path}", "localhost:5000/sigs/team/app"),
            ("{registry}/{path}-sigs", "localhost:5000/team/app-sigs"),
            ("registry.corp:5000/signatures", "registry.corp:5000/signatures"),
            ("docker.io/signatures", "docker.io/library/signatures"),
        ] {
            let read = RepositoryPattern::parse(pattern).unwrap();
            assert_eq!(read.of(&subject).unwrap().to_string(), made);
            assert_eq!(read.to_string(), pattern);
        }
        for bad in
            ["", "sigs", "sigs/{path}", "r.corp/", "r.corp/{name}", "r.corp/{path", "{path}/a", "r.corp/Sigs"]
        {
            assert!(RepositoryPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_none() {
        let subject = Repository::parse(&format!("r.test/{}", "a".repeat(200))).unwrap();
        let pattern = RepositoryPattern::parse("registry.corp/{path}/{path}").unwrap();
        assert_eq!(pattern.of(&subject), Err(NameError::Length));
    }
}
