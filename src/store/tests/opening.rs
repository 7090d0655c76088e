//! One process at a time has the store, until its last records are closed; and what no start may lose.

use super::*;
use crate::store::records::OpenFile;

/// Whether a second process would be refused, as one that comes too early is.
fn is_locked(path: &Path) -> bool {
    let opened = Store::open(&settings(path, 1 << 20), &Metrics::new());
    assert!(!path.join("records.damaged.redb").exists(), "healthy records were moved aside");
    match opened {
        Ok(_) => false,
        Err(OpenError::Locked { .. }) => true,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_store_is_locked_until_its_last_records_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let digest = keep(&store, b"content").await;
    let (records, table) = (store.records().clone(), store.records().table("tags"));
    drop(store);
    table.put("key", "late");
    for held in [Box::new(records) as Box<dyn Send>, Box::new(table)] {
        assert!(folder.path().join("open").exists(), "its records are not all written");
        assert!(is_locked(folder.path()));
        drop(held);
    }
    assert!(!folder.path().join("open").exists());
    let store = open(folder.path(), 1 << 20);
    assert_eq!(sizes(&store), (7, 0));
    assert!(store.read(&digest, 100).await.unwrap().is_some());
    assert_eq!(store.records().table("tags").get(b"key").await.unwrap().as_deref(), Some(&b"late"[..]));
}

/// Another program may have the records open without our lock, such as an older version that ends.
#[test]
fn records_that_another_has_open_are_not_damaged() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), 1 << 20));
    let file = File::open(folder.path().join("records.redb")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(is_locked(folder.path()));
    drop(file);
    assert!(!is_locked(folder.path()));
}

fn value(store: &Store, table: &'static str) -> Option<Vec<u8>> {
    store.records().table(table).get_now(b"key").unwrap()
}

/// As a process leaves it that is killed between making the records anew and taking over from the old ones.
#[tokio::test]
async fn what_a_killed_start_did_not_take_over_is_taken_over_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let [records, leaving, aside] = ["records", "records.leaving", "records.damaged"]
        .map(|name| folder.path().join(format!("{name}.redb")));
    let store = open(folder.path(), 1 << 20);
    let digest = keep(&store, b"content").await;
    store.records().table("revoked").put("key", "revoked");
    drop(store);
    std::fs::rename(&records, &leaving).unwrap();
    // Killed before there were new ones.
    let store = open(folder.path(), 1 << 20);
    assert_eq!(value(&store, "revoked").as_deref(), Some(&b"revoked"[..]));
    assert_eq!(sizes(&store), (7, 0));
    assert!(aside.exists() && !leaving.exists());
    drop(store);

    // Killed when there were: they have nothing yet.
    std::fs::rename(&aside, &leaving).unwrap();
    std::fs::remove_file(&records).unwrap();
    std::fs::create_dir(folder.path().join("elsewhere")).unwrap();
    drop(open(&folder.path().join("elsewhere"), 1 << 20));
    std::fs::rename(folder.path().join("elsewhere/records.redb"), &records).unwrap();
    let store = open(folder.path(), 1 << 20);
    assert_eq!(value(&store, "revoked").as_deref(), Some(&b"revoked"[..]));
    assert_eq!(sizes(&store), (7, 0), "the new books know nothing yet");
    assert!(store.read(&digest, 100).await.unwrap().is_some());
    assert!(aside.exists() && !leaving.exists());
    drop(store);

    // Killed in the middle of writing the new ones, so that these are damaged too.
    std::fs::rename(&aside, &leaving).unwrap();
    std::fs::write(&records, "half").unwrap();
    let store = open(folder.path(), 1 << 20);
    assert_eq!(value(&store, "revoked").as_deref(), Some(&b"revoked"[..]));
}

/// Taken over is what would be there after a loss of power, and not what waits to be written.
#[test]
fn what_is_taken_over_is_durable_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name| -> OpenFile {
        let path = folder.path().join(name);
        Box::new(move || File::options().read(true).write(true).create(true).truncate(false).open(&path))
    };
    let refuses = || Err(Error::Full);
    let metrics = Metrics::new();
    let old = Records::in_file(open("old"), Box::new(|| Ok(())), &metrics.store_record_failures).unwrap();
    old.table("revoked").put("key", "revoked");
    drop(old);
    let records = Records::in_file(open("new"), Box::new(refuses), &metrics.store_record_failures).unwrap();
    records.keep_now(&Records::copy_of(open("old"), &["revoked", "clock"]).unwrap()).unwrap();
    drop(records);
    let again = Records::in_file(open("new"), Box::new(|| Ok(())), &metrics.store_record_failures).unwrap();
    assert_eq!(again.table("revoked").get_now(b"key").unwrap().as_deref(), Some(&b"revoked"[..]));
}

/// Content that is taken away goes with its row: what is fetched anew at that moment must not lose its own.
#[tokio::test]
async fn nobody_sees_a_row_of_what_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let digest = Digest::sha256(b"content");
    let ended = std::sync::atomic::AtomicBool::new(false);
    let watch = || {
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            let is_half = store.0.ledger.quietly(|| {
                let row = store.0.ledger.size_of(&digest).unwrap();
                row.is_some() && store.0.blobs.find(&digest).unwrap().is_none()
            });
            if is_half {
                return true;
            }
        }
        false
    };
    std::thread::scope(|scope| {
        let watchers = [scope.spawn(watch), scope.spawn(watch)];
        for _ in 0..200 {
            store.write_now(&digest, Bytes::from_static(b"content")).unwrap();
            let file = store.0.blobs.find(&digest).unwrap().unwrap();
            assert!(store.quarantine_this(&digest, &file).unwrap());
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        for watcher in watchers {
            assert!(!watcher.join().unwrap(), "content was gone, and its row was not");
        }
    });
    assert_eq!(sizes(&store), (0, 0));
}
