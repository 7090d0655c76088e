use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn in_file(path: &std::path::Path) -> Result<Records, Error> {
    let path = path.to_owned();
    Records::in_file(
        Box::new(move || File::options().read(true).write(true).create(true).truncate(false).open(&path)),
        nothing(),
        &failures(),
    )
}

fn failures() -> Counter {
    Counter::new("failures", "of records").unwrap()
}

/// What has nothing to do before records are durable.
fn nothing() -> Before {
    Box::new(|| Ok(()))
}

#[tokio::test]
async fn what_was_written_is_seen_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records");
    let records = in_file(&path).unwrap();
    let table = records.table("t");
    table.put("a1", "x");
    table.put("a2", "y");
    table.put("b", "z");
    assert_eq!(table.get(b"a1").await.unwrap().as_deref(), Some(&b"x"[..]));
    records.flush().await.unwrap();
    table.put("a1", "new");
    table.delete("a2");
    table.put("a3", "w");
    let seen = table.scan(b"a", 10).await.unwrap();
    assert_eq!(seen, [(b"a1".to_vec(), b"new".to_vec()), (b"a3".to_vec(), b"w".to_vec())]);
    assert_eq!(table.scan(b"a", 1).await.unwrap().len(), 1);
    let page = table.page_now(b"a1\0", 1).unwrap();
    assert_eq!(page, [(b"a3".to_vec(), b"w".to_vec())]);
    assert_eq!(table.get(b"a2").await.unwrap(), None);
    drop((table, records));
    let again = in_file(&path).unwrap();
    assert_eq!(again.table("t").scan(b"", 10).await.unwrap().len(), 3);
    assert_eq!(again.table("other").get(b"a1").await.unwrap(), None);
}

#[tokio::test]
async fn a_write_is_durable_without_being_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let records = in_file(&folder.path().join("records")).unwrap();
    records.table("t").put("k", "v");
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let stored = records.0.shared.backend.get("t", b"k").unwrap();
    assert_eq!(stored.as_deref(), Some(&b"v"[..]));
}

#[tokio::test]
async fn a_disk_that_refuses_for_a_while_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records");
    let refuses = Arc::new(AtomicBool::new(false));
    let open = {
        let refuses = refuses.clone();
        move || {
            if refuses.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            File::options().read(true).write(true).create(true).truncate(false).open(&path)
        }
    };
    let failures = failures();
    let records = Records::in_file(Box::new(open), nothing(), &failures).unwrap();
    refuses.store(true, Ordering::SeqCst);
    // As after a failed write: the database has been closed and does not come up again yet.
    records.0.shared.backend.reopen();
    let table = records.table("t");
    table.put("k", "v");
    assert!(records.flush().await.is_err());
    assert!(failures.get() >= 1);
    assert_eq!(table.get(b"k").await.unwrap().as_deref(), Some(&b"v"[..]));
    assert!(table.get(b"other").await.is_err(), "what cannot be read is not missing");
    refuses.store(false, Ordering::SeqCst);
    // The first attempt fails and opens the file again.
    let _ = records.flush().await;
    records.flush().await.unwrap();
    let stored = records.0.shared.backend.get("t", b"k").unwrap();
    assert_eq!(stored.as_deref(), Some(&b"v"[..]));
}

/// Records tell of content that is durable, or they are not durable themselves.
#[tokio::test]
async fn no_group_is_durable_whose_content_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records");
    let refuses = Arc::new(AtomicBool::new(true));
    let disk = Arc::clone(&refuses);
    let before = move || if disk.load(Ordering::SeqCst) { Err(Error::Full) } else { Ok(()) };
    let open = move || File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let records = Records::in_file(Box::new(open), Box::new(before), &failures()).unwrap();
    records.table("t").put("k", "v");
    assert!(matches!(records.flush().await, Err(Error::Full)));
    assert_eq!(records.0.shared.backend.get("t", b"k").unwrap(), None);
    assert_eq!(
        records.table("t").get(b"k").await.unwrap().as_deref(),
        Some(&b"v"[..]),
        "it is seen all the same"
    );
    refuses.store(false, Ordering::SeqCst);
    records.flush().await.unwrap();
    assert_eq!(records.0.shared.backend.get("t", b"k").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn damage_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records");
    drop(in_file(&path).unwrap());
    let whole = std::fs::read(&path).unwrap();
    for cut in [1, 100, whole.len() / 2] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(in_file(&path).is_err(), "cut at {cut}");
    }
    std::fs::write(&path, vec![0x5a; 1 << 16]).unwrap();
    assert!(in_file(&path).is_err());
}
