//! What operators see: metrics, audit lines, health.

use portcullis::demo::Package;
use portcullis::demo::client::Client;

use crate::test_proxy::{TestProxy, signed, unsigned};

#[tokio::test]
async fn verifications_and_requests_are_counted() {
    let image = Package::image("good");
    let proxy = TestProxy::new().upstream(signed("good")).upstream(unsigned("bad")).start().await;
    for _ in 0..3 {
        proxy.get("good:1").await;
    }
    proxy.blob("good", &image.layer()).await;
    proxy.get("bad:1").await;
    assert!(proxy.metric("portcullis_verifications_total{").await >= 1.0);
    assert!(proxy.metric("portcullis_decision_cache_hits_total").await >= 1.0);
    assert!(proxy.metric("portcullis_decision_cache_misses_total").await >= 2.0);
    assert!(proxy.metric("portcullis_requests_total{").await >= 5.0);
    assert!(proxy.metric("portcullis_upstream_requests_total{").await >= 4.0);
    assert!(proxy.metric("portcullis_bytes_served_total{").await >= image.bytes().len() as f64);
    assert_eq!(proxy.metric("portcullis_build_info").await, 1.0);
}

#[tokio::test]
async fn metrics_name_no_repository_tag_or_digest() {
    let image = Package::image("very-special-name");
    let proxy = TestProxy::new().upstream(signed("very-special-name")).start().await;
    proxy.get("very-special-name:1").await;
    let page = Client::new().get(&format!("{}/metrics", proxy.proxy().admin_url())).await.unwrap();
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!page.contains("very-special-name") && !page.contains(&image.digest().hex()));
}

#[tokio::test]
async fn each_decision_is_one_audit_line_in_a_chain() {
    let mut proxy = TestProxy::new().upstream(signed("good")).upstream(unsigned("bad")).start().await;
    for _ in 0..5 {
        proxy.get("good:1").await;
        proxy.get("bad:1").await;
    }
    proxy.stop().await;
    let lines = proxy.audit();
    let allowed: Vec<_> = lines.iter().filter(|line| line["outcome"] == "allow").collect();
    assert_eq!(allowed.len(), 1, "hits write none");
    let line = allowed[0];
    assert_eq!(line["repository"], "registry.test/good");
    assert_eq!(line["policy"], "strict");
    assert_eq!(line["signatures"][0]["result"], "trusted");
    assert_eq!(line["signatures"][0]["signer"], "wabbit");
    assert_eq!(line["signatures"][0]["origin"][0], "registry.test/app:1");
    for key in ["decision", "at", "principal", "policy_revision", "trust_revision", "cached"] {
        assert!(!line[key].is_null(), "{key} is missing: {line}");
    }
    assert!(lines.iter().any(|line| line["outcome"] == "deny" && line["repository"] == "registry.test/bad"));
}

#[tokio::test]
async fn an_allow_that_cannot_be_recorded_is_not_served() {
    for (key, status) in [("false", 503), ("true", 200)] {
        let proxy = TestProxy::new().with("dangerous_skip_audit", key).upstream(signed("app")).start().await;
        // A rotated log is opened again at its path; here something stands in the way.
        let log = proxy.folder.path().join("audit.jsonl");
        std::fs::remove_file(&log).unwrap();
        std::fs::create_dir(&log).unwrap();
        let got = proxy.get("app:1").await;
        assert_eq!(got.status, status, "{:?}", got.error_message());
    }
}

#[tokio::test]
async fn health_and_decisions_are_told_on_the_admin_listener() {
    let proxy = TestProxy::new().upstream(unsigned("app")).start().await;
    let admin = proxy.proxy().admin_url();
    for path in ["healthz", "readyz"] {
        assert_eq!(Client::new().get(&format!("{admin}/{path}")).await.unwrap().status, 200);
    }
    let message = proxy.get("app:1").await.error_message().unwrap();
    let id = message.rsplit("decision ").next().unwrap().trim().to_owned();
    let told = Client::new().get(&format!("{admin}/decisions/{id}")).await.unwrap();
    assert_eq!(told.status, 200, "{id}");
    let told: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!((&told["outcome"], &told["policy"]), (&"deny".into(), &"strict".into()));
    assert_eq!(proxy.path("/metrics").await.status, 404, "clients reach nothing of it");
}
