//! The load that wrk cannot make: HEAD (wrk waits for the body that is announced), bodies read in large pieces,
//! a counted number of requests, the time of the first byte. Plain HTTP/1.1, a thread a connection, std alone:
//!
//!     load GET|HEAD ADDRESS PATH CONNECTIONS SECONDSs|REQUESTSr
//!
//! Prints one line of JSON. Anything but a whole answer of 200 ends it with what came instead.

use std::env;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: load GET|HEAD ADDRESS PATH CONNECTIONS SECONDSs|REQUESTSr";

/// What clients of registries ask for.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";

/// The piece in which bodies are read.
const PIECE: usize = 256 << 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match Load::parse(&arguments).ok_or_else(|| io::Error::other(USAGE)).and_then(|load| load.run()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("load: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// When to stop: after a time, or once so many requests have been made over all connections.
#[derive(Clone, Copy)]
enum Until {
    Passed(Duration),
    Made(u64),
}

struct Load {
    address: String,
    head: bool,
    request: Vec<u8>,
    connections: usize,
    until: Until,
}

/// One request: when its first byte and its last byte came, counted from its start, and the size of its body.
struct Answer {
    first: Duration,
    last: Duration,
    body: u64,
}

impl Load {
    fn parse(arguments: &[String]) -> Option<Self> {
        let [method, address, path, connections, until] = arguments else { return None };
        let until = match until.split_at_checked(until.len().checked_sub(1)?)? {
            (seconds, "s") => Until::Passed(Duration::from_secs_f64(seconds.parse().ok()?)),
            (requests, "r") => Until::Made(requests.parse().ok()?),
            _ => return None,
        };
        Some(Self {
            address: address.clone(),
            head: method == "HEAD",
            request: format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {ACCEPT}\r\n\r\n")
                .into(),
            connections: connections.parse().ok()?,
            until,
        })
    }

    /// Opens all connections, then lets all begin at once.
    fn run(self) -> io::Result<String> {
        let load = Arc::new(self);
        let begun = Arc::new(AtomicU64::new(0));
        let ready = Arc::new(Barrier::new(load.connections + 1));
        let mut threads = Vec::new();
        for _ in 0..load.connections {
            let stream = TcpStream::connect(&load.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            let (load, begun, ready) = (load.clone(), begun.clone(), ready.clone());
            threads.push(thread::spawn(move || {
                ready.wait();
                load.drive(stream, &begun)
            }));
        }
        ready.wait();
        let start = Instant::now();
        let mut answers = Vec::new();
        for thread in threads {
            answers.extend(thread.join().map_err(|_| io::Error::other("a connection's thread ended"))??);
        }
        Ok(summary(&answers, start.elapsed()))
    }

    /// Sends one request after the other over one connection.
    fn drive(&self, mut stream: TcpStream, begun: &AtomicU64) -> io::Result<Vec<Answer>> {
        let (start, mut piece, mut answers) = (Instant::now(), vec![0; PIECE], Vec::new());
        loop {
            let more = match self.until {
                Until::Passed(time) => start.elapsed() < time,
                Until::Made(requests) => begun.fetch_add(1, Ordering::Relaxed) < requests,
            };
            if !more {
                return Ok(answers);
            }
            let asked = Instant::now();
            stream.write_all(&self.request)?;
            let (first, body) = self.read(&mut stream, &mut piece, asked)?;
            answers.push(Answer { first, last: asked.elapsed(), body });
        }
    }

    /// Reads one whole answer: the time to its first byte, and the size of its body.
    fn read(&self, stream: &mut TcpStream, piece: &mut [u8], asked: Instant) -> io::Result<(Duration, u64)> {
        let (mut filled, mut first) = (0, None);
        let end = loop {
            let count = receive(stream, &mut piece[filled..])?;
            first.get_or_insert_with(|| asked.elapsed());
            filled += count;
            if let Some(at) = piece[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let announced = announced(&piece[..end])?;
        let length = if self.head { 0 } else { announced };
        let mut left =
            length.checked_sub((filled - end) as u64).ok_or_else(|| io::Error::other("too long a body"))?;
        while left > 0 {
            let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= receive(stream, &mut piece[..most])? as u64;
        }
        Ok((first.unwrap_or_default(), length))
    }
}

fn receive(stream: &mut TcpStream, into: &mut [u8]) -> io::Result<usize> {
    match stream.read(into)? {
        0 => Err(io::Error::other("the answer ended early")),
        count => Ok(count),
    }
}

/// The `Content-Length` of a 200.
fn announced(head: &[u8]) -> io::Result<u64> {
    let head = String::from_utf8_lossy(head);
    let length = head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
    });
    match length {
        Some(length) if head.starts_with("HTTP/1.1 200 ") => Ok(length),
        _ => Err(io::Error::other(format!("not a 200 of known length: {head}"))),
    }
}

fn summary(answers: &[Answer], wall: Duration) -> String {
    let sorted = |of: fn(&Answer) -> Duration| {
        let mut times: Vec<Duration> = answers.iter().map(of).collect();
        times.sort_unstable();
        times
    };
    let (first, last) = (sorted(|answer| answer.first), sorted(|answer| answer.last));
    let at = |times: &[Duration], share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).map_or(0.0, Duration::as_secs_f64)
    };
    let bytes: u64 = answers.iter().map(|answer| answer.body).sum();
    format!(
        r#"{{"requests": {}, "bytes": {bytes}, "seconds": {}, "first_p50": {}, "p50": {}, "p99": {}, "max": {}}}"#,
        answers.len(),
        wall.as_secs_f64(),
        at(&first, 0.5),
        at(&last, 0.5),
        at(&last, 0.99),
        at(&last, 1.0),
    )
}
