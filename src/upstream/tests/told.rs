//! What the log and the metrics tell of upstreams that fail.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::server::{Reply, Server};
use super::{MANIFEST, layer, pull, registry, repository, short, tag};
use crate::egress;
use crate::telemetry::Metrics;
use crate::upstream::{Settings, Upstream};

/// What this thread logs, for as long as its guard lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        // Where there is but one subscriber, whether a line is wanted is asked of the thread that comes to it first: a test
        // that logs nowhere would silence it for all. This one wants them, and is nobody's.
        static SECOND: LazyLock<tracing::Dispatch> =
            LazyLock::new(|| tracing_subscriber::fmt().with_writer(io::sink).into());
        LazyLock::force(&SECOND);
        let log = Self::default();
        let lines = log.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || lines.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines with this message.
    fn lines(&self, message: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == message).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn counting(settings: Value) -> (Arc<Upstream>, Arc<Metrics>) {
    let (metrics, egress) = (Metrics::new(), egress::Settings::default());
    metrics.know_registries(["r.test"]);
    let settings: Settings = serde_json::from_value(settings).unwrap();
    let upstream = Upstream::build_in(&|_| None, registry(), &settings, &egress, &metrics, None).unwrap();
    (upstream, metrics)
}

#[tokio::test]
async fn each_kind_of_failure_has_a_name() {
    let plain = Server::start(|_| Reply::ok(MANIFEST)).await;
    let slow = Server::start(|_| Reply::ok(MANIFEST).late(std::time::Duration::from_secs(60))).await;
    let (tls, _dir, _) = Server::start_tls(|_| Reply::ok(MANIFEST)).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (kind, settings) in [
        ("dns", json!({"url": "http://no-such-host.invalid"})),
        ("connect", json!({"url": format!("http://{gone}")})),
        ("tls", json!({"url": tls.url()})),
        ("tls", json!({"url": plain.url().replace("http://", "https://")})),
        ("timeout", json!({"url": slow.url(), "timeouts": short()})),
        ("forbidden", json!({"url": "http://r.test", "resolve": ["169.254.169.254"]})),
    ] {
        let (log, _guard) = Log::begin();
        let shown = settings.to_string();
        let (upstream, metrics) = counting(settings);
        let counted = || metrics.upstream_requests.at(of_kind(kind)).get();
        let zero = format!(r#"portcullis_upstream_requests_total{{code="{kind}",registry="r.test"}} 0"#);
        assert!(metrics.render().contains(&zero), "it begins at zero");
        pull(&upstream).await.unwrap_err();
        assert!(counted() > 0, "{shown}: {}", metrics.render());
        let lines = log.lines("an upstream fails");
        assert_eq!(lines.len(), 1, "{shown}");
        assert_eq!((&lines[0]["kind"], &lines[0]["level"]), (&json!(kind), &json!("WARN")), "{shown}");
        assert_eq!(lines[0]["registry"], "r.test");
        assert!(lines[0]["address"].as_str().unwrap().contains("://"), "{shown}");
    }
}

fn of_kind(code: &str) -> crate::telemetry::metrics::UpstreamRequest<'_> {
    crate::telemetry::metrics::UpstreamRequest { registry: "r.test", code }
}

#[tokio::test]
async fn a_server_without_tls_is_named_with_what_to_write() {
    let plain = Server::start(|_| Reply::ok(MANIFEST)).await;
    let (upstream, _) = counting(json!({"url": plain.url().replace("http://", "https://")}));
    let error = pull(&upstream).await.unwrap_err().to_string();
    let address = plain.address;
    for part in
        [format!("{address} does not speak TLS"), format!("`url: http://{address}`"), "--insecure".to_owned()]
    {
        assert!(error.contains(&part), "{part}: {error}");
    }
    // Others that fail in the handshake are no such servers.
    let (tls, _dir, _) = Server::start_tls(|_| Reply::ok(MANIFEST)).await;
    let error = pull(&counting(json!({"url": tls.url()})).0).await.unwrap_err().to_string();
    assert!(error.contains("certificate") && !error.contains("does not speak"), "{error}");
    assert!(error.contains(&tls.address.port().to_string()), "{error}");
}

#[tokio::test]
async fn an_outage_is_told_once_and_so_is_its_end() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (log, _guard) = Log::begin();
    let is_out = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&is_out);
    let server = Server::start(move |_| match seen.load(Ordering::SeqCst) {
        true => Reply::new(500, r#"{"errors":[{"code":"UNKNOWN","message":"no disk"}]}"#),
        false => Reply::ok(MANIFEST),
    })
    .await;
    let (upstream, _) = counting(json!({"url": server.url()}));
    for _ in 0..3 {
        pull(&upstream).await.unwrap_err();
    }
    let told = log.lines("an upstream fails");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["kind"], "answer");
    assert_eq!(told[0]["address"], server.url());
    assert_eq!(told[0]["words"], "UNKNOWN: no disk");
    assert!(log.lines("an upstream answers again").is_empty());
    assert!(!upstream.is_left_alone());
    is_out.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        pull(&upstream).await.unwrap();
    }
    assert_eq!(log.lines("an upstream answers again").len(), 1);
    is_out.store(true, Ordering::SeqCst);
    for n in 0..5 {
        upstream.manifest(&repository(&format!("app{n}")), &tag("v1")).await.unwrap_err();
    }
    assert_eq!(log.lines("an upstream fails").len(), 1, "once a minute");
    let alone = log.lines("an upstream is left alone for a moment");
    assert_eq!(alone.len(), 1);
    assert_eq!((&alone[0]["registry"], &alone[0]["address"]), (&json!("r.test"), &json!(server.url())));
    assert!(upstream.is_left_alone());
}

