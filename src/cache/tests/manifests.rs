use super::*;

#[tokio::test]
async fn a_manifest_is_fetched_once_checked_and_kept() {
    let bed = Bed::new().await;
    let image = Package::image("app");
    bed.registry.push("a", "1", &image);
    let (repository, fresh) = (repository("a"), Freshness::default());
    let digest = image.digest();
    let readers = (0..16).map(|_| bed.cache.manifest(&bed.upstream, &repository, &digest, &fresh));
    for manifest in futures_util::future::join_all(readers).await {
        assert_eq!(manifest.unwrap().bytes(), image.bytes());
    }
    assert_eq!(bed.asked(&["/manifests/"]), 1);
    let bed = bed.restarted().await;
    bed.registry.fault("", Fault::Drop);
    let kept = bed.cache.manifest(&bed.upstream, &repository, &image.digest(), &fresh).await;
    assert_eq!(kept.unwrap().bytes(), image.bytes());
    assert_eq!(bed.asked(&["/manifests/"]), 1);
}

#[tokio::test]
async fn another_manifest_than_asked_for_is_corrupt_and_not_kept() {
    let bed = Bed::new().await;
    let (image, other) = (Package::image("app"), Package::image("other"));
    bed.registry.push("a", "1", &image);
    bed.registry.fault("/manifests/", Fault::Bytes(other.bytes().clone()));
    let fresh = Freshness::default();
    let corrupt = bed.cache.manifest(&bed.upstream, &repository("a"), &image.digest(), &fresh).await;
    assert!(matches!(corrupt, Err(Error::Corrupt { expected, .. }) if expected == image.digest()));
    assert!(!bed.stored(&image.digest()) && !bed.stored(&other.digest()));
}

#[tokio::test]
async fn what_is_no_manifest_is_refused_with_its_reason() {
    let bed = Bed::new().await;
    let old = Package::image("app").edited(|manifest| manifest["schemaVersion"] = 1.into());
    bed.registry.push("a", "1", &old);
    let fresh = Freshness::default();
    let refused = bed.cache.manifest(&bed.upstream, &repository("a"), &old.digest(), &fresh).await;
    assert!(matches!(refused, Err(Error::Manifest(oci::ManifestError::Schema1))), "{refused:?}");
}

#[tokio::test]
async fn a_kept_manifest_of_another_repository_is_not_given() {
    let bed = Bed::new().await;
    let image = Package::image("app");
    bed.registry.push("private", "1", &image);
    bed.registry.push("other", "1", &Package::image("other"));
    let fresh = Freshness::default();
    bed.cache.manifest(&bed.upstream, &repository("private"), &image.digest(), &fresh).await.unwrap();
    let refused = bed.cache.manifest(&bed.upstream, &repository("other"), &image.digest(), &fresh).await;
    assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    // Nor is a blob given as a manifest, or the other way round.
    let config = blob_of(image.bytes());
    let blob = bed.cache.blob(&bed.upstream, &repository("private"), &config).await;
    assert!(matches!(blob, Err(Error::NotFound)), "{blob:?}");
}

