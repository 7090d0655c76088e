//! Small records in named tables: bytes to bytes. Writes are seen at once by every reader and are
//! made durable in groups by one thread. Everything kept here can be asked for again, so a lost
//! group costs questions, never correctness.

mod backend;
mod pending;
mod trouble;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, PoisonError};

use super::Error;
use crate::telemetry::metrics::Counter;
use backend::Backend;
use pending::{Group, News, Pending};
use writer::Writer;

/// Opens the records' file, again too after the disk has failed.
pub(super) type OpenFile = Box<dyn Fn() -> io::Result<File> + Send + Sync>;

/// Makes durable what the records tell of.
pub(super) type Before = Box<dyn Fn() -> Result<(), Error> + Send + Sync>;

/// So many pending changes are looked through at a time, at least.
const LEAST_NEWS: usize = 64;
/// How many rows are read at a time when all are.
const PAGE: usize = 4096;

/// Where the records say how they are written. What is written otherwise is not read: it can be asked for
/// again.
const FORMAT_TABLE: &str = "format";
const FORMAT: &[u8] = b"version";
/// To be raised with each change of a key or a value that is kept.
const VERSION: u8 = 2;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The records of a process. Cheap to clone; the last one to go writes what is pending.
#[derive(Clone)]
pub struct Records(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    writer: Writer,
}

/// What callers and the writer's thread share.
struct Shared {
    backend: Backend,
    pending: Pending,
    /// Runs before each group is made durable.
    before: Before,
    failures: Counter,
}

/// One table of the records.
#[derive(Clone)]
pub struct Table {
    records: Records,
    name: &'static str,
}

/// One change of a table, for changes that belong together.
pub struct Change {
    table: &'static str,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Records {
    /// Records in the file that `open` gives. `before` runs before each group of them is made durable, and one that it
    /// refuses is not. Each group that is not durable is counted in `failures`.
    pub(super) fn in_file(open: OpenFile, before: Before, failures: &Counter) -> Result<Self, Error> {
        Self::start(Backend::in_file(open)?, before, failures)
    }

    /// Records that end with the process.
    pub(super) fn in_memory(before: Before, failures: &Counter) -> Result<Self, Error> {
        Self::start(Backend::in_memory()?, before, failures)
    }

    fn start(backend: Backend, before: Before, failures: &Counter) -> Result<Self, Error> {
        let is_known = match backend.get(FORMAT_TABLE, FORMAT)? {
            Some(version) if version == [VERSION] => true,
            None if backend.counts()?.0.is_empty() => false,
            _ => return Err(Error::Records("they were written by another version".to_owned())),
        };
        let shared =
            Arc::new(Shared { backend, pending: Pending::default(), before, failures: failures.clone() });
        let writer = Writer::start(&shared).map_err(Error::io("start the records' thread"))?;
        let records = Self(Arc::new(Inner { shared, writer }));
        if !is_known {
            records.table(FORMAT_TABLE).put(FORMAT, [VERSION]);
        }
        Ok(records)
    }

    /// What other records have in `tables`, as these would write it.
    pub(super) fn copy_of(from: OpenFile, tables: &[&'static str]) -> Result<Group, Error> {
        let from = Backend::in_file(from)?;
        let mut copy = Group::from([(FORMAT_TABLE, [(FORMAT.to_vec(), Some(vec![VERSION]))].into())]);
        for name in tables {
            let entries = from.scan(name, &[], &[], usize::MAX)?;
            copy.insert(name, entries.into_iter().map(|(key, value)| (key, Some(value))).collect());
        }
        Ok(copy)
    }

    /// Makes a group durable, at once.
    pub(super) fn keep_now(&self, group: &Group) -> Result<(), Error> {
        self.0.shared.backend.commit(group)
    }

    /// The table of that name, made when first written.
    pub fn table(&self, name: &'static str) -> Table {
        Table { records: self.clone(), name }
    }

    /// Makes all `changes` or, after a crash, none of them.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        self.0.shared.pending.add(changes);
        self.0.writer.wake();
    }

    /// Waits until everything written so far is durable, small content too.
    ///
    /// # Errors
    /// [`Error::Records`] when the disk refuses; the changes stay pending.
    pub async fn flush(&self) -> Result<(), Error> {
        let done = self.0.writer.ask_flush();
        done.await.unwrap_or_else(|_| Err(Error::Records("the records are closed".to_owned())))
    }

