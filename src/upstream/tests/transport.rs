//! TLS, proxies, and what settings make of an upstream.

use std::sync::Arc;
use std::time::Duration;

use http::Version;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::server::{Reply, Server};
use super::{MANIFEST, in_environment, pull, registry, try_upstream, upstream};
use crate::egress;
use crate::telemetry::Metrics;
use crate::upstream::{Error, Settings, Upstream, Upstreams};

#[tokio::test]
async fn tls_is_spoken_with_the_authorities_given_and_http_2_where_it_is_offered() {
    let (server, _dir, ca) = Server::start_tls(|_| Reply::ok(MANIFEST)).await;
    pull(&upstream(json!({"url": server.url(), "ca": ca}))).await.unwrap();
    assert_eq!(server.seen()[0].version, Version::HTTP_2);
    let error = pull(&upstream(json!({"url": server.url()}))).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("certificate")), "{error}");
    assert_eq!(server.seen().len(), 1);
    // The certificate is for localhost.
    let by_address = format!("https://127.0.0.1:{}", server.address.port());
    pull(&upstream(json!({"url": by_address, "ca": ca}))).await.unwrap_err();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn resolve_stands_in_for_dns() {
    let server = Server::start(|_| Reply::ok(MANIFEST)).await;
    let port = server.address.port();
    pull(&upstream(json!({"url": format!("http://r.test:{port}"), "resolve": ["127.0.0.1"]}))).await.unwrap();
    pull(&upstream(json!({"url": "http://r.test", "resolve": [format!("127.0.0.1:{port}")]}))).await.unwrap();
    assert_eq!(server.seen()[0].header("host"), Some(format!("r.test:{port}").as_str()));
    let error =
        pull(&upstream(json!({"url": "http://r.test", "resolve": ["169.254.169.254"]}))).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error}");
}

#[tokio::test]
async fn addresses_that_lead_nowhere_do_not_hide_those_that_do() {
    let server = Server::start(|_| Reply::ok(MANIFEST)).await;
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let black_hole = full.local_addr().unwrap();
    // Once its queue is full, no SYN is answered any more.
    let mut queued = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(200), TcpStream::connect(black_hole)).await {
        queued.push(connected.unwrap());
    }
    let addresses = [black_hole, refusing, server.address].map(|address| address.to_string());
    pull(&upstream(json!({"url": "http://r.test", "resolve": addresses}))).await.unwrap();
    let nowhere = json!({"url": "http://r.test", "resolve": addresses[..2], "timeouts": {"connect": "1s"}});
    let error = pull(&upstream(nowhere)).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("no connection to")), "{error}");
    let refused = json!({"url": "http://r.test", "resolve": addresses[1..2]});
    let error = pull(&upstream(refused)).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("refused")), "{error}");
}

