//! A disk that takes bytes and says later that it could not. No disk says so when it is asked to, so the program is told it
//! in the disk's place: a library that is loaded before the system's refuses to make content durable while a file is there.
//! All else is the program as it runs.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use portcullis::demo::client::Client;
use portcullis::demo::folder::Folder;
use portcullis::demo::signing::{Key, KeyKind, cosign};
use portcullis::demo::{Fault, Package, Registry};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::test_proxy::{HOST, WABBIT, push_signed, served};

/// Nothing here may take longer.
const LONGEST: Duration = Duration::from_secs(60);
const REFERENCE: &str = "registry.test/app:1";
const REFUSED: &str = "make small content durable";

const DISK: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fsync(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    if (strstr(path, "/store/blobs/") && access(getenv("REFUSING"), F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return fdatasync(file);
}
"#;

/// Builds the library, by the compiler that links the program too.
fn disk(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("disk.c"), folder.join("disk.so"));
    std::fs::write(&source, DISK).unwrap();
    let built =
        std::process::Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.unwrap().success());
    library
}

/// A store on such a disk, before a registry.
struct Site {
    folder: Folder,
    library: PathBuf,
    url: String,
    admin: String,
}

impl Site {
    fn new(registry: &Registry) -> Self {
        let bound = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [url, admin] = bound.map(|bound| bound.local_addr().unwrap());
        let folder = Folder::new().unwrap();
        folder.write("trust/wabbit.crt", &WABBIT.certificate_pem()).unwrap();
        let config = format!(
            r#"
listen: {{ address: "{url}" }}
admin: {{ address: "{admin}" }}
store: {{ path: store, max_size: 64MiB }}
audit: {{ path: audit.jsonl }}
upstreams: {{ "{HOST}": {{ url: "{}", default: true }} }}
signers: {{ wabbit: {{ nv2: {{ certificates: [trust/wabbit.crt] }} }} }}
policies: [{{ name: strict, scopes: ["{HOST}/**"], require: wabbit }}]
"#,
            registry.url()
        );
        folder.write("portcullis.yaml", &config).unwrap();
        folder.write("list", REFERENCE).unwrap();
        let library = disk(folder.path());
        Self { folder, library, url: format!("http://{url}"), admin: format!("http://{admin}") }
    }

    /// A list of what is to be had.
    fn list(&self) -> String {
        self.folder.path().join("list").to_str().unwrap().to_owned()
    }

