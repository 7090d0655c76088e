//! The operator's listener: health, metrics, decisions, the store's upkeep. It serves no content, and clients need no
//! way to it but for the page that a refusal links to. Each request is answered by itself: who may read is everybody who
//! reaches it, who may have work done is who may read the store's lock.

mod guard;
mod store;

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State as Shared};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::engine::{Current, State};
use crate::policy::Report;

/// So many requests at once are plenty for one scraper and a few people.
const MAX_REQUESTS: usize = 64;

/// An answer on its way.
pub(super) type Answer = BoxFuture<'static, Response>;

/// What the operator's listener serves.
pub(super) struct Admin(Router);

#[derive(Clone)]
struct Parts {
    current: Current,
    state: Arc<State>,
    draining: CancellationToken,
    /// Leave for one work on the store at a time.
    upkeep: Arc<Semaphore>,
    /// Held while metrics are shown: what is set for one who asks is not another's meanwhile.
    showing: Arc<Mutex<()>>,
}

impl Admin {
    /// When `draining` is cancelled, the process is not ready any more.
    pub(super) fn new(current: &Current, state: &Arc<State>, draining: &CancellationToken) -> Self {
        Self(router(Parts::new(current, state, draining)))
    }

    /// Answers one request, whatever it is.
    pub(super) fn answer(&self, request: Request<Incoming>) -> Answer {
        let answer = self.0.clone().oneshot(request);
        Box::pin(answer.map(|answer| answer.unwrap_or_else(|never| match never {})))
    }
}

impl Parts {
    fn new(current: &Current, state: &Arc<State>, draining: &CancellationToken) -> Self {
        Self {
            current: current.clone(),
            state: state.clone(),
            draining: draining.clone(),
            upkeep: Arc::new(Semaphore::new(1)),
            showing: Arc::default(),
        }
    }
}

/// Probes and scrapers may know this host by whatever name; all else is for who names it as its own.
fn router(parts: Parts) -> Router {
    let work = post(store::work)
        .route_layer(from_fn_with_state(parts.clone(), guard::has_leave))
        .route_layer(from_fn(guard::is_json));
    let for_operators = Router::new()
        .route("/decisions/{id}", get(decision))
        .route("/store", get(store::stats))
        .route("/store/{work}", work)
        .layer(from_fn_with_state(parts.clone(), guard::is_meant))
        .layer(from_fn_with_state(parts.clone(), guard::is_ours));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(for_operators)
        .layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS))
        .with_state(parts)
}

/// An engine exists since the start, or there would be no listener; the store and the audit log may fail later.
async fn ready(Shared(parts): Shared<Parts>) -> Response {
    if parts.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the process is ending\n").into_response();
    }
    let skips_audit = parts.current.load().settings().dangerous_skip_audit;
    match parts.state.unready(skips_audit).await {
        None => "ready\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(Shared(parts): Shared<Parts>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let _showing = parts.showing.lock().unwrap_or_else(PoisonError::into_inner);
    parts.current.load().show(parts.state.clock().now());
    ([(CONTENT_TYPE, kind)], parts.state.metrics().render()).into_response()
}

#[derive(Serialize)]
struct Told {
    decision: String,
    #[serde(flatten)]
    report: Report,
}

