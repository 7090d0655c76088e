//! Sizes, times, and how much at once.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::json;

use super::server::{Reply, Server};
use super::{MANIFEST, digest, layer, pull, repository, short, upstream};
use crate::oci::{Descriptor, MAX_MANIFEST_BYTES};
use crate::upstream::{BlobStream, Error, Upstream};

#[tokio::test]
async fn a_manifest_is_read_up_to_4_mib() {
    let most = usize::try_from(MAX_MANIFEST_BYTES).unwrap();
    let server = Server::start(move |_| Reply::ok(vec![b' '; most])).await;
    assert_eq!(pull(&upstream(json!({"url": server.url()}))).await.unwrap().len(), most);
    let announced = Server::start(move |_| Reply::ok(vec![b' '; most + 1])).await;
    let endless = Server::start(|_| Reply::ok("").pieces(vec![Bytes::from(vec![b' '; 1 << 20]); 64])).await;
    for server in [announced, endless] {
        let error = pull(&upstream(json!({"url": server.url()}))).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: MAX_MANIFEST_BYTES }), "{error}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_waited_for_once() {
    let server = Server::start(|_| Reply::ok(MANIFEST).late(Duration::from_secs(60))).await;
    let upstream = upstream(json!({"url": server.url(), "timeouts": short()}));
    let started = Instant::now();
    let error = pull(&upstream).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable(why) if why.contains("did not answer within 300ms")),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_body_that_stalls_ends_with_an_error() {
    let server = Server::start(|_| Reply::ok("some").stalled()).await;
    let upstream = upstream(json!({"url": server.url(), "timeouts": short()}));
    let error = pull(&upstream).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable(why) if why.contains("no more of the answer came")),
        "{error}"
    );
    let mut blob = upstream.blob(&repository("team/app"), &layer(), 0).await.unwrap();
    assert_eq!(blob.body.next().await.unwrap().unwrap(), "some");
    assert!(matches!(blob.body.next().await, Some(Err(Error::Unavailable(_)))));
}

#[tokio::test]
async fn a_readers_own_pause_is_not_the_upstreams() {
    let slow = Reply::ok("").pieces(vec![Bytes::from_static(b"ab"); 2]).spaced(Duration::from_millis(600));
    let server = Server::start(move |_| slow.clone()).await;
    let upstream = upstream(json!({"url": server.url(), "timeouts": {"idle": "800ms"}}));
    let mut blob = upstream.blob(&repository("team/app"), &layer(), 0).await.unwrap();
    // The reader comes late, when the first piece is here; then late again, when the second is on its way.
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!(blob.body.next().await.unwrap().unwrap(), "ab");
    assert_eq!(blob.body.next().await.unwrap().unwrap(), "ab");
}

#[tokio::test]
async fn a_connection_that_is_never_secured_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let upstream = upstream(json!({"url": url, "timeouts": {"connect": "200ms"}}));
    let error = pull(&upstream).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("no connection to")), "{error}");
}

#[tokio::test]
async fn a_body_that_is_cut_is_never_taken_for_whole() {
    let server = Server::start(|_| Reply::ok("some").cut()).await;
    let upstream = upstream(json!({"url": server.url()}));
    assert!(matches!(pull(&upstream).await, Err(Error::Unavailable(_))));
    assert_eq!(server.seen().len(), 3, "it may be whole the next time");
    let blob = upstream.blob(&repository("team/app"), &layer(), 0).await.unwrap();
    let pieces: Vec<_> = blob.body.collect().await;
    assert!(matches!(pieces.last(), Some(Err(Error::Unavailable(_)))), "{pieces:?}");
    let short = Server::start(|_| Reply::ok("some").header("content-length", "9").cut()).await;
    let upstream = super::upstream(json!({"url": short.url()}));
    let blob = upstream.blob(&repository("team/app"), &layer(), 0).await.unwrap();
    let pieces: Vec<_> = blob.body.collect().await;
    assert!(matches!(pieces.last(), Some(Err(Error::Unavailable(_)))), "{pieces:?}");
}

#[tokio::test]
async fn encoded_content_is_refused() {
    let server = Server::start(|_| Reply::ok(MANIFEST).header("content-encoding", "gzip")).await;
    let error = pull(&upstream(json!({"url": server.url()}))).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("encoded")), "{error}");
    let server = Server::start(|_| Reply::ok(MANIFEST).header("content-encoding", "Identity")).await;
    pull(&upstream(json!({"url": server.url()}))).await.unwrap();
}