    fn refuses(&self, refuses: bool) {
        let told = self.folder.path().join("refusing");
        if refuses { std::fs::write(told, "").unwrap() } else { std::fs::remove_file(told).unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(arguments).arg("--config").arg(self.folder.path().join("portcullis.yaml"));
        command.env("LD_PRELOAD", &self.library).env("REFUSING", self.folder.path().join("refusing"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// A command's exit code, and what it wrote.
    async fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = timeout(LONGEST, self.command(arguments).output()).await.unwrap().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    }

    async fn serve(&self) -> Child {
        let mut serve = self.command(&["serve"]);
        let log = self.folder.path().join("log");
        let said = std::fs::File::create(&log).unwrap();
        let mut running = serve.stdout(Stdio::null()).stderr(said).spawn().unwrap();
        for _ in 0..2000 {
            if Client::new().get(&format!("{}/v2/", self.url)).await.is_ok() {
                return running;
            }
            let ended = running.try_wait().unwrap();
            assert!(ended.is_none(), "{}", std::fs::read_to_string(log).unwrap());
            sleep(Duration::from_millis(5)).await;
        }
        panic!("it does not come up");
    }

    async fn lost(&self) -> f64 {
        let page = Client::new().get(&format!("{}/metrics", self.admin)).await.unwrap();
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        let name = "portcullis_store_sync_failures_total ";
        page.lines()
            .find_map(|line| line.strip_prefix(name)?.parse().ok())
            .unwrap_or_else(|| panic!("{page}"))
    }

    /// How many files of content there are.
    fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("store/blobs/sha256")).unwrap().count()
    }

    /// Refuses, has the command fail for it, and has it go well once the disk takes content again.
    async fn refused_and_done_again(&self, arguments: &[&str]) {
        self.refuses(true);
        let (code, text) = self.run(arguments).await;
        let mut said = text.lines().filter(|line| line.starts_with("portcullis: "));
        let is_told = |line: &str| line.contains(REFUSED) && line.ends_with("which are lost: do it again");
        assert!(said.any(is_told), "{text}");
        assert_eq!((code, self.files()), (2, 0), "{text}");
        self.refuses(false);
        let (code, text) = self.run(arguments).await;
        assert!(code == 0 && !text.contains(REFUSED), "{text}");
        assert!(self.files() > 3);
    }
}

async fn registry() -> Registry {
    let registry = Registry::start().await.unwrap();
    push_signed(&registry, "app", "1", &Package::image("app"));
    registry
}

async fn exported(registry: &Registry) -> (Site, String) {
    let site = Site::new(registry);
    let to = site.folder.path().join("out").to_str().unwrap().to_owned();
    let (code, text) = site.run(&["export", "-o", &to, REFERENCE]).await;
    assert_eq!(code, 0, "{text}");
    (site, to)
}

#[tokio::test]
async fn what_the_disk_refuses_of_a_prefetch_is_told_and_had_anew() {
    let registry = registry().await;
    let site = Site::new(&registry);
    site.refused_and_done_again(&["store", "prefetch", &site.list()]).await;
    let site = Site::new(&registry);
    let _running = site.serve().await;
    assert_eq!(site.lost().await, 0.0);
    site.refused_and_done_again(&["store", "prefetch", &site.list()]).await;
    let lost = site.lost().await;
    assert!(lost > 3.0, "{lost}");
    registry.fault("", Fault::Drop);
    let image = Package::image("app");
    let get =
        async |path: &str| Client::new().get(&format!("{}/v2/{HOST}/app/{path}", site.url)).await.unwrap();
    served(&get("manifests/1").await, image.bytes());
    served(&get(&format!("blobs/{}", image.layer())).await, &image.blobs()[1]);
    assert_eq!(site.lost().await, lost, "what went well is not counted");
}

/// Nobody walks to what stands under cosign's tag, and the decision in memory needs it no more: after a restart without
/// upstream it would.
#[tokio::test]
async fn signatures_that_the_disk_refused_are_had_anew() {
    let (registry, image) = (Registry::start().await.unwrap(), Package::image("app"));
    let key = Key::generate(KeyKind::P256).unwrap();
    registry.push("app", "1", &image);
    let signed = cosign::image(&key, &cosign::payload("x", &image.digest())).unwrap();
    registry.push("app", cosign::tag(&image.digest()).as_str(), &signed);
    let site = Site::new(&registry);
    let config = site.folder.path().join("portcullis.yaml");
    let pem = key.public_pem().replace('\n', "\\n");
    let by_key = format!("cosign: {{ key: \"{pem}\", transparency_log: ignore }}");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("nv2: { certificates: [trust/wabbit.crt] }", &by_key)).unwrap();
    let mut running = site.serve().await;
    site.refused_and_done_again(&["store", "prefetch", &site.list()]).await;
    running.kill().await.unwrap();
    registry.fault("", Fault::Drop);
    let _running = site.serve().await;
    let got = Client::new().get(&format!("{}/v2/{HOST}/app/manifests/1", site.url)).await.unwrap();
    served(&got, image.bytes());
}

#[tokio::test]
async fn what_the_disk_refuses_of_an_import_is_told_and_taken_in_anew() {
    let registry = registry().await;
    let (_mainland, carried) = exported(&registry).await;
    Site::new(&registry).refused_and_done_again(&["import", &carried]).await;
    let site = Site::new(&registry);
    let _running = site.serve().await;
    site.refused_and_done_again(&["import", &carried]).await;
    assert!(site.lost().await > 3.0);
}
