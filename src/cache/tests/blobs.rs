use tokio_util::sync::CancellationToken;

use super::*;

async fn whole(bed: &Bed, path: &str, blob: &Descriptor) -> (Vec<u8>, bool) {
    match bed.cache.blob(&bed.upstream, &repository(path), blob).await {
        Ok(opened) => drain(opened.read(0..blob.size, None)).await,
        Err(_) => (Vec::new(), false),
    }
}

/// Waits until the fetch has ended, its file is in place or gone, and its entry is out of the table.
async fn settled(bed: &Bed) {
    while !bed.cache.0.fetches.is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_cold_blob_is_fetched_once_for_any_number_of_readers() {
    let bed = Bed::new().await;
    let bytes = noise(5 << 20);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    bed.registry.fault("/blobs/", Fault::Drip(128 << 10, Duration::from_millis(1)));
    let readers = (0..64).map(|i| {
        let (bed, blob, bytes) = (&bed, &blob, &bytes);
        async move {
            tokio::time::sleep(Duration::from_millis(i % 40)).await;
            let (read, is_whole) = whole(bed, "a", blob).await;
            assert!(is_whole && read == *bytes);
        }
    });
    futures_util::future::join_all(readers).await;
    assert_eq!(bed.asked(&["GET", "/blobs/"]), 1);
    settled(&bed).await;
    assert!(bed.stored(&blob.digest));
    bed.assert_nothing_left();

    let opened = bed.cache.blob(&bed.upstream, &repository("a"), &blob).await.unwrap();
    assert_eq!((opened.source(), opened.size()), (Source::Store, blob.size));
    assert_eq!(drain(opened.read(10..2000, None)).await, (bytes[10..2000].to_vec(), true));
    assert_eq!(bed.asked(&["/blobs/"]), 1);
}

/// A row that leads to content that is only being kept yet is none that leads nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_beside_a_fetch_takes_nothing_of_what_it_brings() {
    let bed = Bed::new().await;
    let (cache, done) = (bed.cache.clone(), CancellationToken::new());
    let ended = done.clone();
    let sweeping = std::thread::spawn(move || {
        while !ended.is_cancelled() {
            cache.sweep_now(&mut |_, _, _| Ok(())).unwrap();
        }
    });
    let lengths = (100 << 10)..(100 << 10) + 20;
    for length in lengths.clone() {
        let bytes = noise(length);
        bed.registry.push_blob("a", &bytes);
        assert!(whole(&bed, "a", &blob_of(&bytes)).await.1);
        settled(&bed).await;
    }
    done.cancel();
    sweeping.join().unwrap();
    assert_eq!(bed.cache.0.seen.table().scan(&[], 99).await.unwrap().len(), lengths.len());
}

