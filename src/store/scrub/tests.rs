use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::store::Settings;
use crate::telemetry::Metrics;

fn open(path: &Path) -> Store {
    let settings = Settings { path: path.to_owned(), max_size: 64 << 20, ..Settings::default() };
    Store::open(&settings, &Metrics::new()).unwrap()
}

async fn keep(store: &Store, content: impl Into<Bytes>) -> Digest {
    let content = content.into();
    let digest = Digest::sha256(&content);
    store.write(&digest, content).await.unwrap();
    digest
}

fn file_of(path: &Path, digest: &Digest) -> std::path::PathBuf {
    path.join("blobs/sha256").join(digest.hex())
}

async fn pass(scrub: &mut Scrub) -> Vec<Looked> {
    let mut all = Vec::new();
    while let Some(looked) = scrub.next(|| 0).await.unwrap() {
        all.push(looked);
    }
    all
}

#[tokio::test]
async fn what_rotted_is_found_wherever_it_did_and_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let large: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let whole = keep(&store, large.clone()).await;
    let mut rotten = Vec::new();
    for (at, name) in [(0, 'a'), (1 << 20, 'b'), (2_999_999, 'c')] {
        let content = [large.as_slice(), name.to_string().as_bytes()].concat();
        let digest = keep(&store, content.clone()).await;
        let mut flipped = content;
        flipped[at] ^= 1;
        std::fs::write(file_of(folder.path(), &digest), flipped).unwrap();
        rotten.push(digest);
    }
    let cut = keep(&store, "will be cut").await;
    std::fs::write(file_of(folder.path(), &cut), "will be").unwrap();
    let gone = keep(&store, "will be gone").await;
    std::fs::remove_file(file_of(folder.path(), &gone)).unwrap();

    let looked = pass(&mut store.scrub().await.unwrap()).await;
    let of = |digest: &Digest| looked.iter().find(|l| l.digest == *digest).unwrap().finding.clone();
    assert_eq!(of(&whole), Finding::Whole);
    assert_eq!(of(&gone), Finding::Gone);
    for digest in rotten.iter().chain([&cut]) {
        assert!(matches!(of(digest), Finding::Rotten { .. }), "{digest}");
        assert!(store.open_blob(digest).await.unwrap().is_none());
        assert!(folder.path().join("quarantine").join(format!("sha256-{}", digest.hex())).exists());
    }
    assert_eq!(store.0.metrics.store_corrupt.get(), 4);
    assert!(store.0.metrics.store_scrub_bytes.get() > 9_000_000);
    let again = pass(&mut store.scrub().await.unwrap()).await;
    assert!(again.iter().all(|l| matches!(l.finding, Finding::Whole | Finding::Gone)), "{again:?}");
    assert!(store.open_blob(&whole).await.unwrap().is_some());
}

/// A folder can be opened and not read: as a file on a bad sector.
#[tokio::test]
async fn what_cannot_be_read_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let digest = keep(&store, vec![7; 4096]).await;
    let path = file_of(folder.path(), &digest);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let length = std::fs::metadata(&path).unwrap().len();
    let looked = pass(&mut store.scrub_anew()).await;
    let Finding::Rotten { found } = &looked[0].finding else { panic!("{looked:?}") };
    assert!(found.contains(if length == 4096 { "cannot be read" } else { "bytes where" }), "{found}");
    assert!(store.open_blob(&digest).await.unwrap().is_none());
}

#[tokio::test]
async fn a_pass_goes_on_where_it_was_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for at in 0..10 {
        keep(&store, format!("content {at}")).await;
    }
    let mut scrub = store.scrub().await.unwrap();
    assert!(!scrub.is_under_way());
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(scrub.next(|| 0).await.unwrap().unwrap().digest);
    }
    assert!(scrub.is_under_way());
    drop((scrub, store));
    let store = open(folder.path());
    let mut scrub = store.scrub().await.unwrap();
    seen.extend(pass(&mut scrub).await.into_iter().map(|looked| looked.digest));
    assert_eq!(seen.len(), 10, "each once");
    assert!(!scrub.is_under_way());
    assert_eq!(store.scrubbed().await.unwrap(), None);
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    scrub.passed(now);
    assert_eq!(store.scrubbed().await.unwrap(), Some(now));
    assert_eq!(store.0.metrics.store_scrubbed.get(), 1_800_000_000);
    assert_eq!(pass(&mut scrub).await.len(), 10, "and then anew");
}

#[tokio::test]
async fn it_reads_no_faster_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    keep(&store, vec![1; 2 << 20]).await;
    let began = std::time::Instant::now();
    store.scrub_anew().next(|| 8 << 20).await.unwrap().unwrap();
    assert!(began.elapsed() > Duration::from_millis(200), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_latest_stay_in_quarantine_however_old_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut moved = Vec::new();
    for at in 0..20 {
        let digest = keep(&store, format!("content {at}")).await;
        // Found late, it was written before all others.
        let written = UNIX_EPOCH + Duration::from_secs(1_000_000 - at);
        let file = std::fs::File::options().write(true).open(file_of(folder.path(), &digest)).unwrap();
        file.set_modified(written).unwrap();
        store.quarantine(&digest).await.unwrap();
        moved.push(format!("sha256-{}", digest.hex()));
        // The kernel's clock for files stands still for some milliseconds.
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let names = std::fs::read_dir(folder.path().join("quarantine")).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    let mut latest = moved[4..].to_vec();
    latest.sort_unstable();
    assert_eq!(names, latest);
}

/// At one byte a second the first step would take twelve days.
#[tokio::test]
async fn a_rate_that_is_raised_holds_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    keep(&store, vec![1; 1 << 20]).await;
    let (began, looks) = (tokio::time::Instant::now(), std::cell::Cell::new(0));
    let rate = || {
        looks.set(looks.get() + 1);
        u64::from(looks.get() < 2)
    };
    store.scrub_anew().next(rate).await.unwrap().unwrap();
    assert_eq!(looks.get(), 2);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// What came anew while the old file was being read is not the old file.
#[tokio::test]
async fn only_the_file_that_was_read_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let digest = keep(&store, "content").await;
    let path = file_of(folder.path(), &digest);
    let old = std::fs::File::open(&path).unwrap();
    std::fs::write(folder.path().join("anew"), "content").unwrap();
    std::fs::rename(folder.path().join("anew"), &path).unwrap();
    assert!(!store.quarantine_this(&digest, &old).unwrap());
    assert!(path.exists());
    assert!(store.quarantine_this(&digest, &std::fs::File::open(&path).unwrap()).unwrap());
    assert!(!path.exists());
}
