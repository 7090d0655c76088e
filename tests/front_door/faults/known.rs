//! What is known and admitted is answered at once, whatever has become of the upstream.

use std::time::{Duration, Instant};

use http::Method;
use portcullis::demo::{Fault, Package, Registry};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::test_proxy::{HOST, Running, TestProxy, push_signed};

/// So many tags, all of one upstream.
const TAGS: usize = 60;
/// A hit takes a millisecond or two; other tests run beside. Who waits for the upstream takes a
/// second at least.
const AT_ONCE: Duration = Duration::from_millis(700);
const TIMEOUTS: &str = "timeouts: { connect: 2s, headers: 2s, idle: 2s }";

/// A proxy that knows an image under many tags.
async fn knowing() -> (Running, Package) {
    let image = Package::image("app");
    let pushed = image.clone();
    let proxy = TestProxy::new()
        .upstream_settings(HOST, Registry::start().await.unwrap(), TIMEOUTS)
        .upstream(move |registry| {
            push_signed(registry, "app", "1", &pushed);
            for n in 2..=TAGS {
                registry.tag("app", &n.to_string(), &pushed.digest());
            }
        })
        .start()
        .await;
    for n in 1..=TAGS {
        assert_eq!(proxy.get(&format!("app:{n}")).await.status, 200);
    }
    assert_eq!(proxy.blob("app", &image.layer()).await.status, 200);
    proxy.pass(Duration::from_secs(3600));
    (proxy, image)
}

/// Asks for everything that is known; how long each answer took. The first one finds the trouble.
async fn asks_for_everything(proxy: &Running, image: &Package) -> Vec<Duration> {
    let mut took = Vec::new();
    for n in 1..=TAGS {
        for method in [Method::GET, Method::HEAD] {
            let started = Instant::now();
            let got = proxy.send(method, &format!("/v2/{HOST}/app/manifests/{n}"), &[]).await;
            assert_eq!(got.status, 200, "{:?}", got.error_message());
            assert!(got.header("warning").starts_with("299 - \"stale: "), "{n}: {:?}", got.headers);
            took.push(started.elapsed());
        }
        for path in [format!("manifests/{}", image.digest()), format!("blobs/{}", image.layer())] {
            for method in [Method::GET, Method::HEAD] {
                let started = Instant::now();
                let got = proxy.send(method, &format!("/v2/{HOST}/app/{path}"), &[]).await;
                assert_eq!(got.status, 200, "{path}: {:?}", got.error_message());
                took.push(started.elapsed());
            }
        }
    }
    took
}

/// Asserts what must hold of an upstream that does not answer, and that misses are told in time.
async fn assert_known_is_served(proxy: Running, image: &Package, miss: u16) {
    let mut took = asks_for_everything(&proxy, image).await;
    assert!(took[0] < Duration::from_secs(5), "the first waited for {:?}", took[0]);
    took.sort();
    let slow = took.iter().filter(|took| **took > AT_ONCE).count();
    assert!(slow <= 3, "{slow} of {} waited, up to {:?}", took.len(), took.last());
    let missing = timeout(Duration::from_secs(15), proxy.get("app:unknown")).await.expect("in time");
    assert_eq!(missing.status, miss, "{:?}", missing.error_message());
    assert_ne!(missing.header("retry-after"), "");
}

/// Points the proxy at another place for the same upstream.
fn moves_to(proxy: &mut Running, url: &str) {
    let line = format!("{{ \"{HOST}\": {{ url: \"{url}\", default: true, {TIMEOUTS} }} }}");
    assert!(proxy.change("upstreams", &line));
}

#[tokio::test]
async fn of_an_upstream_that_hangs() {
    let (proxy, image) = knowing().await;
    proxy.upstream().fault("", Fault::Stall);
    assert_known_is_served(proxy, &image, 503).await;
}

#[tokio::test]
async fn of_an_upstream_that_throttles() {
    let (proxy, image) = knowing().await;
    proxy.upstream().fault("", Fault::Status(429, Some(600)));
    assert_known_is_served(proxy, &image, 429).await;
}

#[tokio::test]
async fn of_an_upstream_that_is_gone() {
    let (mut proxy, image) = knowing().await;
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    moves_to(&mut proxy, &format!("http://{gone}"));
    assert_known_is_served(proxy, &image, 503).await;
}

