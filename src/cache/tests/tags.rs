use super::*;

const TTL: Duration = Duration::from_secs(60);

/// A bed whose tag `a:1` is known and fresh, and its digest.
async fn known() -> (Bed, Digest) {
    let bed = Bed::new().await;
    let image = Package::image("app");
    bed.registry.push("a", "1", &image);
    let first = resolve(&bed).await.unwrap();
    assert!(matches!(first.standing, Standing::New { fallback: None }), "{first:?}");
    assert_eq!(first.digest, image.digest());
    bed.cache.moved(&repository("a"), &tag("1"), &first.digest).await.unwrap();
    (bed, image.digest())
}

async fn resolve(bed: &Bed) -> Result<Resolved, Error> {
    bed.cache.resolve(&bed.upstream, &repository("a"), &tag("1"), &Freshness::default()).await
}

fn moved_upstream(bed: &Bed) -> Digest {
    let image = Package::image("newer");
    bed.registry.push("a", "1", &image);
    image.digest()
}

#[tokio::test]
async fn within_its_ttl_a_tag_is_answered_from_memory() {
    let (bed, digest) = known().await;
    let asked = bed.asked(&[""]);
    let fresh = Freshness::default();
    let again = bed.cache.resolve_at_once(&bed.upstream, &repository("a"), &tag("1"), &fresh).unwrap();
    assert_eq!((again.digest, again.fresh_until), (digest, bed.clock.now() + TTL));
    assert!(matches!(again.standing, Standing::Fresh) && again.recheck.is_none());
    moved_upstream(&bed);
    bed.clock.advance(TTL - Duration::from_secs(1));
    assert_eq!(resolve(&bed).await.unwrap().digest, digest);
    assert_eq!(bed.asked(&[""]), asked);
}

#[tokio::test]
async fn just_expired_it_is_answered_and_one_caller_may_recheck_behind() {
    let (bed, old) = known().await;
    let new = moved_upstream(&bed);
    bed.clock.advance(TTL);
    let mut first = resolve(&bed).await.unwrap();
    assert!(matches!(first.standing, Standing::Expired), "{first:?}");
    assert_eq!(first.digest, old);
    assert!(resolve(&bed).await.unwrap().recheck.is_none(), "one at a time");
    let recheck = first.recheck.take().unwrap();
    assert_eq!(recheck.ask(&bed.upstream).await.unwrap(), Some(new));
    assert_eq!(bed.asked(&["HEAD"]), 1);
    // Not before it has been judged does the tag move.
    assert_eq!(resolve(&bed).await.unwrap().digest, old);
    bed.cache.moved(&repository("a"), &tag("1"), &new).await.unwrap();
    drop(recheck);
    let moved = resolve(&bed).await.unwrap();
    assert!(moved.digest == new && matches!(moved.standing, Standing::Fresh));
    let earlier = bed.cache.earlier(&repository("a"), &tag("1")).await.unwrap();
    assert_eq!(earlier.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(), [old]);
}

#[tokio::test]
async fn a_recheck_that_finds_the_same_makes_it_fresh() {
    let (bed, digest) = known().await;
    bed.clock.advance(TTL);
    let expired = resolve(&bed).await.unwrap();
    assert_eq!(expired.recheck.unwrap().ask(&bed.upstream).await.unwrap(), None);
    let renewed = resolve(&bed).await.unwrap();
    assert!(renewed.digest == digest && matches!(renewed.standing, Standing::Fresh));
    assert_eq!(bed.asked(&["GET", "/manifests/"]), 1, "HEAD is free of rate limits");
}

#[tokio::test]
async fn older_than_that_the_upstream_is_asked_first() {
    let (bed, old) = known().await;
    let new = moved_upstream(&bed);
    bed.clock.advance(2 * TTL);
    let resolved = resolve(&bed).await.unwrap();
    assert_eq!(resolved.digest, new);
    assert!(matches!(resolved.standing, Standing::New { fallback: Some(f) } if f == old));
}

#[tokio::test]
async fn a_head_without_digest_is_followed_by_a_get() {
    let (bed, _) = known().await;
    let new = moved_upstream(&bed);
    bed.registry.fault("HEAD", Fault::Header("docker-content-digest", "nonsense".to_owned()));
    bed.clock.advance(2 * TTL);
    assert_eq!(resolve(&bed).await.unwrap().digest, new);
}

#[tokio::test]
async fn in_trouble_the_last_good_answer_serves_for_a_day() {
    for fault in [Fault::Drop, Fault::Status(500, None), Fault::Status(429, Some(100))] {
        let (bed, digest) = known().await;
        bed.registry.fault("/v2/", fault);
        bed.clock.advance(2 * TTL);
        let stale = resolve(&bed).await.unwrap();
        assert!(stale.digest == digest && matches!(stale.standing, Standing::Stale(_)), "{stale:?}");
        // The next ones do not wait for an upstream that is known to be in trouble.
        let asked = bed.asked(&[""]);
        assert!(matches!(resolve(&bed).await.unwrap().standing, Standing::Stale(_)));
        assert_eq!(bed.asked(&[""]), asked);
        let bed = bed.restarted().await;
        assert_eq!(resolve(&bed).await.unwrap().digest, digest);
        bed.clock.advance(Duration::from_secs(24 * 60 * 60));
        let trouble = resolve(&bed).await;
        assert!(trouble.as_ref().is_err_and(Error::is_trouble), "{trouble:?}");
    }
}

