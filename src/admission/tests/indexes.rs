//! What an index admits of what it lists.

use super::*;

#[tokio::test]
async fn an_admitted_index_admits_what_it_lists_and_their_blobs() {
    let stand = Stand::new("require: acme").await;
    let index = Package::multi_arch("app");
    let child = &index.children()[0];
    stand.push_signed("v1", &index);
    denial(stand.pull_digest(&child.digest()).await);
    stand.pull(":v1").await.unwrap();
    let admitted = stand.pull_digest(&child.digest()).await.unwrap();
    assert_eq!(admitted.decision().subject(), &index.digest());
    stand.blob(&child.layer()).await.unwrap();
}

#[tokio::test]
async fn an_index_in_an_index_admits_too() {
    let stand = Stand::new("require: acme").await;
    let inner = Package::multi_arch("app");
    let outer = Package::index([inner.clone()]);
    stand.push_signed("v1", &outer);
    stand.pull(":v1").await.unwrap();
    stand.pull_digest(&inner.digest()).await.unwrap();
    stand.pull_digest(&inner.children()[1].digest()).await.unwrap();
    stand.blob(&inner.children()[1].layer()).await.unwrap();
}

#[tokio::test]
async fn where_children_are_judged_only_those_that_pass_are_unlocked() {
    for rule in ["children", "both"] {
        let stand = Stand::new(&format!("require: acme, index: {rule}")).await;
        let index = Package::multi_arch("app");
        let [good, evil] = [0, 1].map(|at| index.children()[at].clone());
        stand.push_signed("v1", &index);
        denial(stand.pull(":v1").await);
        stand.sign(&stand.acme, &good);
        stand.clock.advance(LATER);
        stand.pull(":v1").await.unwrap();
        stand.pull_digest(&good.digest()).await.unwrap();
        denial(stand.pull_digest(&evil.digest()).await);
        assert!(stand.blob(&evil.layer()).await.is_err());
    }
}

#[tokio::test]
async fn under_both_the_index_itself_is_signed_too_and_under_children_an_empty_one_is_refused() {
    let stand = Stand::new("require: acme, index: both").await;
    let index = Package::multi_arch("app");
    stand.push("v1", &index);
    index.children().iter().for_each(|child| drop(stand.sign(&stand.acme, child)));
    denial(stand.pull(":v1").await);
    let stand = Stand::new("require: acme, index: children").await;
    stand.push_signed("empty", &Package::index([]));
    denial(stand.pull(":empty").await);
}

/// A link is written once; whether it opens is today's policy's to say.
#[tokio::test]
async fn a_rule_that_is_relaxed_opens_the_children_of_what_was_served_before() {
    let mut stand = Stand::new("require: acme, index: both").await;
    let index = Package::multi_arch("app");
    stand.push_signed("v1", &index);
    stand.sign(&stand.acme, &index.children()[0]);
    stand.pull(":v1").await.unwrap();
    let other = index.children()[1].digest();
    denial(stand.pull_digest(&other).await);
    stand.reload(&["require: acme"], "");
    stand.pull(":v1").await.unwrap();
    stand.pull_digest(&other).await.unwrap();
    stand.reload(&["require: acme, index: both"], "");
    stand.pull(":v1").await.unwrap();
    denial(stand.pull_digest(&other).await);
}

#[tokio::test]
async fn a_child_that_cannot_be_judged_leaves_the_index_undecided() {
    let stand = Stand::new("require: acme, index: children").await;
    let index = Package::multi_arch("app");
    stand.push("v1", &index);
    stand.registry.fault(&format!("referrers/{}", index.children()[0].digest()), Fault::Status(500, None));
    undecided(stand.pull(":v1").await);
}

/// The parent's index may well be signed: that it cannot be found out is no denial.
#[tokio::test]
async fn a_child_whose_parent_cannot_be_judged_is_not_denied() {
    let mut stand = Stand::new("require: acme").await;
    let index = Package::multi_arch("app");
    let child = index.children()[0].digest();
    stand.push_signed("v1", &index);
    stand.pull(":v1").await.unwrap();
    stand.reload(&["require: rival"], "");
    stand.clock.advance(LATER);
    stand.registry.fault(&format!("referrers/{}", index.digest()), Fault::Status(403, None));
    undecided(stand.pull_digest(&child).await);
    let layer = index.children()[0].layer();
    assert!(stand.blob(&layer).await.is_err_and(|refusal| !matches!(refusal, Refusal::Denied(_))));
    stand.registry.heal();
    stand.clock.advance(LATER);
    denial(stand.pull_digest(&child).await);
}

const LATER: Duration = Duration::from_secs(200);
