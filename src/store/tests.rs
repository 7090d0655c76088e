mod bounds;
mod opening;
mod settling;

use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

fn settings(path: &Path, max_size: u64) -> Settings {
    Settings { path: path.to_owned(), max_size, ..Settings::default() }
}

fn open(path: &Path, max_size: u64) -> Store {
    Store::open(&settings(path, max_size), &Metrics::new()).unwrap()
}

fn file_of(path: &Path, digest: &Digest) -> std::path::PathBuf {
    path.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
}

/// Bytes kept, and bytes promised.
fn sizes(store: &Store) -> (u64, u64) {
    let sizes = store.sizes();
    (sizes.kept, sizes.promised)
}

fn names(path: &Path) -> usize {
    std::fs::read_dir(path).unwrap().count()
}

impl Store {
    /// Has the content read from the disk the next time.
    pub(crate) fn forget_at_hand(&self, digest: &Digest) {
        self.0.opened.forget(digest);
    }
}

async fn keep(store: &Store, content: &'static [u8]) -> Digest {
    let digest = Digest::sha256(content);
    store.write(&digest, Bytes::from_static(content)).await.unwrap();
    digest
}

#[tokio::test]
async fn content_is_kept_under_its_digest_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let digest = keep(&store, b"content").await;
    let long = Digest::of(crate::oci::Algorithm::Sha512, b"content");
    store.write(&long, Bytes::from_static(b"content")).await.unwrap();
    assert_eq!(std::fs::read(file_of(folder.path(), &digest)).unwrap(), b"content");
    drop(store);
    let store = open(folder.path(), 1 << 20);
    assert_eq!(store.read(&digest, 100).await.unwrap().as_deref(), Some(&b"content"[..]));
    assert_eq!(store.read(&long, 100).await.unwrap().as_deref(), Some(&b"content"[..]));
    assert_eq!(sizes(&store), (14, 0));
    assert!(store.read(&Digest::sha256(b"other"), 100).await.unwrap().is_none());
    assert!(matches!(store.read(&digest, 6).await, Err(Error::TooLarge { size: 7, .. })));
}

#[tokio::test]
async fn wrong_content_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let digest = Digest::sha256(b"right");
    let wrong = store.write(&digest, Bytes::from_static(b"wrong")).await;
    assert!(matches!(wrong, Err(Error::Corrupt { expected, .. }) if expected == digest));
    let long =
        store.incoming(&digest, 5).await.unwrap().append(vec![Bytes::from_static(b"rightX")], |_| {}).await;
    assert!(matches!(long, Err(Error::Length { expected: 5, found: 6, .. })));
    let short =
        store.incoming(&digest, 5).await.unwrap().append(vec![Bytes::from_static(b"righ")], |_| {}).await;
    assert!(matches!(short.unwrap().prove(), Err(Error::Length { expected: 5, found: 4, .. })));
    assert!(store.open_blob(&digest).await.unwrap().is_none());
    assert_eq!(names(&folder.path().join("incoming")), 0);
    assert_eq!(sizes(&store), (0, 0));
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_cleared_and_what_it_left_unrecorded_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let known = keep(&store, b"known").await;
    drop(store);
    // As after a crash between the rename and the records.
    std::fs::write(folder.path().join("open"), "").unwrap();
    std::fs::write(folder.path().join("incoming/7"), "half").unwrap();
    let unrecorded = Digest::sha256(b"unrecorded");
    std::fs::write(file_of(folder.path(), &unrecorded), "unrecorded").unwrap();
    std::fs::remove_file(file_of(folder.path(), &known)).unwrap();
    let store = open(folder.path(), 1 << 20);
    assert_eq!(names(&folder.path().join("incoming")), 0);
    assert!(store.read(&known, 100).await.unwrap().is_none());
    assert_eq!(store.read(&unrecorded, 100).await.unwrap().as_deref(), Some(&b"unrecorded"[..]));
    for _ in 0..100 {
        if sizes(&store) == (10, 0) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the books were not corrected: {:?}", sizes(&store));
}

#[tokio::test]
async fn lost_or_damaged_records_are_made_anew_and_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let digest = keep(&store, b"content").await;
    drop(store);
    let records = folder.path().join("records.redb");
    let whole = std::fs::read(&records).unwrap();
    std::fs::write(&records, &whole[..whole.len() / 3]).unwrap();
    let store = open(folder.path(), 1 << 20);
    assert_eq!(sizes(&store), (7, 0));
    assert!(folder.path().join("records.damaged.redb").exists());
    assert!(store.read(&digest, 100).await.unwrap().is_some());
    drop(store);
    std::fs::remove_file(&records).unwrap();
    assert_eq!(sizes(&open(folder.path(), 1 << 20)), (7, 0));
}

