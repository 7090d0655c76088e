//! How long decisions hold, and what becomes of them when clocks jump.

use super::*;

#[tokio::test]
async fn an_allow_ends_and_is_made_again_and_a_deny_ends_soon() {
    let stand = Stand::new("require: acme").await;
    let (good, late) = (Package::image("good"), Package::image("late"));
    stand.push_signed("good", &good);
    stand.push("late", &late);
    let first = stand.pull(":good").await.unwrap().decision().id();
    denial(stand.pull_digest(&late.digest()).await);
    stand.sign(&stand.acme, &late);
    denial(stand.pull_digest(&late.digest()).await);
    stand.clock.advance(Duration::from_secs(61));
    stand.pull_digest(&late.digest()).await.unwrap();
    assert_eq!(stand.pull_digest(&good.digest()).await.unwrap().decision().id(), first);
    stand.clock.advance(24 * HOUR);
    assert_ne!(stand.pull_digest(&good.digest()).await.unwrap().decision().id(), first);
}

#[tokio::test]
async fn an_exception_ends_with_everything_that_it_admitted() {
    let image = Package::image("app");
    let end = humantime::format_rfc3339_seconds(SystemTime::now() + HOUR);
    let exception = format!(
        "exceptions: [{{ repository: reg.test/app, digest: \"{}\", reason: for now, expires: {end} }}]",
        image.digest()
    );
    let stand = Stand::with(&["require: acme"], &exception).await;
    stand.push("v1", &image);
    stand.pull(":v1").await.unwrap();
    stand.blob(&image.layer()).await.unwrap();
    stand.clock.advance(2 * HOUR);
    denial(stand.pull_digest(&image.digest()).await);
    denial(stand.blob(&image.layer()).await);
}

#[tokio::test]
async fn an_exception_does_not_come_back_with_a_clock_that_goes_back() {
    let (image, other) = (Package::image("app"), Package::image("other"));
    let start = SystemTime::now();
    for back in [2 * HOUR, Duration::from_secs(60)] {
        let end = humantime::format_rfc3339_seconds(start + HOUR);
        let exception = format!(
            "exceptions: [{{ repository: reg.test/app, digest: \"{}\", reason: for now, expires: {end} }}]",
            image.digest()
        );
        let stand = Stand::with(&["require: acme"], &exception).await;
        stand.push("v1", &image);
        stand.push_signed("other", &other);
        stand.pull(":v1").await.unwrap();
        stand.clock.set(start + HOUR + Duration::from_secs(30));
        stand.pull(":other").await.unwrap();
        stand.clock.set(start + HOUR + Duration::from_secs(30) - back);
        assert!(stand.pull_digest(&image.digest()).await.is_err());
        assert!(stand.blob(&image.layer()).await.is_err());
    }
}

#[tokio::test]
async fn one_renewal_runs_behind_the_hits_of_the_last_tenth() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    let first = stand.pull(":v1").await.unwrap().decision().id();
    stand.clock.advance(23 * HOUR);
    for _ in 0..50 {
        stand.pull_digest(&image.digest()).await.unwrap();
    }
    let renewed =
        async |stand: &Stand| stand.pull_digest(&image.digest()).await.unwrap().decision().id() != first;
    stand.until(renewed).await;
    assert_eq!(stand.decisions(), 2);
}

/// The upstream says nothing for longer than any list of it may serve: what is kept proves the image
/// all the same.
#[tokio::test]
async fn a_renewal_without_an_answer_takes_nothing_away() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    stand.pull(":v1").await.unwrap();
    stand.registry.fault("", Fault::Status(403, None));
    for _ in 0..6 {
        stand.clock.advance(13 * HOUR);
        let before = stand.pull_digest(&image.digest()).await.unwrap().decision().id();
        stand.gate().renew(&repository(), &image.digest()).await;
        let renewed = stand.memory().live(&stand.request(), &image.digest(), None).unwrap();
        assert_eq!((renewed.verdict(), renewed.id() == before), (Verdict::Allow, false));
    }
}