#[tokio::test]
async fn a_hung_upstream_does_not_hang_what_is_known() {
    let (bed, digest) = known().await;
    bed.registry.fault("/v2/", Fault::Stall);
    bed.clock.advance(2 * TTL);
    let patient = tokio::time::timeout(upstream::PATIENCE * 2, resolve(&bed)).await;
    assert_eq!(patient.expect("the wait has an end").unwrap().digest, digest);
    let at_once = tokio::time::timeout(Duration::from_millis(50), resolve(&bed)).await;
    assert_eq!(at_once.expect("the next one does not wait").unwrap().digest, digest);
}

#[tokio::test]
async fn a_hung_upstream_is_waited_for_once_and_tried_one_tag_at_a_time() {
    let (bed, digest) = known().await;
    let tags: Vec<_> = (2..102).map(|n| tag(&n.to_string())).collect();
    for tag in &tags {
        bed.registry.tag("a", tag.as_str(), &digest);
        bed.cache.moved(&repository("a"), tag, &digest).await.unwrap();
    }
    bed.registry.fault("/v2/", Fault::Stall);
    bed.clock.advance(2 * TTL);
    resolve(&bed).await.unwrap();
    let started = std::time::Instant::now();
    let mut rechecks = Vec::new();
    for tag in &tags {
        let known = bed.cache.resolve(&bed.upstream, &repository("a"), tag, &Freshness::default()).await;
        let known = known.unwrap();
        assert!(known.digest == digest && matches!(known.standing, Standing::Stale(_)), "{known:?}");
        rechecks.extend(known.recheck);
    }
    assert!(started.elapsed() < upstream::PATIENCE, "{:?}", started.elapsed());
    assert_eq!(rechecks.len(), 1, "one try at a time");
    bed.registry.heal();
    rechecks.pop().unwrap().ask(&bed.upstream).await.unwrap();
    let newer = moved_upstream(&bed);
    bed.registry.tag("a", "50", &newer);
    let asked = bed.cache.resolve(&bed.upstream, &repository("a"), &tag("50"), &Freshness::default()).await;
    assert_eq!(asked.unwrap().digest, newer, "it answered, so it is waited for again");
}

#[tokio::test]
async fn of_a_slow_upstream_all_tags_are_rechecked_behind_their_answers() {
    let (bed, digest) = known().await;
    for name in ["2", "3", "4"] {
        bed.registry.tag("a", name, &digest);
        bed.cache.moved(&repository("a"), &tag(name), &digest).await.unwrap();
    }
    bed.registry.fault("/v2/", Fault::Delay(upstream::PATIENCE * 3 / 2));
    bed.clock.advance(2 * TTL);
    let first = resolve(&bed).await.unwrap();
    assert!(matches!(first.standing, Standing::Stale(_)), "{first:?}");
    // Its own question goes on.
    tokio::time::sleep(upstream::PATIENCE).await;
    let mut rechecks = Vec::new();
    for name in ["2", "3", "4"] {
        let (fresh, repository, tag) = (Freshness::default(), repository("a"), tag(name));
        let at_once = bed.cache.resolve(&bed.upstream, &repository, &tag, &fresh);
        let known = tokio::time::timeout(upstream::PATIENCE / 2, at_once).await.expect("no wait").unwrap();
        rechecks.extend(known.recheck);
    }
    assert_eq!(rechecks.len(), 3, "late answers are answers");
}

#[tokio::test]
async fn a_throttled_upstream_is_not_asked_for_what_is_known() {
    let (bed, digest) = known().await;
    bed.cache.moved(&repository("a"), &tag("2"), &digest).await.unwrap();
    bed.registry.fault("/v2/", Fault::Status(429, Some(60)));
    bed.clock.advance(2 * TTL);
    resolve(&bed).await.unwrap();
    let asked = bed.asked(&[""]);
    let known = bed.cache.resolve(&bed.upstream, &repository("a"), &tag("2"), &Freshness::default()).await;
    let known = known.unwrap();
    assert!(known.digest == digest && matches!(known.standing, Standing::Stale(_)), "{known:?}");
    let tried = known.recheck.unwrap().ask(&bed.upstream).await;
    assert!(matches!(tried, Err(Error::Throttled { retry_after: Some(_) })), "{tried:?}");
    assert_eq!(bed.asked(&[""]), asked, "not before the pause is over");
}

