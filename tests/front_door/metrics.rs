//! What an operator is alerted by.

use http::StatusCode;
use portcullis::demo::client::Client;

use crate::test_proxy::{HOST, Running, TestProxy, signed};

/// A page of the operator's listener.
async fn page(proxy: &Running, path: &str) -> (StatusCode, String) {
    let got = Client::new().get(&format!("{}{path}", proxy.proxy().admin_url())).await.unwrap();
    (got.status, String::from_utf8(got.body.to_vec()).unwrap())
}

async fn has(proxy: &Running, line: &str) {
    let text = page(proxy, "/metrics").await.1;
    assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_shows_until_one_succeeds() {
    let mut proxy = TestProxy::new().upstream(signed("app")).start().await;
    let policies = "[{ name: strict, scopes: [\"registry.test/**\"], require: wabbit }]";
    has(&proxy, "portcullis_config_last_reload_successful 1").await;
    has(&proxy, "portcullis_config_reloads_total{result=\"error\"} 0").await;
    let began = proxy.metric("portcullis_config_last_reload_success_timestamp_seconds").await;
    proxy.pass(std::time::Duration::from_secs(60));
    assert!(!proxy.change("policies", "nonsense"));
    has(&proxy, "portcullis_config_last_reload_successful 0").await;
    has(&proxy, "portcullis_config_reloads_total{result=\"error\"} 1").await;
    let since = "portcullis_config_last_reload_success_timestamp_seconds";
    assert!((proxy.metric(since).await - began).abs() < 1.0);
    assert!(proxy.change("policies", policies));
    has(&proxy, "portcullis_config_last_reload_successful 1").await;
    has(&proxy, "portcullis_config_reloads_total{result=\"error\"} 1").await;
    assert!(proxy.metric(since).await >= began + 60.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_there_shows() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstreams = format!("{{ {HOST}: {{ url: \"http://{gone}\", default: true }} }}");
    let proxy = TestProxy::new().with("upstreams", &upstreams).start().await;
    let available = format!("portcullis_upstream_available{{registry=\"{HOST}\"}}");
    let failures = format!("portcullis_fetch_failures_total{{reason=\"unavailable\",registry=\"{HOST}\"}}");
    has(&proxy, &format!("{available} 1")).await;
    has(&proxy, &format!("{failures} 0")).await;
    for tag in 0..5 {
        assert_eq!(proxy.get(&format!("app:{tag}")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    has(&proxy, &format!("{available} 0")).await;
    has(&proxy, &format!("{failures} 5")).await;
    assert!(proxy.metric("portcullis_upstream_requests_total{code=\"connect\"").await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_audit_log_the_process_is_not_ready() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    assert_eq!(page(&proxy, "/readyz").await, (StatusCode::OK, "ready\n".to_owned()));
    let log = proxy.folder.path().join("audit.jsonl");
    std::fs::rename(&log, log.with_extension("moved")).unwrap();
    std::fs::create_dir(&log).unwrap();
    let got = proxy.get("app:1").await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(got.headers["portcullis-reason"], "audit_unavailable");
    let (status, why) = page(&proxy, "/readyz").await;
    assert_eq!((status.as_u16(), why.as_str()), (503, "the audit log cannot be written to\n"));
    std::fs::remove_dir(&log).unwrap();
    // As the process does every second.
    proxy.proxy().state().audit().flush().await.unwrap();
    assert_eq!(page(&proxy, "/readyz").await.0, StatusCode::OK);
    assert_eq!(proxy.get("app:1").await.status, StatusCode::OK);
}
