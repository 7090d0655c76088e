//! Upstreams in trouble: never taken for "unsigned", never for leave; and one upstream request for
//! many clients.

use std::time::Duration;

use portcullis::demo::{Fault, Package, Registry};

use crate::test_proxy::{HOST, STRANGER, TestProxy, WABBIT, refused, served, signature, signed, unsigned};

#[tokio::test]
async fn signatures_that_cannot_be_read_are_no_denial() {
    let failed = Fault::Status(500, None);
    for (needle, fault) in [
        ("/referrers/", failed.clone()),
        ("/referrers/", Fault::Status(429, Some(60))),
        ("/referrers/", Fault::Drop),
        ("/referrers/", Fault::Bytes("not json".into())),
        ("/referrers/", Fault::Status(401, None)),
        // The tag schema, the tags of nv2, the artifact and the signature in it.
        ("/manifests/sha256-", failed.clone()),
        (".nv2", failed.clone()),
        ("GET /v2/app/manifests/sha256:", failed.clone()),
        ("GET /v2/app/blobs/", failed.clone()),
    ] {
        let proxy = TestProxy::new()
            .upstream(|registry| {
                let image = registry.push("app", "1", &Package::image("app"));
                registry.push("app", None, &signature(&STRANGER, &image));
            })
            .start()
            .await;
        proxy.upstream().fault(needle, fault.clone());
        let got = proxy.get("app:1").await;
        refused(&got, 503, "UNAVAILABLE", "cannot be judged now");
        assert_ne!(got.header("retry-after"), "", "{fault:?}");
        assert!(!got.error_message().unwrap().contains("none found"), "{fault:?}");
        // An upstream that asks for a pause is not asked what the tag names either.
        let expected = if matches!(fault, Fault::Status(429, _)) { 429 } else { 503 };
        let head = proxy.head("app:1").await;
        assert_eq!(head.status, expected, "{fault:?}");
    }
}

/// The referrers tag alone fails; the tags that begin like it answer.
#[tokio::test]
async fn a_referrers_tag_that_cannot_be_read_is_no_denial() {
    let proxy = TestProxy::new().upstream(unsigned("app")).start().await;
    proxy.upstream().fault("/manifests/sha256-", Fault::Status(500, None));
    proxy.upstream().fault(".nv2", Fault::Status(404, None));
    refused(&proxy.get("app:1").await, 503, "UNAVAILABLE", "the referrers tag could not be read");
}

/// A tag that moves to what cannot be judged stays where it was, as long as that may be served.
#[tokio::test]
async fn a_tag_does_not_move_to_what_cannot_be_judged() {
    let (old, new) = (Package::image("app"), Package::image("new"));
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, old.bytes());
    crate::test_proxy::push_signed(proxy.upstream(), "app", "1", &new);
    proxy.upstream().fault(&format!("/referrers/{}", new.digest()), Fault::Status(500, None));
    proxy.pass(Duration::from_secs(3600));
    served(&proxy.get("app:1").await, old.bytes());
    proxy.upstream().heal();
    proxy.pass(Duration::from_secs(3600));
    served(&proxy.get("app:1").await, new.bytes());
}

/// What a decision was made from is kept: an upstream that loses a signature changes nothing, by
/// renewal neither.
#[tokio::test]
async fn kept_signatures_count_where_the_upstream_lost_them() {
    let image = Package::image("app");
    let signature = signature(&WABBIT, image.descriptor());
    let (pushed, lost) = (image.clone(), signature.digest());
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            registry.push("app", "1", &pushed);
            registry.push("app", None, &signature);
        })
        .start()
        .await;
    served(&proxy.get("app:1").await, image.bytes());
    proxy.upstream().delete("app", &lost);
    for hours in [23, 2] {
        proxy.pass(Duration::from_secs(hours * 3600));
        proxy.get("app:1").await;
        // Renewal runs behind the answer.
        tokio::time::sleep(Duration::from_millis(300)).await;
        served(&proxy.get("app:1").await, image.bytes());
    }
}