#[tokio::test]
async fn requests_carry_our_headers_and_no_others() {
    let server = Server::start(|_| Reply::ok(MANIFEST)).await;
    let upstream = upstream(json!({"url": server.url()}));
    pull(&upstream).await.unwrap();
    upstream.blob(&repository("team/app"), &layer(), 0).await.unwrap();
    let [manifest, blob] = &server.seen()[..] else { panic!("two requests") };
    let names = |headers: &http::HeaderMap| headers.keys().map(|k| k.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&manifest.headers), ["user-agent", "accept-encoding", "accept", "host"]);
    assert_eq!(names(&blob.headers), ["user-agent", "accept-encoding", "host"]);
    assert_eq!(manifest.header("accept-encoding"), Some("identity"));
    assert_eq!(manifest.header("user-agent"), Some(concat!("portcullis/", env!("CARGO_PKG_VERSION"))));
    let accept = manifest.header("accept").unwrap();
    assert!(crate::oci::media_type::ACCEPTED_MANIFESTS.iter().all(|kind| accept.contains(kind)));
    assert!(!accept.contains('*'));
}

/// A registry whose blobs come to a halt.
async fn with_stalled_blobs() -> Server {
    Server::start(|seen| match seen.target.contains("/blobs/") {
        true => Reply::ok("some").stalled(),
        false => Reply::ok(MANIFEST),
    })
    .await
}

/// As many bodies of `blob` as there is leave for.
async fn bodies_of(upstream: &Upstream, blob: &Descriptor) -> Vec<BlobStream> {
    let (repository, mut bodies) = (repository("team/app"), Vec::new());
    while let Ok(body) =
        tokio::time::timeout(Duration::from_millis(300), upstream.blob(&repository, blob, 0)).await
    {
        bodies.push(body.unwrap());
    }
    bodies
}

fn payload() -> Descriptor {
    Descriptor::new("application/octet-stream", digest(), 1 << 20)
}

#[tokio::test]
async fn questions_do_not_wait_for_bodies() {
    let server = with_stalled_blobs().await;
    let upstream = upstream(json!({"url": server.url(), "max_requests": 4}));
    let bodies = bodies_of(&upstream, &layer()).await;
    assert_eq!(bodies.len(), 2);
    let small = bodies_of(&upstream, &payload()).await;
    assert_eq!(small.len(), 1, "a small one has its turn");
    tokio::time::timeout(Duration::from_secs(5), pull(&upstream)).await.unwrap().unwrap();
}

#[tokio::test]
async fn small_bodies_that_come_slowly_leave_an_eighth_to_questions() {
    let server = with_stalled_blobs().await;
    let upstream = upstream(json!({"url": server.url(), "max_requests": 16}));
    let large = bodies_of(&upstream, &layer()).await;
    let small = bodies_of(&upstream, &payload()).await;
    assert_eq!((large.len(), small.len()), (12, 2));
    tokio::time::timeout(Duration::from_secs(5), pull(&upstream)).await.unwrap().unwrap();
    drop(large);
    let more = bodies_of(&upstream, &payload()).await;
    assert_eq!(small.len() + more.len(), 14);
    tokio::time::timeout(Duration::from_secs(5), pull(&upstream)).await.unwrap().unwrap();
}

#[tokio::test]
async fn so_many_at_once_and_a_blob_counts_until_it_ends() {
    let server = Server::start(|_| Reply::ok(MANIFEST).late(Duration::from_millis(50))).await;
    let upstream = upstream(json!({"url": server.url(), "max_requests": 2}));
    let pulls = (0..6).map(|_| pull(&upstream));
    assert!(futures_util::future::join_all(pulls).await.iter().all(Result::is_ok));
    assert_eq!(server.most_at_once(), 2);

    let upstream = self::upstream(json!({"url": server.url(), "max_requests": 1}));
    let mut blob = upstream.blob(&repository("team/app"), &layer(), 0).await.unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(200), pull(&upstream)).await;
    assert!(waits.is_err(), "the one is taken");
    while blob.body.next().await.is_some() {}
    pull(&upstream).await.unwrap();
}
