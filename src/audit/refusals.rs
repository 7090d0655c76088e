//! Refusals of requests, told once with a count: a client that asks in a loop must not fill the log.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Error;
use super::line::time;
use crate::oci::Repository;
use crate::signature::Code;

/// How long refusals of one kind are gathered before they are written.
pub const COALESCED_FOR: Duration = Duration::from_secs(60);

/// At most so many kinds are told apart; what else comes is counted together.
const MAX_KINDS: usize = 4096;

/// What refusals are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Refused {
    /// The source repository.
    pub repository: Repository,
    /// What was asked for in it: a tag or digest.
    pub target: String,
    /// Who asked.
    pub principal: String,
    /// Why it was refused.
    pub code: Code,
    /// The decision's id, where one was made.
    pub decision: Option<String>,
}

#[derive(Clone, Debug)]
struct Count {
    first: SystemTime,
    last: SystemTime,
    count: u64,
}

/// Refusals that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    kinds: HashMap<Refused, Count>,
    /// Those beyond [`MAX_KINDS`].
    others: Option<Count>,
}

/// Refusals on their way to the log.
#[derive(Debug)]
pub(super) struct Batch {
    kinds: Vec<(Refused, Count)>,
    others: Option<Count>,
}

impl Refusals {
    pub(super) fn add(&mut self, refused: Refused, at: SystemTime) {
        self.merge(refused, Count { first: at, last: at, count: 1 });
    }

    /// Takes those whose minute is over, and those of a clock that went back.
    pub(super) fn due(&mut self, now: SystemTime) -> Batch {
        let over = |c: &Count| now.duration_since(c.first).map_or(true, |age| age >= COALESCED_FOR);
        let kinds = self.kinds.extract_if(|_, count| over(count)).collect();
        Batch { kinds, others: self.others.take_if(|c| over(c)) }
    }

    pub(super) fn all(&mut self) -> Batch {
        Batch { kinds: self.kinds.drain().collect(), others: self.others.take() }
    }

    pub(super) fn put_back(&mut self, batch: Batch) {
        for (refused, count) in batch.kinds {
            self.merge(refused, count);
        }
        if let Some(count) = batch.others {
            merge_into(&mut self.others, count);
        }
    }

    fn merge(&mut self, refused: Refused, count: Count) {
        let room = self.kinds.len() < MAX_KINDS;
        match self.kinds.get_mut(&refused) {
            Some(known) => known.merge(&count),
            None if room => {
                self.kinds.insert(refused, count);
            }
            None => merge_into(&mut self.others, count),
        }
    }
}

fn merge_into(others: &mut Option<Count>, count: Count) {
    match others {
        Some(known) => known.merge(&count),
        None => *others = Some(count),
    }
}

impl Count {
    fn merge(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count = self.count.saturating_add(other.count);
    }
}

#[derive(Serialize)]
struct RefusalLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    refused: Option<&'a Refused>,
    #[serde(serialize_with = "time")]
    first: SystemTime,
    #[serde(serialize_with = "time")]
    last: SystemTime,
    count: u64,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.others.is_none()
    }

    /// One line a kind, in the order of their beginning.
    pub(super) fn to_json(&self) -> Result<Vec<String>, Error> {
        let mut kinds: Vec<_> = self.kinds.iter().map(|(r, c)| ("refused", Some(r), c)).collect();
        kinds.sort_by_key(|(_, _, count)| count.first);
        kinds.extend(self.others.iter().map(|c| ("refused_others", None, c)));
        let line = |(event, refused, count): (&'static str, Option<&Refused>, &Count)| {
            let line =
                RefusalLine { event, refused, first: count.first, last: count.last, count: count.count };
            serde_json::to_string(&line).map_err(|e| Error::Line(e.to_string()))
        };
        kinds.into_iter().map(line).collect()
    }
}
