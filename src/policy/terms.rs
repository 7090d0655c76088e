//! What a policy demands of content of one repository: the same for all that it covers, or what a policy
//! file of the ecosystem says of each.

use std::borrow::Cow;

use super::{ClusterImagePolicies, Mode, Reason, Require};
use crate::oci::{Repository, SignatureSource};

/// What a policy demands, before a repository is named.
#[derive(Clone)]
pub(super) enum Terms {
    /// The same of every repository.
    Same(Option<Require>),
    /// What a file says.
    ClusterImagePolicies(ClusterImagePolicies),
}

impl Terms {
    /// What is demanded of content of a repository, and the strictest mode that the file leaves for it.
    pub(super) fn of(&self, repository: &Repository) -> (Demand<'_>, Mode) {
        match self {
            Self::Same(Some(require)) => (Demand::Require(Cow::Borrowed(require)), Mode::Enforce),
            Self::Same(None) => (Demand::Nothing, Mode::Enforce),
            Self::ClusterImagePolicies(file) => file.of(repository),
        }
    }

    /// Where a file says that signatures of content of a repository lie.
    pub(super) fn sources_of<'a>(&'a self, repository: &'a Repository) -> Vec<&'a SignatureSource> {
        match self {
            Self::Same(_) => Vec::new(),
            Self::ClusterImagePolicies(file) => file.sources_of(repository).collect(),
        }
    }

    /// The same of any repository.
    pub(super) fn sources(&self) -> Vec<&SignatureSource> {
        match self {
            Self::Same(_) => Vec::new(),
            Self::ClusterImagePolicies(file) => file.sources().collect(),
        }
    }
}

/// What is demanded of content of one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand<'a> {
    /// These signers must vouch.
    Require(Cow<'a, Require>),
    /// Nothing satisfies it, for this reason.
    Never(Reason),
    /// Nothing is asked.
    Nothing,
}
