use super::*;

const TTL: Duration = Duration::from_secs(60);

#[tokio::test]
async fn referrers_are_kept_and_serve_in_trouble_with_a_mark() {
    let bed = Bed::new().await;
    let image = Package::image("app");
    bed.registry.push("a", "1", &image);
    let sbom = Package::sbom(image.descriptor());
    bed.registry.push("a", None, &sbom);
    let (repository, fresh) = (repository("a"), Freshness::default());
    let subject = image.digest();
    let list = |bed: &Bed| {
        let (cache, upstream) = (bed.cache.clone(), bed.upstream.clone());
        let (repository, fresh) = (repository.clone(), fresh.clone());
        async move { cache.referrers(&upstream, &repository, &subject, &fresh).await }
    };
    for _ in 0..2 {
        let kept = list(&bed).await.unwrap();
        assert_eq!(kept.value.iter().map(|d| d.digest).collect::<Vec<_>>(), [sbom.digest()]);
        assert!(kept.trouble.is_none());
    }
    assert_eq!(bed.asked(&["/referrers/"]), 1);
    bed.registry.fault("/v2/", Fault::Status(503, None));
    bed.clock.advance(TTL);
    let bed = bed.restarted().await;
    let stale = list(&bed).await.unwrap();
    assert!(stale.value.len() == 1 && stale.trouble.is_some());
    bed.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert!(list(&bed).await.is_err_and(|e| e.is_trouble()));
    let offline = bed.cache.referrers(&bed.offline(), &repository, &subject, &fresh).await.unwrap();
    assert!(offline.value.len() == 1 && offline.trouble.is_none());
}

#[tokio::test]
async fn trouble_is_never_an_empty_list() {
    let bed = Bed::new().await;
    bed.registry.fault("/v2/", Fault::Status(500, None));
    let subject = Digest::sha256(b"x");
    let (repository, fresh) = (repository("a"), Freshness::default());
    let list = bed.cache.referrers(&bed.upstream, &repository, &subject, &fresh).await;
    assert!(list.as_ref().is_err_and(Error::is_trouble), "{list:?}");
    let signature = Tag::about(&subject, ".sig");
    let named = bed.cache.tag_digest(&bed.upstream, &repository, &signature, &fresh).await;
    assert!(named.as_ref().is_err_and(Error::is_trouble), "{named:?}");
}

#[tokio::test]
async fn a_signatures_tag_moves_without_being_judged() {
    let bed = Bed::new().await;
    let signature = Tag::about(&Digest::sha256(b"x"), ".sig");
    let (repository, fresh) = (repository("a"), Freshness::default());
    let named = |bed: &Bed| {
        let (cache, upstream) = (bed.cache.clone(), bed.upstream.clone());
        let (repository, signature, fresh) = (repository.clone(), signature.clone(), fresh.clone());
        async move { cache.tag_digest(&upstream, &repository, &signature, &fresh).await.unwrap() }
    };
    for _ in 0..2 {
        assert_eq!(named(&bed).await.value, None);
    }
    assert_eq!(bed.asked(&["/manifests/"]), 1, "a 404 is believed for a while");
    for name in ["first", "second"] {
        let artifact = Package::image(name);
        bed.registry.push("a", signature.as_str(), &artifact);
        bed.clock.advance(TTL);
        for _ in 0..2 {
            let kept = named(&bed).await;
            assert!(kept.value == Some(artifact.digest()) && kept.trouble.is_none());
        }
    }
    bed.registry.fault("/v2/", Fault::Drop);
    bed.clock.advance(TTL);
    let stale = named(&bed).await;
    assert!(stale.value.is_some() && stale.trouble.is_some());
}

#[tokio::test]
async fn tags_are_the_upstreams() {
    let bed = Bed::new().await;
    for name in ["a", "b", "c"] {
        bed.registry.push("a", name, &Package::image("app"));
    }
    let page = bed.cache.tags(&bed.upstream, &repository("a"), Some(2), Some("a")).await.unwrap();
    assert_eq!((page.tags, page.more), (vec![tag("b"), tag("c")], false));
}
