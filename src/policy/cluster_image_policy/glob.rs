//! Globs of image names (policy-controller, `pkg/apis/glob`), applied to repositories: `*` stands for any
//! characters but `/`, `**` for any.

use std::fmt;

use crate::oci::{Repository, looks_like_host};

/// No image's name is longer than some hundred characters.
const MAX_LENGTH: usize = 512;
/// Endings that stand for any tag or digest. Ours are judged whatever they are pulled by.
const ANY_VERSION: [&str; 4] = ["@sha256:*", "@sha256:**", ":*", "@*"];

/// A pattern of repository names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(char),
    /// Any characters but `/`.
    Segment,
    /// Any characters.
    Any,
}

impl Glob {
    /// Reads a glob.
    ///
    /// # Errors
    /// Other characters than policy-controller takes, or a tag or digest: those are not ours to tell apart.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let taken = |c: char| c.is_ascii_alphanumeric() || "-_:/*.@".contains(c);
        if text.is_empty() || text.len() > MAX_LENGTH || !text.chars().all(taken) {
            return Err(format!(
                "expected a glob of 1 to {MAX_LENGTH} letters, digits and - _ : / * . @, found {text:?}"
            ));
        }
        let names = ANY_VERSION.iter().find_map(|ending| text.strip_suffix(ending)).unwrap_or(text);
        if names.contains('@') || names.rsplit('/').next().is_some_and(|last| last.contains(':')) {
            return Err(format!(
                "{text:?} names a tag or digest, and a policy is of repositories here: leave it out (ending \
                 in :* or @sha256:* is the same as leaving it out)"
            ));
        }
        // policy-controller takes these two for Docker Hub's.
        let names = match text {
            "*" => "index.docker.io/library/*",
            "*/*" => "index.docker.io/*/*",
            _ => names,
        };
        Ok(Self { text: text.to_owned(), parts: parts(names) })
    }

    /// Whether it covers the repository, by any name that means it.
    pub(super) fn matches(&self, repository: &Repository) -> bool {
        names(repository).iter().any(|name| self.covers(name))
    }

    /// Linear in the product of both lengths, whatever the wildcards.
    fn covers(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        // reached[i]: the glob so far covers exactly the first i characters.
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            let mut next = vec![false; name.len() + 1];
            next[0] = reached[0] && !matches!(part, Part::Literal(_));
            for (i, c) in name.iter().enumerate() {
                next[i + 1] = match part {
                    Part::Literal(literal) => reached[i] && literal == c,
                    Part::Segment => reached[i + 1] || (next[i] && *c != '/'),
                    Part::Any => reached[i + 1] || next[i],
                };
            }
            reached = next;
        }
        reached[name.len()]
    }
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        parts.push(match c {
            '*' if rest.next_if_eq(&'*').is_some() => Part::Any,
            '*' => Part::Segment,
            literal => Part::Literal(literal),
        });
    }
    parts
}

/// The names that mean a repository: one, but on Docker Hub, which has two hosts and lets its own and
/// `library/` be left out.
fn names(repository: &Repository) -> Vec<String> {
    let mut names = vec![repository.to_string()];
    if repository.registry().is_docker_hub() {
        let path = repository.path();
        names.push(format!("index.docker.io/{path}"));
        let short = path.strip_prefix("library/").unwrap_or(path);
        // What begins like a host would mean that host.
        let means_a_host = short.split_once('/').is_some_and(|(first, _)| looks_like_host(first));
        if !means_a_host {
            names.push(short.to_owned());
        }
    }
    names
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(glob: &str, repository: &str) -> bool {
        Glob::parse(glob).unwrap().matches(&Repository::parse(repository).unwrap())
    }

    #[test]
    fn globs_cover_what_policy_controller_says() {
        for (repository, covering) in [
            (
                "docker.io/library/foo",
                &[
                    "index.docker.io/library/foo",
                    "docker.io/library/foo",
                    "index.docker.io/library/foo:*",
                    "index.docker.io/library/foo@sha256:*",
                    "index.docker.io/library/*",
                    "index.docker.io/*/*",
                    "index.docker.io/**",
                    "index.docker.**",
                    "inde**",
                    "**",
                    "*",
                    "*/*",
                    "foo",
                    "foo*",
                    "foo**",
                    "**foo**",
                ][..],
            ),
            (
                "docker.io/myuser/myapp",
                &[
                    "index.docker.io/myuser/*",
                    "index.docker.io/*/*",
                    "*/*",
                    "myuser/myapp*",
                    "**/myapp",
                    "**",
                ],
            ),
            (
                "ghcr.io/foo/bar",
                &["ghcr.io/*/*", "ghcr.io/**", "*/**", "ghc**", "ghcr.io/foo/b*r", "ghcr.io/foo/bar***"],
            ),
            ("ghcr.io/foo", &["ghcr.io/foo", "ghcr.io/foo*", "ghcr.io/foo**", "*/foo", "ghcr.io/foo@*"]),
            ("localhost:5000/foo", &["localhost:5000/*", "localhost:*/foo", "localhost:5000/foo:*"]),
        ] {
            for glob in covering {
                assert!(matches(glob, repository), "{glob} covers {repository}");
            }
        }
    }

    #[test]
    fn globs_cover_nothing_else() {
        for (glob, repository) in [
            ("ghcr.io/*/*", "ghcr.io/foo"),
            ("ghcr.io/*", "ghcr.io/foo/bar"),
            ("ghcr.io/foo", "prefix-ghcr.io/foo"),
            ("ghcr.io/foo", "ghcr.io/foo-suffix"),
            ("ghcr.io:80/**", "ghcrxio:80/foo"),
            ("ghcr.io/foo*", "ghcr.io/fo"),
            ("*", "ghcr.io/foo"),
            ("*", "docker.io/myuser/myapp"),
            ("*/*", "ghcr.io/foo"),
            ("foo", "ghcr.io/foo"),
            ("foo", "docker.io/myuser/foo"),
            ("myuser/*", "ghcr.io/myuser/app"),
            // Docker Hub's account that is called like a registry is not that registry.
            ("ghcr.io/acme/*", "docker.io/ghcr.io/acme"),
            ("ghcr.io/**", "docker.io/ghcr.io/acme/app"),
        ] {
            assert!(!matches(glob, repository), "{glob} does not cover {repository}");
        }
    }

    #[test]
    fn what_is_no_glob_of_repositories_is_refused() {
        for bad in ["", ".+", "[a-z]*", "foo?", "a b", "é", &"a".repeat(513)] {
            assert!(Glob::parse(bad).unwrap_err().starts_with("expected a glob"), "{bad}");
        }
        for version in
            ["ghcr.io/foo:latest", "ghcr.io/foo:v*", "**:latest", "a@sha256:ab*", "a:1@sha256:*", "a@**b"]
        {
            assert!(Glob::parse(version).unwrap_err().contains("names a tag or digest"), "{version}");
        }
    }

    proptest! {
        /// The same answers as the regular expression that policy-controller makes of a glob.
        #[test]
        fn globs_are_the_expressions_that_policy_controller_makes(
            glob in "([a-c./]|\\*|\\*\\*){1,8}", path in "[a-c]{1,3}(/[a-c]{1,3}){0,2}",
        ) {
            let expression = glob.replace('.', "\\.").replace("**", "#").replace('*', "[^/]*").replace('#', ".*");
            let name = format!("a.b/{path}");
            let expected = regex::Regex::new(&format!("^{expression}$")).unwrap().is_match(&name);
            prop_assume!(glob != "*" && glob != "*/*");
            prop_assert_eq!(matches(&glob, &name), expected);
        }
    }
}
