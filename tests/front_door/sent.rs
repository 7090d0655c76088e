//! Kept blobs of a size that the kernel sends by itself, over connections that go on afterwards.

use std::time::Duration;

use bytes::Bytes;
use portcullis::demo::{Fault, Package};
use portcullis::oci::Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::faults::noise;
use crate::test_proxy::{Running, TestProxy, push_signed, served};

/// Large enough to be sent from its file, in more than two pieces, and of no round size.
const SIZE: usize = (9 << 20) + 4321;

async fn kept() -> (Running, Bytes, String) {
    let blob = noise(SIZE);
    let package = Package::artifact("application/x-test", [("application/x-test", blob.clone())]);
    let layer = package.layer();
    let proxy =
        TestProxy::new().upstream(move |registry| push_signed(registry, "app", "1", &package)).start().await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    served(&proxy.blob("app", &layer).await, &blob);
    // The commit follows the last byte; from then on the store alone can have it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.upstream().fault("", Fault::Drop);
    (proxy, blob, format!("/v2/app/blobs/{layer}"))
}

/// Reads an answer's head, to be searched, and its body.
async fn answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, body)
}

#[tokio::test]
async fn one_connection_takes_files_whole_in_parts_and_between_other_answers() {
    let (proxy, blob, path) = kept().await;
    let url = proxy.proxy().url();
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: proxy\r\n{more}\r\n");
    // All at once: answers follow each other, and each has its own bytes.
    let requests = [
        get(&path, ""),
        get("/v2/", ""),
        get(&path, "Range: bytes=4097-8400000\r\n"),
        get(&path, "Range: bytes=-10\r\n"),
        get(&path, ""),
    ];
    stream.write_all(requests.concat().as_bytes()).await.unwrap();
    for expected in [&blob[..], b"{}", &blob[4097..8_400_001], &blob[SIZE - 10..], &blob[..]] {
        let (head, body) = answer(&mut stream).await;
        assert!(head.starts_with("http/1.1 20"), "{head}");
        assert!(body == expected, "other bytes: {} where {} belong\n{head}", body.len(), expected.len());
    }
}

/// A blob that is arriving is sent as far as it has come, between other answers of the same connection.
#[tokio::test]
async fn one_connection_takes_a_blob_that_arrives_meanwhile_and_goes_on() {
    let blobs = [noise(SIZE), noise(SIZE + 1)];
    let layers = blobs.clone().map(|blob| ("application/x-test", blob));
    let package = Package::artifact("application/x-test", layers);
    let digests = blobs.clone().map(|blob| Digest::sha256(&blob));
    let proxy =
        TestProxy::new().upstream(move |registry| push_signed(registry, "app", "1", &package)).start().await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    let mut stream = TcpStream::connect(proxy.proxy().address()).await.unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: proxy\r\n\r\n");
    let requests: String =
        digests.iter().map(|digest| get(&format!("/v2/app/blobs/{digest}")) + &get("/v2/")).collect();
    stream.write_all(requests.as_bytes()).await.unwrap();
    for expected in [&blobs[0][..], b"{}", &blobs[1], b"{}"] {
        let (head, body) = answer(&mut stream).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(body == expected, "other bytes: {} where {} belong\n{head}", body.len(), expected.len());
    }
}

/// A file that somebody cuts on disk ends the answer; it neither completes it nor ends the process.
#[tokio::test]
async fn a_file_that_is_cut_under_the_answer_completes_nothing() {
    let (proxy, blob, path) = kept().await;
    let url = proxy.proxy().url();
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: proxy\r\n\r\n").as_bytes()).await.unwrap();
    let mut begin = vec![0; 1000];
    stream.read_exact(&mut begin).await.unwrap();
    let hex = path.rsplit(':').next().unwrap();
    let file = proxy.folder.path().join("store/blobs/sha256").join(hex);
    std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(0).unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection is still open");
    assert!(rest.len() < blob.len(), "all of it came");
    assert_eq!(proxy.path("/v2/").await.status, 200, "the process goes on");
}
