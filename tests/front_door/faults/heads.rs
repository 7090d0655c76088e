//! Heads that are none, never end, come late, or ask for patience.

use std::time::Duration;

use portcullis::demo::Fault;

use super::stand::{Stand, large, noise};
use crate::test_proxy::{HOST, refused};

/// What no client of HTTP may take for an answer with this blob in it.
fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    let blob = large();
    let with = |head: &str| [head.as_bytes(), &blob].concat();
    let length = blob.len();
    vec![
        ("nothing", Vec::new()),
        ("the blob alone", blob.to_vec()),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec()),
        ("zeros", vec![0; 4096]),
        ("half a head", b"HTTP/1.1 200 OK\r\nContent-Len".to_vec()),
        ("no version", with("200 OK\r\n\r\n")),
        ("no status", with("HTTP/1.1\r\n\r\n")),
        ("a status of four digits", with(&format!("HTTP/1.1 2000 OK\r\nContent-Length: {length}\r\n\r\n"))),
        (
            "two lengths",
            with(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Length: 1\r\n\r\n")),
        ),
        ("a length that is none", with("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")),
        ("a header without a name", with("HTTP/1.1 200 OK\r\n: x\r\n\r\n")),
        ("chunks that are none", with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")),
        (
            "content that is encoded",
            with(&format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n")),
        ),
        (
            "a part that was not asked for",
            with(&format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-{}/{length}\r\n\r\n",
                length - 1
            )),
        ),
        ("no content", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
    ]
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    for (what, answer) in nonsense() {
        let stand = Stand::start(large(), move |mut conn| {
            let answer = answer.clone();
            async move {
                conn.raw(&answer).await;
                conn.finish().await;
            }
        })
        .await;
        let got = stand.blob().await;
        assert!(!(got.status == 200 && got.complete), "{what}");
        stand.assert_not_had(&got);
        stand.assert_recovers().await;
    }
}

/// Where tags, manifests and signatures are asked for, nonsense is neither leave nor "unsigned".
#[tokio::test]
async fn nonsense_about_manifests_and_signatures_admits_nothing() {
    for needle in ["/v2/other/manifests/", "/v2/other/referrers/"] {
        let stand = Stand::start(noise(64), |mut conn| async move {
            conn.raw("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}").await;
            conn.finish().await;
        })
        .await;
        let image = portcullis::demo::Package::image("other");
        crate::test_proxy::push_signed(stand.proxy.upstream(), "other", "1", &image);
        stand.proxy.upstream().fault(needle, Fault::Redirect(stand.wire.url()));
        let got = stand.proxy.get("other:1").await;
        assert!(got.status == 503 || got.status == 403, "{needle}: {}", got.status);
        assert!(!got.error_message().unwrap().contains("none found"), "{:?}", got.error_message());
        stand.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_cut_off() {
    let stand = Stand::start(large(), |mut conn| async move {
        conn.raw("HTTP/1.1 200 OK\r\n").await;
        let line = format!("X-Filler: {}\r\n", "x".repeat(1000));
        // 64 MiB, if somebody reads on.
        for _ in 0..65_536 {
            if !conn.raw(&line).await {
                return;
            }
        }
        panic!("all of it was read");
    })
    .await;
    let got = stand.blob().await;
    stand.assert_not_had(&got);
    assert_eq!(got.status, 503);
    stand.assert_recovers().await;
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_given_up_in_time() {
    let stand = Stand::start(large(), |mut conn| async move { conn.gone().await }).await;
    let started = std::time::Instant::now();
    refused(&stand.blob().await, 503, "UNAVAILABLE", "did not answer within 1s");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    stand.assert_recovers().await;
}

#[tokio::test]
async fn resets_instead_of_an_answer_are_trouble() {
    let stand = Stand::start(large(), |conn| async move { conn.reset() }).await;
    let got = stand.blob().await;
    refused(&got, 503, "UNAVAILABLE", "");
    assert_ne!(got.header("retry-after"), "");
    stand.assert_recovers().await;
}

/// What is asked for during the pause is told what is left of it, and the upstream has its rest.
#[tokio::test]
async fn in_a_storm_of_429_each_client_is_told_and_nobody_asks_again() {
    let stand = throttled().await;
    stand.proxy.upstream().fault("/blobs/", Fault::Status(429, Some(2)));
    let before = stand.proxy.upstream().count("/blobs/");
    for _ in 0..20 {
        let got = stand.blob().await;
        refused(&got, 429, "TOOMANYREQUESTS", "");
        assert!(["1", "2"].contains(&got.header("retry-after")), "{:?}", got.headers);
    }
    assert_eq!(stand.proxy.upstream().count("/blobs/"), before + 1);
    let elsewhere = stand.proxy.path(&format!("/v2/{HOST}/app/manifests/2")).await;
    refused(&elsewhere, 429, "TOOMANYREQUESTS", "");
    stand.assert_recovers().await;
}

/// The host that keeps the blobs is not the registry.
#[tokio::test]
async fn in_a_storm_of_429_of_its_storage_the_registry_is_asked_for_all_else() {
    let stand = throttled().await;
    for _ in 0..3 {
        let got = stand.blob().await;
        refused(&got, 429, "TOOMANYREQUESTS", "");
        assert_eq!(got.header("retry-after"), "2");
    }
    let elsewhere = stand.proxy.path(&format!("/v2/{HOST}/app/manifests/2")).await;
    refused(&elsewhere, 404, "MANIFEST_UNKNOWN", "");
    stand.assert_recovers().await;
}

/// Where the blob's host asks for a pause.
async fn throttled() -> Stand {
    Stand::start(large(), |mut conn| async move {
        conn.head("429 Too Many Requests", &["Retry-After: 2".to_owned(), "Content-Length: 0".to_owned()])
            .await;
        conn.finish().await;
    })
    .await
}