/// It is committed behind its readers, and in that moment is neither arriving nor of another
/// repository.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_has_just_come_is_not_asked_about_again() {
    let bed = Bed::new().await;
    for length in 1..=200 {
        let bytes = noise(length);
        bed.registry.push_blob("a", &bytes);
        let blob = blob_of(&bytes);
        assert!(whole(&bed, "a", &blob).await.1);
        for _ in 0..4 {
            assert!(whole(&bed, "a", &blob).await.1);
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
    assert_eq!((bed.asked(&["GET", "/blobs/"]), bed.asked(&["HEAD"])), (200, 0));
}

#[tokio::test]
async fn a_blob_that_is_wrong_in_its_last_byte_is_complete_for_nobody() {
    let bed = Bed::new().await;
    let bytes = noise(3 << 20);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    let mut wrong = bytes.to_vec();
    *wrong.last_mut().unwrap() ^= 1;
    bed.registry.fault("/blobs/", Fault::Bytes(wrong.into()));
    let readers = (0..8).map(|_| whole(&bed, "a", &blob));
    for (read, is_whole) in futures_util::future::join_all(readers).await {
        assert!(!is_whole && read.len() < bytes.len());
    }
    settled(&bed).await;
    assert!(!bed.stored(&blob.digest));
    bed.assert_nothing_left();
    bed.registry.heal();
    assert_eq!(whole(&bed, "a", &blob).await, (bytes.to_vec(), true));
}

#[tokio::test]
async fn the_first_bytes_come_before_the_last_and_the_last_waits_for_the_digest() {
    let bed = Bed::new().await;
    let bytes = noise(1 << 20);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    bed.registry.fault("/blobs/", Fault::StallAfter((1 << 20) - 1));
    let opened = bed.cache.blob(&bed.upstream, &repository("a"), &blob).await.unwrap();
    assert_eq!(opened.source(), Source::Upstream);
    let mut reader = opened.read(0..blob.size, None);
    let first = tokio::time::timeout(Duration::from_millis(500), reader.next()).await;
    assert!(!first.expect("bytes are told before the end").unwrap().unwrap().is_empty());
}

/// As far as it has come, and like one that is kept. Less than that is copied.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_sends_a_blob_that_is_arriving() {
    use crate::sendfile::Lane;

    const COME: usize = 5 << 20;
    let bed = Bed::new().await;
    for (size, is_sent) in [(COME + 1000, true), ((4 << 20) - 1, false)] {
        let bytes = noise(size);
        let blob = blob_of(&bytes);
        bed.registry.push_blob("a", &bytes);
        let come = COME.min(size - 1);
        bed.registry.fault("/blobs/", Fault::StallAfter(come));
        let open = || async { bed.cache.blob(&bed.upstream, &repository("a"), &blob).await.unwrap() };
        let mut first = open().await.read(0..blob.size, None);
        let mut read = 0;
        while read < come {
            read += first.next().await.unwrap().unwrap().len();
        }
        let (lane, opened) = (Lane::default(), open().await);
        assert_eq!(opened.source(), Source::Upstream);
        let piece = opened
            .read(0..blob.size, Some(Room::default().outlet(Some(lane.clone()))))
            .next()
            .await
            .unwrap()
            .unwrap();
        assert_eq!(lane.carries(&piece), is_sent, "{size}");
        assert!(!piece.is_empty() && piece == bytes[..piece.len()]);
    }
}

#[tokio::test]
async fn a_part_of_an_arriving_blob_waits_for_the_proof() {
    let bed = Bed::new().await;
    let bytes = noise(2 << 20);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    bed.registry.fault("/blobs/", Fault::Drip(256 << 10, Duration::from_millis(30)));
    let opened = bed.cache.blob(&bed.upstream, &repository("a"), &blob).await.unwrap();
    let mut part = opened.read(0..1000, None);
    let early = tokio::time::timeout(Duration::from_millis(100), part.next()).await;
    assert!(early.is_err(), "no part is made of unproven bytes");
    assert_eq!(drain(part).await, (bytes[..1000].to_vec(), true));
}

#[tokio::test]
async fn a_cut_body_goes_on_where_it_was_cut() {
    let bed = Bed::new().await;
    let bytes = noise(1 << 20);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    bed.registry.fault_times("/blobs/", 3, Fault::Cut(200_000));
    assert_eq!(whole(&bed, "a", &blob).await, (bytes.to_vec(), true));
    assert_eq!(bed.asked(&["GET", "/blobs/"]), 4);
}

#[tokio::test]
async fn a_body_that_is_always_cut_fails_in_the_end() {
    let bed = Bed::new().await;
    let bytes = noise(1 << 20);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    bed.registry.fault("/blobs/", Fault::Cut(10));
    let (read, is_whole) = whole(&bed, "a", &blob).await;
    assert!(!is_whole && read.len() < bytes.len());
    assert!(bed.asked(&["GET", "/blobs/"]) < 64);
    settled(&bed).await;
    bed.assert_nothing_left();
}

#[tokio::test]
async fn another_announced_length_ends_the_fetch_before_the_first_byte() {
    let bed = Bed::new().await;
    let bytes = noise(1000);
    bed.registry.push_blob("a", &bytes);
    for size in [999, 1001] {
        let blob = Descriptor { size, ..blob_of(&bytes) };
        let refused = bed.cache.blob(&bed.upstream, &repository("a"), &blob).await;
        assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    }
    settled(&bed).await;
    bed.assert_nothing_left();
    // A kept blob's length binds as well.
    assert!(whole(&bed, "a", &blob_of(&bytes)).await.1);
    settled(&bed).await;
    let blob = Descriptor { size: 999, ..blob_of(&bytes) };
    let refused = bed.cache.blob(&bed.upstream, &repository("a"), &blob).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
}

