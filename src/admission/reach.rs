//! How far one request or evaluation may still go: so deep, and through so many manifests in all.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left to go. Every branch draws on the same number.
#[derive(Clone, Copy)]
pub(super) struct Reach<'a> {
    depth: usize,
    left: &'a AtomicUsize,
}

impl<'a> Reach<'a> {
    /// `depth` levels, and as many manifests as `left` holds.
    pub(super) fn new(depth: usize, left: &'a AtomicUsize) -> Self {
        Self { depth, left }
    }

    /// The reach from one more manifest, a level on; `None` at the end of either bound.
    pub(super) fn further(self) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        let one_less = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok()?;
        Some(Self { depth, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_share_what_is_left_and_not_their_depth() {
        let left = AtomicUsize::new(3);
        let start = Reach::new(2, &left);
        let deep = start.further().unwrap().further().unwrap();
        assert!(deep.further().is_none(), "two levels are two levels");
        assert!(start.further().is_some(), "the depth of one branch is not another's");
        assert!(start.further().is_none(), "three are three");
    }
}
