//! A front door to an engine that asks no upstream.

use arc_swap::ArcSwap;
use http_body_util::BodyExt as _;

pub(in crate::http) use super::near::tests::{Stand, get};
use super::*;
use crate::clock::Clock;
use crate::config::{Settings, parse};
use crate::engine::State;

/// What requests are made to: nothing in the file leads to a network.
const SETTINGS: &str = "
listen: { hosts: { docker.proxy.corp: docker.io } }
admin: { url: 'https://proxy.corp/' }
upstreams:
  docker.io: { default: true, offline: true }
  ghcr.io: { offline: true }
";

async fn engine(settings: Settings) -> Arc<Engine> {
    let state = State::ephemeral(Clock::system()).await.unwrap();
    Arc::new(Engine::build(settings, &state, None).unwrap())
}

fn settings(text: &str) -> Settings {
    parse(text, std::path::Path::new("/portcullis.yaml")).unwrap()
}

pub(in crate::http) async fn front() -> Arc<Front> {
    Front::new(&Arc::new(ArcSwap::new(engine(settings(SETTINGS)).await)))
}

/// A connection's that nobody else has.
pub(in crate::http) fn outlet() -> Outlet {
    crate::admission::Room::default().outlet(None)
}

async fn ask(front: &Front, method: Method, target: &str) -> (u16, http::HeaderMap, String) {
    let request = Request::builder().method(method).uri(target).header(HOST, "proxy.corp").body(()).unwrap();
    let (parts, body) =
        front.answer(request, &Arc::new(Principal::Anonymous), &outlet(), None).await.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (parts.status.as_u16(), parts.headers, text)
}

#[tokio::test]
async fn every_answer_is_counted_and_every_failure_has_a_number() {
    let front = front().await;
    let (status, headers, _) = ask(&front, Method::GET, "/v2/evil.example/a/manifests/v1").await;
    assert_eq!(status, 404);
    assert_eq!(headers["x-request-id"].len(), 16);
    let (status, headers, body) = ask(&front, Method::GET, "/v2/").await;
    assert_eq!((status, body.as_str(), headers.get("x-request-id")), (200, "{}", None));
    let (status, headers, _) = ask(&front, Method::GET, "/v2/a/blobs/sha256:1?ns=ghcr.io").await;
    assert_eq!((status, headers.get("oci-namespace")), (400, None));
    let text = front.metrics().render();
    for line in [
        r#"portcullis_requests_total{code="404",kind="other",method="GET",registry="other"} 1"#,
        r#"portcullis_requests_total{code="200",kind="base",method="GET",registry="other"} 1"#,
        r#"portcullis_request_duration_seconds_count{kind="base"} 1"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn the_gate_answers_under_the_name_that_the_client_uses() {
    let front = front().await;
    let digest = crate::oci::Digest::sha256(b"x");
    let (status, headers, body) = ask(&front, Method::GET, &format!("/v2/a/blobs/{digest}?ns=ghcr.io")).await;
    assert_eq!((status, headers["oci-namespace"].to_str().unwrap()), (404, "ghcr.io"), "{body}");
    assert!(body.contains("BLOB_UNKNOWN"), "{body}");
    let (status, headers, body) = ask(&front, Method::HEAD, &format!("/v2/a/blobs/{digest}")).await;
    assert_eq!((status, body.as_str()), (404, ""));
    assert!(headers["content-length"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    let text = front.metrics().render();
    let counted = r#"portcullis_requests_total{code="404",kind="blob",method="GET",registry="ghcr.io"} 1"#;
    assert!(text.lines().any(|l| l == counted), "{text}");
}

#[tokio::test]
async fn requests_after_a_reload_are_routed_by_the_new_engine() {
    let first = engine(settings(SETTINGS)).await;
    let current = Arc::new(ArcSwap::new(first));
    let front = Front::new(&current);
    let quay = "/v2/quay.io/a/tags/list";
    assert_eq!(ask(&front, Method::GET, quay).await.0, 404);
    let with_quay = SETTINGS.to_owned() + "  quay.io: { offline: true }\n";
    current.store(engine(settings(&with_quay)).await);
    let (status, _, body) = ask(&front, Method::GET, quay).await;
    assert!(status == 403 && body.contains("quay.io/a is covered by no policy"), "{status} {body}");
}

#[tokio::test]
async fn where_callers_must_be_known_an_unknown_one_is_refused_before_anything_is_looked_up() {
    let mut known_only = settings(SETTINGS);
    let folder = tempfile::tempdir().unwrap();
    let tls = crate::engine::tls_files(&folder);
    let client_ca = Some(tls.certificate.clone());
    known_only.listen.tls = Some(crate::config::Tls { client_ca, ..tls });
    let front = Front::new(&Arc::new(ArcSwap::new(engine(known_only).await)));
    let (status, _, body) = ask(&front, Method::GET, "/v2/library/app/manifests/v1").await;
    assert_eq!(status, 403);
    assert!(body.contains("listen.tls.client_ca"), "{body}");
}