#[tokio::test]
async fn the_first_readers_leaving_ends_nothing_and_the_last_ones_does() {
    let bed = Bed::new().await;
    let bytes = noise(2 << 20);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    bed.registry.fault("/blobs/", Fault::Drip(64 << 10, Duration::from_millis(5)));
    let repository = repository("a");
    let first = bed.cache.blob(&bed.upstream, &repository, &blob).await.unwrap();
    let second = bed.cache.blob(&bed.upstream, &repository, &blob).await.unwrap();
    drop(first);
    assert_eq!(drain(second.read(0..blob.size, None)).await, (bytes.to_vec(), true));

    settled(&bed).await;
    let other = noise((2 << 20) + 1);
    bed.registry.push_blob("a", &other);
    let only = bed.cache.blob(&bed.upstream, &repository, &blob_of(&other)).await.unwrap();
    drop(only);
    settled(&bed).await;
    // A step that is being written when the last reader leaves goes a moment later.
    while bed.cache.0.store.sizes().promised > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    bed.assert_nothing_left();
    assert!(!bed.stored(&blob_of(&other).digest));
    assert_eq!(bed.asked(&["GET", "/blobs/"]), 2);
}

#[tokio::test]
async fn a_slow_reader_delays_nobody() {
    let bed = Bed::new().await;
    let bytes = noise(3 << 20);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    let mut slow =
        bed.cache.blob(&bed.upstream, &repository("a"), &blob).await.unwrap().read(0..blob.size, None);
    let first = slow.next().await.unwrap().unwrap();
    assert_eq!(whole(&bed, "a", &blob).await, (bytes.to_vec(), true));
    settled(&bed).await;
    let (rest, is_whole) = drain(slow).await;
    assert!(is_whole && [&first[..], &rest].concat() == bytes);
}

#[tokio::test]
async fn without_room_each_request_streams_alone_and_is_proven_all_the_same() {
    let bed = Bed::with_room(1000).await;
    let bytes = noise(100_000);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    let opened = bed.cache.blob(&bed.upstream, &repository("a"), &blob).await.unwrap();
    assert!(!opened.accepts_ranges());
    assert_eq!(drain(opened.read(0..blob.size, None)).await, (bytes.to_vec(), true));
    assert!(!bed.stored(&blob.digest));
    assert_eq!((bed.metrics.store_full.get(), bed.asked(&["GET", "/blobs/"])), (1, 1));
    let repository_a = repository("a");
    let two = || bed.cache.blob(&bed.upstream, &repository_a, &blob);
    for opened in <[_; 2]>::from(tokio::join!(two(), two())) {
        assert_eq!(drain(opened.unwrap().read(0..blob.size, None)).await, (bytes.to_vec(), true));
    }
    assert_eq!(bed.asked(&["GET", "/blobs/"]), 3, "the second of two asks for itself");
    let part = bed.cache.blob(&bed.upstream, &repository("a"), &blob).await.unwrap().read(5..10, None);
    assert_eq!(drain(part).await, (Vec::new(), false));

    let mut wrong = bytes.to_vec();
    *wrong.last_mut().unwrap() ^= 1;
    bed.registry.fault("/blobs/", Fault::Bytes(wrong.into()));
    let (read, is_whole) = whole(&bed, "a", &blob).await;
    assert!(!is_whole && read.len() < bytes.len());
}

#[tokio::test]
async fn content_of_another_repository_is_given_once_this_ones_upstream_shows_it() {
    let bed = Bed::new().await;
    let bytes = noise(1000);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("private", &bytes);
    assert!(whole(&bed, "private", &blob).await.1);
    settled(&bed).await;
    bed.registry.push_blob("other", b"something else");
    let refused = bed.cache.blob(&bed.upstream, &repository("other"), &blob).await;
    assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    assert!(!bed.cache.holds(&bed.upstream, &repository("other"), &blob, Role::Blob).await.unwrap());

    bed.registry.push_blob("mirror", &bytes);
    let liar = Descriptor { size: 999, ..blob.clone() };
    let refused = bed.cache.holds(&bed.upstream, &repository("mirror"), &liar, Role::Blob).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    let together = futures_util::future::join_all((0..8).map(|_| whole(&bed, "mirror", &blob))).await;
    assert!(together.iter().all(|(read, is_whole)| *is_whole && *read == bytes));
    assert_eq!(whole(&bed, "mirror", &blob).await, (bytes.to_vec(), true));
    assert_eq!(bed.asked(&["HEAD /v2/mirror/"]), 2);
    assert_eq!(bed.asked(&["GET /v2/mirror/"]), 0);
}

