//! Tags: what moves them, what a decision for one of them is good for.

use super::*;
use crate::oci::Tag;

/// Past `tag_ttl` and `stale_while_revalidate`: the upstream is asked before the answer.
const LATER: Duration = Duration::from_secs(200);

#[tokio::test]
async fn a_denied_manifest_moves_its_tag() {
    let stand = Stand::new("require: acme").await;
    let (old, new) = (Package::image("old"), Package::image("new"));
    stand.push_signed("v1", &old);
    stand.pull(":v1").await.unwrap();
    stand.push("v1", &new);
    stand.clock.advance(LATER);
    denial(stand.pull(":v1").await);
    // It has moved: the upstream is not asked again, and the old one is not served under the tag.
    stand.registry.fault("", Fault::Status(500, None));
    denial(stand.pull(":v1").await);
    stand.pull_digest(&old.digest()).await.unwrap();
}

#[tokio::test]
async fn a_manifest_that_cannot_be_decided_leaves_its_tag_while_the_old_one_may_serve() {
    let stand = Stand::new("require: acme").await;
    let (old, new) = (Package::image("old"), Package::image("new"));
    stand.push_signed("v1", &old);
    stand.pull(":v1").await.unwrap();
    stand.push("v1", &new);
    stand.registry.fault(&format!("referrers/{}", new.digest()), Fault::Status(500, None));
    stand.clock.advance(LATER);
    let admitted = stand.pull(":v1").await.unwrap();
    assert_eq!(admitted.content().digest(), old.digest());
    assert!(admitted.stale());
    undecided(stand.pull_digest(&new.digest()).await);
    stand.registry.heal();
    stand.sign(&stand.acme, &new);
    stand.clock.advance(LATER);
    let admitted = stand.pull(":v1").await.unwrap();
    assert_eq!((admitted.content().digest(), admitted.stale()), (new.digest(), false));
}

#[tokio::test]
async fn a_tag_is_not_answered_through_a_parent() {
    let stand = Stand::new("require: acme").await;
    let index = Package::multi_arch("app");
    let child = index.children()[0].clone();
    stand.push_signed("index", &index);
    stand.registry.tag("app", "child", &child.digest());
    stand.pull(":index").await.unwrap();
    stand.pull_digest(&child.digest()).await.unwrap();
    denial(stand.pull(":child").await);
    stand.pull_digest(&child.digest()).await.unwrap();
}

#[tokio::test]
async fn an_exact_name_admits_its_own_tag_and_digest_alone() {
    let stand = Stand::new("require: acme, signed_name: exact").await;
    let image = Package::image("app");
    stand.push("v1", &image);
    stand.registry.tag("app", "v2", &image.digest());
    stand.push(None, &signature(&stand.acme, &image, "reg.test/app:v1"));
    for _ in 0..2 {
        stand.pull(":v1").await.unwrap();
        stand.pull_digest(&image.digest()).await.unwrap();
        assert_eq!(denial(stand.pull(":v2").await).signatures()[0].code, Code::NameMismatch);
    }
}

#[tokio::test]
async fn a_decision_that_binds_a_tag_is_renewed_for_that_tag() {
    let stand = Stand::new("require: acme, signed_name: exact").await;
    let image = Package::image("app");
    stand.push("v1", &image);
    stand.push(None, &signature(&stand.acme, &image, "reg.test/app:v1"));
    let first = stand.pull(":v1").await.unwrap().decision().id();
    stand.clock.advance(23 * HOUR);
    assert_eq!(stand.pull(":v1").await.unwrap().decision().id(), first, "served while it is renewed");
    stand.until(async |stand| stand.pull(":v1").await.unwrap().decision().id() != first).await;
    assert_eq!(stand.decisions(), 2);
}

#[tokio::test]
async fn a_list_of_referrers_is_made_here_and_unlocks_nothing() {
    let stand = Stand::new("require: acme").await;
    stand.registry.referrers_api(false);
    let (image, evil) = (Package::image("app"), Package::image("evil"));
    stand.push_signed("v1", &image);
    let tag = Tag::about(&image.digest(), "").to_string();
    // The upstream's own list names an image beside.
    let list = Package::index([signature(&stand.acme, &image, "reg.test/app"), evil.clone()]);
    stand.push(tag.as_str(), &list);
    stand.clock.advance(LATER);
    let served = stand.pull(&format!(":{tag}")).await.unwrap();
    assert_ne!(served.content().digest(), list.digest());
    let names: Vec<_> = served.content().manifests().iter().map(|d| d.digest).collect();
    assert!(!names.is_empty() && !names.contains(&evil.digest()));
    stand.pull_digest(&served.content().digest()).await.unwrap();
    denial(stand.pull_digest(&list.digest()).await);
    denial(stand.pull_digest(&evil.digest()).await);
}