#[tokio::test]
async fn plain_http_is_asked_through_the_proxy() {
    let proxy = Server::start(|_| Reply::ok(MANIFEST)).await;
    let with_login = proxy.url().replace("http://", "http://ann:secret@");
    let upstream = in_environment(&[("http_proxy", with_login)], json!({"url": "http://r.test"})).unwrap();
    pull(&upstream).await.unwrap();
    let seen = &proxy.seen()[0];
    assert_eq!(seen.target, "http://r.test/v2/team/app/manifests/v1");
    assert_eq!(seen.header("proxy-authorization"), Some("Basic YW5uOnNlY3JldA=="));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn no_proxy_and_loopback_upstreams_are_asked_directly() {
    let server = Server::start(|_| Reply::ok(MANIFEST)).await;
    let proxy = Server::start(|_| Reply::new(418, "")).await;
    let port = server.address.port();
    let named = json!({"url": format!("http://r.test:{port}"), "resolve": ["127.0.0.1"]});
    let environment = [("HTTP_PROXY", proxy.url()), ("NO_PROXY", "x.test,.r.test".to_owned())];
    pull(&in_environment(&environment, named).unwrap()).await.unwrap();
    pull(&in_environment(&environment[..1], json!({"url": server.url()})).unwrap()).await.unwrap();
    assert!(proxy.seen().is_empty());
}

/// A proxy that opens tunnels to `to`, whatever is asked for; tells what was.
async fn tunnels(to: std::net::SocketAddr) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://ann:secret@{}", listener.local_addr().unwrap());
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            tell.send(String::from_utf8(head).unwrap()).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, told)
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let (server, _dir, ca) = Server::start_tls(|_| Reply::ok(MANIFEST)).await;
    let (proxy, mut told) = tunnels(server.address).await;
    let port = server.address.port();
    // The own host has a fixed address, so the proxy is told that and not the name.
    let settings = json!({"url": server.url(), "ca": ca, "resolve": ["127.0.0.1"]});
    let upstream = in_environment(&[("HTTPS_PROXY", proxy.clone())], settings).unwrap();
    pull(&upstream).await.unwrap();
    let head = told.recv().await.unwrap();
    assert!(head.starts_with(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n")), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n"), "{head}");
    assert!(!head.contains("manifests"));

    let upstream =
        in_environment(&[("HTTPS_PROXY", proxy)], json!({"url": "https://r.test", "ca": ca})).unwrap();
    let error = pull(&upstream).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("certificate")), "{error}");
    assert!(told.recv().await.unwrap().starts_with("CONNECT r.test:443 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn settings_that_cannot_be_honoured_name_their_key() {
    let bad: [(Value, &[&str]); 12] = [
        (json!({"url": "r.test"}), &["url"]),
        (json!({"url": "ftp://r.test"}), &["url"]),
        (json!({"url": "https://r.test/prefix"}), &["url"]),
        (json!({"url": "https://ann:secret@r.test"}), &["url"]),
        (json!({"url": "https://r.test?x"}), &["url"]),
        (json!({"ca": "/nowhere/ca.pem"}), &["ca"]),
        (json!({"ca": "/dev/null"}), &["ca"]),
        (json!({"resolve": ["127.0.0.1", "r.test"]}), &["resolve", "1"]),
        (json!({"allowed_hosts": ["*.r.test"]}), &["allowed_hosts", "0"]),
        (json!({"credentials": {"username": "ann"}}), &["credentials"]),
        (json!({"credentials": {"docker_config": "/nowhere/x"}}), &["credentials", "docker_config"]),
        (json!({"mirrors": [{"url": "https://a.test"}, {"url": "b"}]}), &["mirrors", "1", "url"]),
    ];
    for (settings, path) in bad {
        let shown = settings.to_string();
        assert_eq!(try_upstream(settings).unwrap_err().path, path, "{shown}");
    }
    for unknown in [json!({"urls": "x"}), json!({"max_requests": 0}), json!({"timeouts": {"idle": 3}})] {
        assert!(serde_json::from_value::<Settings>(unknown.clone()).is_err(), "{unknown}");
    }
}

#[tokio::test]
async fn what_did_not_change_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    let certificate = || rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap().cert.pem();
    std::fs::write(&ca, certificate()).unwrap();
    let mut settings: Settings = serde_json::from_value(json!({"url": "https://r.test", "ca": ca})).unwrap();
    let (egress, metrics) = (egress::Settings::default(), Metrics::new());
    let build = |settings: &Settings, before: Option<&Arc<Upstream>>| {
        Upstream::build_in(&|_| None, registry(), settings, &egress, &metrics, before).unwrap()
    };
    let first = build(&settings, None);
    assert!(Arc::ptr_eq(&first, &build(&settings, Some(&first))));
    std::fs::write(&ca, certificate()).unwrap();
    let second = build(&settings, Some(&first));
    assert!(!Arc::ptr_eq(&first, &second), "the file is another");
    settings.default = true;
    let third = build(&settings, Some(&second));
    assert!(!Arc::ptr_eq(&second, &third));
    let upstreams = Upstreams::new([third.clone()]);
    assert!(Arc::ptr_eq(upstreams.default().unwrap(), upstreams.of(&registry()).unwrap()));
    assert_eq!(upstreams.names().collect::<Vec<_>>(), [&registry()]);
}
