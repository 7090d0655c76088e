//! What a token is asked for: the distribution project's token scopes.

use std::borrow::Cow;

use crate::oci::Repository;

/// Leave to do something in one repository, and perhaps to read from another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    repository: &'a Repository,
    writes: bool,
    /// Whose blobs are mounted.
    from: Option<&'a Repository>,
}

impl<'a> Scope<'a> {
    /// Reading.
    pub(super) fn pull(repository: &'a Repository) -> Self {
        Self { repository, writes: false, from: None }
    }

    /// Reading and writing.
    pub(super) fn push(repository: &'a Repository) -> Self {
        Self { repository, writes: true, from: None }
    }

    /// Reading and writing, and reading what is mounted from another repository of the registry.
    pub(super) fn mount(repository: &'a Repository, from: &'a Repository) -> Self {
        Self { repository, writes: true, from: Some(from) }
    }

    /// The one that something is done in.
    pub(super) fn repository(&self) -> &'a Repository {
        self.repository
    }

    /// The name that its token is kept under.
    pub(super) fn name(&self) -> Cow<'a, str> {
        match (self.writes, self.from) {
            (false, _) => Cow::Borrowed(self.repository.path()),
            // No path has a space.
            (true, _) => Cow::Owned(self.parts().join(" ")),
        }
    }

    /// As the token server reads them.
    pub(super) fn parts(&self) -> Vec<String> {
        let actions = if self.writes { "pull,push" } else { "pull" };
        let of = |repository: &Repository, actions| format!("repository:{}:{actions}", repository.path());
        std::iter::once(of(self.repository, actions)).chain(self.from.map(|from| of(from, "pull"))).collect()
    }
}