#[tokio::test]
async fn of_an_upstream_behind_a_black_hole() {
    let (mut proxy, image) = knowing().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Once its queue is full, the kernel answers no SYN any more.
    let mut queued = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queued.push(connected.unwrap());
        assert!(queued.len() < 16, "the queue has no end");
    }
    moves_to(&mut proxy, &format!("http://{address}"));
    assert_known_is_served(proxy, &image, 503).await;
}

#[tokio::test]
async fn of_an_upstream_that_is_gone_when_the_proxy_starts() {
    let (mut proxy, image) = knowing().await;
    // The blob's commit follows its last byte.
    while std::fs::read_dir(proxy.folder.path().join("store/incoming")).unwrap().next().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    proxy.stop().await;
    proxy.upstream().fault("", Fault::Stall);
    proxy.start_again().await;
    assert_known_is_served(proxy, &image, 503).await;
}

/// What another repository brought needs this one's upstream to show it: that is neither skipped nor
/// waited for without end.
#[tokio::test]
async fn content_of_another_repository_is_not_given_unasked() {
    let image = Package::image("app");
    let proxy = TestProxy::new()
        .upstream_settings(HOST, Registry::start().await.unwrap(), TIMEOUTS)
        .upstream(|registry| {
            for name in ["app", "other"] {
                push_signed(registry, name, "1", &Package::image("app"));
            }
        })
        .start()
        .await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    assert_eq!(proxy.get("other:1").await.status, 200);
    assert_eq!(proxy.blob("app", &image.layer()).await.status, 200);
    for (fault, status) in [(Fault::Stall, 503), (Fault::Status(429, Some(60)), 429)] {
        proxy.upstream().fault("", fault);
        let got =
            timeout(Duration::from_secs(15), proxy.blob("other", &image.layer())).await.expect("in time");
        assert_eq!(got.status, status, "{:?}", got.error_message());
        assert_ne!(got.header("retry-after"), "");
    }
}

/// The bad times leave nothing behind: the first answer of the upstream counts again.
#[tokio::test]
async fn an_upstream_that_is_back_is_believed_at_once() {
    let (proxy, image) = knowing().await;
    proxy.upstream().fault("", Fault::Status(429, Some(1)));
    asks_for_everything(&proxy, &image).await;
    proxy.upstream().heal();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let newer = Package::image("newer");
    push_signed(proxy.upstream(), "app", "7", &newer);
    let end = Instant::now() + Duration::from_secs(10);
    // The first request may find the upstream back behind its answer.
    while proxy.get("app:7").await.body != newer.bytes() {
        assert!(Instant::now() < end, "the tag never moves");
        proxy.pass(Duration::from_secs(11));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Decisions that have ended are made again from kept signatures; that the upstream is asked behind
/// each answer, in vain, holds up nobody.
#[tokio::test]
async fn of_an_upstream_that_hangs_although_all_decisions_have_ended() {
    const IMAGES: usize = 20;
    let name = |n: usize| format!("app-{n}");
    let proxy = TestProxy::new()
        .with("freshness", "{ stale_if_error: 72h }")
        .upstream_settings(HOST, Registry::start().await.unwrap(), "timeouts: { headers: 10s }")
        .upstream(move |registry| {
            (0..IMAGES).for_each(|n| push_signed(registry, &name(n), "1", &Package::image(&name(n))));
        })
        .start()
        .await;
    for n in 0..IMAGES {
        assert_eq!(proxy.get(&format!("{}:1", name(n))).await.status, 200);
    }
    proxy.upstream().fault("", Fault::Stall);
    proxy.pass(Duration::from_secs(25 * 3600));
    assert_eq!(proxy.get(&format!("{}:1", name(0))).await.status, 200);
    for n in 1..IMAGES {
        let started = Instant::now();
        let by_digest = format!("{}@{}", name(n), Package::image(&name(n)).digest());
        for reference in [format!("{}:1", name(n)), by_digest] {
            let got = proxy.get(&reference).await;
            assert_eq!(got.status, 200, "{reference}: {:?}", got.error_message());
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{n}: {:?}", started.elapsed());
    }
}