#[tokio::test]
async fn rot_is_reported_once_and_never_served() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let store = Store::open(&settings(folder.path(), 1 << 20), &metrics).unwrap();
    let digest = keep(&store, b"content").await;
    std::fs::write(file_of(folder.path(), &digest), "c0ntent").unwrap();
    store.forget_at_hand(&digest);
    assert!(matches!(store.read(&digest, 100).await, Err(Error::Corrupt { .. })));
    assert!(store.read(&digest, 100).await.unwrap().is_none());
    assert_eq!(names(&folder.path().join("quarantine")), 1);
    assert_eq!((metrics.store_corrupt.get(), sizes(&store)), (1, (0, 0)));

    let digest = keep(&store, b"a blob").await;
    std::fs::write(file_of(folder.path(), &digest), "a bl").unwrap();
    assert!(matches!(store.open_blob(&digest).await, Err(Error::Length { expected: 6, found: 4, .. })));
    assert!(store.open_blob(&digest).await.unwrap().is_none());
    keep(&store, b"a blob").await;
    assert_eq!(store.open_blob(&digest).await.unwrap().unwrap().size(), 6);
}

#[tokio::test]
async fn the_least_recently_used_goes_first_and_running_readers_read_on() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let store = Store::open(&settings(folder.path(), 12), &metrics).unwrap();
    let first = keep(&store, b"aaaa").await;
    let second = keep(&store, b"bbbb").await;
    let third = keep(&store, b"cccc").await;
    let reader = store.open_blob(&second).await.unwrap().unwrap();
    // Used since, so `second` is the oldest now.
    store.touch(&first);
    store.touch(&third);
    let fourth = keep(&store, b"dddd").await;
    let mut kept = Vec::new();
    for digest in [first, third, fourth, second] {
        kept.push(store.open_blob(&digest).await.unwrap().is_some());
    }
    assert_eq!(kept, [true, true, true, false]);
    assert_eq!((metrics.store_evictions.get(), metrics.store_bytes.get()), (1, 12));
    let mut bytes = [0; 4];
    reader.file().read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"bbbb");
}

#[tokio::test]
async fn the_order_of_use_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 8);
    let first = keep(&store, b"aaaa").await;
    let second = keep(&store, b"bbbb").await;
    store.touch(&first);
    // Ending writes what was noted.
    drop(store);
    let store = open(folder.path(), 8);
    keep(&store, b"cccc").await;
    assert!(store.open_blob(&first).await.unwrap().is_some());
    assert!(store.open_blob(&second).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_held_stays_until_its_last_owner_lets_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 8);
    let held = Digest::sha256(b"aaaa");
    store.hold(&[held], "one").await.unwrap();
    store.hold(&[held], "one").await.unwrap();
    store.hold(&[held], "two").await.unwrap();
    keep(&store, b"aaaa").await;
    keep(&store, b"bbbb").await;
    keep(&store, b"cccc").await;
    assert!(store.open_blob(&held).await.unwrap().is_some());
    assert!(matches!(store.incoming(&Digest::sha256(b"x"), 5).await, Err(Error::Full)));
    store.release(&held, "one").await.unwrap();
    assert!(matches!(store.incoming(&Digest::sha256(b"x"), 5).await, Err(Error::Full)));
    drop(store);
    let store = open(folder.path(), 8);
    store.release(&held, "two").await.unwrap();
    store.incoming(&Digest::sha256(b"x"), 8).await.unwrap();
    assert!(store.open_blob(&held).await.unwrap().is_none());
}

/// A crash finds all of it gone, with what was written beside it, or none.
#[tokio::test]
async fn all_holds_of_an_owner_end_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 8);
    let [first, second] = [keep(&store, b"aaaa").await, keep(&store, b"bbbb").await];
    for (digest, owner) in [(&first, "one"), (&second, "one"), (&second, "two")] {
        store.hold(&[*digest], owner).await.unwrap();
    }
    let write = |changes: Vec<Change>| {
        assert_eq!(store.holdings_now("one").unwrap().len(), 2, "some of it is written by itself");
        store.records().apply(changes);
    };
    assert_eq!(store.release_all_now(&["one"], write).unwrap(), [first]);
    assert!(store.holdings_now("one").unwrap().is_empty());
    assert_eq!(store.sizes().held, 4);
    drop(store);
    assert_eq!(open(folder.path(), 8).sizes().held, 4);
}

