//! The content itself: the manifest, and what it lists. Each goes through the gate and is allowed, not only served.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{AT_ONCE, Error, Piece, Promotion};
use crate::access::Principal;
use crate::oci::{Digest, Reference, Target};
use crate::policy::Verdict;

/// How deep indexes may lie in indexes.
const MAX_DEPTH: usize = 4;
/// At most so many manifests are copied.
const MAX_MANIFESTS: usize = 1024;

impl Promotion<'_> {
    /// All of it, children before who lists them, the manifest that was asked for last.
    pub(super) async fn tree(&self) -> Result<Vec<Piece>, Error> {
        let top = self.admitted(&self.source.target).await?;
        let root = *top.manifest.digest();
        let mut seen = HashSet::from([root]);
        let mut levels = vec![vec![top]];
        while let Some(level) = levels.last().filter(|level| !level.is_empty()) {
            let listed = level.iter().flat_map(|index| index.manifest.manifests());
            let new = listed.map(|child| child.digest).filter(|child| seen.insert(*child));
            let new: Vec<Target> = new.map(Target::Digest).collect();
            if seen.len() > MAX_MANIFESTS {
                return Err(Error::Refused(format!("it lists more than {MAX_MANIFESTS} manifests")));
            }
            if levels.len() > MAX_DEPTH && !new.is_empty() {
                return Err(Error::Refused(format!("its indexes lie deeper than {MAX_DEPTH} in each other")));
            }
            let below = stream::iter(new.iter().map(|child| self.admitted(child)));
            let below = below.buffered(AT_ONCE).try_collect().await?;
            levels.push(below);
        }
        let all = levels.into_iter().flatten().map(|piece| (*piece.manifest.digest(), piece));
        Ok(children_first(root, all.collect()))
    }

    async fn admitted(&self, target: &Target) -> Result<Piece, Error> {
        let reference = Reference { repository: self.source.repository.clone(), target: target.clone() };
        let admitted = self.gate.manifest(&reference, &Principal::Process).await?;
        let decision = admitted.decision();
        if decision.verdict() != Verdict::Allow {
            let why: Vec<_> = decision.reasons().iter().map(|reason| reason.message.clone()).collect();
            return Err(Error::Refused(format!(
                "{reference} is served in mode {} alone, not allowed: {}",
                decision.mode().as_str(),
                why.join("; ")
            )));
        }
        Ok(Piece { manifest: admitted.into_content(), through_gate: false })
    }
}

/// Each manifest behind all that it lists: one may be listed at several depths.
fn children_first(root: Digest, mut all: HashMap<Digest, Piece>) -> Vec<Piece> {
    let (mut ordered, mut ways) = (Vec::with_capacity(all.len()), vec![(root, false)]);
    while let Some((digest, is_behind)) = ways.pop() {
        if is_behind {
            ordered.extend(all.remove(&digest));
        } else if let Some(piece) = all.get(&digest) {
            ways.push((digest, true));
            ways.extend(piece.manifest.manifests().iter().map(|child| (child.digest, false)));
        }
    }
    ordered
}
