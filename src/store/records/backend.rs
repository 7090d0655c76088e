//! Where records are durable: a redb file, or memory.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata as _, TableDefinition, TableError,
    TableHandle as _,
};

use super::pending::Group;
use super::{Entry, Error, OpenFile};

/// What the database may keep in memory.
const CACHE_BYTES: usize = 8 << 20;

type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

pub(super) struct Backend {
    database: RwLock<Option<Database>>,
    // After the database: it may hold what keeps others from opening the file, which is closed before.
    open: Option<OpenFile>,
}

impl Backend {
    pub(super) fn in_file(open: OpenFile) -> Result<Self, Error> {
        let database = open_file(&open)?;
        Ok(Self { database: RwLock::new(Some(database)), open: Some(open) })
    }

    pub(super) fn in_memory() -> Result<Self, Error> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(InMemoryBackend::new())
            .map_err(failed)?;
        Ok(Self { database: RwLock::new(Some(database)), open: None })
    }

    pub(super) fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.reading(table, |table| Ok(table.get(key)?.map(|value| value.value().to_vec())), None)
    }

    /// At most `limit` entries with that prefix, from the key `from` on.
    pub(super) fn scan(
        &self,
        table: &str,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let read = |table: redb::ReadOnlyTable<&[u8], &[u8]>| {
            let mut found = Vec::new();
            for entry in table.range(from..)?.take(limit) {
                let (key, value) = entry?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                found.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(found)
        };
        self.reading(table, read, Vec::new())
    }

    pub(super) fn last_key(&self, table: &str) -> Result<Option<Vec<u8>>, Error> {
        self.reading(table, |table| Ok(table.last()?.map(|(key, _)| key.value().to_vec())), None)
    }

    /// How many records each table has, and how long the file is in bytes.
    pub(super) fn counts(&self) -> Result<(BTreeMap<String, u64>, u64), Error> {
        let counts = self.with(|database| {
            let transaction = database.begin_read().map_err(failed)?;
            let mut counts = BTreeMap::new();
            for table in transaction.list_tables().map_err(failed)? {
                let name = table.name().to_owned();
                let table = transaction.open_table(Definition::new(&name)).map_err(failed)?;
                counts.insert(name, table.len().map_err(failed)?);
            }
            Ok(counts)
        })?;
        let file = self.open.as_ref().map(|open| open().and_then(|file| file.metadata()));
        let bytes = file.transpose().map_err(Error::io("measure the records' file"))?.map_or(0, |m| m.len());
        Ok((counts, bytes))
    }

    /// Rewrites the file without unused pages.
    pub(super) fn compact(&self) -> Result<(), Error> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_mut().ok_or_else(closed)?;
        guarded(|| {
            // What is not freed at once is by the next call.
            while database.compact().map_err(failed)? {}
            Ok(())
        })
    }

    /// Makes a group durable, all of it or nothing. After a failure of the disk the database is
    /// opened anew, because redb refuses everything from then on.
    pub(super) fn commit(&self, group: &Group) -> Result<(), Error> {
        let committed = self.with(|database| commit(database, group));
        if committed.is_err() {
            self.reopen();
        }
        committed
    }

    pub(super) fn reopen(&self) {
        let Some(open) = &self.open else { return };
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old one goes first: it locks the file.
        *database = None;
        *database = open_file(open).ok();
    }

    fn shared(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading<T>(
        &self,
        table: &str,
        read: impl FnOnce(redb::ReadOnlyTable<&[u8], &[u8]>) -> Result<T, redb::StorageError>,
        absent: T,
    ) -> Result<T, Error> {
        self.with(|database| {
            let transaction = database.begin_read().map_err(failed)?;
            match transaction.open_table(Definition::new(table)) {
                Ok(table) => read(table).map_err(failed),
                Err(TableError::TableDoesNotExist(_)) => Ok(absent),
                Err(e) => Err(failed(e)),
            }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
        let database = self.shared();
        let database = database.as_ref().ok_or_else(closed)?;
        guarded(|| work(database))
    }
}

fn commit(database: &Database, group: &Group) -> Result<(), Error> {
    let mut transaction = database.begin_write().map_err(failed)?;
    // The file knows its free pages after each commit, so that a crash costs no walk through all of it.
    transaction.set_quick_repair(true);
    for (name, changes) in group {
        let mut table = transaction.open_table(Definition::new(name)).map_err(failed)?;
        for (key, value) in changes {
            match value {
                Some(value) => table.insert(key.as_slice(), value.as_slice()).map_err(failed)?,
                None => table.remove(key.as_slice()).map_err(failed)?,
            };
        }
    }
    transaction.commit().map_err(failed)
}

/// Opens, repairs after a crash, and reads the head and end of each table.
fn open_file(open: &OpenFile) -> Result<Database, Error> {
    let file = open().map_err(Error::io("open the records' file"))?;
    guarded(|| {
        let backend = FileBackend::new(file).map_err(unopened)?;
        let database =
            Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend).map_err(unopened)?;
        probe(&database)?;
        Ok(database)
    })
}

/// redb asserts about what it reads, so damage may come as a panic. It must end neither the process
/// nor the writer's thread.
fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Records("the file is damaged".to_owned())))
}

fn probe(database: &Database) -> Result<(), Error> {
    let transaction = database.begin_read().map_err(unopened)?;
    for table in transaction.list_tables().map_err(unopened)? {
        let table = transaction.open_table(Definition::new(table.name())).map_err(unopened)?;
        table.first().map_err(unopened)?;
        table.last().map_err(unopened)?;
    }
    Ok(())
}

/// A disk that fails, or another process that has the file open, says nothing about the file, which must stay where it is
/// then; a file that ends too early is damaged.
fn unopened(error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => Error::InUse,
        redb::Error::Io(e) if !matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => {
            Error::io("open the records")(e)
        }
        damage => failed(damage),
    }
}

fn closed() -> Error {
    Error::Records("the file could not be opened again".to_owned())
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Records(error.to_string())
}
