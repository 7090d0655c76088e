//! Why the trusted root was not renewed: nobody answered, what was answered is not believed, or the folder
//! that it is kept in is not usable.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::setting::SettingError;
use crate::setting::time::show;
use crate::telemetry::Untrusted;

/// What became of an update that did not come about. What was there before is there still.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository did not give a file.
    #[error("{url}: {why}")]
    Unreachable {
        /// Which file.
        url: String,
        /// What was answered instead, if anything.
        why: String,
    },
    /// It gave what is not believed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A file of ours that cannot be read, written or understood.
    #[error("{}: {why}", path.display())]
    Kept {
        /// Which.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// A setting that cannot be honoured.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// Why metadata or the target is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Something else than what was expected.
    #[error("{file}: {why}")]
    Malformed {
        /// Which file.
        file: String,
        /// What is wrong.
        why: Untrusted,
    },
    /// Too few of the role's keys signed it.
    #[error("{file}: expected valid signatures of {needed} distinct keys of its role, found {found}")]
    Unsigned {
        /// Which file.
        file: String,
        /// The role's threshold.
        needed: usize,
        /// How many keys signed.
        found: usize,
    },
    /// Another version than the one that belongs there.
    #[error("{file}: expected version {expected}, found version {found}")]
    Version {
        /// Which file.
        file: String,
        /// Which belongs there.
        expected: u64,
        /// Which it is.
        found: u64,
    },
    /// Older than what was believed before.
    #[error(
        "{file}: a rollback of {name}: version {kept} was seen before, found version {found}{}",
        if name.as_raw() == "root.json" { "; where another repository is meant, keep it in a folder of its own" }
        else { "" }
    )]
    Rollback {
        /// Which file says so.
        file: String,
        /// Of which file.
        name: Untrusted,
        /// The version that was believed.
        kept: u64,
        /// The one that is offered.
        found: u64,
    },
    /// Other content under a version that was believed before.
    #[error("{file}: a fork: version {version} was seen before with other content")]
    Forked {
        /// Which file.
        file: String,
        /// Which version.
        version: u64,
    },
    /// Metadata that was listed before and is not any more.
    #[error("{file}: expected {name}, which was listed before; it is gone")]
    Unlisted {
        /// Which file.
        file: String,
        /// What is missing in it.
        name: Untrusted,
    },
    /// Its end has passed: somebody may be holding newer metadata back.
    #[error("{file}: expired at {}, and it is {}: the repository is out of date, or kept so", show(*.at), show(*.now))]
    Expired {
        /// Which file.
        file: String,
        /// When it ended.
        at: SystemTime,
        /// When it was to be used.
        now: SystemTime,
    },
    /// Not as long as signed metadata says.
    #[error("{file}: expected {expected} bytes, found {found}")]
    Length {
        /// Which file.
        file: String,
        /// What is signed.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// Not the content that signed metadata names.
    #[error("{file}: expected {expected}, found {found}")]
    Digest {
        /// Which file.
        file: String,
        /// What is signed.
        expected: Untrusted,
        /// What came.
        found: String,
    },
    /// More than is read.
    #[error("{file}: more than {limit} bytes")]
    TooLarge {
        /// Which file.
        file: String,
        /// How many are read.
        limit: u64,
    },
    /// A chain of roots without an end.
    #[error("more than {limit} new roots in one update: begin with a newer one (--root)")]
    TooManyRoots {
        /// How many are followed.
        limit: u64,
    },
}

impl Refusal {
    pub(super) fn malformed(file: &str, why: impl std::fmt::Display) -> Self {
        Self::Malformed { file: file.to_owned(), why: Untrusted::new(why.to_string()) }
    }
}
