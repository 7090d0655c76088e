//! What an admission unlocks: nothing outside its repository, nothing in another role, nothing
//! without a live parent.

use portcullis::demo::Package;
use portcullis::demo::signing::nv2;
use portcullis::oci::Digest;
use serde_json::json;

use crate::test_proxy::{HOST, TestProxy, WABBIT, policy, push_signed, refused, served, signed, unsigned};

#[tokio::test]
async fn a_blob_is_served_only_when_an_admitted_manifest_names_it() {
    let image = Package::image("app");
    let stray = b"stray".to_vec();
    let digest = Digest::sha256(&stray);
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            signed("app")(registry);
            registry.push_blob("app", &stray);
        })
        .start()
        .await;
    refused(&proxy.blob("app", &digest).await, 404, "BLOB_UNKNOWN", "");
    refused(&proxy.blob("app", &image.layer()).await, 404, "BLOB_UNKNOWN", "");
    proxy.get("app:1").await;
    assert_eq!(proxy.blob("app", &image.layer()).await.status, 200);
    refused(&proxy.blob("app", &digest).await, 404, "BLOB_UNKNOWN", "");
    assert_eq!(proxy.upstream().count(&digest.to_string()), 0);
}

#[tokio::test]
async fn admission_in_one_repository_opens_nothing_in_another() {
    let image = Package::image("app");
    let (manifest, layer) = (image.digest(), image.layer());
    let proxy = TestProxy::new()
        .upstream(|registry| {
            signed("app")(registry);
            registry.push("secret/other", "2", &Package::image("unrelated"));
        })
        .start()
        .await;
    served(&proxy.get("app:1").await, image.bytes());
    proxy.blob("app", &layer).await;
    refused(&proxy.get(&format!("secret/other@{manifest}")).await, 404, "MANIFEST_UNKNOWN", "");
    refused(&proxy.blob("secret/other", &layer).await, 404, "BLOB_UNKNOWN", "");
}

/// The store may hold content for another repository: it is served only once this repository's own
/// upstream has shown that it holds it.
#[tokio::test]
async fn kept_content_does_not_pass_to_a_repository_that_lacks_it() {
    let image = Package::image("app");
    let digest = image.layer();
    let pushed = image.clone();
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            signed("app")(registry);
            // The manifest is there and signed, its layers are not.
            let bare = pushed.without_blobs();
            push_signed(registry, "hollow", "1", &bare);
        })
        .start()
        .await;
    proxy.get("app:1").await;
    served(&proxy.blob("app", &digest).await, image.blobs().last().unwrap());
    assert_eq!(proxy.get("hollow:1").await.status, 200);
    let hollow = proxy.blob("hollow", &digest).await;
    refused(&hollow, 404, "BLOB_UNKNOWN", "");
}

#[tokio::test]
async fn links_answer_only_their_role() {
    let index = Package::index([Package::image("app")]);
    let child = index.children()[0].clone();
    let pushed = index.clone();
    let proxy =
        TestProxy::new().upstream(move |registry| push_signed(registry, "app", "1", &pushed)).start().await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    assert_eq!(proxy.get(&format!("app@{}", child.digest())).await.status, 200);
    refused(&proxy.blob("app", &child.digest()).await, 404, "BLOB_UNKNOWN", "");
    refused(&proxy.blob("app", &index.digest()).await, 404, "BLOB_UNKNOWN", "");
    refused(&proxy.get(&format!("app@{}", child.layer())).await, 404, "MANIFEST_UNKNOWN", "");
}

#[tokio::test]
async fn an_admitted_index_admits_what_it_lists_by_digest_only() {
    let index = Package::multi_arch("app");
    let child = index.children()[1].clone();
    let pushed = index.clone();
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            push_signed(registry, "app", "1", &pushed);
            registry.push("app", "arm", &pushed.children()[1]);
        })
        .start()
        .await;
    served(&proxy.get("app:1").await, index.bytes());
    served(&proxy.get(&format!("app@{}", child.digest())).await, child.bytes());
    served(&proxy.blob("app", &child.layer()).await, child.blobs().last().unwrap());
    refused(&proxy.get("app:arm").await, 403, "DENIED", "none found");
}

#[tokio::test]
async fn a_child_needs_its_parent_first() {
    let index = Package::multi_arch("app");
    let child = index.children()[0].clone();
    let proxy =
        TestProxy::new().upstream(move |registry| push_signed(registry, "app", "1", &index)).start().await;
    let alone = proxy.get(&format!("app@{}", child.digest())).await;
    refused(&alone, 403, "DENIED", "");
    proxy.get("app:1").await;
    // The denial was kept for a moment; the parent's leave comes first.
    served(&proxy.get(&format!("app@{}", child.digest())).await, child.bytes());
}