#[tokio::test]
async fn trouble_passes_by_itself() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.upstream().fault("/referrers/", Fault::Status(500, None));
    assert_eq!(proxy.get("app:1").await.status, 503);
    proxy.upstream().heal();
    proxy.pass(Duration::from_secs(60));
    let got = proxy.get("app:1").await;
    assert_eq!(got.status, 200, "{:?}", got.error_message());
}

#[tokio::test]
async fn a_satisfied_policy_is_not_troubled_by_other_sources() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.upstream().fault(".nv2", Fault::Status(500, None));
    proxy.upstream().fault(".sig", Fault::Status(500, None));
    assert_eq!(proxy.get("app:1").await.status, 200);
}

#[tokio::test]
async fn throttling_reaches_the_client() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.upstream().fault("/manifests/", Fault::Status(429, Some(17)));
    let got = proxy.get("app:1").await;
    refused(&got, 429, "TOOMANYREQUESTS", "");
    assert_eq!(got.header("retry-after"), "17");
}

#[tokio::test]
async fn an_upstream_that_is_down_is_said_to_be_down() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.upstream().fault("", Fault::Drop);
    let got = proxy.get("app:1").await;
    refused(&got, 503, "UNAVAILABLE", "");
    assert_ne!(got.header("retry-after"), "");
}

#[tokio::test]
async fn tags_are_served_stale_while_the_upstream_is_down() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    proxy.blob("app", &image.layer()).await;
    proxy.upstream().fault("", Fault::Status(503, None));
    proxy.pass(Duration::from_secs(2 * 3600));
    let got = proxy.get("app:1").await;
    served(&got, image.bytes());
    assert!(got.header("warning").starts_with("299 - \"stale: "), "{:?}", got.headers);
    served(&proxy.blob("app", &image.layer()).await, image.blobs().last().unwrap());
}

#[tokio::test]
async fn stale_tags_end_and_gone_tags_are_gone() {
    let proxy = TestProxy::new()
        .with("decisions", "{ allow_max_age: 1000h }")
        .upstream(signed("app"))
        .upstream(signed("gone"))
        .start()
        .await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    assert_eq!(proxy.get("gone:1").await.status, 200);
    proxy.upstream().delete("gone", &Package::image("gone").digest());
    proxy.pass(Duration::from_secs(2 * 3600));
    refused(&proxy.get("gone:1").await, 404, "MANIFEST_UNKNOWN", "");
    proxy.upstream().fault("", Fault::Status(503, None));
    proxy.pass(Duration::from_secs(25 * 3600));
    refused(&proxy.get("app:1").await, 503, "UNAVAILABLE", "");
}

#[tokio::test]
async fn an_upstreams_refusal_is_an_answer() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.upstream().fault("/manifests/", Fault::Status(403, None));
    let got = proxy.get("app:1").await;
    assert!(got.status == 403 || got.status == 401, "{}", got.status);
    assert!(got.error_message().unwrap().contains("upstream"), "{:?}", got.error_message());
}

#[tokio::test]
async fn a_hung_upstream_hangs_nobody_for_long() {
    let registry = Registry::start().await.unwrap();
    let proxy = TestProxy::new()
        .upstream_settings(HOST, registry, "timeouts: { connect: 1s, headers: 200ms, idle: 200ms }")
        .upstream(signed("app"))
        .start()
        .await;
    let image = Package::image("app");
    served(&proxy.get("app:1").await, image.bytes());
    proxy.upstream().fault("/blobs/", Fault::StallAfter(10));
    let within = Duration::from_secs(20);
    let blob = tokio::time::timeout(within, proxy.blob("app", &image.layer())).await.unwrap();
    assert!(!blob.complete || blob.status != 200);
    proxy.upstream().fault("", Fault::Stall);
    proxy.pass(Duration::from_secs(3600));
    let again = tokio::time::timeout(within, proxy.get("app:1")).await.unwrap();
    served(&again, image.bytes());
}

#[tokio::test]
async fn a_cut_transfer_is_resumed() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.get("app:1").await;
    proxy.upstream().fault_times("GET /v2/app/blobs/", 1, Fault::Cut(700));
    served(&proxy.blob("app", &image.layer()).await, image.blobs().last().unwrap());
}