#[tokio::test]
async fn a_rotten_blob_of_another_length_is_reported_and_then_had_anew() {
    let bed = Bed::new().await;
    let bytes = noise(1000);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    assert!(whole(&bed, "a", &blob).await.1);
    settled(&bed).await;
    std::fs::write(bed.blob_path(&blob.digest), &bytes[..999]).unwrap();
    let rotten = bed.cache.blob(&bed.upstream, &repository("a"), &blob).await;
    assert!(matches!(rotten, Err(Error::Corrupt { .. })), "{rotten:?}");
    assert_eq!(whole(&bed, "a", &blob).await, (bytes.to_vec(), true));
}

#[tokio::test]
async fn answers_of_the_upstream_reach_every_reader() {
    let bed = Bed::new().await;
    let blob = blob_of(b"nowhere");
    let missing = bed.cache.blob(&bed.upstream, &repository("a"), &blob).await;
    assert!(matches!(missing, Err(Error::NotFound)), "{missing:?}");
    bed.registry.fault("/blobs/", Fault::Status(403, None));
    let readers = (0..4).map(|_| async {
        let refused = bed.cache.blob(&bed.upstream, &repository("a"), &blob).await;
        assert!(matches!(refused, Err(Error::Refused { status: 403, .. })), "{refused:?}");
    });
    futures_util::future::join_all(readers).await;
    assert!(matches!(bed.cache.blob(&bed.offline(), &repository("a"), &blob).await, Err(Error::Offline)));
}

#[tokio::test]
async fn the_empty_blob_needs_nobody() {
    let bed = Bed::new().await;
    assert_eq!(whole(&bed, "a", &blob_of(b"")).await, (Vec::new(), true));
    let liar = Descriptor { size: 0, ..blob_of(b"x") };
    assert!(bed.cache.blob(&bed.upstream, &repository("a"), &liar).await.is_err());
    assert_eq!(bed.asked(&[""]), 0);
}

/// A manifest that tells another length of the same digest must not have its reader's answer end there.
#[tokio::test]
async fn a_fetch_is_shared_by_those_who_were_told_the_same_length() {
    let bed = Bed::new().await;
    let blob = blob_of(&noise(100_000));
    let shorter = Descriptor { size: 50_000, ..blob.clone() };
    let under_way = |blob: &Descriptor| bed.cache.arriving(&bed.upstream, &repository("a"), blob);
    let _places = [under_way(&blob), under_way(&blob)];
    assert_eq!(bed.cache.0.fetches.len(), 1);
    let _other = under_way(&shorter);
    assert_eq!(bed.cache.0.fetches.len(), 2);
}

/// A folder can be opened and not read, as a file on a bad sector. It has the length of what it stands for.
#[tokio::test]
async fn a_blob_that_the_disk_has_lost_is_had_anew() {
    let bed = Bed::new().await;
    let stand_in = bed.folder.path().join("stand-in");
    std::fs::create_dir(&stand_in).unwrap();
    std::fs::write(stand_in.join("x".repeat(200)), "").unwrap();
    let bytes = noise(usize::try_from(std::fs::metadata(&stand_in).unwrap().len()).unwrap());
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    assert!(whole(&bed, "a", &blob).await.1);
    settled(&bed).await;
    std::fs::remove_file(bed.blob_path(&blob.digest)).unwrap();
    std::fs::rename(stand_in, bed.blob_path(&blob.digest)).unwrap();
    bed.cache.0.store.open_blob(&blob.digest).await.unwrap().unwrap();

    let opened = bed.cache.blob_at_hand(&repository("a"), &blob).unwrap();
    assert_eq!(drain(opened.read(0..blob.size, None)).await, (Vec::new(), false));
    assert!(bed.cache.blob_at_hand(&repository("a"), &blob).is_none());
    assert_eq!(whole(&bed, "a", &blob).await, (bytes.to_vec(), true));
    settled(&bed).await;
    assert!(bed.blob_path(&blob.digest).is_file());
    assert_eq!(bed.metrics.store_corrupt.get(), 1);
}
