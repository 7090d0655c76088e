//! Many readers of one blob that is arriving: early, late, slow, leaving.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use http::header::RANGE;
use portcullis::demo::client::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::stand::{Stand, large, sent_from_file};
use crate::test_proxy::served;

/// A stand whose blob takes some 400 ms to come.
async fn dripping(blob: Bytes) -> Stand {
    let sent = blob.clone();
    Stand::start(blob, move |mut conn| {
        let sent = sent.clone();
        async move {
            let rest = conn.honest(&sent).await;
            conn.drip(rest, sent.len() / 20, Duration::from_millis(20)).await;
            conn.finish().await;
        }
    })
    .await
}

/// A stand whose blob comes to its half, and goes on when there is leave.
async fn held(blob: Bytes, leave: &Arc<Semaphore>) -> Stand {
    let (sent, leave) = (blob.clone(), leave.clone());
    Stand::start(blob, move |mut conn| {
        let (sent, leave) = (sent.clone(), leave.clone());
        async move {
            let rest = conn.honest(&sent).await;
            let (first, second) = rest.split_at(rest.len() / 2);
            conn.body(first).await;
            tokio::select! {
                _ = leave.acquire() => { conn.body(second).await; }
                () = conn.gone() => return,
            }
            conn.finish().await;
        }
    })
    .await
}

/// A connection that has asked for the blob.
async fn asking(stand: &Stand) -> TcpStream {
    let mut stream = TcpStream::connect(stand.proxy.proxy().address()).await.unwrap();
    let path = stand.url().split_once("/v2").unwrap().1.to_owned();
    let request = format!("GET /v2{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads an answer to its end, which need not be a good one, with a pause after each step; what
/// follows its head.
async fn slowly(mut stream: TcpStream, pause: Duration) -> Bytes {
    let mut answer = Vec::new();
    let mut step = vec![0; 32 << 10];
    while let Ok(read @ 1..) = stream.read(&mut step).await {
        answer.extend_from_slice(&step[..read]);
        sleep(pause).await;
    }
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    head.map_or(Bytes::new(), |head| Bytes::from(answer).slice(head + 4..))
}

#[tokio::test]
async fn a_hundred_readers_at_their_own_pace_share_one_fetch() {
    for blob in [large(), sent_from_file()] {
        share_one_fetch(dripping(blob).await).await;
    }
}

async fn share_one_fetch(stand: Stand) {
    let readers = (0..100).map(|n| {
        let stand = &stand;
        async move {
            sleep(Duration::from_millis(n * 3)).await;
            match n % 10 {
                // Leaves in the middle.
                3 => drop(timeout(Duration::from_millis(40), stand.blob()).await),
                7 if n == 17 => {
                    assert_eq!(slowly(asking(stand).await, Duration::from_millis(40)).await, stand.blob);
                }
                _ => served(&stand.blob().await, &stand.blob),
            }
        }
    });
    timeout(Duration::from_secs(30), join_all(readers)).await.expect("nobody hangs");
    assert_eq!(stand.wire.asked(), [0]);
    assert_eq!(stand.wire.sent(), stand.blob.len() as u64);
    stand.assert_recovers().await;
}

#[tokio::test]
async fn the_fetch_goes_on_without_the_first_client_and_ends_with_the_last() {
    for blob in [large(), sent_from_file()] {
        ends_with_the_last(blob).await;
    }
}

async fn ends_with_the_last(blob: Bytes) {
    let leave = Arc::new(Semaphore::new(0));
    let stand = held(blob, &leave).await;
    let mut first = asking(&stand).await;
    let second = asking(&stand).await;
    let mut half = vec![0; stand.blob.len() / 2];
    timeout(Duration::from_secs(5), first.read_exact(&mut half)).await.expect("what came is sent").unwrap();
    drop(first);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(stand.wire.open(), 1, "somebody still waits");
    drop(second);
    // The connection ends, the file goes, and the room is given back.
    stand.assert_quiet().await;
    assert!(!stand.kept().exists());
    for _ in 0..4 {
        let gone = timeout(Duration::from_millis(300), stand.blob()).await;
        assert!(gone.is_err(), "it does not come by itself");
        stand.assert_quiet().await;
    }
    leave.add_permits(1);
    served(&stand.blob().await, &stand.blob);
    stand.assert_recovers().await;
}

#[tokio::test]
async fn a_client_that_closes_its_own_half_hangs_nothing() {
    let stand = dripping(large()).await;
    let mut stream = asking(&stand).await;
    stream.shutdown().await.unwrap();
    let got = timeout(Duration::from_secs(10), slowly(stream, Duration::ZERO)).await.expect("it ends");
    assert!(got.len() <= stand.blob.len() && stand.blob.starts_with(&got));
    stand.assert_recovers().await;
}

#[tokio::test]
async fn a_part_of_a_blob_in_flight_waits_for_the_proof() {
    for blob in [large(), sent_from_file()] {
        waits_for_the_proof(blob).await;
    }
}

async fn waits_for_the_proof(blob: Bytes) {
    let leave = Arc::new(Semaphore::new(0));
    let stand = held(blob, &leave).await;
    let url = stand.url();
    let last = stand.blob.len() - 1;
    let ranges = [("bytes=0-9", 0, 9), ("bytes=100-", 100, last), ("bytes=-10", last - 9, last)];
    let whole = tokio::spawn(slowly(asking(&stand).await, Duration::ZERO));
    for (range, ..) in ranges {
        let (client, header) = (Client::new(), [(RANGE, range)]);
        let early = timeout(Duration::from_millis(300), client.send(Method::GET, &url, &header)).await;
        assert!(early.is_err(), "{range} was answered of what is not proven");
    }
    leave.add_permits(1);
    for (range, first, last) in ranges {
        let got = Client::new().send(Method::GET, &url, &[(RANGE, range)]).await.unwrap();
        assert_eq!(got.status, 206);
        assert!(got.complete && got.body == stand.blob[first..=last], "{range}");
    }
    assert_eq!(whole.await.unwrap(), stand.blob);
    assert_eq!(stand.wire.asked(), [0]);
    stand.assert_recovers().await;
}