async fn decision(Shared(parts): Shared<Parts>, Path(id): Path<String>) -> Response {
    match parts.current.load().decision(&id) {
        Some(report) => Json(Told { decision: id, report }).into_response(),
        None => {
            let message = "this decision is not remembered any more; the audit log has its line\n";
            (StatusCode::NOT_FOUND, message).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use axum::body::Body;
    use axum::http::Method;
    use axum::http::header::HOST;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::clock::Clock;
    use crate::config;
    use crate::engine::Engine;
    use crate::engine::upkeep::OPENING;

    async fn parts() -> Parts {
        parts_of("upstreams: { docker.io: { offline: true } }").await
    }

    async fn parts_of(text: &str) -> Parts {
        let state = State::ephemeral(Clock::system()).await.unwrap();
        let settings = config::parse(text, std::path::Path::new("/portcullis.yaml")).unwrap();
        let engine = Engine::build(settings, &state, None).unwrap();
        Parts::new(&Arc::new(ArcSwap::from_pointee(engine)), &state, &CancellationToken::new())
    }

    async fn send(parts: &Parts, method: Method, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = router(parts.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        (status, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    async fn get(parts: &Parts, path: &str) -> (u16, String) {
        send(parts, Method::GET, path, &[(HOST.as_str(), "127.0.0.1:9090")]).await
    }

    #[tokio::test]
    async fn health_readiness_and_metrics() {
        let parts = parts().await;
        assert_eq!(get(&parts, "/healthz").await, (200, "ok\n".to_owned()));
        assert_eq!(get(&parts, "/readyz").await, (200, "ready\n".to_owned()));
        assert!(get(&parts, "/metrics").await.1.contains("portcullis_build_info"));
        assert_eq!(get(&parts, "/v2/").await.0, 404);
        assert_eq!(get(&parts, "/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV").await.0, 404);
    }

    /// A page of a foreign name that was made to lead here reads no decision, and nothing of the store.
    #[tokio::test]
    async fn only_probes_and_scrapers_come_by_a_foreign_name() {
        let parts = parts().await;
        for path in ["/store", "/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
            for host in [&[("host", "rebound.example:9090")][..], &[]] {
                let (status, why) = send(&parts, Method::GET, path, host).await;
                assert!(status == 403 && why.contains("set admin.url"), "{path} {host:?}: {status} {why}");
            }
            assert_ne!(get(&parts, path).await.0, 403, "{path}");
        }
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(send(&parts, Method::GET, path, &[("host", "kubernetes.example")]).await.0, 200);
        }
    }

    /// Whoever reaches the listener must not have the server open files for him: who may read the store's lock may.
    #[tokio::test]
    async fn work_is_done_for_who_knows_the_opening() {
        let parts = parts().await;
        let json = [(CONTENT_TYPE.as_str(), "application/json"), ("host", "localhost:9090")];
        let (status, why) = send(&parts, Method::POST, "/store/import", &json).await;
        assert!(status == 403 && why.contains("lock"), "{status} {why}");
        let with = |opening| [&json[..], &[(OPENING, opening)]].concat();
        let other = with("01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(send(&parts, Method::POST, "/store/import", &other).await.0, 409);
        let own = with(parts.state.opening());
        assert_eq!(send(&parts, Method::POST, "/store/import", &own).await.0, 400, "it has no body");
    }

    #[tokio::test]
    async fn metrics_show_what_the_engine_of_the_moment_says() {
        let text = "store: { max_size: 64MiB }\nupstreams: { docker.io: {}, ghcr.io: { offline: true } }";
        let parts = parts_of(text).await;
        let page = get(&parts, "/metrics").await.1;
        for line in [
            "portcullis_store_limit_bytes 67108864",
            "portcullis_upstream_available{registry=\"docker.io\"} 1",
            "portcullis_upstream_available{registry=\"ghcr.io\"} 1",
            "portcullis_upstream_requests_total{code=\"dns\",registry=\"docker.io\"} 0",
            "portcullis_token_requests_total{code=\"tls\",registry=\"docker.io\"} 0",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
        assert!(page.contains("portcullis_config_last_reload_success_timestamp_seconds 1"), "{page}");
        let other = config::parse("upstreams: { quay.io: {} }", std::path::Path::new("/portcullis.yaml"));
        let engine = Engine::build(other.unwrap(), &parts.state, None).unwrap();
        parts.current.store(Arc::new(engine));
        let page = get(&parts, "/metrics").await.1;
        assert!(
            !page.contains("upstream_available{registry=\"docker.io\"}"),
            "it is not configured any more"
        );
    }

    #[tokio::test]
    async fn the_trusted_roots_age_is_shown_where_a_signer_rests_on_it() {
        let key = include_str!("../../tests/fixtures/sigstore/pki/key-p256.pub");
        let key = key.replace('\n', "\\n");
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/config/sigstore/public-good/trusted_root.json");
        let keyless = "keyless: { issuer: 'https://i', identity: i }";
        for (signer, is_shown) in [
            (keyless.to_owned(), true),
            (format!("{keyless}, trusted_root: '{root}'"), false),
            (format!("key: \"{key}\""), true),
            (format!("key: \"{key}\", transparency_log: ignore"), false),
        ] {
            let text = format!(
                "upstreams: {{ docker.io: {{}} }}\nsigners: {{ a: {{ cosign: {{ {signer} }} }} }}\n\
                 policies: [{{ name: p, scopes: [\"docker.io/**\"], require: a }}]"
            );
            let page = get(&parts_of(&text).await, "/metrics").await.1;
            assert_eq!(page.contains("\nportcullis_trust_root_age_seconds "), is_shown, "{signer}");
        }
        assert!(!get(&parts().await, "/metrics").await.1.contains("trust_root_age"), "no signer is there");
    }

    #[tokio::test]
    async fn one_work_on_the_store_at_a_time() {
        let parts = parts().await;
        let headers = [
            (CONTENT_TYPE.as_str(), "application/json"),
            ("host", "127.0.0.1:9090"),
            (OPENING, parts.state.opening()),
        ];
        let verify = async || send(&parts, Method::POST, "/store/verify", &headers).await;
        let turn = parts.upkeep.clone().try_acquire_owned().unwrap();
        assert_eq!(verify().await.0, 409);
        drop(turn);
        assert_eq!(verify().await.0, 200);
        tokio::task::yield_now().await;
        assert_eq!(verify().await.0, 200, "its end gives the turn back");
    }
}
