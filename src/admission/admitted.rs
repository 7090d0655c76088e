//! Leave to serve. Everything that can make an [`Admitted`] stands in this file, and `admission`
//! alone may call it; a response body is made from nothing else. `tests/architecture.rs` pins this
//! file's methods, visibilities and derives.

use std::sync::Arc;

use crate::cache::Blob;
use crate::oci::{Descriptor, Digest, Manifest};
use crate::policy::Decision;

/// Content that knows its own digest.
pub trait Content {
    /// The digest of exactly the bytes that would be served.
    fn digest(&self) -> Digest;
}

impl Content for Manifest {
    fn digest(&self) -> Digest {
        *Self::digest(self)
    }
}

impl Content for Descriptor {
    fn digest(&self) -> Digest {
        self.digest
    }
}

impl Content for Blob {
    fn digest(&self) -> Digest {
        *Self::digest(self)
    }
}

impl<T: Content> Content for Arc<T> {
    fn digest(&self) -> Digest {
        T::digest(self)
    }
}

/// What a decision unlocks: its subject, or content that a link leads to. Made by links alone.
pub struct Unlocks {
    pub(super) digest: Digest,
}

/// Leave to serve `T`: its digest is one that a live decision unlocks.
#[derive(Debug)]
pub struct Admitted<T> {
    content: T,
    decision: Arc<Decision>,
    stale: bool,
}

impl<T: Content> Admitted<T> {
    /// Leave to serve `content`, where the decision lets its subject be served and `unlocks` names
    /// exactly this content. `stale` tells that the upstream could not confirm the tag.
    pub(super) fn new(decision: &Arc<Decision>, unlocks: Unlocks, content: T, stale: bool) -> Option<Self> {
        let leave = decision.serve() && unlocks.digest == content.digest();
        leave.then(|| Self { content, decision: Arc::clone(decision), stale })
    }
}

impl<T> Admitted<T> {
    /// What may be served.
    pub fn content(&self) -> &T {
        &self.content
    }

    /// By which decision.
    pub fn decision(&self) -> &Arc<Decision> {
        &self.decision
    }

    /// Whether it is the last good answer of an upstream that is in trouble now.
    pub fn stale(&self) -> bool {
        self.stale
    }

    /// Ends the leave, giving the content to the response.
    pub fn into_content(self) -> T {
        self.content
    }
}
