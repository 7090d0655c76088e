//! When each manifest of each repository was last used: one row for all that is kept of it, in the order in
//! which they are retired. A use is noted in memory and written later, in batches. It admits nothing.

mod row;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::oci::{Digest, Repository};
use crate::store::key::within;
use crate::store::{Change, Error, Records, Table, after};
use row::{Row, by_use};

/// A row that is at most so much behind is left as it is.
const COARSE: Duration = Duration::from_secs(60);
const COUNT: &[u8] = b"manifests";

/// A manifest in a repository.
pub(super) type Name = (Repository, Digest);

/// The books. All times are in Unix seconds.
pub(super) struct Uses {
    records: Records,
    /// manifest → last use, what was written of it, repository.
    table: Table,
    /// last use, manifest → nothing.
    by_use: Table,
    totals: Table,
    books: Mutex<Books>,
    /// Told when nothing is being retired any more.
    retired: Condvar,
}

pub(super) struct Books {
    /// Uses that are not written yet.
    noted: HashMap<Name, Noted>,
    /// Uses that are being written.
    leaving: Arc<HashMap<Name, Noted>>,
    /// What is being retired: who wants to use it waits.
    retiring: Option<Name>,
    /// How many rows there are.
    count: u64,
}

#[derive(Clone, Copy)]
struct Noted {
    at: u64,
    /// A row is made where there is none.
    is_kept: bool,
}

/// A row, for who is to be retired.
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) last_use: u64,
    /// It was served, so that links lead from it.
    pub(super) is_linked: bool,
}

impl Uses {
    pub(super) fn open(records: &Records) -> Result<Self, Error> {
        let totals = records.table("manifest_totals");
        let count = totals.get_now(COUNT)?;
        let count = count.and_then(|v| v.as_slice().try_into().ok()).map_or(0, u64::from_be_bytes);
        Ok(Self {
            table: records.table("manifests"),
            by_use: records.table("manifests_by_use"),
            totals,
            records: records.clone(),
            books: Mutex::new(Books {
                noted: HashMap::new(),
                leaving: Arc::default(),
                retiring: None,
                count,
            }),
            retired: Condvar::new(),
        })
    }

    /// How many manifests there are.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    /// Notes the use of a manifest of which something is kept.
    pub(super) fn note(&self, name: Name, at: u64) {
        self.to_use(&name).note(name, Noted { at, is_kept: true });
    }

    /// Notes a use that may be of something that is not kept.
    pub(super) fn note_if_kept(&self, name: Name, at: u64) {
        self.to_use(&name).note(name, Noted { at, is_kept: false });
    }

    /// Enters a manifest at once: links or holds are written in its name next, and are found by its row
    /// when it is retired.
    ///
    /// # Errors
    /// What the records cannot read.
    pub(super) fn enter(&self, name: &Name, at: u64, is_linked: bool) -> Result<(), Error> {
        let mut books = self.to_use(name);
        books.note(name.clone(), Noted { at, is_kept: true });
        let before = self.row(name)?;
        if before.as_ref().is_some_and(|row| row.is_linked || !is_linked) {
            return Ok(());
        }
        let row = Row { last_use: at, is_linked, is_held: false, repository: name.0.clone() };
        self.write(&mut books, name, before.as_ref(), &row);
        Ok(())
    }

    /// Writes what was noted. `hold` keeps a manifest from eviction: its content says which links to take
    /// back. What could not be written is noted still.
    ///
    /// # Errors
    /// The first of what the records cannot read, or `hold`.
    pub(super) fn write_back(&self, hold: impl Fn(&Name) -> Result<(), Error>) -> Result<(), Error> {
        let leaving = self.lock().leave();
        let mut first = Ok(());
        for (name, noted) in leaving.iter() {
            if let Err(error) = self.write_use(name, *noted, &hold) {
                self.lock().note(name.clone(), *noted);
                first = first.and(Err(error));
            }
        }
        self.lock().leaving = Arc::default();
        first
    }

    fn write_use(
        &self,
        name: &Name,
        noted: Noted,
        hold: impl Fn(&Name) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let holds = self.row(name)?.is_some_and(|row| row.is_linked && !row.is_held);
        if holds {
            hold(name)?;
        }
        let mut books = self.lock();
        let before = self.row(name)?;
        let new = noted.is_kept.then(|| Row::new(&name.0, noted.at));
        let Some(row) = before.clone().or(new) else { return Ok(()) };
        let is_near = before.is_some() && row.last_use + COARSE.as_secs() > noted.at;
        if holds || !is_near {
            let row = Row { last_use: noted.at.max(row.last_use), is_held: row.is_held || holds, ..row };
            self.write(&mut books, name, before.as_ref(), &row);
        }
        Ok(())
    }

