//! All ways in which a client's name finds its upstream (DESIGN: names).

use http::Method;
use http::header::HOST as HOST_HEADER;
use portcullis::demo::Package;

use crate::test_proxy::{Running, TestProxy, push_signed, refused, served, signed};

async fn hub_and_test() -> Running {
    TestProxy::new()
        .upstream(signed("team/app"))
        .upstream_at("docker.io", |hub| {
            push_signed(hub, "library/nginx", "1", &Package::image("nginx"));
            push_signed(hub, "team/app", "1", &Package::image("hub's app"));
        })
        .with("listen", r#"{ address: "127.0.0.1:0", hosts: { registry-1.docker.io: docker.io } }"#)
        .start()
        .await
}

#[tokio::test]
async fn the_first_segment_names_an_upstream() {
    let proxy = hub_and_test().await;
    let hubs = Package::image("hub's app");
    served(&proxy.path("/v2/docker.io/team/app/manifests/1").await, hubs.bytes());
    served(&proxy.path("/v2/registry.test/team/app/manifests/1").await, Package::image("team/app").bytes());
}

#[tokio::test]
async fn dockers_hub_has_three_names_and_a_library() {
    let proxy = hub_and_test().await;
    let nginx = Package::image("nginx");
    for path in [
        "docker.io/nginx",
        "docker.io/library/nginx",
        "index.docker.io/nginx",
        "registry-1.docker.io/library/nginx",
    ] {
        served(&proxy.path(&format!("/v2/{path}/manifests/1")).await, nginx.bytes());
    }
}

#[tokio::test]
async fn ns_names_an_upstream() {
    let proxy = hub_and_test().await;
    let answer = proxy.path("/v2/library/nginx/manifests/1?ns=docker.io").await;
    served(&answer, Package::image("nginx").bytes());
    assert_eq!(answer.header("oci-namespace"), "docker.io");
    let unknown = proxy.path("/v2/library/nginx/manifests/1?ns=ghcr.io").await;
    assert!(unknown.status.is_client_error(), "{}", unknown.status);
    let twice = proxy.path("/v2/library/nginx/manifests/1?ns=docker.io&ns=registry.test").await;
    assert!(twice.status.is_client_error(), "{}", twice.status);
}

#[tokio::test]
async fn the_host_names_an_upstream() {
    let proxy = hub_and_test().await;
    let host = [(HOST_HEADER, "registry-1.docker.io")];
    let answer = proxy.send(Method::GET, "/v2/library/nginx/manifests/1", &host).await;
    served(&answer, Package::image("nginx").bytes());
    let same = proxy.send(Method::GET, "/v2/docker.io/library/nginx/manifests/1", &host).await;
    served(&same, Package::image("nginx").bytes());
    let other = proxy.send(Method::GET, "/v2/registry.test/team/app/manifests/1", &host).await;
    assert_eq!(other.status, 400, "two names that differ");
}

#[tokio::test]
async fn the_default_upstream_is_meant_where_nothing_is_named() {
    let proxy = hub_and_test().await;
    served(&proxy.path("/v2/team/app/manifests/1").await, Package::image("team/app").bytes());
}

#[tokio::test]
async fn a_host_that_is_not_configured_never_falls_to_the_default() {
    let proxy = hub_and_test().await;
    for name in ["ghcr.io/team/app", "localhost/team/app", "other:5000/team/app"] {
        let path = format!("/v2/{name}/manifests/1");
        refused(&proxy.path(&path).await, 404, "NAME_UNKNOWN", "");
    }
    assert_eq!(proxy.upstream().seen().len(), 0);
}

#[tokio::test]
async fn policy_goes_by_the_source_name_however_the_client_names_it() {
    let proxy = TestProxy::new()
        .with("policies", "[{ name: hub, scopes: [\"docker.io/library/*\"], mode: deny }]")
        .with("listen", r#"{ address: "127.0.0.1:0", hosts: { hub.corp: docker.io } }"#)
        .upstream_at("docker.io", |hub| push_signed(hub, "library/nginx", "1", &Package::image("nginx")))
        .start()
        .await;
    let by_host = [(HOST_HEADER, "hub.corp")];
    for answer in [
        proxy.path("/v2/docker.io/nginx/manifests/1").await,
        proxy.path("/v2/library/nginx/manifests/1?ns=docker.io").await,
        proxy.send(Method::GET, "/v2/library/nginx/manifests/1", &by_host).await,
    ] {
        refused(&answer, 403, "DENIED", "policy hub: docker.io/library/nginx is refused");
    }
}
