//! Where redirects may lead, and what goes along.

use std::sync::{Arc, OnceLock};

use serde_json::json;

use super::server::{Reply, Server};
use super::{MANIFEST, in_environment, layer, pull, repository, upstream};
use crate::upstream::Error;

/// A registry that wants a password and redirects to `to`.
async fn redirecting(to: impl Into<String>) -> Server {
    let to = to.into();
    Server::start(move |seen| match seen.header("authorization") {
        None => Reply::unauthorized("Basic"),
        Some(_) if seen.target == "/here" => Reply::ok(MANIFEST),
        Some(_) => Reply::redirect(&to),
    })
    .await
}

fn settings(server: &Server) -> serde_json::Value {
    json!({"url": server.url(), "credentials": {"username": "ann", "password": "secret"}})
}

#[tokio::test]
async fn the_login_stays_with_the_origin() {
    let elsewhere = Server::start(|_| Reply::ok("content")).await;
    let server = redirecting(format!("{}/blob?signed=1", elsewhere.url())).await;
    let upstream = upstream(settings(&server));
    let blob = upstream.blob(&repository("team/app"), &layer(), 3).await.unwrap();
    assert_eq!((blob.offset, blob.size), (0, Some(7)));
    let seen = elsewhere.seen();
    assert_eq!((seen.len(), seen[0].target.as_str()), (1, "/blob?signed=1"));
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[0].header("range"), Some("bytes=3-"));
    assert_eq!(server.seen().last().unwrap().header("authorization"), Some("Basic YW5uOnNlY3JldA=="));
}

#[tokio::test]
async fn a_redirect_within_the_origin_keeps_the_login() {
    let server = redirecting("/here").await;
    pull(&upstream(settings(&server))).await.unwrap();
}

#[tokio::test]
async fn a_login_that_was_left_behind_does_not_come_back() {
    let away_url = Arc::new(OnceLock::<String>::new());
    let to = away_url.clone();
    let home = Server::start(move |seen| match (seen.target.as_str(), seen.header("authorization")) {
        ("/back", _) => Reply::ok(MANIFEST),
        (_, None) => Reply::unauthorized("Basic"),
        (_, Some(_)) => Reply::redirect(to.get().unwrap()),
    })
    .await;
    let back = format!("{}/back", home.url());
    let away = Server::start(move |_| Reply::redirect(&back)).await;
    away_url.set(away.url()).unwrap();
    pull(&upstream(settings(&home))).await.unwrap();
    let last = home.seen().pop().unwrap();
    assert_eq!((last.target.as_str(), last.header("authorization")), ("/back", None));
}

#[tokio::test]
async fn redirects_to_forbidden_addresses_are_not_followed() {
    for (to, why) in [
        ("http://169.254.169.254/latest/meta-data", "gets its credentials"),
        ("http://[fd00:ec2::254]/latest/meta-data", "gets its credentials"),
        ("http://169.254.1.1/", "link-local"),
        ("http://[::ffff:169.254.169.254]/", "link-local"),
        ("http://[64:ff9b::a9fe:a9fe]/", "link-local"),
        ("http://0.0.0.0/", "unspecified"),
        ("http://224.0.0.1/", "multicast"),
        ("http://10.0.0.1/", "private"),
        ("http://[fd00::1]/", "private"),
        ("file:///etc/passwd", "neither http nor https"),
        ("http://ann:secret@127.0.0.1/", "credentials"),
    ] {
        let server = redirecting(to).await;
        let error = pull(&upstream(settings(&server))).await.unwrap_err();
        assert!(matches!(&error, Error::Forbidden(text) if text.contains(why)), "{to}: {error}");
        assert_eq!(server.seen().len(), 2, "our own rule is not tried again");
    }
}

#[tokio::test]
async fn a_public_upstream_cannot_send_us_to_this_machine() {
    let inside = Server::start(|_| Reply::ok(MANIFEST)).await;
    for to in [inside.url(), format!("http://localhost:{}", inside.address.port())] {
        // A proxy stands in for the network, so the upstream counts as a public one.
        let proxy = Server::start(move |_| Reply::redirect(&to)).await;
        let upstream =
            in_environment(&[("HTTP_PROXY", proxy.url())], json!({"url": "http://r.test"})).unwrap();
        let error = pull(&upstream).await.unwrap_err();
        assert!(matches!(&error, Error::Forbidden(text) if text.contains("this machine")), "{error}");
    }
    assert!(inside.seen().is_empty());
}

#[tokio::test]
async fn nothing_leads_from_https_down_to_http() {
    let below = Server::start(|_| Reply::ok(MANIFEST)).await;
    let to = below.url();
    let (server, _dir, ca) = Server::start_tls(move |_| Reply::redirect(&to)).await;
    let upstream = upstream(json!({"url": server.url(), "ca": ca}));
    let error = pull(&upstream).await.unwrap_err();
    assert!(matches!(&error, Error::Forbidden(text) if text.contains("from https down")), "{error}");
    assert!(below.seen().is_empty());
}

#[tokio::test]
async fn redirects_end_somewhere() {
    let server = Server::start(|_| Reply::redirect("/again")).await;
    assert!(matches!(pull(&upstream(json!({"url": server.url()}))).await, Err(Error::Unavailable(_))));
    assert_eq!(server.seen().len() % 9, 0, "one request and eight redirects an attempt");
    let server = Server::start(|_| Reply::new(302, "")).await;
    assert!(matches!(pull(&upstream(json!({"url": server.url()}))).await, Err(Error::Unavailable(_))));
}