    /// Rewrites the file without what is unused in it. Whoever reads or writes records waits meanwhile.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn compact(&self) -> Result<(), Error> {
        self.flush().await?;
        let records = self.clone();
        tokio::task::spawn_blocking(move || records.0.shared.backend.compact())
            .await
            .unwrap_or_else(|e| Err(Error::Records(e.to_string())))
    }

    /// How many records each table has, and how long the file is in bytes.
    pub(super) fn counts_now(&self) -> Result<(BTreeMap<String, u64>, u64), Error> {
        self.0.shared.backend.counts()
    }

    pub(super) fn get_now(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let shared = &self.0.shared;
        // Pending first: what it hands over to the backend is committed before it lets go.
        match shared.pending.find(table, key) {
            Some(value) => Ok(value),
            None => shared.backend.get(table, key),
        }
    }

    pub(super) fn scan_now(
        &self,
        table: &'static str,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let shared = &self.0.shared;
        let (mut found, mut from) = (Vec::new(), from.to_vec());
        loop {
            let wanted = limit - found.len();
            let News { changes, until } = shared.pending.under(table, prefix, &from, wanted.max(LEAST_NEWS));
            // Every pending deletion may hide one entry.
            let kept = shared.backend.scan(table, prefix, &from, wanted.saturating_add(changes.len()))?;
            let mut merged: BTreeMap<_, _> = kept.into_iter().collect();
            for (key, value) in changes {
                match value {
                    Some(value) => merged.insert(key, value),
                    None => merged.remove(&key),
                };
            }
            let told = |key: &Vec<u8>| until.as_ref().is_none_or(|until| key <= until);
            found.extend(merged.into_iter().take_while(|(key, _)| told(key)).take(wanted));
            match until {
                Some(until) if found.len() < limit => from = after(&until),
                _ => return Ok(found),
            }
        }
    }

    pub(super) fn last_key_now(&self, table: &'static str) -> Result<Option<Vec<u8>>, Error> {
        self.0.shared.backend.last_key(table)
    }
}

impl Table {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`Error::Records`] when the table cannot be read: never a silent miss.
    #[allow(clippy::unused_async, reason = "records kept by a shared database are waited for")]
    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.records.get_now(self.name, key)
    }

    /// The first `limit` entries whose keys start with `prefix`, in the order of keys.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Entry>, Error> {
        let (table, prefix) = (self.clone(), prefix.to_vec());
        tokio::task::spawn_blocking(move || table.scan_now(&prefix, limit))
            .await
            .unwrap_or_else(|e| Err(Error::Records(e.to_string())))
    }

    /// Writes `value` under `key`.
    pub fn put(&self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.records.apply([self.putting(key, value)]);
    }

    /// Takes `key` away.
    pub fn delete(&self, key: impl Into<Vec<u8>>) {
        self.records.apply([self.deleting(key)]);
    }

    /// The change that [`Table::put`] makes, for [`Records::apply`].
    pub fn putting(&self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Change {
        Change { table: self.name, key: key.into(), value: Some(value.into()) }
    }

    /// The change that [`Table::delete`] makes, for [`Records::apply`].
    pub fn deleting(&self, key: impl Into<Vec<u8>>) -> Change {
        Change { table: self.name, key: key.into(), value: None }
    }

    /// As [`Table::get`], on a thread that may wait.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn get_now(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.records.get_now(self.name, key)
    }

    /// As [`Table::scan`], on a thread that may wait.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn scan_now(&self, prefix: &[u8], limit: usize) -> Result<Vec<Entry>, Error> {
        self.records.scan_now(self.name, prefix, prefix, limit)
    }

    /// As [`Table::scan_now`], from the key `from` on.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn page_now(&self, from: &[u8], limit: usize) -> Result<Vec<Entry>, Error> {
        self.records.scan_now(self.name, &[], from, limit)
    }

    /// Shows `visit` all entries by their keys; what it deletes meanwhile is nothing to it.
    ///
    /// # Errors
    /// As [`Table::get`], and those of `visit`.
    pub fn walk_now(&self, mut visit: impl FnMut(Entry) -> Result<(), Error>) -> Result<(), Error> {
        let mut from = Vec::new();
        loop {
            let page = self.page_now(&from, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = after(last);
            page.into_iter().try_for_each(&mut visit)?;
        }
    }

    pub(super) fn last_key_now(&self) -> Result<Option<Vec<u8>>, Error> {
        self.records.last_key_now(self.name)
    }
}

/// The least key that is greater.
pub fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// A lock whose holder panicked is used on: each change under it is made in one step.
fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
