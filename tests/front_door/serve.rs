//! `portcullis serve` as a service manager meets it: the built program, and signals.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use portcullis::demo::client::Client;
use portcullis::demo::folder::Folder;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::countersign_keys::Plugin;
use crate::test_proxy::WABBIT;

const LONGEST: Duration = Duration::from_secs(60);

/// The program at work by a configuration in a folder.
struct Serving {
    folder: Folder,
    child: Child,
    url: String,
    admin: String,
    config: String,
}

impl Serving {
    async fn start() -> Self {
        Self::start_with("").await
    }

    /// The configuration says this as well.
    async fn start_with(more: &str) -> Self {
        let mut serving = Self::begin_with(more);
        serving.is_up().await;
        serving
    }

    /// One that is starting.
    fn begin_with(more: &str) -> Self {
        Self::begin_logging_to(Stdio::null(), more)
    }

    fn begin_logging_to(log: Stdio, more: &str) -> Self {
        let [port, admin] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
        let folder = Folder::new().unwrap();
        folder.write("wabbit.crt", &WABBIT.certificate_pem()).unwrap();
        let config = format!(
            "listen: {{ address: \"{port}\" }}\nadmin: {{ address: \"{admin}\" }}\nstore: {{ path: store }}\n\
             upstreams: {{ registry.test: {{}} }}\nsigners: {{ wabbit: {{ nv2: {{ certificates: [wabbit.crt] }} }} }}\n{more}"
        );
        let (url, admin) = (format!("http://{port}/v2/"), format!("http://{admin}"));
        folder.write("portcullis.yaml", &config).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        program.args(["serve", "--config", "portcullis.yaml"]).current_dir(folder.path());
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        Self { child: program.spawn().unwrap(), folder, url, admin, config }
    }

