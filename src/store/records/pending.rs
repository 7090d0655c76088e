//! Changes that are not durable yet, which every reader sees all the same.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;

use super::{Change, locked};

/// Past this many changes that the disk refuses, the oldest group is given up.
const MOST_WAITING: usize = 200_000;

/// By table and key; `None` is a deletion.
pub(super) type Group = BTreeMap<&'static str, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

#[derive(Default)]
pub(super) struct Pending(Mutex<Groups>);

/// Pending changes, by key.
#[derive(Default)]
pub(super) struct News {
    pub(super) changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// They are all that there are up to this key; `None`: all.
    pub(super) until: Option<Vec<u8>>,
}

#[derive(Default)]
struct Groups {
    waiting: Group,
    /// Being committed; shared with the thread that does it.
    leaving: std::sync::Arc<Group>,
}

impl Pending {
    pub(super) fn add(&self, changes: impl IntoIterator<Item = Change>) {
        let mut groups = locked(&self.0);
        for Change { table, key, value } in changes {
            groups.waiting.entry(table).or_default().insert(key, value);
        }
    }

    /// What is pending for `key`: a value, or `Some(None)` where it is being deleted.
    pub(super) fn find(&self, table: &str, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let groups = locked(&self.0);
        let within = |group: &Group| group.get(table)?.get(key).cloned();
        within(&groups.waiting).or_else(|| within(&groups.leaving))
    }

    /// Pending changes of keys that start with `prefix`, from the key `from` on: the first `most` of
    /// each group, so that a long queue is not copied for a short answer.
    pub(super) fn under(&self, table: &str, prefix: &[u8], from: &[u8], most: usize) -> News {
        let groups = locked(&self.0);
        let mut news = News::default();
        for group in [&*groups.leaving, &groups.waiting] {
            let Some(table) = group.get(table) else { continue };
            let mut matching = table
                .range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
                .take_while(|(key, _)| key.starts_with(prefix));
            let mut last = None;
            for (key, value) in matching.by_ref().take(most) {
                last = Some(key);
                news.changes.insert(key.clone(), value.clone());
            }
            if let (Some(last), Some(_)) = (last, matching.next()) {
                news.until = Some(news.until.map_or_else(|| last.clone(), |until| until.min(last.clone())));
            }
        }
        news
    }

    /// Hands over what waits. It stays visible until [`Pending::committed`].
    pub(super) fn leave(&self) -> Option<std::sync::Arc<Group>> {
        let mut groups = locked(&self.0);
        if groups.waiting.is_empty() {
            return None;
        }
        groups.leaving = std::sync::Arc::new(std::mem::take(&mut groups.waiting));
        Some(groups.leaving.clone())
    }

    pub(super) fn committed(&self) {
        locked(&self.0).leaving = std::sync::Arc::default();
    }

    /// Takes the group back that could not be committed; newer changes stand over it. Says how
    /// many changes had to be given up.
    pub(super) fn refused(&self) -> usize {
        let mut groups = locked(&self.0);
        let group = std::mem::take(&mut groups.leaving);
        let size = group.values().map(BTreeMap::len).sum::<usize>();
        if size > MOST_WAITING {
            return size;
        }
        for (name, changes) in &*group {
            let table = groups.waiting.entry(name).or_default();
            for (key, value) in changes {
                table.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        0
    }
}