#[tokio::test]
async fn after_trouble_somebody_rechecks() {
    let (bed, _) = known().await;
    bed.registry.fault("/v2/", Fault::Drop);
    bed.clock.advance(2 * TTL);
    assert!(resolve(&bed).await.unwrap().recheck.is_none(), "not at once again");
    bed.registry.heal();
    bed.clock.advance(Freshness::default().negative_ttl);
    let stale = resolve(&bed).await.unwrap();
    assert!(matches!(stale.standing, Standing::Stale(_)));
    // The breaker may need its own time; the right to ask is what counts here.
    assert!(stale.recheck.is_some());
}

#[tokio::test]
async fn a_404_or_a_refusal_is_an_answer() {
    let (bed, _) = known().await;
    bed.registry.fault("/v2/", Fault::Status(403, None));
    bed.clock.advance(2 * TTL);
    assert!(matches!(resolve(&bed).await, Err(Error::Refused { status: 403, .. })));
    bed.registry.heal();
    bed.registry.fault("/v2/", Fault::Drop);
    assert!(resolve(&bed).await.is_err_and(|e| e.is_trouble()), "the old answer does not come back");

    let (bed, digest) = known().await;
    bed.registry.delete("a", &digest);
    bed.clock.advance(2 * TTL);
    assert!(matches!(resolve(&bed).await, Err(Error::NotFound)));
    let asked = bed.asked(&[""]);
    assert!(matches!(resolve(&bed).await, Err(Error::NotFound)));
    assert_eq!(bed.asked(&[""]), asked, "believed for a while");
    let bed = bed.restarted().await;
    assert!(matches!(resolve(&bed).await, Err(Error::NotFound)), "and removed");
}

#[tokio::test]
async fn offline_a_tag_has_no_age() {
    let (bed, digest) = known().await;
    let offline = bed.offline();
    bed.clock.advance(Duration::from_secs(365 * 24 * 60 * 60));
    let asked = bed.asked(&[""]);
    let fresh = Freshness::default();
    let known = bed.cache.resolve(&offline, &repository("a"), &tag("1"), &fresh).await.unwrap();
    assert!(known.digest == digest && matches!(known.standing, Standing::Fresh));
    let unknown = bed.cache.resolve(&offline, &repository("a"), &tag("2"), &fresh).await;
    assert!(matches!(unknown, Err(Error::Offline)), "{unknown:?}");
    assert_eq!(bed.asked(&[""]), asked);
}

#[tokio::test]
async fn many_first_questions_are_one() {
    let bed = Bed::new().await;
    bed.registry.push("a", "1", &Package::image("app"));
    let callers = (0..16).map(|_| resolve(&bed));
    for resolved in futures_util::future::join_all(callers).await {
        resolved.unwrap();
    }
    assert_eq!(bed.asked(&["/manifests/"]), 1);
}

#[tokio::test]
async fn a_clock_that_went_back_makes_nothing_fresh() {
    let (bed, digest) = known().await;
    bed.clock.set(bed.clock.now() - Duration::from_secs(3600));
    let asked = bed.asked(&["HEAD"]);
    assert_eq!(resolve(&bed).await.unwrap().digest, digest);
    assert_eq!(bed.asked(&["HEAD"]), asked + 1);
}

#[tokio::test]
async fn what_may_not_be_judged_moves_a_tag_and_is_no_outage() {
    let (bed, _) = known().await;
    let old = Package::image("newer").edited(|manifest| manifest["schemaVersion"] = 1.into());
    bed.registry.push("a", "1", &old);
    bed.registry.fault("HEAD", Fault::Header("docker-content-digest", "nonsense".to_owned()));
    bed.clock.advance(2 * TTL);
    for _ in 0..2 {
        let resolved = resolve(&bed).await.unwrap();
        assert_eq!(resolved.digest, old.digest());
        assert!(matches!(resolved.standing, Standing::New { .. }));
    }
    let fresh = Freshness::default();
    let refused = bed.cache.manifest(&bed.upstream, &repository("a"), &old.digest(), &fresh).await;
    assert!(matches!(refused, Err(Error::Manifest(_))), "{refused:?}");
}

#[tokio::test]
async fn a_tag_that_did_not_come_is_counted() {
    let (bed, _) = known().await;
    let failures = |reason| {
        let registry = "other";
        bed.metrics.fetch_failures.at(crate::telemetry::metrics::FetchFailure { registry, reason }).get()
    };
    let ask = async |upstream: &Arc<upstream::Upstream>, name: &str| {
        let fresh = Freshness::default();
        bed.cache.resolve(upstream, &repository("a"), &tag(name), &fresh).await.map(drop)
    };
    bed.registry.fault("/v2/", Fault::Status(403, None));
    for _ in 0..2 {
        ask(&bed.upstream, "absent").await.unwrap_err();
    }
    assert_eq!(failures("refused"), 2);
    bed.registry.heal();
    assert!(matches!(ask(&bed.upstream, "absent").await, Err(Error::NotFound)));
    ask(&bed.offline(), "other").await.unwrap_err();
    assert_eq!((failures("refused"), failures("offline")), (2, 1), "a 404 is an answer");
}
