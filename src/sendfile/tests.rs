//! Files over a real connection.

use std::io::{IoSlice, Write as _};
use std::pin::Pin;

use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

async fn pair() -> (Wire, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (Wire::new(listener.accept().await.unwrap().0), client)
}

fn file(content: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    Arc::new(file)
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(length as u64).fill(&mut bytes);
    bytes
}

/// How many bytes of the mapping at this address were ever touched.
fn resident(address: usize) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let of_mapping = maps.split_once(&format!("{:x}-", address & !0xfff)).unwrap().1;
    let rss = of_mapping.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    rss.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_range_is_sent_without_being_touched() {
    let content = noise(5_000_000);
    let (mut wire, mut client) = pair().await;
    let piece = wire.lane().piece(&file(&content), 4321, 4_000_000).unwrap();
    let got = tokio::spawn(async move {
        let mut got = vec![0; 4_000_013];
        client.read_exact(&mut got).await.unwrap();
        got
    });
    // As hyper writes an answer: the head, then the body, of which some was read.
    let mut slices = [&b"head"[..], b"begin", &piece, b"last"].map(IoSlice::new);
    let mut left = &mut slices[..];
    while !left.is_empty() {
        let written = std::future::poll_fn(|cx| Pin::new(&mut wire).poll_write_vectored(cx, left)).await;
        IoSlice::advance_slices(&mut left, written.unwrap());
    }
    assert_eq!(got.await.unwrap(), [b"headbegin", &content[4321..4_004_321], b"last"].concat());
    assert_eq!(resident(piece.as_ptr() as usize), 0);
    assert_eq!(piece, content[4321..4_004_321], "whoever reads it finds the same");
}

/// The end of a file that fills no packet would otherwise leave a fifth of a second later.
#[tokio::test]
async fn packets_are_held_back_until_the_flush_and_no_longer() {
    let (mut wire, _client) = pair().await;
    let piece = wire.lane().piece(&file(&noise(100_000)), 0, 100_000).unwrap();
    let corked = |wire: &Wire| rustix::net::sockopt::tcp_cork(&wire.stream).unwrap();
    wire.write_all(b"small").await.unwrap();
    assert!(!corked(&wire), "what is copied leaves at once");
    wire.write_all(&piece).await.unwrap();
    assert!(corked(&wire));
    wire.flush().await.unwrap();
    assert!(!corked(&wire));
}

#[tokio::test]
async fn a_file_that_was_cut_is_an_error_and_no_signal() {
    let (mut wire, _client) = pair().await;
    let file = file(&noise(100_000));
    let piece = wire.lane().piece(&file, 0, 100_000).unwrap();
    file.set_len(0).unwrap();
    let error = wire.write_all(&piece).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn there_is_no_piece_beyond_the_end_of_a_file() {
    let (lane, file) = (Lane::default(), file(&noise(100_000)));
    assert!(lane.piece(&file, 99_999, 1).is_ok());
    for (offset, length) in [(0, 100_001), (99_999, 2), (100_000, 1), (1 << 40, 1), (u64::MAX, 1)] {
        let error = lane.piece(&file, offset, length).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{offset} {length}");
    }
    assert!(lane.is_empty());
}

#[tokio::test]
async fn what_is_gone_means_nothing_any_more() {
    let (mut wire, mut client) = pair().await;
    let (lane, file) = (wire.lane().clone(), file(&noise(100_000)));
    let piece = lane.piece(&file, 0, 100_000).unwrap();
    assert!(lane.find(&piece[10..20]).is_some_and(|(_, offset)| offset == 10));
    assert!(lane.find(b"elsewhere").is_none());
    assert!(Lane::default().find(&piece).is_none(), "other connections know nothing of it");
    let part = piece.slice(90_000..);
    drop(piece);
    assert!(!lane.is_empty(), "a part of it is on its way");
    drop(part);
    assert!(lane.is_empty());
    wire.write_all(b"plain").await.unwrap();
    let mut got = [0; 5];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"plain");
    assert!(lane.piece(&file, 0, 0).is_err(), "nothing is no range");
}
