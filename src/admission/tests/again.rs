//! Answers that a thread keeps to give again.

use super::*;
use crate::admission::retire::seconds;
use crate::oci::Target;

const WHO: Principal = Principal::Anonymous;

impl Stand {
    /// An image that was pulled and is asked for again, by tag or digest.
    async fn hit(&self, image: &Package, by_tag: bool) -> Hit {
        self.push_signed("v1", image);
        self.pull(":v1").await.unwrap();
        self.pull_digest(&image.digest()).await.unwrap();
        let target = Reference::parse("reg.test/app:v1").unwrap().target;
        let target = if by_tag { target } else { Target::Digest(image.digest()) };
        let hit = self.gate().to_repeat(&repository(), &target, &WHO).unwrap();
        assert_eq!(self.again(&hit), Some(image.digest()));
        hit
    }

    fn again(&self, hit: &Hit) -> Option<Digest> {
        self.gate().again(hit, &WHO).map(|admitted| Digest::sha256(admitted.content().bytes()))
    }
}

#[tokio::test]
async fn an_answer_is_given_again_from_a_copy_and_counted() {
    let (stand, image) = (Stand::new("require: acme").await, Package::image("app"));
    for by_tag in [false, true] {
        let hit = stand.hit(&image, by_tag).await;
        let before = stand.state.metrics().decision_cache_hits.get();
        let admitted = stand.gate().again(&hit, &WHO).unwrap();
        assert_eq!((admitted.content().bytes(), admitted.stale()), (image.bytes(), false));
        assert_eq!(stand.state.metrics().decision_cache_hits.get() - before, 1);
        let kept =
            stand.gate().manifest_at_hand(&repository(), &Target::Digest(image.digest()), &WHO).unwrap();
        assert!(Arc::ptr_eq(kept.decision(), admitted.decision()));
        assert_ne!(kept.content().bytes().as_ptr(), admitted.content().bytes().as_ptr());
    }
}

#[tokio::test]
async fn it_is_not_given_by_another_engine() {
    for policy in ["require: acme", "require: rival"] {
        let (mut stand, image) = (Stand::new("require: acme").await, Package::image("app"));
        let hit = stand.hit(&image, false).await;
        stand.reload(&[policy], "");
        assert_eq!(stand.again(&hit), None);
    }
}

#[tokio::test]
async fn it_is_not_given_once_the_decision_has_fallen() {
    let (stand, image) = (Stand::new("require: acme").await, Package::image("app"));
    let hit = stand.hit(&image, false).await;
    for listed in stand.referrers(&image.digest()).await.unwrap() {
        stand.memory().store.quarantine(&listed).await.unwrap();
        stand.registry.delete("app", &listed);
    }
    stand.clock.advance(Duration::from_secs(61));
    assert!(stand.again(&hit).is_some(), "the decision holds still");
    stand.gate().renew(&repository(), &image.digest()).await;
    assert_eq!(stand.again(&hit), None);
}

#[tokio::test]
async fn it_ends_with_the_decision_and_while_the_clock_is_wrong() {
    let (stand, image) = (Stand::new("require: acme").await, Package::image("app"));
    let hit = stand.hit(&image, false).await;
    let now = stand.clock.now();
    stand.clock.set(now - HOUR);
    assert_eq!(stand.again(&hit), None);
    stand.clock.set(now + 25 * HOUR);
    assert_eq!(stand.again(&hit), None);
}

#[tokio::test]
async fn it_has_the_decision_renewed_and_gives_way_to_the_new_one() {
    let (stand, image) = (Stand::new("require: acme").await, Package::image("app"));
    let hit = stand.hit(&image, false).await;
    stand.clock.advance(23 * HOUR);
    assert!(stand.again(&hit).is_some());
    // Whoever asks memory finds the new decision a moment after it is on record.
    let gives_way = async |stand: &Stand| {
        stand.pull_digest(&image.digest()).await.unwrap();
        stand.again(&hit).is_none()
    };
    stand.until(gives_way).await;
    assert_eq!(stand.decisions(), 2);
}

#[tokio::test]
async fn a_tag_that_moved_gives_something_else() {
    let (stand, image) = (Stand::new("require: acme").await, Package::image("app"));
    let (by_tag, by_digest) = (stand.hit(&image, true).await, stand.hit(&image, false).await);
    let other = Package::image("other");
    stand.push_signed("v1", &other);
    assert_eq!(stand.again(&by_tag), Some(image.digest()), "it is fresh");
    let Target::Tag(tag) = Reference::parse("reg.test/app:v1").unwrap().target else { panic!("no tag") };
    let cache = &stand.memory().cache;
    cache.moved(&repository(), &tag, &other.digest()).await.unwrap();
    assert_eq!(stand.again(&by_tag), None, "in the same second");
    cache.moved(&repository(), &tag, &image.digest()).await.unwrap();
    assert_eq!(stand.again(&by_tag), Some(image.digest()));
    stand.clock.advance(Duration::from_secs(200));
    assert_eq!(stand.again(&by_tag), None, "what it names is not known for long enough");
    stand.pull(":v1").await.unwrap();
    stand.until(async |stand| stand.pull(":v1").await.unwrap().content().digest() == other.digest()).await;
    assert_eq!(stand.again(&by_tag), None);
    assert_eq!(stand.again(&by_digest), Some(image.digest()));
}

/// What is retired is cooled first: within a second it is asked for as anybody else would.
#[tokio::test]
async fn memory_is_asked_for_it_each_second() {
    let (stand, image) = (Stand::new("require: acme").await, Package::image("app"));
    let hit = stand.hit(&image, false).await;
    let name = (repository(), image.digest());
    stand.clock.advance(Duration::from_secs(5));
    stand.again(&hit).unwrap();
    let used = seconds(stand.clock.now());
    let (_, warm) = stand.memory().hot.remove(&name).unwrap();
    assert_eq!(warm.used.load(std::sync::atomic::Ordering::Relaxed), used, "its use was noted");
    assert!(stand.again(&hit).is_some(), "in the same second");
    stand.clock.advance(Duration::from_secs(1));
    assert_eq!(stand.again(&hit), None);
    assert_eq!(stand.again(&hit), None, "nor another time");

    // A clock that is corrected shows the same second for minutes.
    let hit = stand.hit(&Package::image("another"), false).await;
    stand.clock.set(stand.clock.now() - Duration::from_secs(60));
    assert!(stand.again(&hit).is_some());
    stand.memory().hot.remove(&(repository(), Package::image("another").digest())).unwrap();
    assert_eq!(stand.again(&hit), None);
}

#[tokio::test]
async fn large_manifests_are_not_copied() {
    let stand = Stand::new("require: acme").await;
    for (length, is_copied) in [(12 << 10, true), (17 << 10, false)] {
        let image = Package::image("app").edited(|manifest| {
            manifest["annotations"] = serde_json::json!({ "a": "x".repeat(length) });
        });
        stand.push_signed(None, &image);
        stand.pull_digest(&image.digest()).await.unwrap();
        let hit = stand.gate().to_repeat(&repository(), &Target::Digest(image.digest()), &WHO);
        assert_eq!(hit.is_some(), is_copied);
    }
}