/// Nothing is kept either, so that the renewal is undecided: the Allow holds to its end, and nobody
/// tries again at every hit.
#[tokio::test]
async fn a_renewal_that_cannot_decide_rests_and_leaves_the_allow_to_its_end() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    let signature = stand.push_signed("v1", &image);
    stand.pull(":v1").await.unwrap();
    stand.memory().store.quarantine(&signature.digest()).await.unwrap();
    stand.registry.fault("", Fault::Status(403, None));
    stand.clock.advance(23 * HOUR);
    stand.pull_digest(&image.digest()).await.unwrap();
    stand.until(async |stand| stand.decisions() == 2).await;
    for _ in 0..30 {
        stand.pull_digest(&image.digest()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(stand.decisions(), 2);
    stand.clock.advance(HOUR);
    undecided(stand.pull_digest(&image.digest()).await);
}

/// Its signature is gone, upstream and here: what was warmed by the Allow is not served by it.
#[tokio::test]
async fn a_decision_that_falls_cools_all_that_it_admitted() {
    let stand = Stand::new("require: acme").await;
    let index = Package::multi_arch("app");
    let child = index.children()[0].clone();
    let signature = stand.push_signed("v1", &index);
    stand.pull(":v1").await.unwrap();
    stand.pull_digest(&child.digest()).await.unwrap();
    stand.blob(&child.layer()).await.unwrap();
    stand.memory().store.quarantine(&signature.digest()).await.unwrap();
    stand.registry.delete("app", &signature.digest());
    stand.clock.advance(Duration::from_secs(61));
    stand.gate().renew(&repository(), &index.digest()).await;
    denial(stand.pull_digest(&index.digest()).await);
    denial(stand.pull_digest(&child.digest()).await);
    denial(stand.blob(&child.layer()).await);
    denial(stand.pull(":v1").await);
}

#[tokio::test]
async fn shorter_limits_count_for_decisions_that_were_made_before_them() {
    let mut stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    let first = stand.pull(":v1").await.unwrap().decision().id();
    stand.clock.advance(2 * HOUR);
    stand.reload(&["require: acme"], "decisions: { allow_max_age: 1h }");
    let second = stand.pull_digest(&image.digest()).await.unwrap();
    assert_ne!(second.decision().id(), first);
    stand.reload(&["require: acme"], "decisions: { allow_max_age: 48h }");
    assert_eq!(stand.pull_digest(&image.digest()).await.unwrap().decision().id(), second.decision().id());
}

#[tokio::test]
async fn while_the_clock_is_set_back_nothing_is_decided_and_nothing_lives_on() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    stand.pull(":v1").await.unwrap();
    stand.blob(&image.layer()).await.unwrap();
    let start = stand.clock.now();
    stand.clock.set(start - Duration::from_secs(200));
    stand.pull_digest(&image.digest()).await.unwrap();
    stand.clock.set(start - HOUR);
    for target in [":v1".to_owned(), format!("@{}", image.digest())] {
        assert_eq!(undecided(stand.pull(&target).await).reasons()[0].code, Code::ClockWentBack);
    }
    assert!(stand.blob(&image.layer()).await.is_err());
    let before = stand.decisions();
    for _ in 0..5 {
        undecided(stand.pull_digest(&image.digest()).await);
    }
    assert_eq!(stand.decisions(), before, "it is said once");
    stand.clock.set(start + Duration::from_secs(60));
    stand.pull_digest(&image.digest()).await.unwrap();
}

#[tokio::test]
async fn a_would_deny_that_lapsed_is_served_while_one_evaluation_runs() {
    let stand = Stand::new("mode: audit, require: acme").await;
    let image = Package::image("app");
    stand.push("v1", &image);
    let first = stand.pull(":v1").await.unwrap().decision().id();
    stand.clock.advance(Duration::from_secs(100));
    stand.registry.fault("/referrers/", Fault::Delay(Duration::from_millis(300)));
    for _ in 0..40 {
        assert_eq!(stand.pull_digest(&image.digest()).await.unwrap().decision().id(), first);
    }
    let judged =
        async |stand: &Stand| stand.pull_digest(&image.digest()).await.unwrap().decision().id() != first;
    stand.until(judged).await;
    assert_eq!(stand.decisions(), 2);
}

#[tokio::test]
async fn what_was_admitted_before_a_revocation_was_learned_does_not_become_hot() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    let admitted = stand.pull(":v1").await.unwrap();
    let (request, digest) = (stand.request(), image.digest());
    let heat = || {
        let leave = crate::admission::links::Leave::of_subject(admitted.decision()).unwrap();
        let manifest = Arc::clone(admitted.content());
        stand.memory().heat(&request, crate::admission::memory::Hot { leave, manifest, binds_tag: false });
    };
    heat();
    assert!(request.hot(&digest).is_some());
    stand.memory().revocations.learn_something();
    assert!(request.hot(&digest).is_none());
    heat();
    assert!(request.hot(&digest).is_none(), "it was judged before");
    let anew = stand.pull(":v1").await.unwrap();
    assert_ne!(anew.decision().id(), admitted.decision().id());
}

#[tokio::test]
async fn nobody_joins_an_evaluation_that_was_begun_before_a_revocation_was_learned() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    stand.registry.fault("/referrers/", Fault::Delay(Duration::from_millis(500)));
    let digest = image.digest();
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stand.memory().revocations.learn_something();
        stand.pull_digest(&digest).await.unwrap().decision().id()
    };
    let (first, second) = tokio::join!(stand.pull_digest(&digest), later);
    assert_ne!(first.unwrap().decision().id(), second);
}
