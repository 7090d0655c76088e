//! The answers of revocation servers that were brought, in no more room than one import has. Each layout has a share of
//! it, so that whoever made one keeps nothing of another's out. Blocks.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{Contents, Layout, MAX_BROUGHT};
use crate::oci::Digest;
use crate::trust::revocation::Answer;
use crate::upstream::Carried;
use crate::x509::crl;

/// What became of all that was listed.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) taken: Vec<(Answer, Bytes)>,
    /// What cannot be read, is something else or has no room.
    pub(super) lost: Vec<Answer>,
    /// What was looked at, since several may list it.
    tried: HashMap<Digest, Result<Bytes, String>>,
}

impl Answers {
    /// Takes what layouts list, in at most `room` bytes. One that is of no use is told, and the others count.
    pub(super) fn of(carried: &Carried, mut layouts: Vec<(&Contents, &mut Layout)>, room: usize) -> Self {
        // What one does not need of its share is there for those who need more.
        layouts.sort_by_cached_key(|(contents, _)| wanted(carried, contents));
        let (mut answers, mut room, mut left) = (Self::default(), room, layouts.len());
        for (contents, layout) in layouts {
            let share = room / left;
            room -= answers.take(carried, contents, layout, share);
            left -= 1;
        }
        answers
    }

    /// Says how many of the `room` bytes it took.
    fn take(&mut self, carried: &Carried, contents: &Contents, layout: &mut Layout, room: usize) -> usize {
        let (mut taken, mut seen) = (0, HashSet::new());
        for answer in contents.revocation.iter().filter(|answer| seen.insert(*answer)) {
            let der = self.tried.entry(answer.digest).or_insert_with(|| {
                read(carried, &answer.digest, room - taken).inspect(|der| taken += der.len())
            });
            match der {
                Ok(der) => self.taken.push((answer.clone(), der.clone())),
                Err(why) => {
                    layout.answers_lost += 1;
                    layout.pass_over(format!("revocation data: {why}"));
                    self.lost.push(answer.clone());
                }
            }
        }
        taken
    }
}

/// How many bytes a layout lists.
fn wanted(carried: &Carried, contents: &Contents) -> u64 {
    let digests: HashSet<&Digest> = contents.revocation.iter().map(|answer| &answer.digest).collect();
    let sizes = digests.into_iter().map(|digest| carried.size(digest).ok().flatten().unwrap_or_default());
    sizes.fold(0, u64::saturating_add)
}

/// At most `room` bytes.
fn read(carried: &Carried, digest: &Digest, room: usize) -> Result<Bytes, String> {
    let size = carried.size(digest).map_err(|e| e.plainly())?;
    if size.is_some_and(|size| size > room as u64) {
        return Err(format!(
            "{digest} has no room in the {MAX_BROUGHT} bytes that one import takes of it, of which each layout has its \
             share: import fewer layouts at once"
        ));
    }
    // It may have grown since.
    carried.read(digest, room.min(crl::MAX_DER) as u64).map_err(|e| e.plainly())
}
