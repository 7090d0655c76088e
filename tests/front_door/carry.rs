//! Content carried from one network to another: what leaves is what is admitted, what comes in is what this side
//! admits, and everything comes as it left.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use portcullis::demo::{Package, Registry};
use serde_json::Value;

use crate::store::admin;
use crate::test_proxy::{HOST, Running, TestProxy, push_signed, served, signed, unsigned};

/// What a command came to.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }

    /// What was said of a reference.
    #[track_caller]
    fn line(&self, name: &str) -> &str {
        let lines = || self.out.lines();
        lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{}{}", self.out, self.err))
    }

    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }
}

/// Runs `portcullis …` beside a proxy, with its configuration.
async fn run(proxy: &Running, arguments: &[&str]) -> Done {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).arg("--config").arg(proxy.folder.path().join("portcullis.yaml"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

async fn export(proxy: &Running, to: &Path, more: &[&str]) -> Done {
    run(proxy, &[&["export", "-o", to.to_str().unwrap()], more].concat()).await
}

async fn import(proxy: &Running, from: &[PathBuf], more: &[&str]) -> Done {
    let from = from.iter().map(|path| path.to_str().unwrap());
    run(proxy, &[&["import"], more, &from.collect::<Vec<_>>()].concat()).await
}

/// A network with registries.
async fn mainland(content: impl FnOnce(&Registry) + 'static) -> Running {
    TestProxy::new().with("admin", &admin()).upstream(content).start().await
}

/// One without.
async fn island() -> Running {
    let registry = Registry::start().await.unwrap();
    TestProxy::new().with("admin", &admin()).upstream_settings(HOST, registry, "offline: true").start().await
}

#[tokio::test]
async fn an_island_serves_what_was_carried_to_it() {
    let (app, multi) = (Package::image("app"), Package::multi_arch("multi"));
    let carried = multi.clone();
    let mainland = mainland(move |registry| {
        signed("app")(registry);
        push_signed(registry, "multi", "1", &carried);
        unsigned("bad")(registry);
    })
    .await;
    let island = island().await;
    let to = mainland.folder.path().join("out");
    let references = ["registry.test/app:1", "registry.test/multi:1", "registry.test/bad:1"];
    let done = export(&mainland, &to, &references).await.ended(1);
    assert!(done.line("registry.test/app:1: exported, ").contains("manifests"));
    assert!(done.line("registry.test/bad:1: refused").contains("no trusted signature"));
    assert!(!to.join("blobs/sha256").join(Package::image("bad").layer().hex()).exists());

    assert_ne!(island.get("app:1").await.status, 200);
    let done = import(&island, &[to], &[]).await.ended(0);
    assert!(done.out.contains("2 references, contents that nobody signed"), "{}", done.out);
    served(&island.get("app:1").await, app.bytes());
    served(&island.blob("app", &app.layer()).await, app.blobs().last().unwrap());
    served(&island.get("multi:1").await, multi.bytes());
    for child in multi.children() {
        served(&island.get(&format!("multi@{}", child.descriptor().digest)).await, child.bytes());
        served(&island.blob("multi", &child.layer()).await, child.blobs().last().unwrap());
    }
    assert_eq!(island.get("bad:1").await.status, 503);
    // Nobody is asked, and nothing more is there than was carried.
    assert_eq!(island.upstream().seen().len(), 0);
}
