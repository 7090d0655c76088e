//! A proxy whose upstream keeps one blob on a server of bare sockets, and what must hold after
//! whatever that server did.

use std::collections::HashSet;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use portcullis::demo::client::{Answer, Client};
use portcullis::demo::{Fault, Package, Registry};
use portcullis::oci::Digest;
use tokio::time::{Instant, sleep, timeout};

use super::wire::{Conn, Wire};
use crate::test_proxy::{HOST, Running, TestProxy, push_signed, served};

/// Nothing here may take longer.
const LONGEST: Duration = Duration::from_secs(30);

/// A running stand.
pub struct Stand {
    pub proxy: Running,
    pub wire: Wire,
    pub blob: Bytes,
    pub digest: Digest,
    tasks: usize,
}

/// A blob of twenty times 64 KiB that compresses to nothing known.
pub fn large() -> Bytes {
    noise(20 << 16)
}

/// A blob that is sent by the kernel as far as it has arrived.
pub fn sent_from_file() -> Bytes {
    noise((4 << 20) + 12_345)
}

/// So many bytes, each place of them to be told from each other.
pub fn noise(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(length as u64).fill(&mut bytes);
    bytes.into()
}

impl Stand {
    /// A proxy that has admitted the blob's manifest; the blob itself is to be had by this script.
    pub async fn start<F, T>(blob: Bytes, script: F) -> Self
    where
        F: Fn(Conn) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let package = Package::artifact("application/x-test", [("application/x-test", blob.clone())]);
        let digest = package.layer();
        let wire = Wire::start(script).await;
        // Room for one such large blob: room that was not given back is missed at once.
        let room = (blob.len() >> 10) + 700;
        let timeouts = "timeouts: { connect: 2s, headers: 1s, idle: 1s }";
        let proxy = TestProxy::new()
            .with("store", &format!("{{ path: store, max_size: {room}KiB }}"))
            .upstream_settings(HOST, Registry::start().await.unwrap(), timeouts)
            .upstream(move |registry| push_signed(registry, "app", "1", &package))
            .start()
            .await;
        assert_eq!(proxy.get("app:1").await.status, 200);
        proxy.metric("portcullis_connections").await;
        proxy.upstream().fault(&format!("/v2/app/blobs/{digest}"), Fault::Redirect(wire.url()));
        let tasks = alive_tasks();
        Self { proxy, wire, blob, digest, tasks }
    }

    /// Where the blob is to be had from the proxy.
    pub fn url(&self) -> String {
        format!("{}/v2/{HOST}/app/blobs/{}", self.proxy.proxy().url(), self.digest)
    }

    /// Asks for the blob, by a client with connections of its own. Whatever comes, comes in time.
    pub async fn blob(&self) -> Answer {
        timeout(LONGEST, Client::new().get(&self.url())).await.expect("it does not hang").unwrap()
    }

    /// What was counted as failed for this reason.
    pub async fn failures(&self, reason: &str) -> f64 {
        let sample = format!("portcullis_fetch_failures_total{{reason=\"{reason}\",registry=\"{HOST}\"}}");
        self.proxy.metric(&sample).await
    }

    /// Asserts that the blob came to nobody as whole, and that no wrong byte of it came at all.
    #[track_caller]
    pub fn assert_not_had(&self, got: &Answer) {
        let whole = got.status == 200 && got.complete;
        assert!(!whole, "a whole answer of {} bytes", got.body.len());
        if got.status == 200 {
            assert!(got.body.len() < self.blob.len() && self.blob.starts_with(&got.body), "wrong bytes");
        }
    }

    /// Asserts that nothing is left of what happened: no file, no room, no connection, no task; and
    /// that the blob can be had, and be kept, as soon as its server is honest.
    pub async fn assert_recovers(self) {
        self.assert_quiet().await;
        self.proxy.upstream().heal();
        let end = Instant::now() + LONGEST;
        let got = loop {
            let got = self.blob().await;
            // An upstream that was out is left alone for a while.
            if got.status == 200 || Instant::now() > end {
                break got;
            }
            sleep(Duration::from_millis(200)).await;
        };
        served(&got, &self.blob);
        self.assert_quiet().await;
        assert!(self.kept().exists(), "it is kept");
        assert_eq!(self.proxy.metric("portcullis_store_full_total").await, 0.0, "there was room");
    }

    /// Where the blob is kept.
    pub fn kept(&self) -> PathBuf {
        self.proxy.folder.path().join("store/blobs/sha256").join(self.digest.hex())
    }

    /// Waits until nothing is under way any more.
    pub async fn assert_quiet(&self) {
        let end = Instant::now() + Duration::from_secs(15);
        loop {
            let left = self.left();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "left over: {left:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn left(&self) -> Vec<String> {
        let mut left = self.open_files();
        let incoming = self.proxy.folder.path().join("store/incoming");
        left.extend(std::fs::read_dir(incoming).unwrap().map(|entry| format!("{:?}", entry.unwrap().path())));
        if self.wire.open() > 0 {
            left.push(format!("{} connections to the server", self.wire.open()));
        }
        let tasks = alive_tasks();
        if tasks > self.tasks {
            left.push(format!("{tasks} tasks where there were {}", self.tasks));
        }
        left
    }

    /// Open files of content, and sockets to the server: other tests run beside in this process, so
    /// that their number alone would tell nothing. The store keeps one handle to what was used last.
    fn open_files(&self) -> Vec<String> {
        let store = self.proxy.folder.path().join("store");
        let (blobs, incoming) = (store.join("blobs/sha256"), store.join("incoming"));
        let mut kept = HashSet::new();
        let sockets = sockets_to(self.wire.port());
        let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| {
            let file = std::fs::read_link(fd.ok()?.path()).ok()?;
            let (folder, shown) = (file.parent()?, file.display().to_string());
            let is_second = folder == blobs && !kept.insert(shown.clone());
            (is_second || folder == incoming || sockets.contains(&shown)).then_some(shown)
        });
        open.collect()
    }
}

/// The sockets of this process that are connected to `port`, as `/proc/self/fd` shows them.
fn sockets_to(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let remote = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[2].ends_with(&remote)).map(|row| format!("socket:[{}]", row[9])).collect()
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}
