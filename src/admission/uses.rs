//! When each manifest of each repository was last used: one row for all that is kept of it, in the order in
//! which they are retired. A use is noted in memory and written later, in batches. It admits nothing.

mod row;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
}

pub(super) struct Books {
    /// Uses that are not written yet.
    noted: HashMap<Name, Noted>,
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
            books: Mutex::new(Books { noted: HashMap::new(), count }),
        })
    }

    /// How many manifests there are.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    /// Notes the use of a manifest of which something is kept.
    pub(super) fn note(&self, name: Name, at: u64) {
        self.lock().note(name, Noted { at, is_kept: true });
    }

    /// Notes a use that may be of something that is not kept.
    pub(super) fn note_if_kept(&self, name: Name, at: u64) {
        self.lock().note(name, Noted { at, is_kept: false });
    }

    /// Enters a manifest at once: links or holds are written in its name next, and are found by its row
    /// when it is retired.
    ///
    /// # Errors
    /// What the records cannot read.
    pub(super) fn enter(&self, name: &Name, at: u64, is_linked: bool) -> Result<(), Error> {
        let mut books = self.lock();
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
        let noted = std::mem::take(&mut self.lock().noted);
        let mut first = Ok(());
        for (name, noted) in noted {
            if let Err(error) = self.write_use(&name, noted, &hold) {
                self.lock().note(name, noted);
                first = first.and(Err(error));
            }
        }
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

    /// Strikes a manifest with all that the changes of `first` take away, unless it was used meanwhile. While
    /// `first` and `then` run nobody uses it. What `first` writes by itself is written before the row
    /// goes: after a crash between the two the row is there still, and leads to the rest. Says whether it did.
    ///
    /// # Errors
    /// What the records cannot read, `first`, or `then`.
    pub(super) fn strike<T>(
        &self,
        entry: &Entry,
        first: impl FnOnce() -> Result<(Vec<Change>, T), Error>,
        then: impl FnOnce(T) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let mut books = self.lock();
        let row = self.row(&entry.name)?;
        if books.noted.contains_key(&entry.name) || row.is_none_or(|row| row.last_use != entry.last_use) {
            return Ok(false);
        }
        let (changes, found) = first()?;
        books.count = books.count.saturating_sub(1);
        let key = within(&entry.name.0, &entry.name.1);
        let own = [
            self.by_use.deleting(by_use(entry.last_use, &key)),
            self.table.deleting(key),
            self.totals.putting(COUNT, books.count.to_be_bytes()),
        ];
        self.records.apply(changes.into_iter().chain(own));
        then(found)?;
        Ok(true)
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Whether a use is noted that will have a row by this key.
    pub(super) fn notes(&self, key: &[u8]) -> bool {
        self.noted.iter().any(|(name, noted)| noted.is_kept && within(&name.0, &name.1) == key)
    }

    fn note(&mut self, name: Name, new: Noted) {
        let noted = self.noted.entry(name).or_insert(new);
        noted.at = noted.at.max(new.at);
        noted.is_kept |= new.is_kept;
    }
}
