//! A storage server of bare sockets: speaks just enough HTTP to send a blob, and breaks where a test
//! tells it to. One request a connection.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A running server; it ends when it is dropped.
pub struct Wire {
    address: SocketAddr,
    log: Arc<Log>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Log {
    /// From which byte on each request asked.
    asked: Mutex<Vec<u64>>,
    sent: AtomicU64,
    open: AtomicUsize,
}

/// A connection whose request has been read.
pub struct Conn {
    stream: TcpStream,
    log: Arc<Log>,
    /// How many requests came before.
    pub number: usize,
    /// The byte from which on the blob is asked for.
    pub from: usize,
}

impl Wire {
    /// A server that does this with every request.
    pub async fn start<F, T>(script: F) -> Self
    where
        F: Fn(Conn) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let (script, told) = (Arc::new(script), log.clone());
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log) = (script.clone(), told.clone());
                connections.spawn(async move {
                    let _open = Open::count(&log);
                    if let Some(conn) = Conn::read(stream, log.clone()).await {
                        script(conn).await;
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, log, accepting }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From which byte on each request asked, so far.
    pub fn asked(&self) -> Vec<u64> {
        self.log.asked.lock().unwrap().clone()
    }

    /// Bytes of bodies that were sent.
    pub fn sent(&self) -> u64 {
        self.log.sent.load(Ordering::SeqCst)
    }

    /// Connections whose script has not ended.
    pub fn open(&self) -> usize {
        self.log.open.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Conn {
    async fn read(mut stream: TcpStream, log: Arc<Log>) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?.to_lowercase();
        let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
        let from = range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
        let number = {
            let mut asked = log.asked.lock().unwrap();
            asked.push(from);
            asked.len() - 1
        };
        Some(Self { stream, log, number, from: usize::try_from(from).unwrap() })
    }

    /// Sends bytes as they are. A peer that has gone is no fault of the test.
    pub async fn raw(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends a head with these lines.
    pub async fn head(&mut self, status: &str, lines: &[String]) {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        self.raw(format!("HTTP/1.1 {status}\r\nConnection: close\r\n{lines}\r\n")).await;
    }

    /// Sends the head that an honest server would, and says what should follow it.
    pub async fn honest<'a>(&mut self, blob: &'a [u8]) -> &'a [u8] {
        let rest = &blob[self.from..];
        let length = format!("Content-Length: {}", rest.len());
        if self.from == 0 {
            self.head("200 OK", &[length]).await;
        } else {
            let range = format!("Content-Range: bytes {}-{}/{}", self.from, blob.len() - 1, blob.len());
            self.head("206 Partial Content", &[length, range]).await;
        }
        rest
    }

    /// Sends a piece of a body; false once the peer has gone.
    pub async fn body(&mut self, piece: &[u8]) -> bool {
        let sent = self.raw(piece).await;
        if sent {
            self.log.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        sent
    }

    /// Sends a body in pieces of so many bytes with pauses between, until the peer has gone.
    pub async fn drip(&mut self, body: &[u8], size: usize, pause: Duration) {
        for piece in body.chunks(size) {
            if !self.body(piece).await {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Ends the connection with a reset: what the peer has not read by then may be lost.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Ends its own half in good order, and waits until the peer ends the other.
    pub async fn finish(mut self) {
        let _ = self.stream.shutdown().await;
        self.gone().await;
    }

    /// Waits until the peer has gone.
    pub async fn gone(&mut self) {
        let mut byte = [0];
        while matches!(self.stream.read(&mut byte).await, Ok(1)) {}
    }
}

struct Open(Arc<Log>);

impl Open {
    fn count(log: &Arc<Log>) -> Self {
        log.open.fetch_add(1, Ordering::SeqCst);
        Self(log.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