/// What belongs to a manifest is held in two names: nobody holds it any more when both let go at once.
#[tokio::test]
async fn what_two_owners_hold_is_free_when_both_let_go() {
    let store = Store::ephemeral(&Metrics::new()).unwrap();
    let [shared, own, others] =
        [keep(&store, b"shared").await, keep(&store, b"own").await, keep(&store, b"others").await];
    store.hold(&[shared, own, shared, others], "one").await.unwrap();
    store.hold(&[shared], "two").await.unwrap();
    store.hold(&[others], "three").await.unwrap();
    assert_eq!(store.sizes().held, 15);
    store.hold_only(&[shared, others], "one").await.unwrap();
    assert_eq!((store.sizes().held, store.holdings_now("one").unwrap().len()), (12, 2));
    let free = store.release_all_now(&["one", "two"], |changes| store.records().apply(changes)).unwrap();
    assert_eq!((free, store.sizes().held), (vec![shared], 6));
}

#[tokio::test]
async fn room_is_promised_before_the_first_byte() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 10);
    let first = store.incoming(&Digest::sha256(b"a"), 6).await.unwrap();
    assert_eq!(sizes(&store), (0, 6));
    assert!(matches!(store.incoming(&Digest::sha256(b"b"), 6).await, Err(Error::Full)));
    drop(first);
    assert_eq!(sizes(&store), (0, 0));
    store.incoming(&Digest::sha256(b"b"), 6).await.unwrap();
    assert!(matches!(store.incoming(&Digest::sha256(b"c"), 11).await, Err(Error::Full)));
}

#[tokio::test]
async fn a_lowered_limit_is_reached_by_eviction() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 8);
    keep(&store, b"aaaa").await;
    keep(&store, b"bbbb").await;
    store.set_max_size(5);
    store.evict().await.unwrap();
    assert_eq!(sizes(&store), (4, 0));
}

#[test]
fn a_store_has_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), 8);
    let second = Store::open(&settings(folder.path(), 8), &Metrics::new()).err().unwrap();
    assert!(matches!(second, OpenError::Locked { .. }));
    let text = second.to_string();
    assert!(text.contains(&folder.path().display().to_string()) && text.contains("store.path"), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    drop(first);
    open(folder.path(), 8);
}

#[tokio::test]
async fn no_link_is_followed_below_the_store() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(outside.path(), folder.path().join("blobs")).unwrap();
    assert!(matches!(Store::open(&settings(folder.path(), 8), &Metrics::new()), Err(OpenError::Io { .. })));
    std::fs::remove_file(folder.path().join("blobs")).unwrap();

    let store = open(folder.path(), 1 << 20);
    let digest = Digest::sha256(b"secret");
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    store.write(&digest, "secret".into()).await.unwrap();
    std::fs::remove_file(file_of(folder.path(), &digest)).unwrap();
    symlink(outside.path().join("secret"), file_of(folder.path(), &digest)).unwrap();
    store.forget_at_hand(&digest);
    assert!(matches!(store.read(&digest, 100).await, Err(Error::Io { .. })));
    assert!(store.open_blob(&digest).await.is_err());
    drop(store);
    for name in ["records.redb", "lock"] {
        let _ = std::fs::remove_file(folder.path().join(name));
        symlink(outside.path().join(name), folder.path().join(name)).unwrap();
        assert!(Store::open(&settings(folder.path(), 8), &Metrics::new()).is_err(), "{name}");
        assert!(!outside.path().join(name).exists(), "{name}");
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
}

#[tokio::test]
async fn an_ephemeral_store_goes_with_its_process() {
    let store = Store::ephemeral(&Metrics::new()).unwrap();
    let digest = keep(&store, b"content").await;
    assert!(store.read(&digest, 100).await.unwrap().is_some());
    store.records().table("t").put("k", "v");
    store.records().flush().await.unwrap();
    let path = store.0.place.ephemeral_path().unwrap().to_owned();
    assert!(path.exists());
    drop(store);
    assert!(!path.exists());
}

/// Memory serves what was checked; an open file goes when its room is given to others.
#[tokio::test]
async fn what_is_at_hand_needs_no_disk_and_keeps_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 400_000);
    let (small, large) = (Bytes::from_static(b"small"), Bytes::from(vec![7; 300_000]));
    for bytes in [&small, &large] {
        store.write(&Digest::sha256(bytes), bytes.clone()).await.unwrap();
    }
    let (of_small, of_large) = (Digest::sha256(&small), Digest::sha256(&large));
    assert_eq!(store.read_at_hand(&of_small), Some(small.clone()), "it was just written");
    store.forget_at_hand(&of_small);
    assert!(store.read_at_hand(&of_small).is_none() && store.open_at_hand(&of_large).is_none());
    store.read(&of_small, 100).await.unwrap();
    store.open_blob(&of_large).await.unwrap();
    assert_eq!(store.read_at_hand(&of_small), Some(small));
    assert_eq!(store.open_at_hand(&of_large).map(|blob| blob.size()), Some(300_000));
    let other = Bytes::from(vec![8; 200_000]);
    store.write(&Digest::sha256(&other), other).await.unwrap();
    assert!(store.open_at_hand(&of_large).is_none(), "it was evicted");
    assert!(store.open_blob(&of_large).await.unwrap().is_none());
}

