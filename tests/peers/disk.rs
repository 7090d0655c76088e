//! A disk that is full: content goes through unkept, nothing is admitted unrecorded, and all of it
//! passes when there is room. The disk is a small tmpfs in a mount namespace of its own.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use portcullis::demo::client::{Answer, Client};
use portcullis::demo::signing::{Identity, Profile, nv2};
use portcullis::demo::{Package, Registry};
use portcullis::oci::Digest;
use tokio::time::timeout;

use super::process::{Daemon, command, free_port, run};
use super::proxy::PORTCULLIS;

const HOST: &str = "registry.test";
const LAYER: usize = 1 << 20;

/// An upstream, a proxy with its store on the disk, and the disk.
struct Site {
    home: tempfile::TempDir,
    registry: Registry,
    disk: Daemon,
    port: u16,
    admin: u16,
}

impl Site {
    /// `audit` is where the log is: on the disk (`disk/…`) or beside it.
    async fn new(images: usize, audit: &str, more: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let signer = Identity::self_signed(&Profile::of_host(HOST)).unwrap();
        let registry = Registry::start().await.unwrap();
        for n in 0..images {
            let image = image(n);
            registry.push("app", tag(n).as_str(), &image);
            let claim = nv2::Claim::new(&[&format!("{HOST}/app:{}", tag(n))]);
            let signature = nv2::jwt(&signer, &claim, image.descriptor()).unwrap();
            registry.push("app", None, &nv2::jwt_artifact(signature).about(image.descriptor()));
        }
        let (port, admin) = (free_port(), free_port());
        let config = format!(
            r#"
listen: {{ address: "127.0.0.1:{port}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
store: {{ path: disk/store, max_size: 1GiB }}
audit: {{ path: {audit} }}
{more}
upstreams: {{ "{HOST}": {{ url: "{}", default: true }} }}
signers: {{ wabbit: {{ nv2: {{ certificates: [wabbit.crt] }} }} }}
policies: [{{ name: strict, scopes: ["{HOST}/**"], require: wabbit }}]
"#,
            registry.url()
        );
        std::fs::write(home.path().join("wabbit.crt"), signer.certificate_pem()).unwrap();
        std::fs::write(home.path().join("portcullis.yaml"), config).unwrap();
        std::fs::create_dir(home.path().join("disk")).unwrap();
        let script = "mount -t tmpfs -o size=24m none disk && echo ready && exec sleep infinity";
        let mut unshare = command("unshare", home.path());
        unshare.args(["--mount", "--propagation", "private", "sh", "-c", script]);
        let disk = Daemon::start(&unshare, home.path()).ready_when(|disk| disk.output().contains("ready"));
        Self { home, registry, disk, port, admin }
    }

    fn start(&self) -> Daemon {
        let mut enter = command("nsenter", self.home.path());
        enter.args(["--target", &self.disk.id().to_string(), "--mount"]);
        enter.arg(format!("--wd={}", self.home.path().display()));
        enter.args(["--", PORTCULLIS, "serve", "--config", "portcullis.yaml"]);
        let answers = |_: &Daemon| std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        Daemon::start(&enter, self.home.path()).ready_when(answers)
    }

    /// A place on the disk, as this process reaches it.
    fn on_disk(&self, path: &str) -> PathBuf {
        let home = self.home.path().strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", self.disk.id())).join(home).join("disk").join(path)
    }

    /// Takes all room that there is.
    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.on_disk("ballast")).unwrap();
        for size in [1 << 20, 4096, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.on_disk("ballast")).unwrap();
    }

    async fn get(&self, path: &str) -> Answer {
        let url = format!("http://127.0.0.1:{}/v2/{HOST}/app/{path}", self.port);
        timeout(Duration::from_secs(60), Client::new().get(&url)).await.expect("in time").unwrap()
    }

    /// Pulls an image and asserts that all of it came.
    async fn pull(&self, n: usize) {
        let image = image(n);
        came(&self.get(&format!("manifests/{}", tag(n))).await, image.bytes());
        for blob in image.blobs() {
            came(&self.get(&format!("blobs/{}", Digest::sha256(blob))).await, blob);
        }
    }

    async fn metric(&self, name: &str) -> f64 {
        let page = Client::new().get(&format!("http://127.0.0.1:{}/metrics", self.admin)).await.unwrap();
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("{name} is not in\n{page}"))
    }

    /// How many admissions stand in the log.
    fn allowed(&self) -> usize {
        let log = std::fs::read_to_string(self.on_disk("audit.jsonl")).unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter(|line| line["outcome"] == "allow").count()
    }

    /// Every file that is kept is what its name says.
    fn assert_whole(&self) {
        for entry in std::fs::read_dir(self.on_disk("store/blobs/sha256")).unwrap() {
            let file = entry.unwrap().path();
            let found = Digest::sha256(&std::fs::read(&file).unwrap());
            assert_eq!(found.hex(), file.file_name().unwrap().to_str().unwrap());
        }
    }
}

