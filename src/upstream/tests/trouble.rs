//! Outages, refusals, throttling: what is tried again, what is not, and what is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::server::{Reply, Server};
use super::{MANIFEST, digest, layer, pull, registry, repository, short, tag, upstream};
use crate::egress;
use crate::telemetry::Metrics;
use crate::upstream::{Error, PATIENCE, Settings, Upstream};

/// A server that gives these answers in turn, the last one for ever.
async fn scripted(replies: Vec<Reply>) -> Server {
    let at = AtomicUsize::new(0);
    Server::start(move |_| replies[at.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1)].clone()).await
}

#[tokio::test]
async fn an_outage_is_tried_again_three_times_in_all() {
    for status in [500, 502, 503, 504] {
        let server =
            scripted(vec![Reply::new(status, ""), Reply::new(status, ""), Reply::ok(MANIFEST)]).await;
        pull(&upstream(json!({"url": server.url()}))).await.unwrap();
        let server = scripted(vec![Reply::new(status, "")]).await;
        assert!(matches!(pull(&upstream(json!({"url": server.url()}))).await, Err(Error::Unavailable(_))));
        assert_eq!(server.seen().len(), 3);
    }
}

#[tokio::test]
async fn answers_are_not_tried_again() {
    let is_refused = |e: &Error| matches!(e, Error::Refused { .. });
    let is_missing = |e: &Error| matches!(e, Error::NotFound);
    let is_throttled = |e: &Error| matches!(e, Error::Throttled { retry_after: Some(wait) } if *wait == Duration::from_secs(7));
    let expected: [(u16, &dyn Fn(&Error) -> bool); 7] = [
        (400, &is_refused),
        (401, &is_refused),
        (403, &is_refused),
        (404, &is_missing),
        (405, &is_refused),
        (429, &is_throttled),
        (501, &is_refused),
    ];
    for (status, is_expected) in expected {
        let server = scripted(vec![Reply::new(status, "").header("retry-after", "7")]).await;
        let error = pull(&upstream(json!({"url": server.url()}))).await.unwrap_err();
        assert!(is_expected(&error), "{status}: {error}");
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_waited_for_within_bounds() {
    let server = scripted(vec![Reply::new(503, "").header("retry-after", "1"), Reply::ok(MANIFEST)]).await;
    let started = Instant::now();
    pull(&upstream(json!({"url": server.url()}))).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    let server = scripted(vec![Reply::new(503, "").header("retry-after", "60")]).await;
    let started = Instant::now();
    pull(&upstream(json!({"url": server.url()}))).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_the_upstream_says_is_shown_escaped_and_bounded() {
    let text = r#"{"errors":[{"code":"DENIED","message":"no\u001b[31m"},{"code":"X","message":"y"}]}"#;
    let huge = format!(r#"{{"errors":[{{"code":"A","message":"{}"}}]}}"#, "a".repeat(32 * 1024));
    for (body, shown) in
        [(text, r"DENIED: no\u{1b}[31m"), (&huge, "Forbidden"), ("<html>", "Forbidden"), ("{}", "Forbidden")]
    {
        let server = scripted(vec![Reply::new(403, body.to_owned())]).await;
        let Err(Error::Refused { status: 403, message }) =
            pull(&upstream(json!({"url": server.url()}))).await
        else {
            panic!("not refused")
        };
        assert_eq!(message.to_string(), shown);
    }
}

#[tokio::test]
async fn an_upstream_that_is_out_again_and_again_is_left_alone() {
    let server = scripted(vec![Reply::new(503, "").header("retry-after", "60")]).await;
    let upstream = upstream(json!({"url": server.url()}));
    for n in 0..8 {
        let pulled = upstream.manifest(&repository(&format!("app{n}")), &tag("v1")).await;
        assert!(matches!(pulled, Err(Error::Unavailable(_))));
    }
    assert_eq!(server.seen().len(), 5);
    assert!(pull(&upstream).await.unwrap_err().to_string().contains("left alone"));
}

/// Whoever asks for it again and again does not shut the upstream for the others.
#[tokio::test]
async fn a_repository_that_is_broken_does_not_have_its_upstream_left_alone() {
    let server = Server::start(|seen| match seen.target.contains("broken") {
        true => Reply::new(503, "").header("retry-after", "60"),
        false => Reply::ok(MANIFEST),
    })
    .await;
    let upstream = upstream(json!({"url": server.url()}));
    for _ in 0..8 {
        let told = upstream.manifest(&repository("broken"), &tag("v1")).await.unwrap_err().to_string();
        assert!(!told.contains("left alone"), "{told}");
    }
    pull(&upstream).await.unwrap();
}

/// It has sent us there itself, and has more content than that.
#[tokio::test]
async fn the_trouble_of_a_host_that_keeps_blobs_is_not_the_registrys() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let out = scripted(vec![Reply::new(500, "").header("retry-after", "900")]).await;
    let throttling = scripted(vec![Reply::new(429, "").header("retry-after", "900")]).await;
    let is_unavailable = |e: &Error| matches!(e, Error::Unavailable(_));
    let is_throttled = |e: &Error| matches!(e, Error::Throttled { retry_after: Some(_) });
    let cases: [(String, &dyn Fn(&Error) -> bool); 3] = [
        (out.url(), &is_unavailable),
        (throttling.url(), &is_throttled),
        (format!("http://{gone}"), &is_unavailable),
    ];
    for (storage, is_expected) in cases {
        let to = format!("{storage}/content");
        let server = Server::start(move |seen| match seen.target.contains("/blobs/") {
            true => Reply::redirect(&to),
            false => Reply::ok(MANIFEST),
        })
        .await;
        let upstream = upstream(json!({"url": server.url()}));
        for n in 0..6 {
            let repository = repository(&format!("app{n}"));
            let error = upstream.blob(&repository, &layer(), 0).await.unwrap_err();
            assert!(is_expected(&error), "{storage}: {error}");
            assert!(is_throttled(&error) || error.to_string().contains(&storage), "{storage}: {error}");
        }
        assert!(!upstream.is_suspect(), "{storage}");
        pull(&upstream).await.unwrap();
    }
}

/// It may name what others may not know of.
#[tokio::test]
async fn what_an_upstream_that_is_out_says_only_those_are_told_who_asked() {
    let words = r#"{"errors":[{"code":"UNAVAILABLE","message":"team/app moves"}]}"#;
    let server = scripted(vec![Reply::new(503, words).header("retry-after", "60")]).await;
    let upstream = upstream(json!({"url": server.url()}));
    for n in 0..5 {
        let told = upstream.manifest(&repository(&format!("app{n}")), &tag("v1")).await;
        let told = told.unwrap_err().to_string();
        assert!(told.ends_with("it answered 503: UNAVAILABLE: team/app moves"), "{told}");
    }
    let other = upstream.manifest(&repository("other"), &tag("v1")).await.unwrap_err().to_string();
    assert!(other.contains("left alone") && other.ends_with("the last time: it answered 503"), "{other}");
}

#[tokio::test]
async fn answers_do_not_open_the_breaker() {
    for status in [401, 403, 404, 429] {
        let server = scripted(vec![Reply::new(status, "")]).await;
        let upstream = upstream(json!({"url": server.url()}));
        for _ in 0..8 {
            pull(&upstream).await.unwrap_err();
        }
        assert_eq!(server.seen().len(), 8, "{status}");
    }
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_pause_gets_it() {
    let server = scripted(vec![Reply::new(429, "").header("retry-after", "2"), Reply::ok(MANIFEST)]).await;
    let upstream = upstream(json!({"url": server.url()}));
    let started = Instant::now();
    pull(&upstream).await.unwrap_err();
    for _ in 0..8 {
        let Err(Error::Throttled { retry_after: Some(left) }) = pull(&upstream).await else {
            panic!("not throttled")
        };
        assert!(left <= Duration::from_secs(2), "{left:?}");
    }
    assert_eq!(server.seen().len(), 1, "what is left of the pause is told without asking");
    assert!(upstream.is_suspect());
    tokio::time::sleep(Duration::from_millis(2100).saturating_sub(started.elapsed())).await;
    pull(&upstream).await.unwrap();
    assert!(!upstream.is_suspect());
}

#[tokio::test]
async fn only_who_does_not_answer_is_suspect() {
    let silent = Server::start(|_| Reply::ok(MANIFEST).late(Duration::from_secs(60))).await;
    for (server, is_suspect) in [(silent, true), (scripted(vec![Reply::new(404, "")]).await, false)] {
        let upstream = upstream(json!({"url": server.url(), "timeouts": short()}));
        assert!(!upstream.is_suspect());
        pull(&upstream).await.unwrap_err();
        assert_eq!(upstream.is_suspect(), is_suspect);
    }
}

#[tokio::test]
async fn a_question_that_is_given_up_tells_only_of_a_head_that_did_not_come() {
    let longer = PATIENCE + Duration::from_millis(500);
    let silent = |reply: Reply| reply.late(Duration::from_secs(60));
    let cases = [
        ("no head", vec![silent(Reply::ok(MANIFEST))], true),
        ("no head after an outage", vec![Reply::new(503, ""), silent(Reply::ok(MANIFEST))], true),
        ("a body that does not end", vec![Reply::ok("{").stalled()], false),
        ("a pause that was asked for", vec![Reply::new(503, "").header("retry-after", "2")], false),
    ];
    for (what, replies, is_suspect) in cases {
        let server = scripted(replies).await;
        let upstream = upstream(json!({"url": server.url()}));
        assert!(tokio::time::timeout(longer, pull(&upstream)).await.is_err(), "{what}");
        assert_eq!(upstream.is_suspect(), is_suspect, "{what}");
    }
    let server = scripted(vec![silent(Reply::ok("content"))]).await;
    let upstream = upstream(json!({"url": server.url()}));
    let repository = repository("team/app");
    let blob = tokio::time::timeout(longer, upstream.blob(&repository, &layer(), 0)).await;
    assert!(blob.is_err() && !upstream.is_suspect(), "a slow blob tells nothing of the registry");
}

#[tokio::test]
async fn an_answer_is_in_time_although_an_outage_was_waited_for() {
    let server = scripted(vec![Reply::new(503, "").header("retry-after", "1"), Reply::ok(MANIFEST)]).await;
    let upstream = upstream(json!({"url": server.url()}));
    upstream.doubt();
    pull(&upstream).await.unwrap();
    assert!(!upstream.is_suspect());
}

#[tokio::test]
async fn what_our_own_rules_forbid_tells_nothing_and_every_answer_that_it_is_alive() {
    let realm = |url: &str| Reply::unauthorized(format!(r#"Bearer realm="{url}""#));
    let cases = [
        (Reply::redirect("http://169.254.169.254/"), true),
        (realm("http://elsewhere.example/token"), false),
        (Reply::new(403, ""), false),
    ];
    for (reply, is_suspect) in cases {
        let what = format!("{reply:?}");
        let server = scripted(vec![reply]).await;
        let upstream = upstream(json!({"url": server.url()}));
        upstream.doubt();
        let error = pull(&upstream).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden(_) | Error::Refused { .. }), "{error}");
        assert_eq!(upstream.is_suspect(), is_suspect, "{what}");
    }
}

#[tokio::test]
async fn nobody_at_home_is_an_outage() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = pull(&upstream(json!({"url": format!("http://{gone}")}))).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.contains(&gone.to_string())), "{error}");
}

#[tokio::test]
async fn offline_means_that_nobody_is_asked() {
    let server = scripted(vec![Reply::ok(MANIFEST)]).await;
    let upstream = upstream(json!({"url": server.url(), "offline": true}));
    let (repository, digest) = (repository("team/app"), digest());
    let errors = [
        pull(&upstream).await.map(drop),
        upstream.head_manifest(&repository, &tag("v1")).await.map(drop),
        upstream.blob(&repository, &layer(), 0).await.map(drop),
        upstream.head_blob(&repository, &digest).await.map(drop),
        upstream.referrers(&repository, &digest).await.map(drop),
        upstream.tags(&repository, None, None).await.map(drop),
    ];
    assert!(errors.iter().all(|e| matches!(e, Err(Error::Offline))), "{errors:?}");
    assert!(upstream.is_offline() && server.seen().is_empty());
}

#[tokio::test]
async fn requests_are_counted() {
    let server =
        scripted(vec![Reply::ok(MANIFEST).header("ratelimit-remaining", "97;w=21600"), Reply::new(404, "")])
            .await;
    let metrics = Metrics::new();
    metrics.know_registries(["r.test"]);
    let settings: Settings = serde_json::from_value(json!({"url": server.url()})).unwrap();
    let egress = egress::Settings::default();
    let upstream = Upstream::build_in(&|_| None, registry(), &settings, &egress, &metrics, None).unwrap();
    pull(&upstream).await.unwrap();
    pull(&upstream).await.unwrap_err();
    let text = metrics.render();
    for line in [
        r#"portcullis_upstream_requests_total{code="200",registry="r.test"} 1"#,
        r#"portcullis_upstream_requests_total{code="404",registry="r.test"} 1"#,
        r#"portcullis_upstream_rate_limit_remaining{registry="r.test"} 97"#,
        r#"portcullis_upstream_duration_seconds_count{registry="r.test"} 2"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
