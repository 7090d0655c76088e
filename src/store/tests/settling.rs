//! Small content that is durable a moment after it is visible.

use super::*;

fn waiting(store: &Store) -> usize {
    store.0.blobs.settling.waiting()
}

#[tokio::test]
async fn small_content_is_durable_with_the_records_that_tell_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 30);
    let digest = keep(&store, b"small").await;
    let large = Bytes::from(vec![7; 1 + usize::try_from(SMALL).unwrap()]);
    store.write(&Digest::sha256(&large), large.clone()).await.unwrap();
    // The records' thread may have been there already, but not with what comes now.
    store.records().flush().await.unwrap();
    assert_eq!(waiting(&store), 0);
    let settles = Incoming::start(Digest::sha256(b"other"), store.reserve_now(5).unwrap()).unwrap();
    settles.append_now(&[Bytes::from_static(b"other")]).unwrap().prove().unwrap().commit_now(None).unwrap();
    assert_eq!(store.read(&digest, 100).await.unwrap().as_deref(), Some(&b"small"[..]));
    store.records().flush().await.unwrap();
    assert_eq!(waiting(&store), 0);
    assert_eq!(sizes(&store), (5 + 5 + large.len() as u64, 0));
}

/// Between its name and its records the machine went down.
#[tokio::test]
async fn content_that_a_crash_left_incomplete_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let [torn, empty, whole] = [&b"torn"[..], b"empty", b"whole"].map(Digest::sha256);
    drop(open(folder.path(), 1 << 20));
    std::fs::write(file_of(folder.path(), &torn), "to\0\0").unwrap();
    std::fs::write(file_of(folder.path(), &empty), "").unwrap();
    std::fs::write(file_of(folder.path(), &whole), "whole").unwrap();
    let store = open(folder.path(), 1 << 20);
    // Whoever comes before the books are compared with the disk finds nothing either.
    assert!(store.open_blob(&torn).await.unwrap().is_none());
    assert!(store.read(&torn, 100).await.unwrap().is_none());
    assert!(!file_of(folder.path(), &torn).exists());
    std::fs::write(file_of(folder.path(), &torn), "to\0\0").unwrap();
    store.reconcile_now().await.unwrap();
    for digest in [&torn, &empty] {
        assert!(store.open_blob(digest).await.unwrap().is_none());
        assert!(!file_of(folder.path(), digest).exists());
    }
    assert_eq!(store.open_blob(&whole).await.unwrap().map(|blob| blob.size()), Some(5));
    assert_eq!(sizes(&store), (5, 0));
    assert_eq!(names(&folder.path().join("quarantine")), 0, "nothing has rotted");
}

/// Where the disk is slower than what comes, it is waited for: no more files stay open than that.
#[tokio::test]
async fn who_brings_more_than_may_wait_waits() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 30);
    let mut most = 0;
    for number in 0..600_u32 {
        let bytes = Bytes::from(number.to_string());
        store.write(&Digest::sha256(&bytes), bytes).await.unwrap();
        most = most.max(waiting(&store));
    }
    assert!(most < 256, "{most} files wait");
}

/// An empty config comes with every signature.
#[tokio::test]
async fn what_is_kept_already_is_not_written_again() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let digest = keep(&store, b"content").await;
    let file = file_of(folder.path(), &digest);
    let before = std::fs::metadata(&file).unwrap().ino();
    keep(&store, b"content").await;
    assert_eq!((std::fs::metadata(&file).unwrap().ino(), sizes(&store)), (before, (7, 0)));
    let wrong = store.write(&digest, Bytes::from_static(b"CONTENT")).await;
    assert!(matches!(wrong, Err(Error::Corrupt { .. })), "of the same length");
    for lost in [None, Some("short")] {
        std::fs::remove_file(&file).unwrap();
        if let Some(bytes) = lost {
            std::fs::write(&file, bytes).unwrap();
        }
        keep(&store, b"content").await;
        assert_eq!((std::fs::read(&file).unwrap(), sizes(&store)), (b"content".to_vec(), (7, 0)));
    }
}

/// Two fetches of the same: what is durable stays, and what is not yet takes no place.
#[tokio::test]
async fn durable_content_is_not_replaced() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let digest = Digest::sha256(b"content");
    let [first, second] = [(), ()].map(|()| {
        let incoming = Incoming::start(digest, store.reserve_now(7).unwrap()).unwrap();
        incoming.append_now(&[Bytes::from_static(b"content")]).unwrap().prove().unwrap()
    });
    first.commit().await.unwrap();
    let inode = || std::fs::metadata(file_of(folder.path(), &digest)).unwrap().ino();
    let before = inode();
    assert_eq!(second.commit().await.unwrap().size(), 7);
    assert_eq!((inode(), sizes(&store), names(&folder.path().join("incoming"))), (before, (7, 0), 0));
}

/// Content whose file cannot be made durable: pipes cannot.
async fn refusing(store: &Store, folder: &Path) -> (Digest, std::path::PathBuf) {
    let digest = keep(store, b"content").await;
    store.records().flush().await.unwrap();
    let path = file_of(folder, &digest);
    std::fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let pipe = File::options().read(true).write(true).open(&path).unwrap();
    store.0.blobs.settle_later(&digest, Arc::new(pipe));
    (digest, path)
}

/// The disk takes bytes and says later that it could not.
#[tokio::test]
async fn content_that_the_disk_refuses_is_gone_from_the_books_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let failures = store.sync_failures();
    let (digest, path) = refusing(&store, folder.path()).await;
    store.records().table("t").put("tells", "of it");
    assert!(store.records().flush().await.is_err());
    assert!(store.records().flush().await.is_err(), "it is not forgotten before it is taken away");
    let told = store.settled_since(failures).await.unwrap_err().to_string();
    assert!(told.contains("1 files"), "{told}");
    assert_eq!((sizes(&store), store.size_now(&digest).unwrap(), path.exists()), ((0, 0), None, false));
    // What comes later is another matter, and can be durable.
    store.settled_since(store.sync_failures()).await.unwrap();
    keep(&store, b"content").await;
    assert!(store.settled_since(failures).await.is_err(), "who waited for what was lost is told each time");
}

/// Records would tell of it after a loss of power, when it is gone.
#[tokio::test]
async fn what_is_refused_and_cannot_be_taken_away_goes_on_keeping_records_from_being_durable() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let (digest, path) = refusing(&store, folder.path()).await;
    // No file can be moved to where a folder is.
    let aside: Vec<_> = (0..64).map(|name| folder.path().join("incoming").join(name.to_string())).collect();
    aside.iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    store.records().table("t").put("tells", "of it");
    assert!(store.records().flush().await.is_err());
    for _ in 0..2 {
        assert!(store.write_back().await.unwrap_err().to_string().contains("take content away"));
        assert!(store.records().flush().await.is_err(), "it is there still");
        assert!(store.settled_since(0).await.is_err());
    }
    assert_eq!((store.sync_failures(), store.size_now(&digest).unwrap(), path.exists()), (0, Some(7), true));
    aside.iter().for_each(|folder| std::fs::remove_dir(folder).unwrap());
    store.write_back().await.unwrap();
    assert_eq!((store.sync_failures(), store.size_now(&digest).unwrap(), path.exists()), (1, None, false));
    store.records().flush().await.unwrap();
}
