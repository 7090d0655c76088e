//! The listener as clients of HTTP/2 meet it, frame by frame (RFC 9113).

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tests::{start_before, start_with};
use super::*;
use crate::demo::package::Package;
use crate::http::front::tests::{Stand, get};
use crate::oci::Digest;

const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
/// In good order, an idle connection has no error to tell.
const NO_ERROR: [u8; 4] = [0; 4];
/// Nothing here may take longer.
const LONGEST: Duration = Duration::from_secs(5);

/// A client that speaks in frames.
struct Frames(TcpStream);

struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

impl Frames {
    /// Opens a connection whose streams get windows of so many bytes.
    async fn open(address: SocketAddr, window: u32) -> Self {
        let mut frames = Self(TcpStream::connect(address).await.unwrap());
        frames.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let initial_window = [&[0, 4][..], &window.to_be_bytes()].concat();
        frames.send(SETTINGS, 0, 0, &initial_window).await;
        frames
    }

    /// `GET /v2/` on the first stream.
    async fn get_base(&mut self) {
        self.get(1, "/v2/", "proxy").await;
    }

    /// `GET` in HPACK's literals.
    async fn get(&mut self, stream: u32, path: &str, host: &str) {
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        let path = [&[0x04, length(path)], path.as_bytes()].concat();
        let host = [&[0x01, length(host)], host.as_bytes()].concat();
        self.send(1, 0x5, stream, &[b"\x82\x86", &path[..], &host[..]].concat()).await;
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    /// The next frame; none at the connection's end.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind: head[3], flags: head[4], payload })
    }

    /// Reads to the connection's end, answering to settings, and to pings where `is_polite`. Returns the
    /// kinds of the frames that came, and the error that the last GOAWAY told.
    async fn rest(&mut self, is_polite: bool) -> (Vec<u8>, Option<Vec<u8>>) {
        let (mut kinds, mut error) = (Vec::new(), None);
        while let Some(frame) = timeout(LONGEST, self.next()).await.expect("the connection is still open") {
            kinds.push(frame.kind);
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, b"").await,
                PING if is_polite && frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload).await,
                GOAWAY => error = Some(frame.payload[4..8].to_vec()),
                _ => {}
            }
        }
        (kinds, error)
    }
}

#[tokio::test]
async fn an_idle_connection_is_told_that_it_ends() {
    let running = start_with(None, Patience { head: Duration::from_millis(100), ..PATIENCE }).await;
    for is_polite in [true, false] {
        let mut client = Frames::open(running.address, 65_535).await;
        client.get_base().await;
        let (kinds, error) = client.rest(is_polite).await;
        assert_eq!(error.as_deref(), Some(&NO_ERROR[..]), "{kinds:?}");
        assert!(kinds.contains(&1), "the answer came before: {kinds:?}");
    }
}

/// A piece that has no window, or only a byte of one, is handed over and not taken.
#[tokio::test]
async fn a_client_that_grants_no_window_is_cut_off() {
    let patience = Patience { head: Duration::from_millis(100), piece: Duration::from_millis(300) };
    let running = start_with(None, patience).await;
    for window in [0, 1] {
        let since = std::time::Instant::now();
        let mut client = Frames::open(running.address, window).await;
        client.get_base().await;
        let (kinds, _) = client.rest(true).await;
        assert!(kinds.contains(&1), "the head came: {kinds:?}");
        assert!(since.elapsed() + Duration::from_millis(2) >= patience.piece, "{:?}", since.elapsed());
        timeout(LONGEST, async {
            while running.front.metrics().connections.get() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("its place is given to others");
    }
}

/// However many streams ask and whatever windows they grant: what nobody reads stays in files.
#[tokio::test]
async fn what_a_client_does_not_read_takes_little_memory() {
    const STREAMS: u32 = 100;
    const SIZE: usize = 600 << 10;
    /// 1 + 4 pieces of 256 KiB, and what the kernel holds of them.
    const LEAST: u64 = 1 << 20;
    const MOST: u64 = 10 << 20;
    let stand = Stand::new().await;
    let layer = Bytes::from(vec![7; SIZE]);
    let path = format!("/v2/app/blobs/{}", Digest::sha256(&layer));
    let artifact = Package::artifact("application/x", [("application/octet-stream", layer)]);
    stand.registry.push("app", "v1", &artifact);
    for target in ["/v2/app/manifests/v1", &path] {
        assert_eq!(stand.ask(get("a.proxy", target), Principal::Anonymous).await.0, http::StatusCode::OK);
    }
    let handed = || -> u64 {
        let text = stand.front.metrics().render();
        let lines = text.lines().filter(|line| line.starts_with("portcullis_bytes_served_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    let before = handed();
    let running = start_before(stand.front.clone(), None, |server| server.room = Room::of(4)).await;
    let mut client = Frames::open(running.address, i32::MAX as u32).await;
    client.send(WINDOW_UPDATE, 0, 0, &(i32::MAX as u32 - 65_535).to_be_bytes()).await;
    for stream in 0..STREAMS {
        client.get(2 * stream + 1, &path, "a.proxy").await;
    }
    timeout(LONGEST, async {
        let mut last = 0;
        // Until there is no more room, and nothing more is handed over.
        while handed() - before < LEAST || last < handed() {
            last = handed();
            sleep(Duration::from_millis(200)).await;
        }
    })
    .await
    .unwrap();
    let waiting = handed() - before;
    assert!(waiting <= MOST, "{waiting} bytes");
    let mut read = 0;
    while read < STREAMS as usize * SIZE {
        let frame = timeout(LONGEST, client.next()).await.unwrap().unwrap();
        read += if frame.kind == DATA { frame.payload.len() } else { 0 };
    }
    assert_eq!(handed() - before, u64::from(STREAMS) * SIZE as u64);
}
