//! What `notation verify` takes for a reference: a registry's, or a path to an OCI image layout.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::oci::{Digest, Reference, Registry, Repository, Tag, Target};

/// Reads `registry/repository:tag` or `registry/repository@digest`. Nothing is supplied: neither a
/// registry nor `latest`.
///
/// # Errors
/// What is missing or breaks the grammar.
pub(super) fn in_registry(text: &str) -> anyhow::Result<Reference> {
    let parts = text.split_once('/').and_then(|(registry, rest)| {
        if let Some((named, digest)) = rest.split_once('@') {
            // A digest beside a tag decides.
            let path = named.split_once(':').map_or(named, |(path, _)| path);
            return Some((registry, path, digest));
        }
        rest.split_once(':').map(|(path, tag)| (registry, path, tag))
    });
    let Some((registry, path, target)) = parts else {
        bail!("reference {text:?}: expected registry/repository:tag or registry/repository@digest");
    };
    let name = || format!("reference {text:?}");
    let registry = Registry::parse(registry).with_context(name)?;
    let repository = Repository::with_library(registry, path).with_context(name)?;
    let target = target_of(target, text.contains('@')).with_context(name)?;
    Ok(Reference { repository, target })
}

/// Reads `path:tag` or `path@digest`, and the scope that stands for the layout in trust policies.
///
/// # Errors
/// What is missing or breaks the grammar.
pub(super) fn in_layout(text: &str, scope: &str) -> anyhow::Result<(PathBuf, Reference)> {
    let by_digest = text.rsplit_once('@');
    let Some((path, target)) =
        by_digest.or_else(|| text.rsplit_once(':')).filter(|(path, _)| !path.is_empty())
    else {
        bail!("layout {text:?}: expected path:tag or path@digest");
    };
    let target = target_of(target, by_digest.is_some()).with_context(|| format!("layout {text:?}"))?;
    Ok((PathBuf::from(path), Reference { repository: repository(scope)?, target }))
}

/// The repository that a scope names: its registry may be any word, such as `local/app`.
fn repository(scope: &str) -> anyhow::Result<Repository> {
    let name = || format!("scope {scope:?}");
    let (registry, path) =
        scope.split_once('/').with_context(|| format!("{}: expected registry/repository", name()))?;
    Repository::with_library(Registry::parse(registry).with_context(name)?, path).with_context(name)
}

fn target_of(text: &str, is_digest: bool) -> anyhow::Result<Target> {
    Ok(if is_digest { Target::Digest(Digest::parse(text)?) } else { Target::Tag(Tag::parse(text)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn registries_references_are_whole() {
        for (text, meant) in [
            ("r.test/team/app:v1", "r.test/team/app:v1".to_owned()),
            ("localhost:5000/app:v1", "localhost:5000/app:v1".to_owned()),
            ("team/app:v1", "team/app:v1".to_owned()),
            ("index.docker.io/nginx:1", "docker.io/library/nginx:1".to_owned()),
            (&format!("r.test/app:v1@{HASH}"), format!("r.test/app@{HASH}")),
            (&format!("r.test:80/app@{HASH}"), format!("r.test:80/app@{HASH}")),
        ] {
            assert_eq!(in_registry(text).unwrap().to_string(), meant);
        }
        for bad in ["", "nginx:1", "r.test/app", "r.test/app@v1", "r.test/App:v1", "/app:v1", "r.test/app:"] {
            assert!(in_registry(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn layouts_have_a_path_and_a_scope() {
        let read = |text: &str| {
            let (path, reference) = in_layout(text, "local/app").unwrap();
            (path.display().to_string(), reference.to_string())
        };
        assert_eq!(read("dir/a:v1"), ("dir/a".to_owned(), "local/app:v1".to_owned()));
        assert_eq!(read(&format!("/a:b@{HASH}")), ("/a:b".to_owned(), format!("local/app@{HASH}")));
        for (bad, scope) in [
            ("dir", "local/app"),
            (":v1", "local/app"),
            ("dir:", "local/app"),
            ("dir:v1", "app"),
            ("dir:v1", "*"),
        ] {
            assert!(in_layout(bad, scope).is_err(), "{bad} {scope}");
        }
    }
}