#[track_caller]
fn came(got: &Answer, expected: &Bytes) {
    assert_eq!(got.status, 200, "{:?}", got.error_message());
    assert!(got.complete && got.body == expected, "other bytes, or not all");
}

fn image(n: usize) -> Package {
    let mut layer = vec![0; LAYER];
    fastrand::Rng::with_seed(n as u64).fill(&mut layer);
    Package::artifact("application/x-test", [("application/x-test", Bytes::from(layer))])
}

fn tag(n: usize) -> String {
    format!("v{n}")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn needs_root_content_goes_through_a_full_disk_unkept() {
    let site = Site::new(12, "audit.jsonl", "").await;
    let proxy = site.start();
    site.pull(0).await;
    assert_eq!(site.metric("portcullis_store_full_total").await, 0.0);

    site.fill();
    join_all((0..8).map(|n| site.pull(n % 4))).await;
    assert!(site.metric("portcullis_store_full_total").await > 0.0);
    // Longer than the records take to notice that they cannot be written.
    tokio::time::sleep(Duration::from_secs(3)).await;
    join_all((0..8).map(|n| site.pull(n % 6))).await;
    let head = site.registry.count("HEAD");
    site.pull(0).await;
    assert_eq!(site.registry.count("HEAD"), head, "what is kept is served from here");

    // Started on a full disk, it serves all the same.
    drop(proxy);
    let proxy = site.start();
    join_all((0..8).map(|n| site.pull(n % 8))).await;
    site.assert_whole();

    site.make_room();
    tokio::time::sleep(Duration::from_secs(3)).await;
    for n in 0..12 {
        site.pull(n).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let full = site.metric("portcullis_store_full_total").await;
    let fetched = site.registry.count("GET /v2/app/blobs/");
    join_all((0..12).map(|n| site.pull(n))).await;
    assert_eq!(site.registry.count("GET /v2/app/blobs/"), fetched, "all of it is kept");
    assert_eq!(site.metric("portcullis_store_full_total").await, full);
    site.assert_whole();
    assert_eq!(proxy.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn needs_root_what_cannot_be_recorded_is_not_admitted() {
    for skips in [false, true] {
        let more = format!("dangerous_skip_audit: {skips}");
        let site = Site::new(12, "disk/audit.jsonl", &more).await;
        let _proxy = site.start();
        site.pull(0).await;
        site.fill();
        // The page in which the log ends has room for a few lines yet.
        let mut statuses = Vec::new();
        for n in 1..12 {
            statuses.push(site.get(&format!("manifests/{}", tag(n))).await.status.as_u16());
        }
        assert!(site.metric("portcullis_audit_write_failures_total").await > 0.0);
        let admitted = statuses.iter().take_while(|status| **status == 200).count();
        assert_eq!(admitted == statuses.len(), skips, "{statuses:?}");
        assert!(statuses[admitted..].iter().all(|status| *status == 503), "{statuses:?}");
        assert!(skips || site.allowed() == 1 + admitted, "{statuses:?}");
        site.pull(0).await;

        site.make_room();
        for n in 1..12 {
            site.pull(n).await;
        }
        assert!(skips || site.allowed() == 12, "each admission stands in the log, once");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn needs_root_an_import_onto_a_full_disk_takes_in_what_fits_and_is_done_again() {
    let site = Site::new(8, "audit.jsonl", "").await;
    let home = site.home.path();
    let config = std::fs::read_to_string(home.join("portcullis.yaml")).unwrap();
    std::fs::write(home.join("export.yaml"), config.replace("disk/store", "beside")).unwrap();
    let references: Vec<String> = (0..8).map(|n| format!("{HOST}/app:{}", tag(n))).collect();
    let mut export = command(PORTCULLIS, home);
    run(export.args(["export", "--config", "export.yaml", "-o", "out"]).args(&references)).passed();

    let import = || {
        let mut enter = command("nsenter", home);
        enter.args(["--target", &site.disk.id().to_string(), "--mount"]);
        enter.arg(format!("--wd={}", home.display()));
        run(enter.args(["--", PORTCULLIS, "import", "--config", "portcullis.yaml", "out"]))
    };
    // Once with room, and once with room for some of it.
    import().passed();
    drop(std::fs::remove_dir_all(site.on_disk("store")));
    std::fs::create_dir_all(site.on_disk("store")).unwrap();
    let mut ballast = std::fs::File::create(site.on_disk("ballast")).unwrap();
    for _ in 0..18 {
        ballast.write_all(&vec![0; 1 << 20]).unwrap();
    }
    drop(ballast);
    let some = import();
    assert_eq!(some.code, Some(2), "{}", some.text);
    assert!(some.text.contains("trouble: "), "{}", some.text);
    site.assert_whole();
    site.make_room();
    import().passed();
    site.assert_whole();

    let asked = site.registry.count("GET");
    let proxy = site.start();
    for n in 0..8 {
        site.pull(n).await;
    }
    assert_eq!(site.registry.count("GET"), asked, "all of it came in");
    assert_eq!(proxy.stop(), Some(0));
}
