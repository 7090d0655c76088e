//! Blobs and heads.

use futures_util::StreamExt as _;
use serde_json::json;

use super::server::{Reply, Server};
use super::{digest, layer, repository, tag, upstream};
use crate::oci::media_type::OCI_INDEX;
use crate::oci::{Digest, Target};
use crate::upstream::{BlobStream, Error, Head};

async fn blob(reply: Reply, from: u64) -> (Server, Result<BlobStream, Error>) {
    let server = Server::start(move |_| reply.clone()).await;
    let upstream = upstream(json!({"url": server.url()}));
    let blob = upstream.blob(&repository("team/app"), &layer(), from).await;
    (server, blob)
}

#[tokio::test]
async fn a_blob_goes_on_where_it_was_left() {
    let part = Reply::new(206, "tent").header("content-range", "bytes 3-6/7");
    let (server, found) = blob(part, 3).await;
    let found = found.unwrap();
    assert_eq!((found.offset, found.size), (3, Some(7)));
    assert_eq!(found.body.map(Result::unwrap).collect::<Vec<_>>().await.concat(), b"tent");
    assert_eq!(server.seen()[0].header("range"), Some("bytes=3-"));
    assert_eq!(server.seen()[0].target, format!("/v2/team/app/blobs/{}", digest()));
}

#[tokio::test]
async fn a_registry_without_ranges_starts_over() {
    let (_, found) = blob(Reply::ok("content"), 3).await;
    let found = found.unwrap();
    assert_eq!((found.offset, found.size), (0, Some(7)));
}

#[tokio::test]
async fn other_parts_than_asked_for_are_refused() {
    let part = |range: &str| Reply::new(206, "tent").header("content-range", range);
    for (reply, from) in [
        (part("bytes 0-6/7"), 3),
        (part("bytes 3-5/7"), 3),
        (part("bytes 3-6/*"), 3),
        (Reply::new(206, "tent"), 3),
        (part("bytes 0-6/7"), 0),
        (Reply::new(204, ""), 0),
    ] {
        let shown = format!("{reply:?} from {from}");
        assert!(matches!(blob(reply, from).await.1, Err(Error::Unavailable(_))), "{shown}");
    }
    let (server, found) = blob(Reply::ok("content"), 0).await;
    found.unwrap();
    assert_eq!(server.seen()[0].header("range"), None);
}

#[tokio::test]
async fn a_head_tells_what_the_upstream_announces() {
    let named = Digest::sha256(b"x");
    let server = Server::start(move |seen| {
        let digest = if seen.target.ends_with("/bad") { "sha256:x".to_owned() } else { named.to_string() };
        Reply::new(200, "")
            .header("docker-content-digest", digest)
            .header("content-type", format!("{OCI_INDEX}; charset=utf-8"))
            .header("content-length", "42")
    })
    .await;
    let upstream = upstream(json!({"url": server.url()}));
    let expected = Head { digest: Some(named), media_type: Some(OCI_INDEX.to_owned()), size: Some(42) };
    let repository = repository("team/app");
    assert_eq!(upstream.head_manifest(&repository, &tag("v1")).await.unwrap(), expected);
    assert_eq!(upstream.head_manifest(&repository, &tag("bad")).await.unwrap().digest, None);
    upstream.head_manifest(&repository, &Target::Digest(named)).await.unwrap();
    assert!(server.seen().iter().all(|seen| seen.method == "HEAD"));
    assert_eq!(server.seen()[2].target, format!("/v2/team/app/manifests/{named}"));
    assert_eq!(upstream.head_blob(&repository, &named).await.unwrap(), 42);
}

#[tokio::test]
async fn storage_that_refuses_heads_is_asked_with_a_get() {
    let storage = Server::start(|seen| match seen.method.as_str() {
        "HEAD" => Reply::new(403, ""),
        _ => Reply::ok("content"),
    })
    .await;
    let to = storage.url();
    let server = Server::start(move |_| Reply::redirect(&to)).await;
    let upstream = upstream(json!({"url": server.url(), "max_requests": 1}));
    assert_eq!(upstream.head_blob(&repository("team/app"), &digest()).await.unwrap(), 7);
}
