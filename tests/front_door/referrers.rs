//! Lists of referrers are made of what is admitted; the upstream's own are never served.

use std::time::Duration;

use portcullis::demo::{Fault, Package};
use portcullis::oci::{Descriptor, Digest};
use serde_json::Value;

use crate::test_proxy::{HOST, Running, STRANGER, TestProxy, WABBIT, policy, refused, served, signature};

/// An image with a good signature, a stranger's, and an unsigned bill of materials.
async fn with_company(rest: &str) -> (Running, Package) {
    let image = Package::image("app");
    let pushed = image.clone();
    let proxy = TestProxy::new()
        .with("policies", &policy(rest))
        .upstream(move |registry| {
            registry.push("app", "1", &pushed);
            registry.push("app", None, &Package::sbom(pushed.descriptor()));
            registry.push("app", None, &signature(&STRANGER, pushed.descriptor()));
            registry.push("app", None, &signature(&WABBIT, pushed.descriptor()));
        })
        .start()
        .await;
    (proxy, image)
}

async fn listed(proxy: &Running, subject: &Digest, query: &str) -> (Vec<Descriptor>, String) {
    let answer = proxy.path(&format!("/v2/{HOST}/app/referrers/{subject}{query}")).await;
    assert_eq!(answer.status, 200, "{:?}", answer.error_message());
    assert_eq!(answer.header("content-type"), "application/vnd.oci.image.index.v1+json");
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["schemaVersion"], 2);
    let manifests = serde_json::from_value(body["manifests"].clone()).unwrap();
    (manifests, answer.header("oci-filters-applied").to_owned())
}

const NV2: &str = "application/vnd.cncf.notary.config.v2+jwt";

#[tokio::test]
async fn only_proven_signatures_are_listed_and_served() {
    let (proxy, image) = with_company("require: wabbit").await;
    let (list, _) = listed(&proxy, &image.digest(), "").await;
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0].artifact_type.as_deref(), Some(NV2));
    assert_eq!(proxy.get(&format!("app@{}", list[0].digest)).await.status, 200);
    let sbom = Package::sbom(image.descriptor());
    refused(&proxy.get(&format!("app@{}", sbom.digest())).await, 403, "DENIED", "");
    let strange = signature(&STRANGER, image.descriptor());
    assert_ne!(proxy.get(&format!("app@{}", strange.digest())).await.status, 200);
}

/// What was proven is listed, whatever anybody attached before it is listed.
#[tokio::test]
async fn the_list_does_not_lose_what_is_proven_to_what_anybody_attached() {
    let image = Package::image("app");
    let own = signature(&WABBIT, image.descriptor());
    let (pushed, signed) = (image.clone(), own.clone());
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            registry.push("app", "1", &pushed);
            registry.push("app", None, &signed);
        })
        .start()
        .await;
    served(&proxy.get("app:1").await, image.bytes());
    proxy.upstream().delete("app", &own.digest());
    for i in 0..70 {
        let artifact = Package::artifact("application/junk", [("text/plain", format!("{i}").into())]);
        proxy.upstream().push("app", None, &artifact.about(image.descriptor()));
    }
    proxy.upstream().push("app", None, &own);
    proxy.pass(Duration::from_secs(120));
    let (listed, _) = listed(&proxy, &image.digest(), "").await;
    assert_eq!(listed.iter().map(|d| d.digest).collect::<Vec<_>>(), [own.digest()]);
}

#[tokio::test]
async fn policy_may_list_them_all() {
    let (proxy, image) = with_company("require: wabbit, referrers: all").await;
    let (list, _) = listed(&proxy, &image.digest(), "").await;
    assert_eq!(list.len(), 3, "{list:?}");
    let sbom = Package::sbom(image.descriptor());
    served(&proxy.get(&format!("app@{}", sbom.digest())).await, sbom.bytes());
}