#[tokio::test]
async fn many_clients_share_one_evaluation_and_one_fetch() {
    let image = Package::image("app");
    let (layer, bytes) = (image.layer(), image.blobs().last().unwrap().clone());
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.upstream().fault("GET /v2/app/manifests/", Fault::Delay(Duration::from_millis(150)));
    proxy.upstream().fault("GET /v2/app/blobs/", Fault::Drip(200, Duration::from_millis(10)));
    let manifests = (0..32).map(|_| proxy.get("app:1"));
    for got in futures_util::future::join_all(manifests).await {
        served(&got, image.bytes());
    }
    let blobs = (0..32).map(|_| proxy.blob("app", &layer));
    for got in futures_util::future::join_all(blobs).await {
        served(&got, &bytes);
    }
    let upstream = proxy.upstream();
    assert_eq!(upstream.count(&format!("GET /v2/app/blobs/{layer}")), 1);
    assert_eq!(upstream.count(&format!("/referrers/{}", image.digest())), 1);
    assert!(
        upstream.count("GET /v2/app/manifests/1")
            + upstream.count(&format!("GET /v2/app/manifests/{}", image.digest()))
            <= 1
    );
    let decisions = proxy.audit().iter().filter(|line| line["outcome"] == "allow").count();
    assert_eq!(decisions, 1);
}

#[tokio::test]
async fn bytes_flow_before_the_blob_is_whole() {
    let big = vec![7u8; 3 * 1024 * 1024];
    let package = Package::artifact("application/x-test", [("application/x-test", big.clone().into())]);
    let (digest, pushed) = (package.layer(), package.clone());
    let proxy = TestProxy::new()
        .upstream(move |registry| crate::test_proxy::push_signed(registry, "app", "1", &pushed))
        .start()
        .await;
    proxy.get("app:1").await;
    proxy.upstream().fault("/blobs/", Fault::Status(500, None));
    proxy.upstream().fault_times("/blobs/", 1, Fault::Cut(2 * 1024 * 1024));
    let got = proxy.blob("app", &digest).await;
    assert!(!got.complete);
    assert!(!got.body.is_empty(), "what came is passed on, but for the end");
    proxy.upstream().heal();
    served(&proxy.blob("app", &digest).await, &big);
}

#[tokio::test]
async fn an_upstreams_certificate_must_be_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    for (trusted, status) in [(true, 200), (false, 503)] {
        let (registry, certificate) = Registry::start_tls().await.unwrap();
        std::fs::write(&ca, certificate).unwrap();
        let settings = if trusted { format!("ca: {}", ca.display()) } else { String::new() };
        let proxy = TestProxy::new()
            .upstream_settings(HOST, registry, &settings)
            .upstream(signed("app"))
            .start()
            .await;
        let got = proxy.get("app:1").await;
        assert_eq!(got.status, status, "{:?}", got.error_message());
        assert_eq!(proxy.upstream().seen().is_empty(), !trusted, "nothing is asked of a stranger");
    }
}

#[tokio::test]
async fn redirected_blobs_are_followed_without_credentials() {
    let elsewhere = Registry::start().await.unwrap();
    let image = Package::image("app");
    let signature = signature(&WABBIT, image.descriptor());
    elsewhere.push("app", "1", &image);
    elsewhere.push("app", None, &signature);
    let pushed = image.clone();
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            registry.push("app", "1", &pushed);
            registry.push("app", None, &signature);
            registry.require_token(None);
        })
        .start()
        .await;
    proxy.upstream().fault("GET /v2/app/blobs/", Fault::Redirect(elsewhere.url()));
    let got = proxy.get("app:1").await;
    // The signature is a blob and was redirected as well.
    served(&got, image.bytes());
    served(&proxy.blob("app", &image.layer()).await, image.blobs().last().unwrap());
    assert!(proxy.upstream().seen().iter().any(|request| request.authorization.is_some()));
    assert!(elsewhere.seen().iter().all(|request| request.authorization.is_none()));
    assert!(!elsewhere.seen().is_empty());
}
