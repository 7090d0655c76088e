//! The limit under concurrency: on the books at every moment, on disk but for what is about to be removed.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const LIMIT: u64 = 1 << 20;
const LARGEST: usize = 64 << 10;
const WRITERS: u64 = 6;

fn on_disk(path: &Path) -> u64 {
    let folders = ["blobs/sha256", "blobs/sha512", "incoming"].map(|folder| path.join(folder));
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

/// Keeps, holds, lets go and breaks off by chance, for a while.
async fn write(store: Store, seed: u64) -> usize {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut full = 0;
    for round in 0..60 {
        let mut content = vec![chance.u8(..); chance.usize(1..LARGEST)];
        content[0] = round;
        let digest = Digest::sha256(&content);
        let owner = format!("owner {seed} {}", chance.u8(..4));
        match store.incoming(&digest, content.len() as u64).await {
            Err(Error::Full) => full += 1,
            Err(other) => panic!("{other}"),
            Ok(incoming) => {
                let pieces = content.chunks(9000).map(Bytes::copy_from_slice).collect();
                let incoming = incoming.append(pieces, |_| {}).await.unwrap();
                if chance.u8(..4) > 0 {
                    incoming.prove().unwrap().commit().await.unwrap();
                }
            }
        }
        match chance.u8(..4) {
            0 => store.hold(&[digest], &owner).await.unwrap(),
            1 => {
                let store = store.clone();
                let release =
                    move || store.release_all_now(&[&owner], |changes| store.records().apply(changes));
                tokio::task::spawn_blocking(release).await.unwrap().unwrap();
            }
            _ => drop(store.read(&digest, u64::MAX).await.unwrap()),
        }
    }
    full
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_holds_at_every_moment() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), LIMIT);
    let done = Arc::new(AtomicBool::new(false));
    let (watched, ended, path) = (store.clone(), done.clone(), folder.path().to_owned());
    let watcher = std::thread::spawn(move || {
        let mut looks = 0;
        while !ended.load(Ordering::SeqCst) {
            let Sizes { kept, held, promised, limit } = watched.sizes();
            assert!(kept + promised <= limit && held <= kept, "{kept} {held} {promised}");
            // Each may be about to remove what it has evicted for its own content.
            let slack = 2 * WRITERS * LARGEST as u64;
            assert!(on_disk(&path) <= LIMIT + slack);
            looks += 1;
        }
        looks
    });
    let writers: Vec<_> = (0..WRITERS).map(|seed| tokio::spawn(write(store.clone(), seed))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    assert!(watcher.join().unwrap() > 10);
    let sizes = store.sizes();
    assert_eq!((sizes.promised, on_disk(folder.path())), (0, sizes.kept));
    assert!(sizes.kept > LIMIT / 2, "it was filled: {sizes:?}");
    assert!(store.0.metrics.store_evictions.get() > 50);
}

#[tokio::test]
async fn room_that_holds_take_is_asked_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 8);
    let held = keep(&store, b"aaaa").await;
    store.hold(&[held], "one").await.unwrap();
    let nobody = tokio::time::timeout(std::time::Duration::from_millis(50), store.pressed());
    assert!(nobody.await.is_err(), "nothing was wanted yet");
    assert!(matches!(store.incoming(&Digest::sha256(b"x"), 5).await, Err(Error::Full)));
    store.pressed().await;
}

/// What cannot be taken away is passed over; where nothing else is left the store is full.
#[tokio::test]
async fn content_that_cannot_be_evicted_stands_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 12);
    let mut kept = Vec::new();
    for content in ["aaaa", "bbbb", "cccc"] {
        let digest = Digest::sha256(content.as_bytes());
        store.write(&digest, content.into()).await.unwrap();
        kept.push(digest);
    }
    let refuse = |stuck: &[Digest], digest: &Digest| {
        let refused = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        if stuck.contains(digest) { Err(Error::io("evict content")(refused)) } else { Ok(*digest) }
    };
    let taken = store.0.ledger.make_room(4, |digest| refuse(&kept[..1], digest)).unwrap();
    assert_eq!(taken, kept[1..2], "the next one goes in place of the oldest");
    let none = store.0.ledger.make_room(8, |digest| refuse(&kept, digest));
    assert!(matches!(none, Err(Error::Full)), "{none:?}");
}