#[tokio::test]
async fn children_need_their_own_signatures_where_the_policy_says_so() {
    let index = Package::multi_arch("app");
    let (good, bad) = (index.children()[0].clone(), index.children()[1].clone());
    for rule in ["children", "both"] {
        let (pushed, signed_child) = (index.clone(), good.clone());
        let proxy = TestProxy::new()
            .policy(&format!("require: wabbit, index: {rule}"))
            .upstream(move |registry| {
                push_signed(registry, "app", "1", &pushed);
                let claim = nv2::Claim::new(&["registry.test/app:1"]);
                let token = nv2::jwt(&WABBIT, &claim, signed_child.descriptor()).unwrap();
                registry.push("app", None, &nv2::jwt_artifact(token).about(signed_child.descriptor()));
            })
            .start()
            .await;
        let parent = proxy.get("app:1").await;
        assert_eq!(parent.status, 200, "{rule}: one child suffices: {:?}", parent.error_message());
        served(&proxy.get(&format!("app@{}", good.digest())).await, good.bytes());
        refused(&proxy.get(&format!("app@{}", bad.digest())).await, 403, "DENIED", "");
        refused(&proxy.blob("app", &bad.layer()).await, 404, "BLOB_UNKNOWN", "");
    }
}

#[tokio::test]
async fn under_children_an_unsigned_index_of_signed_images_passes_and_under_both_it_does_not() {
    let index = Package::multi_arch("app");
    for (rule, status) in [("children", 200), ("both", 403), ("index", 403)] {
        let pushed = index.clone();
        let proxy = TestProxy::new()
            .policy(&format!("require: wabbit, index: {rule}"))
            .upstream(move |registry| {
                registry.push("app", "1", &pushed);
                for child in pushed.children() {
                    let claim = nv2::Claim::new(&["registry.test/app:1"]);
                    let token = nv2::jwt(&WABBIT, &claim, child.descriptor()).unwrap();
                    registry.push("app", None, &nv2::jwt_artifact(token).about(child.descriptor()));
                }
            })
            .start()
            .await;
        let got = proxy.get("app:1").await;
        assert_eq!(got.status, status, "{rule}: {:?}", got.error_message());
    }
}

#[tokio::test]
async fn an_empty_index_is_refused_where_children_count() {
    let proxy = TestProxy::new()
        .policy("require: wabbit, index: children")
        .upstream(|registry| {
            registry.push("app", "1", &Package::index([]));
        })
        .start()
        .await;
    assert_eq!(proxy.get("app:1").await.status, 403);
}

/// What an admission unlocked closes with it: here by a policy that no longer trusts anybody.
#[tokio::test]
async fn a_lapsed_parent_opens_nothing() {
    let index = Package::multi_arch("app");
    let child = index.children()[0].clone();
    let mut proxy =
        TestProxy::new().upstream(move |registry| push_signed(registry, "app", "1", &index)).start().await;
    proxy.get("app:1").await;
    proxy.get(&format!("app@{}", child.digest())).await;
    assert_eq!(proxy.blob("app", &child.layer()).await.status, 200);
    assert!(proxy.change("policies", &policy("mode: deny")));
    refused(&proxy.get("app:1").await, 403, "DENIED", "");
    refused(&proxy.get(&format!("app@{}", child.digest())).await, 403, "DENIED", "");
    assert_ne!(proxy.blob("app", &child.layer()).await.status, 200);
    let head = format!("/v2/{HOST}/app/blobs/{}", child.layer());
    assert_ne!(proxy.send(http::Method::HEAD, &head, &[]).await.status, 200);
}

/// A descriptor is a claim of the index; the child's bytes decide what it is.
#[tokio::test]
async fn a_child_is_what_its_bytes_are() {
    let child = Package::image("app");
    let (bytes, digest) = (child.bytes().clone(), child.digest());
    let index = Package::index([child]).edited(|manifest| {
        manifest["manifests"][0]["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
    });
    let proxy =
        TestProxy::new().upstream(move |registry| push_signed(registry, "app", "1", &index)).start().await;
    proxy.get("app:1").await;
    let got = proxy.get(&format!("app@{digest}")).await;
    if got.status == 200 {
        served(&got, &bytes);
        assert_eq!(got.header("content-type"), "application/vnd.oci.image.manifest.v1+json");
    }
}

#[tokio::test]
async fn nothing_of_a_refused_image_leaks_through_a_signed_one_elsewhere() {
    let proxy = TestProxy::new().upstream(signed("good")).upstream(unsigned("bad")).start().await;
    proxy.get("good:1").await;
    let bad = Package::image("bad");
    refused(&proxy.get("bad:1").await, 403, "DENIED", "");
    refused(&proxy.blob("bad", &bad.layer()).await, 404, "BLOB_UNKNOWN", "");
    refused(&proxy.get(&format!("good@{}", bad.digest())).await, 404, "MANIFEST_UNKNOWN", "");
}
