//! The listener as clients of HTTP/2 meet it, frame by frame (RFC 9113).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tests::start_with;
use super::*;

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
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

    /// `GET /v2/` on the first stream, in HPACK's literals.
    async fn get_base(&mut self) {
        let head = b"\x82\x86\x04\x04/v2/\x01\x05proxy";
        self.send(1, 0x5, 1, head).await;
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