/// What nobody could be asked for again outlives records that cannot be used; a disk that fails moves nothing.
#[tokio::test]
async fn what_cannot_be_had_again_is_taken_over_from_records_of_another_version() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let table = |store: &Store, name| store.records().table(name);
    for name in ["revoked", "clock", "tags"] {
        table(&store, name).put("key", name);
    }
    table(&store, "format").put("version", [0]);
    store.records().flush().await.unwrap();
    drop(store);
    let store = open(folder.path(), 1 << 20);
    assert!(folder.path().join("records.damaged.redb").exists());
    let value = async |name| table(&store, name).get(b"key").await.unwrap();
    assert_eq!(value("revoked").await.as_deref(), Some(&b"revoked"[..]));
    assert_eq!(value("clock").await.as_deref(), Some(&b"clock"[..]));
    assert_eq!(value("tags").await, None);
}

#[test]
fn records_that_cannot_be_read_at_the_moment_stay_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.redb");
    drop(open(folder.path(), 1 << 20));
    let whole = std::fs::read(&path).unwrap();
    // A handle that may not read fails as a disk does, and not as damage would.
    let unreadable = Box::new(move || std::fs::File::options().write(true).open(&path));
    let opened = Records::in_file(unreadable, Box::new(|| Ok(())), &Metrics::new().store_record_failures);
    assert!(matches!(opened.err(), Some(Error::Io { .. })));
    assert_eq!(std::fs::read(folder.path().join("records.redb")).unwrap(), whole);
}

/// Two fetches of the same content: the file that lost its name is not served from any more, since nobody looks
/// after it.
#[tokio::test]
async fn a_file_that_was_replaced_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let content = Bytes::from(vec![7; 100_000]);
    let digest = Digest::sha256(&content);
    let proven = async || {
        let incoming = store.incoming(&digest, 100_000).await.unwrap();
        incoming.append(vec![content.clone()], |_| {}).await.unwrap().prove().unwrap()
    };
    let (first, second) = (proven().await, proven().await);
    first.commit().await.unwrap();
    assert!(store.open_blob(&digest).await.unwrap().is_some());
    second.commit().await.unwrap();
    assert!(store.open_at_hand(&digest).is_none());
    assert_eq!(sizes(&store), (100_000, 0));
}

/// An upstream that is only being waited for must not hold what others need.
#[tokio::test]
async fn room_is_taken_ahead_only_where_there_is_plenty() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 800);
    let digest = Digest::sha256(b"content");
    assert!(store.incoming_in_free_room(&digest, 101).await.is_none());
    let ahead = store.incoming_in_free_room(&digest, 100).await;
    assert_eq!((ahead.is_some(), sizes(&store)), (true, (0, 100)));
    drop(ahead);
    assert_eq!(sizes(&store), (0, 0));
}

/// A folder can be opened and not read, as a file on a bad sector. It has the length of what it stands for.
async fn unreadable(store: &Store, path: &Path) -> Digest {
    let stand_in = path.join("stand-in");
    std::fs::create_dir(&stand_in).unwrap();
    std::fs::write(stand_in.join("x".repeat(200)), "").unwrap();
    let length = std::fs::metadata(&stand_in).unwrap().len();
    let content = Bytes::from(vec![7; usize::try_from(length).unwrap()]);
    let digest = Digest::sha256(&content);
    store.write(&digest, content).await.unwrap();
    std::fs::remove_file(file_of(path, &digest)).unwrap();
    std::fs::rename(stand_in, file_of(path, &digest)).unwrap();
    store.forget_at_hand(&digest);
    digest
}

#[tokio::test]
async fn what_the_disk_has_lost_is_moved_aside_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let digest = unreadable(&store, folder.path()).await;
    assert!(matches!(store.read(&digest, 1 << 20).await, Err(Error::Io { .. })));
    assert!(store.read(&digest, 1 << 20).await.unwrap().is_none());
    assert_eq!(names(&folder.path().join("quarantine")), 1);
    assert_eq!((store.0.metrics.store_corrupt.get(), sizes(&store)), (1, (0, 0)));
}

#[tokio::test]
async fn only_what_is_lost_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let digest = keep(&store, b"content").await;
    let file = store.open_blob(&digest).await.unwrap().unwrap().file().clone();
    let failure = |errno: rustix::io::Errno| std::io::Error::from(errno);
    for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::NOMEM, rustix::io::Errno::INTR] {
        store.heal(&digest, &file, &failure(errno)).await;
        assert!(store.open_blob(&digest).await.unwrap().is_some(), "{errno}");
    }
    store.heal(&digest, &file, &failure(rustix::io::Errno::IO)).await;
    assert!(store.open_blob(&digest).await.unwrap().is_none());
}
