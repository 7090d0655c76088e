//! Mirrors: who is asked for what, with which login, and what a bad one can do.

use serde_json::json;

use super::server::{Reply, Server};
use super::{MANIFEST, digest, layer, pull, repository, upstream};
use crate::oci::{Digest, Target};
use crate::upstream::Error;

fn by_digest() -> Target {
    Target::Digest(Digest::sha256(MANIFEST.as_bytes()))
}

#[tokio::test]
async fn mirrors_are_asked_in_order_and_by_digest() {
    let empty = Server::start(|_| Reply::new(404, "")).await;
    let full = Server::start(|_| Reply::ok(MANIFEST)).await;
    let home = Server::start(|_| Reply::ok(MANIFEST)).await;
    let mirrors = json!([{"url": empty.url()}, {"url": full.url()}]);
    let upstream = upstream(json!({"url": home.url(), "mirrors": mirrors}));
    upstream.manifest(&repository("team/app"), &by_digest()).await.unwrap();
    upstream.blob(&repository("team/app"), &layer(), 0).await.unwrap();
    assert_eq!((empty.seen().len(), full.seen().len(), home.seen().len()), (2, 2, 0));
    pull(&upstream).await.unwrap();
    assert_eq!((empty.seen().len(), full.seen().len(), home.seen().len()), (2, 2, 1));
}

#[tokio::test]
async fn a_mirror_that_is_trusted_for_tags_is_asked_for_them() {
    let mirror = Server::start(|_| Reply::ok(MANIFEST)).await;
    let home = Server::start(|_| Reply::ok(MANIFEST)).await;
    let upstream = upstream(json!({"url": home.url(), "mirrors": [{"url": mirror.url(), "tags": true}]}));
    pull(&upstream).await.unwrap();
    assert_eq!((mirror.seen().len(), home.seen().len()), (1, 0));
}

#[tokio::test]
async fn whatever_a_mirror_does_the_upstream_decides() {
    let bad = [
        Reply::ok("other content"),
        Reply::new(500, "").header("retry-after", "60"),
        Reply::new(403, ""),
        Reply::new(429, ""),
        Reply::ok("").pieces(vec![vec![0; 1 << 20].into(); 5]),
        Reply::redirect("http://169.254.169.254/"),
        Reply::ok("some").cut(),
    ];
    for reply in bad {
        let mirror = Server::start(move |_| reply.clone()).await;
        let home = Server::start(|_| Reply::ok(MANIFEST)).await;
        let upstream = upstream(json!({"url": home.url(), "mirrors": [{"url": mirror.url()}]}));
        upstream.manifest(&repository("team/app"), &by_digest()).await.unwrap();
        assert!(!mirror.seen().is_empty());
    }
    let mirror = Server::start(|_| Reply::new(500, "")).await;
    let home = Server::start(|_| Reply::new(404, "")).await;
    let upstream = upstream(json!({"url": home.url(), "mirrors": [{"url": mirror.url()}]}));
    let error = upstream.manifest(&repository("team/app"), &by_digest()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "the upstream's own answer counts: {error}");
}

#[tokio::test]
async fn a_mirror_that_is_out_is_left_alone_at_once() {
    let mirror = Server::start(|_| Reply::new(503, "").header("retry-after", "60")).await;
    let home = Server::start(|_| Reply::ok(MANIFEST)).await;
    let upstream = upstream(json!({"url": home.url(), "mirrors": [{"url": mirror.url(), "tags": true}]}));
    for _ in 0..3 {
        upstream.manifest(&repository("team/app"), &by_digest()).await.unwrap();
    }
    assert_eq!((mirror.seen().len(), home.seen().len()), (1, 3));
    assert!(!upstream.is_suspect(), "the registry itself answers");
}

#[tokio::test]
async fn a_mirror_never_sees_the_upstreams_login() {
    let ask = |seen: &super::server::Seen| match seen.header("authorization") {
        None => Reply::unauthorized("Basic"),
        Some(_) => Reply::ok(MANIFEST),
    };
    let without = Server::start(ask).await;
    let with = Server::start(ask).await;
    let home = Server::start(ask).await;
    let upstream = upstream(json!({
        "url": home.url(),
        "credentials": {"username": "ann", "password": "secret"},
        "mirrors": [
            {"url": without.url()},
            {"url": with.url(), "credentials": {"username": "bob", "password": "own"}},
        ],
    }));
    upstream.manifest(&repository("team/app"), &by_digest()).await.unwrap();
    assert!(without.seen().iter().all(|s| s.header("authorization").is_none()));
    assert_eq!(with.seen()[1].header("authorization"), Some("Basic Ym9iOm93bg=="));
    assert!(home.seen().is_empty());
}

#[tokio::test]
async fn a_mirror_does_not_say_what_is_unsigned_or_which_tags_there_are() {
    let mirror = Server::start(|_| Reply::new(404, "")).await;
    let home = Server::start(|_| Reply::new(500, "").header("retry-after", "60")).await;
    let upstream = upstream(json!({"url": home.url(), "mirrors": [{"url": mirror.url(), "tags": true}]}));
    upstream.referrers(&repository("team/app"), &digest()).await.unwrap_err();
    upstream.tags(&repository("team/app"), None, None).await.unwrap_err();
    assert!(mirror.seen().is_empty());
}
