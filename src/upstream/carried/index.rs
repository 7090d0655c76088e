//! What an index says, and what is wrong with what it lists.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::oci::{Descriptor, Digest, Reference};

/// Of so many files that cannot be read is told.
pub(super) const MAX_UNREAD: usize = 16;

/// An index, and what it was made with.
#[derive(Debug)]
pub struct CarriedLayout {
    /// The folder or archive that it stands in.
    pub path: PathBuf,
    /// What it lists under a full name, in its order.
    pub named: Vec<(Reference, Digest)>,
    /// What stands under a name that is no full one.
    pub nameless: Vec<String>,
    /// Why nothing of it can be read.
    pub broken: Option<String>,
    /// How many entries without a name cannot be read, or are something else than their digests say. What they were about
    /// nobody can tell.
    pub damaged: usize,
    /// What is wrong with them; of many, the first.
    pub unread: Vec<String>,
    /// The file that was asked for beside it.
    pub beside: Option<Bytes>,
}

/// What the entries without a name of one index are about.
#[derive(Default)]
pub(super) struct Attached {
    /// Each with its subject.
    pub(super) referrers: Vec<(Digest, Descriptor)>,
    /// How many bytes of manifests were read to know.
    pub(super) read: u64,
}

impl CarriedLayout {
    /// One of which nothing was read yet.
    pub(super) fn at(path: &Path) -> Self {
        let (named, nameless, unread) = (Vec::new(), Vec::new(), Vec::new());
        Self { path: path.to_owned(), named, nameless, broken: None, damaged: 0, unread, beside: None }
    }

    pub(super) fn damaged(&mut self, why: String) {
        self.damaged += 1;
        if self.unread.len() < MAX_UNREAD {
            self.unread.push(why);
        }
    }
}