/// The registry answers, so that nothing else would tell who has to be looked after.
#[tokio::test]
async fn trouble_of_a_host_that_keeps_blobs_is_told_with_its_name() {
    let (log, _guard) = Log::begin();
    let storage = Server::start(|_| Reply::new(500, "")).await;
    let to = format!("{}/content", storage.url());
    let server = Server::start(move |_| Reply::redirect(&to)).await;
    let (upstream, _) = counting(json!({"url": server.url()}));
    for _ in 0..2 {
        upstream.blob(&repository("app"), &layer(), 0).await.unwrap_err();
    }
    let told = log.lines("an upstream fails");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["error"].as_str().unwrap().contains(&storage.url()), "{told:?}");
}

/// A registry that takes one password, by itself or at its token server.
async fn locked(scheme: &'static str) -> Server {
    Server::start(move |seen| {
        let sent = seen.header("authorization").unwrap_or_default();
        let host = seen.header("host").unwrap();
        match (seen.target.starts_with("/token"), scheme) {
            // ann:right
            _ if sent == "Basic YW5uOnJpZ2h0" && seen.target.starts_with("/token") => {
                Reply::ok(r#"{"token":"good"}"#)
            }
            _ if sent == "Basic YW5uOnJpZ2h0" || sent == "Bearer good" => Reply::ok(MANIFEST),
            (true, _) => Reply::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#),
            (false, "Basic") => Reply::unauthorized(r#"Basic realm="x""#),
            (false, _) => Reply::unauthorized(format!(r#"Bearer realm="http://{host}/token",service="s""#)),
        }
    })
    .await
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_without_it() {
    for scheme in ["Basic", "Bearer"] {
        let (log, _guard) = Log::begin();
        let server = locked(scheme).await;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "hunter2").unwrap();
        let (upstream, _) =
            counting(json!({"url": server.url(), "credentials": {"username": "ann", "password_file": file}}));
        for _ in 0..2 {
            let error = pull(&upstream).await.unwrap_err().to_string();
            assert!(error.contains("401: the configured account was refused: "), "{error}");
        }
        let told = log.lines("an upstream refuses the login");
        assert_eq!(told.len(), 1, "{scheme}");
        assert_eq!((&told[0]["registry"], &told[0]["address"]), (&json!("r.test"), &json!(server.url())));
        let all = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(!all.contains("hunter2") && !all.contains("aHVudGVyMg") && !all.contains("Basic "), "{all}");
        assert!(log.lines("an upstream fails").is_empty(), "it answers");
        std::fs::write(&file, "right").unwrap();
        for _ in 0..2 {
            pull(&upstream).await.unwrap();
        }
        assert_eq!(log.lines("an upstream takes the login again").len(), 1, "{scheme}");
    }
}

#[tokio::test]
async fn a_docker_configuration_without_the_registry_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    std::fs::write(&file, r#"{"auths":{"other.test":{"auth":"YW5uOnJpZ2h0"}}}"#).unwrap();
    let shown = file.display();
    for (scheme, expected) in [
        (
            "Basic",
            format!("it asks for a name and a password, and docker_config {shown} has none for r.test"),
        ),
        ("Bearer", format!("docker_config {shown} has no entry for r.test: its token server")),
    ] {
        let (log, _guard) = Log::begin();
        let server = locked(scheme).await;
        let (upstream, _) = counting(json!({"url": server.url(), "credentials": {"docker_config": file}}));
        let error = pull(&upstream).await.unwrap_err().to_string();
        assert!(error.contains(&expected), "{error}");
        assert_eq!(log.lines("an upstream refuses the login").len(), 1, "{scheme}");
    }
    std::fs::write(&file, r#"{"auths":{"r.test":{"auth":"YW5uOndyb25n"}}}"#).unwrap();
    let server = locked("Basic").await;
    let (upstream, _) = counting(json!({"url": server.url(), "credentials": {"docker_config": file}}));
    let error = pull(&upstream).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("the account of docker_config {shown} for r.test was refused")),
        "{error}"
    );
}

#[tokio::test]
async fn where_no_login_is_configured_a_refusal_is_the_clients_affair() {
    let (log, _guard) = Log::begin();
    let server = Server::start(|_| Reply::new(401, "")).await;
    let (upstream, _) = counting(json!({"url": server.url()}));
    let error = pull(&upstream).await.unwrap_err().to_string();
    assert!(!error.contains("account"), "{error}");
    assert!(log.0.lock().unwrap().is_empty());
}