#[tokio::test]
async fn one_repositorys_refusal_does_not_spread() {
    let bed = Bed::new().await;
    let image = Package::image("app");
    for path in ["open", "closed"] {
        bed.registry.push(path, "1", &image);
    }
    bed.registry.fault("/closed/", Fault::Status(403, None));
    let (open, closed, fresh) = (repository("open"), repository("closed"), Freshness::default());
    let digest = image.digest();
    let (given, refused) = tokio::join!(
        bed.cache.manifest(&bed.upstream, &open, &digest, &fresh),
        bed.cache.manifest(&bed.upstream, &closed, &digest, &fresh),
    );
    assert!(given.is_ok());
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_404_is_believed_for_a_while() {
    let bed = Bed::new().await;
    let image = Package::image("app");
    let (repository, fresh) = (repository("a"), Freshness::default());
    for _ in 0..2 {
        let missing = bed.cache.manifest(&bed.upstream, &repository, &image.digest(), &fresh).await;
        assert!(matches!(missing, Err(Error::NotFound)), "{missing:?}");
    }
    assert_eq!(bed.asked(&["/manifests/"]), 1);
    bed.registry.push("a", "1", &image);
    bed.clock.advance(fresh.negative_ttl);
    assert!(bed.cache.manifest(&bed.upstream, &repository, &image.digest(), &fresh).await.is_ok());
}

#[tokio::test]
async fn a_rotten_manifest_is_reported_and_then_had_anew() {
    let bed = Bed::new().await;
    let image = Package::image("app");
    bed.registry.push("a", "1", &image);
    let (repository, fresh) = (repository("a"), Freshness::default());
    bed.cache.manifest(&bed.upstream, &repository, &image.digest(), &fresh).await.unwrap();
    std::fs::write(bed.blob_path(&image.digest()), "{}").unwrap();
    bed.cache.0.store.forget_at_hand(&image.digest());
    let rotten = bed.cache.manifest(&bed.upstream, &repository, &image.digest(), &fresh).await;
    assert!(matches!(rotten, Err(Error::Corrupt { .. })), "{rotten:?}");
    let anew = bed.cache.manifest(&bed.upstream, &repository, &image.digest(), &fresh).await;
    assert_eq!(anew.unwrap().bytes(), image.bytes());
}

#[tokio::test]
async fn a_small_blob_is_whole_checked_bounded_and_kept() {
    let bed = Bed::new().await;
    let bytes = noise(2000);
    let blob = blob_of(&bytes);
    bed.registry.push_blob("a", &bytes);
    let repository = repository("a");
    let large = bed.cache.small_blob(&bed.upstream, &repository, &blob, 1999).await;
    assert!(matches!(large, Err(Error::TooLarge { limit: 1999 })), "{large:?}");
    for _ in 0..2 {
        assert_eq!(bed.cache.small_blob(&bed.upstream, &repository, &blob, 2000).await.unwrap(), bytes);
    }
    assert_eq!(bed.asked(&["/blobs/"]), 1);
    assert_eq!(bed.cache.small_blob(&bed.offline(), &repository, &blob, 2000).await.unwrap(), bytes);
    let liar = Descriptor { size: 1000, ..blob.clone() };
    let refused = bed.cache.small_blob(&bed.upstream, &repository, &liar, 2000).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");

    let other = blob_of(b"other");
    bed.registry.push_blob("a", b"other");
    bed.registry.fault("/blobs/", Fault::Bytes(Bytes::from_static(b"wrong")));
    let wrong = bed.cache.small_blob(&bed.upstream, &repository, &other, 100).await;
    assert!(matches!(wrong, Err(Error::Corrupt { .. })), "{wrong:?}");
    assert!(!bed.stored(&other.digest));
}

#[tokio::test]
async fn without_room_manifests_and_small_blobs_are_used_unkept() {
    let bed = Bed::with_room(10).await;
    let image = Package::image("app");
    bed.registry.push("a", "1", &image);
    let fresh = Freshness::default();
    let manifest = bed.cache.manifest(&bed.upstream, &repository("a"), &image.digest(), &fresh).await;
    assert_eq!(manifest.unwrap().bytes(), image.bytes());
    assert_eq!(bed.metrics.store_full.get(), 1);
    let blob = blob_of(b"a small blob");
    bed.registry.push_blob("a", b"a small blob");
    let unkept = bed.cache.small_blob(&bed.upstream, &repository("a"), &blob, 100).await;
    assert_eq!(unkept.unwrap(), &b"a small blob"[..]);
    bed.registry.fault("/blobs/", Fault::Bytes(Bytes::from_static(b"a wrong blob")));
    let wrong = bed.cache.small_blob(&bed.upstream, &repository("a"), &blob, 100).await;
    assert!(matches!(wrong, Err(Error::Corrupt { .. })), "{wrong:?}");
}