    /// The next rows in the order of last use, and where those after them begin.
    ///
    /// # Errors
    /// What the records cannot read.
    pub(super) fn oldest(&self, from: &[u8], most: usize) -> Result<(Vec<Entry>, Option<Vec<u8>>), Error> {
        let page = self.by_use.page_now(from, most)?;
        let next = page.last().map(|(key, _)| after(key));
        let mut entries = Vec::with_capacity(page.len());
        for (key, _) in page {
            match self.entry(&key)? {
                Some(entry) => entries.push(entry),
                // It leads nowhere.
                None => self.by_use.delete(key),
            }
        }
        Ok((entries, next))
    }

    /// Runs `retire` while nobody uses a manifest, unless it was used meanwhile; others are used beside it. Says
    /// whether it did.
    ///
    /// # Errors
    /// What the records cannot read, or `retire`.
    pub(super) fn unless_used(
        &self,
        entry: &Entry,
        retire: impl FnOnce() -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let mut books = self.lock();
        let row = self.row(&entry.name)?;
        if books.noted.contains_key(&entry.name) || row.is_none_or(|row| row.last_use != entry.last_use) {
            return Ok(false);
        }
        books.retiring = Some(entry.name.clone());
        drop(books);
        let _retiring = Retiring(self);
        retire()?;
        Ok(true)
    }

    /// Strikes a manifest that is being retired, as one with the changes that take away what is kept of it: after
    /// a crash all of it is there, or none.
    pub(super) fn strike(&self, entry: &Entry, with: impl IntoIterator<Item = Change>) {
        let mut books = self.lock();
        books.count = books.count.saturating_sub(1);
        let key = within(&entry.name.0, &entry.name.1);
        let own = [
            self.by_use.deleting(by_use(entry.last_use, &key)),
            self.table.deleting(key),
            self.totals.putting(COUNT, books.count.to_be_bytes()),
        ];
        self.records.apply(with.into_iter().chain(own));
    }

    /// Whether anything is kept of a manifest.
    ///
    /// # Errors
    /// What the records cannot read.
    pub(super) fn has(&self, name: &Name) -> Result<bool, Error> {
        Ok(self.row(name)?.is_some())
    }

    /// As [`Uses::has`], by the row's key.
    pub(super) fn has_key(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.table.get_now(key)?.is_some())
    }

    fn write(&self, books: &mut Books, name: &Name, before: Option<&Row>, row: &Row) {
        let key = within(&name.0, &name.1);
        let mut changes = vec![self.by_use.putting(by_use(row.last_use, &key), [])];
        match before {
            Some(before) if before.last_use != row.last_use => {
                changes.push(self.by_use.deleting(by_use(before.last_use, &key)));
            }
            Some(_) => {}
            None => {
                books.count += 1;
                changes.push(self.totals.putting(COUNT, books.count.to_be_bytes()));
            }
        }
        changes.push(self.table.putting(key, row.write()));
        self.records.apply(changes);
    }

    fn row(&self, name: &Name) -> Result<Option<Row>, Error> {
        Ok(self.table.get_now(&within(&name.0, &name.1))?.and_then(|value| Row::read(&value)))
    }

    fn entry(&self, by_use: &[u8]) -> Result<Option<Entry>, Error> {
        let Some((last_use, digest, key)) = row::read_by_use(by_use) else { return Ok(None) };
        let row = self.table.get_now(key)?.and_then(|value| Row::read(&value));
        let row = row.filter(|row| row.last_use == last_use);
        Ok(row.map(|row| Entry { name: (row.repository, digest), last_use, is_linked: row.is_linked }))
    }

    /// The books, for a use: not while that manifest is being retired.
    fn to_use(&self, name: &Name) -> MutexGuard<'_, Books> {
        let is_retiring = |books: &mut Books| books.retiring.as_ref() == Some(name);
        self.retired.wait_while(self.lock(), is_retiring).unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A manifest is being retired, until this is dropped.
struct Retiring<'a>(&'a Uses);

impl Drop for Retiring<'_> {
    fn drop(&mut self) {
        self.0.lock().retiring = None;
        self.0.retired.notify_all();
    }
}

impl Books {
    /// Whether a use is noted that will have a row by this key.
    pub(super) fn notes(&self, key: &[u8]) -> bool {
        let mut uses = self.noted.iter().chain(self.leaving.iter());
        uses.any(|(name, noted)| noted.is_kept && within(&name.0, &name.1) == key)
    }

    /// Hands over what was noted. It stays visible until it is written.
    fn leave(&mut self) -> Arc<HashMap<Name, Noted>> {
        self.leaving = Arc::new(std::mem::take(&mut self.noted));
        Arc::clone(&self.leaving)
    }

    fn note(&mut self, name: Name, new: Noted) {
        let noted = self.noted.entry(name).or_insert(new);
        noted.at = noted.at.max(new.at);
        noted.is_kept |= new.is_kept;
    }
}

#[cfg(test)]
mod tests;