#[tokio::test]
async fn lists_are_filtered_by_type() {
    let (proxy, image) = with_company("require: wabbit, referrers: all").await;
    let (list, applied) = listed(&proxy, &image.digest(), "?artifactType=application/spdx%2Bjson").await;
    assert_eq!((list.len(), applied.as_str()), (1, "artifactType"));
    assert_eq!(list[0].artifact_type.as_deref(), Some("application/spdx+json"));
    let (none, applied) = listed(&proxy, &image.digest(), "?artifactType=application/unheard").await;
    assert_eq!((none.len(), applied.as_str()), (0, "artifactType"));
    assert_eq!(listed(&proxy, &image.digest(), "").await.1, "");
}

#[tokio::test]
async fn the_tag_schema_is_synthesised() {
    let (proxy, image) = with_company("require: wabbit").await;
    let tag = format!("app:sha256-{}", image.digest().hex());
    let answer = proxy.get(&tag).await;
    assert_eq!(answer.status, 200, "{:?}", answer.error_message());
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(proxy.head(&tag).await.status, 200);
}

/// An upstream's own index under the tag schema lists what it likes; it is not what is served, and
/// it is nobody's parent.
#[tokio::test]
async fn the_upstreams_list_is_nobodys_parent() {
    let image = Package::image("app");
    let evil = Package::image("evil");
    let tag = format!("sha256-{}", image.digest().hex());
    let index = Package::index([evil.clone()]);
    let (pushed, index_digest) = (image.clone(), index.digest());
    let schema = tag.clone();
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            crate::test_proxy::push_signed(registry, "app", "1", &pushed);
            registry.push("app", schema.as_str(), &index);
        })
        .start()
        .await;
    proxy.get("app:1").await;
    let made = proxy.get(&format!("app:{tag}")).await;
    assert!(!String::from_utf8_lossy(&made.body).contains(&evil.digest().hex()));
    refused(&proxy.get(&format!("app@{}", evil.digest())).await, 403, "DENIED", "");
    refused(&proxy.get(&format!("app@{index_digest}")).await, 403, "DENIED", "");
}

#[tokio::test]
async fn a_refused_subject_shows_no_referrers() {
    let image = Package::image("app");
    let pushed = image.clone();
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            registry.push("app", "1", &pushed);
            registry.push("app", None, &Package::sbom(pushed.descriptor()));
        })
        .start()
        .await;
    let answer = proxy.path(&format!("/v2/{HOST}/app/referrers/{}", image.digest())).await;
    if answer.status == 200 {
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["manifests"], serde_json::json!([]));
    } else {
        assert_eq!(answer.status, 403);
    }
}

#[tokio::test]
async fn an_unknown_subject_has_an_empty_list() {
    let (proxy, _) = with_company("require: wabbit").await;
    let (list, _) = listed(&proxy, &Digest::sha256(b"nothing"), "").await;
    assert_eq!(list.len(), 0);
}

#[tokio::test]
async fn a_list_that_cannot_be_had_is_not_an_empty_one() {
    let (proxy, image) = with_company("require: wabbit").await;
    proxy.upstream().fault("/referrers/", Fault::Status(500, None));
    let answer = proxy.path(&format!("/v2/{HOST}/app/referrers/{}", image.digest())).await;
    refused(&answer, 503, "UNAVAILABLE", "");
}

#[tokio::test]
async fn a_signatures_own_tag_is_answered_for_an_admitted_subject() {
    use portcullis::demo::signing::nv2;
    let image = Package::image("app");
    let tag = nv2::tag(&image.digest());
    let (pushed, under) = (image.clone(), tag.clone());
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            registry.push("app", "1", &pushed);
            let token =
                nv2::jwt(&WABBIT, &nv2::Claim::new(&["registry.test/app:1"]), pushed.descriptor()).unwrap();
            registry.push("app", under.as_str(), &nv2::jwt_artifact(token));
        })
        .start()
        .await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    assert_eq!(proxy.get(&format!("app:{tag}")).await.status, 200);
    let layered = Package::image("smuggled");
    proxy.upstream().push("app", tag.as_str(), &layered);
    proxy.pass(std::time::Duration::from_secs(600));
    let mut last = proxy.get(&format!("app:{tag}")).await;
    for _ in 0..50 {
        if last.status != 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        last = proxy.get(&format!("app:{tag}")).await;
    }
    assert_ne!(last.body, layered.bytes(), "an image under a signature's tag is no signature");
}
