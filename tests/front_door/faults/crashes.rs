//! The built program, killed at any moment while clients pull: no client gets a wrong byte as right,
//! what the store has is what it says, and the next start goes on.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use portcullis::demo::client::Client;
use portcullis::demo::folder::Folder;
use portcullis::demo::{Fault, Package, Registry};
use portcullis::oci::Digest;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::stand::noise;
use crate::test_proxy::{HOST, WABBIT, push_signed};

const ROUNDS: usize = 12;
const CLIENTS: usize = 6;
/// A client gives up after so long.
const LONGEST: Duration = Duration::from_secs(60);

/// An upstream with images of mixed size, and a proxy before it that is started and killed.
struct Site {
    folder: Folder,
    registry: Registry,
    images: Vec<Package>,
    address: String,
}

impl Site {
    async fn new() -> Self {
        let registry = Registry::start().await.unwrap();
        let images: Vec<_> = (0..10).map(image).collect();
        for (n, image) in images.iter().enumerate() {
            push_signed(&registry, &name(n), "1", image);
        }
        registry.fault("/blobs/", Fault::Drip(32 << 10, Duration::from_millis(2)));
        let [port, admin] = [(); 2].map(|()| free_port());
        let folder = Folder::new().unwrap();
        folder.write("trust/wabbit.crt", &WABBIT.certificate_pem()).unwrap();
        let config = format!(
            r#"
listen: {{ address: "127.0.0.1:{port}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
store: {{ path: store, max_size: 64MiB }}
audit: {{ path: audit.jsonl }}
upstreams: {{ "{HOST}": {{ url: "{}", default: true }} }}
signers: {{ wabbit: {{ nv2: {{ certificates: [trust/wabbit.crt] }} }} }}
policies: [{{ name: strict, scopes: ["{HOST}/**"], require: wabbit }}]
"#,
            registry.url()
        );
        folder.write("portcullis.yaml", &config).unwrap();
        Self { folder, registry, images, address: format!("http://127.0.0.1:{port}") }
    }

    /// Starts the program and waits until it answers. What the last one left half-written is gone.
    async fn start(&self) -> Child {
        let mut program = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        program.args(["serve", "--config"]).arg(self.folder.path().join("portcullis.yaml"));
        let quiet = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = quiet.kill_on_drop(true).spawn().unwrap();
        let end = Instant::now() + LONGEST;
        while Client::new().get(&format!("{}/v2/", self.address)).await.is_err() {
            assert!(running.try_wait().unwrap().is_none(), "it ended");
            assert!(Instant::now() < end, "it does not come up");
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(files(&self.store("incoming")), Vec::<PathBuf>::new());
        running
    }

    fn store(&self, folder: &str) -> PathBuf {
        self.folder.path().join("store").join(folder)
    }

    /// Every file is what its name says.
    fn assert_whole(&self) {
        for file in files(&self.store("blobs/sha256")) {
            let found = Digest::sha256(&std::fs::read(&file).unwrap());
            assert_eq!(found.hex(), file.file_name().unwrap().to_str().unwrap());
        }
        assert_eq!(files(&self.store("quarantine")), Vec::<PathBuf>::new());
    }

    /// Pulls an image as far as the proxy lives; whether all of it came. What came is right.
    async fn pull(&self, n: usize) -> bool {
        let image = &self.images[n];
        if !self.gets(&format!("{}/manifests/1", name(n)), image.bytes()).await {
            return false;
        }
        for blob in image.blobs() {
            let path = format!("{}/blobs/{}", name(n), Digest::sha256(blob));
            if !self.gets(&path, blob).await {
                return false;
            }
        }
        true
    }

    async fn gets(&self, path: &str, expected: &Bytes) -> bool {
        let url = format!("{}/v2/{HOST}/{path}", self.address);
        let got = timeout(LONGEST, Client::new().get(&url)).await.expect("it does not hang");
        let Ok(got) = got else { return false };
        assert!(got.status != 404 && got.status != 403, "{path}: {:?}", got.error_message());
        if got.status == 200 && got.complete {
            assert!(got.body == expected, "{path}: wrong bytes as a whole answer");
        }
        got.status == 200 && got.complete
    }
}

/// An image with layers of a few bytes, of one step's length and of some steps'.
fn image(n: usize) -> Package {
    let sizes = [100 + n, (64 << 10) + n, (n % 4) * (600 << 10) + 1000 + n];
    let layers = sizes.map(|size| ("application/x-test", noise(size)));
    Package::artifact("application/x-test", layers)
}

fn name(n: usize) -> String {
    format!("app-{n}")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_killed_again_and_again_loses_nothing_that_it_served() {
    let site = Site::new().await;
    let mut whole = 0;
    for round in 0..ROUNDS {
        let mut running = site.start().await;
        let clients = (0..CLIENTS).map(|client| {
            let site = &site;
            async move {
                let mut pulled = 0;
                // Until the proxy is gone.
                while site.pull((round + client + pulled) % site.images.len()).await {
                    pulled += 1;
                }
                pulled
            }
        });
        let kill = async {
            sleep(Duration::from_millis(fastrand::u64(20..700))).await;
            running.kill().await.unwrap();
        };
        let (pulled, ()) = tokio::join!(join_all(clients), kill);
        whole += pulled.into_iter().sum::<usize>();
        site.assert_whole();
    }
    assert!(whole > 0, "nothing was pulled in all those rounds");
    site.registry.heal();
    let mut running = site.start().await;
    for n in 0..site.images.len() {
        assert!(site.pull(n).await, "{n} can be pulled again");
    }
    // What is pulled is kept, and needs no upstream.
    sleep(Duration::from_millis(300)).await;
    site.registry.fault("", Fault::Drop);
    for n in 0..site.images.len() {
        assert!(site.pull(n).await, "{n} is kept");
    }
    running.kill().await.unwrap();
    site.assert_whole();
    let audit = std::fs::read_to_string(site.folder.path().join("audit.jsonl")).unwrap();
    let broken = audit.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err());
    assert!(broken.count() <= ROUNDS, "at most the last line of each run");
}
