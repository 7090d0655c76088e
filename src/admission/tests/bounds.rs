//! What a pusher with time on their hands can make of it.

use std::time::Instant;

use serde_json::json;

use super::*;
use crate::demo::package::descriptor_of;
use crate::oci::media_type::COSIGN_SIMPLE_SIGNING;

#[tokio::test]
async fn more_artifacts_than_are_read_leave_it_undecided() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push("v1", &image);
    for n in 0..65 {
        let artifact = Package::unknown(&n.to_string()).about(image.descriptor());
        stand.push(None, &artifact);
    }
    assert_eq!(undecided(stand.pull(":v1").await).reasons()[0].code, Code::BoundExceeded);
}

/// An artifact of a great many signatures, or of one too large, which comes first.
#[tokio::test]
async fn an_artifact_out_of_bounds_hides_no_signature_and_is_not_read() {
    let image = Package::image("app");
    let many: Vec<_> =
        (0..2000).map(|n| descriptor_of(COSIGN_SIMPLE_SIGNING, format!("{n}").as_bytes())).collect();
    let large =
        json!([{ "mediaType": COSIGN_SIMPLE_SIGNING, "digest": Digest::sha256(b"x"), "size": u64::MAX }]);
    for layers in [json!(many), large] {
        let stand = Stand::new("require: acme").await;
        stand.push("v1", &image);
        let flood = signature(&stand.rival, &image, "reg.test/app").edited(|m| m["layers"] = layers);
        stand.push(None, &flood);
        assert_eq!(undecided(stand.pull(":v1").await).reasons()[0].code, Code::BoundExceeded);
        assert_eq!(stand.registry.count("/blobs/"), 0);
        stand.sign(&stand.acme, &image);
        stand.clock.advance(Duration::from_secs(61));
        stand.pull(":v1").await.unwrap();
    }
}

#[tokio::test]
async fn an_index_of_too_many_or_too_deep_is_undecided_and_costs_no_more_than_the_bound() {
    let stand = Stand::new("require: acme, index: children").await;
    let wide = |from: usize| {
        let children = (from..from + 20).map(|n| Package::unknown(&n.to_string()));
        Package::index(children)
    };
    let index = Package::index((0..20).map(|n| wide(20 * n)));
    stand.push("v1", &index);
    let before = stand.decisions();
    assert_eq!(undecided(stand.pull(":v1").await).reasons()[0].code, Code::BoundExceeded);
    assert!(stand.decisions() - before <= 257, "{}", stand.decisions() - before);

    let deep = (0..4).fold(Package::image("app"), |inner, _| Package::index([inner]));
    stand.push("deep", &deep);
    assert_eq!(undecided(stand.pull(":deep").await).reasons()[0].code, Code::BoundExceeded);
}

#[tokio::test]
async fn an_index_that_lists_one_manifest_often_has_it_judged_once() {
    let stand = Stand::new("require: acme, index: children").await;
    let child = Package::image("app");
    let index = Package::index(vec![child; 300]);
    stand.push("v1", &index);
    denial(stand.pull(":v1").await);
    assert_eq!(stand.decisions(), 2);
}

/// What was not believed is not held: only the operator's own signers use room that eviction cannot
/// take back.
#[tokio::test]
async fn nobody_can_fill_the_store_with_signatures_that_are_not_believed() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push("v1", &image);
    let rival = stand.sign(&stand.rival, &image);
    let good = stand.sign(&stand.acme, &image);
    stand.pull(":v1").await.unwrap();
    let recalled = stand.memory().kept.recall(&repository(), &image.digest()).await.unwrap();
    let kept: Vec<_> = recalled.found.iter().map(|f| f.artifact.digest).collect();
    assert_eq!(kept, [good.digest()]);
    assert!(!kept.contains(&rival.digest()));
}

#[tokio::test]
async fn a_slow_upstream_holds_up_no_other() {
    let fast = Registry::start().await.unwrap();
    let stand = Stand::new("require: acme").await;
    let mut settings = stand.engine.settings().clone();
    let of_fast = crate::upstream::Settings { url: Some(fast.url()), ..Default::default() };
    settings.upstreams.insert(crate::oci::Registry::parse("fast.test").unwrap(), of_fast);
    settings.policies[0].scopes.push(serde_json::from_str("\"fast.test/**\"").unwrap());
    let gate = Engine::build(settings, &stand.state, None).unwrap().gate().clone();
    let pull = |name: String| {
        let (gate, reference) = (gate.clone(), Reference::parse(&name).unwrap());
        async move { gate.manifest(&reference, &Principal::Anonymous).await.map(drop) }
    };
    stand.registry.fault("/referrers/", Fault::Stall);
    let mut stuck = tokio::task::JoinSet::new();
    for n in 0..12 {
        let digest = stand.push(None, &Package::image(&n.to_string()));
        stuck.spawn(pull(format!("reg.test/app@{digest}")));
    }
    stand.until(async |stand| stand.registry.count("/referrers/") >= 8).await;
    fast.push("app", "v1", &Package::image("fast"));
    let start = Instant::now();
    denial(pull("fast.test/app:v1".to_owned()).await);
    assert!(start.elapsed() < Duration::from_secs(5));
}