    async fn is_up(&mut self) {
        let end = Instant::now() + LONGEST;
        while Client::new().get(&self.url).await.is_err() {
            assert!(self.child.try_wait().unwrap().is_none() && Instant::now() < end, "it does not come up");
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// How often it took its configuration again.
    async fn reloads(&self) -> usize {
        let page = Client::new().get(&format!("{}/metrics", self.admin)).await.unwrap();
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        let line =
            page.lines().find(|line| line.starts_with("portcullis_config_reloads_total{result=\"ok\"}"));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    async fn ends_within(&mut self, time: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        timeout(time, self.child.wait()).await.expect("it does not end").unwrap()
    }
}

#[tokio::test]
async fn a_key_that_is_slow_to_open_holds_up_neither_clients_nor_the_end() {
    let mut serving = Serving::start().await;
    let folder = serving.folder.path();
    let (plugin, asked) = (folder.join("notation-slow"), folder.join("asked"));
    let script = format!("#!/bin/sh\ntouch '{}'\nexec sleep 25\n", asked.display());
    serving.folder.write("notation-slow", &script).unwrap();
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o700)).unwrap();
    let policies = format!(
        "policies: [{{ name: strict, scopes: [\"registry.test/**\"], require: wabbit, \
         counter_sign: {{ key: \"plugin:{}?id=k\", formats: [cosign] }} }}]\n",
        plugin.display()
    );
    serving.folder.write("portcullis.yaml", &(serving.config.clone() + &policies)).unwrap();
    serving.signal(Signal::HUP);
    let end = Instant::now() + LONGEST;
    while !asked.exists() {
        assert!(Instant::now() < end, "the key is not asked for");
        sleep(Duration::from_millis(5)).await;
    }
    let answer = timeout(Duration::from_secs(8), Client::new().get(&serving.url)).await;
    assert_eq!(answer.expect("clients wait").unwrap().status, 200);
    assert!(serving.ends_within(Duration::from_secs(12)).await.success());
}

#[tokio::test]
async fn a_file_of_the_working_folder_is_watched() {
    let mut serving = Serving::start().await;
    serving.folder.write("portcullis.yaml", &format!("{}# changed\n", serving.config)).unwrap();
    let end = Instant::now() + LONGEST;
    while serving.reloads().await == 0 {
        assert!(Instant::now() < end, "the change is missed");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(serving.ends_within(LONGEST).await.success());
}

/// A start that asks for keys takes its time. What it has read by then is read again if it changed, and no key is asked for
/// twice if nothing did.
#[tokio::test]
async fn what_changes_during_a_start_is_read_after_it() {
    let plugin = Plugin::new();
    let policies = format!(
        "policies: [{{ name: strict, scopes: [\"registry.test/**\"], {} }}]\n",
        plugin.policy("k", "")
    );
    let policies = policies + &plugin.changes_an_import_key();
    let once = "get-plugin-metadata\ndescribe-key\ngenerate-signature\n";
    for asked in [once.repeat(2), once.to_owned()] {
        let mut serving = Serving::start_with(&policies).await;
        let end = Instant::now() + LONGEST;
        while serving.reloads().await + 1 < asked.matches("describe").count() {
            assert!(Instant::now() < end, "the change is missed");
            sleep(Duration::from_millis(20)).await;
        }
        // Longer than a change settles.
        sleep(Duration::from_millis(600)).await;
        assert_eq!(plugin.asked(), asked);
        assert!(serving.ends_within(LONGEST).await.success());
    }
}

/// A signal that nobody has asked for yet would end the process.
#[tokio::test]
async fn a_hangup_during_a_start_is_heeded_after_it() {
    let plugin = Plugin::new();
    let answer = plugin.waits("describe-key");
    let policy = plugin.policy("k", "");
    let mut serving = Serving::begin_with(&format!(
        "policies: [{{ name: strict, scopes: [\"registry.test/**\"], {policy} }}]\n"
    ));
    let end = Instant::now() + LONGEST;
    while !plugin.was_asked().contains("describe-key") {
        assert!(Instant::now() < end, "the key is not asked for");
        sleep(Duration::from_millis(5)).await;
    }
    serving.signal(Signal::HUP);
    sleep(Duration::from_millis(50)).await;
    answer();
    serving.is_up().await;
    while serving.reloads().await == 0 {
        assert!(Instant::now() < end, "the signal is lost");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(serving.ends_within(LONGEST).await.success());
}

/// Its terminal is gone, or what its log goes to is full.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_log_that_nobody_takes_ends_nothing() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut serving = Serving::begin_logging_to(full.into(), "");
    serving.is_up().await;
    serving.signal(Signal::HUP);
    let end = Instant::now() + LONGEST;
    while serving.reloads().await == 0 {
        assert!(Instant::now() < end, "the signal is lost");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(serving.ends_within(LONGEST).await.success());
}

/// The keys that it signs with are in its memory.
#[tokio::test]
async fn a_crash_would_leave_no_core_file() {
    let mut serving = Serving::start().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serving.child.id().unwrap())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"]);
    assert!(serving.ends_within(LONGEST).await.success());
}

#[tokio::test]
async fn the_log_says_what_is_served_from_where_and_what_was_asked_by_whom() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let more = "log: { requests: true }\n";
    let mut serving = Serving::begin_logging_to(log.reopen().unwrap().into(), more);
    serving.is_up().await;
    let url = format!("{}registry.test/app/manifests/1?ns=elsewhere.test", serving.url);
    let refused = Client::new().get(&url).await.unwrap();
    let tags = format!("{}registry.test/app/blobs/sha256:{}", serving.url, "0".repeat(64));
    let missing = Client::new().get(&tags).await.unwrap();
    assert!(serving.ends_within(LONGEST).await.success());
    let text = std::fs::read_to_string(log.path()).unwrap();
    let line = |parts: &[&str]| {
        let is_it = |line: &&str| parts.iter().all(|part| line.contains(part));
        text.lines().find(is_it).unwrap_or_else(|| panic!("no line with {parts:?} in\n{text}"))
    };
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    line(&["serving", &version, "config=\"portcullis.yaml\"", "store=\"", "/store\""]);
    let bytes = format!("bytes={}", missing.body.len());
    line(&["request", "/blobs/", "registry=\"registry.test\"", "client=\"127.0.0.1:", &bytes, "status=404"]);
    let bytes = format!("bytes={}", refused.body.len());
    assert!(!line(&["request", "/manifests/1", &bytes]).contains("registry="), "it has none");
}
