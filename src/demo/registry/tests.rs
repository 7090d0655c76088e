use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::demo::client::{Answer, Client};

async fn get(registry: &Registry, path: &str) -> Answer {
    Client::new().get(&format!("{}{path}", registry.url())).await.unwrap()
}

#[tokio::test]
async fn serves_what_was_pushed() {
    let registry = Registry::start().await.unwrap();
    let image = Package::image("app");
    registry.push("a/b", "1", &image);
    let manifest = get(&registry, "/v2/a/b/manifests/1").await;
    assert_eq!((manifest.status.as_u16(), &manifest.body), (200, image.bytes()));
    assert_eq!(manifest.header("docker-content-digest"), image.digest().to_string());
    let blob = get(&registry, &format!("/v2/a/b/blobs/{}", image.layer())).await;
    assert!(image.layer().matches(&blob.body));
    let elsewhere = get(&registry, &format!("/v2/b/blobs/{}", image.layer())).await;
    assert_eq!(elsewhere.status, 404, "content does not pass between repositories");
    assert_eq!(registry.count("GET /v2/a/b/manifests/"), 1);
}

#[tokio::test]
async fn pages_tags() {
    let registry = Registry::start().await.unwrap();
    for tag in ["a", "b", "c"] {
        registry.push("app", tag, &Package::image("app"));
    }
    let page = get(&registry, "/v2/app/tags/list?n=2").await;
    assert!(page.header("link").contains("last=b"), "{}", page.header("link"));
    let rest = get(&registry, "/v2/app/tags/list?n=2&last=b").await;
    let rest: Value = serde_json::from_slice(&rest.body).unwrap();
    assert_eq!(rest["tags"], serde_json::json!(["c"]));
}

#[tokio::test]
async fn lists_referrers_by_either_way() {
    for api in [true, false] {
        let registry = Registry::start().await.unwrap();
        registry.referrers_api(api);
        let image = Package::image("app");
        registry.push("app", "1", &image);
        let sbom = Package::sbom(image.descriptor());
        registry.push("app", None, &sbom);
        let by_api = get(&registry, &format!("/v2/app/referrers/{}", image.digest())).await;
        assert_eq!(by_api.status == 200, api);
        let by_tag = get(&registry, &format!("/v2/app/manifests/sha256-{}", image.digest().hex())).await;
        assert_eq!(by_tag.status == 200, !api);
        let index: Value = serde_json::from_slice(if api { &by_api.body } else { &by_tag.body }).unwrap();
        assert_eq!(index["manifests"][0]["digest"], sbom.digest().to_string());
        assert_eq!(index["manifests"][0]["artifactType"], "application/spdx+json");
    }
}

#[tokio::test]
async fn misbehaves_as_told_and_heals() {
    let registry = Registry::start().await.unwrap();
    let image = Package::image("app");
    registry.push("app", "1", &image);
    let path = format!("/v2/app/blobs/{}", image.layer());

    registry.fault_times("blobs", 1, Fault::Cut(10));
    let cut = get(&registry, &path).await;
    assert_eq!((cut.body.len(), cut.complete), (10, false));
    assert!(get(&registry, &path).await.complete, "one fault was asked for");

    registry.fault("manifests", Fault::Status(429, Some(7)));
    let throttled = get(&registry, "/v2/app/manifests/1").await;
    assert_eq!((throttled.status.as_u16(), throttled.header("retry-after")), (429, "7"));

    registry.fault("manifests", Fault::Stall);
    let stalled = tokio::time::timeout(Duration::from_millis(50), get(&registry, "/v2/app/manifests/1"));
    assert!(stalled.await.is_err());

    registry.fault("manifests", Fault::Drop);
    let url = format!("{}/v2/app/manifests/1", registry.url());
    assert!(Client::new().get(&url).await.is_err());

    registry.heal();
    assert_eq!(get(&registry, "/v2/app/manifests/1").await.status, 200);
}

#[tokio::test]
async fn gives_tokens_for_the_right_credentials() {
    let registry = Registry::start().await.unwrap();
    registry.push("app", "1", &Package::image("app"));
    registry.require_token(Some(("user", "secret")));
    let refused = get(&registry, "/v2/app/manifests/1").await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").starts_with("Bearer realm="));
    assert_eq!(get(&registry, "/token").await.status, 401);
    let url = format!("{}/token", registry.url());
    let basic = [(hyper::header::AUTHORIZATION, "Basic dXNlcjpzZWNyZXQ=")];
    let token = Client::new().send(hyper::Method::GET, &url, &basic).await.unwrap();
    assert_eq!(token.status, 200);
}
