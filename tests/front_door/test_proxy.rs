//! A proxy for one test: `TestProxy::new().upstream(signed("app")).start().await.get("app:1")`.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use http::header::HeaderName;
use http::{Method, StatusCode};
use portcullis::clock::Clock;
use portcullis::demo::client::{Answer, Client};
use portcullis::demo::folder::Folder;
use portcullis::demo::signing::{Identity, Profile, nv2};
use portcullis::demo::{Package, Proxy, Registry};
use portcullis::oci::{Descriptor, Digest};

/// The upstream that references without a registry mean.
pub const HOST: &str = "registry.test";

/// Who may vouch in the default configuration.
pub static WABBIT: LazyLock<Identity> =
    LazyLock::new(|| Identity::self_signed(&Profile::of_host(HOST)).unwrap());

/// Somebody whom nobody trusts.
pub static STRANGER: LazyLock<Identity> =
    LazyLock::new(|| Identity::self_signed(&Profile::of_host(HOST)).unwrap());

/// What fills an upstream.
pub type Content = Box<dyn FnOnce(&Registry)>;

/// What a test's proxy will be.
pub struct TestProxy {
    keys: BTreeMap<&'static str, String>,
    upstreams: Vec<(&'static str, Registry, String)>,
    contents: Vec<(&'static str, Content)>,
    files: Vec<(&'static str, String)>,
    watching: bool,
}

/// A running one.
pub struct Running {
    pub clock: Clock,
    pub folder: Folder,
    keys: BTreeMap<&'static str, String>,
    upstreams: BTreeMap<&'static str, Registry>,
    client: Client,
    watching: bool,
    proxy: Option<Proxy>,
}

impl TestProxy {
    /// One default upstream, one signer, one policy that requires it everywhere.
    pub fn new() -> Self {
        let keys = [
            ("listen", r#"{ address: "127.0.0.1:0" }"#),
            ("admin", r#"{ address: "127.0.0.1:0" }"#),
            ("store", "{ path: store, max_size: 64MiB }"),
            ("audit", "{ path: audit.jsonl }"),
            (
                "signers",
                "{ wabbit: { nv2: { certificates: [trust/wabbit] }, acquire: \"https://wabbit.test/keys\" } }",
            ),
        ];
        let keys = keys.map(|(key, value)| (key, value.to_owned())).into();
        Self { keys, upstreams: Vec::new(), contents: Vec::new(), files: Vec::new(), watching: false }
    }

    /// Puts a file beside the configuration.
    pub fn file(mut self, name: &'static str, text: String) -> Self {
        self.files.push((name, text));
        self
    }

    /// Has it reload when files change.
    pub fn watching(mut self) -> Self {
        self.watching = true;
        self
    }

    /// Sets a top-level key of the configuration, in YAML.
    pub fn with(mut self, key: &'static str, value: &str) -> Self {
        self.keys.insert(key, value.to_owned());
        self
    }

    /// Sets the one policy, for everything at [`HOST`].
    pub fn policy(self, rest: &str) -> Self {
        self.with("policies", &policy(rest))
    }

    /// Puts content at [`HOST`].
    pub fn upstream(self, content: impl FnOnce(&Registry) + 'static) -> Self {
        self.upstream_at(HOST, content)
    }

    /// Puts content at another upstream.
    pub fn upstream_at(mut self, host: &'static str, content: impl FnOnce(&Registry) + 'static) -> Self {
        self.contents.push((host, Box::new(content)));
        self
    }

    /// Says more about an upstream than its URL, in YAML's flow form: `timeouts: { headers: 1s }`.
    pub fn upstream_settings(mut self, host: &'static str, registry: Registry, settings: &str) -> Self {
        self.upstreams.push((host, registry, settings.to_owned()));
        self
    }

    pub async fn start(self) -> Running {
        self.begun(None).await
    }

    /// Starts a proxy that takes `time` for the present.
    pub async fn start_at(self, time: SystemTime) -> Running {
        self.begun(Some(time)).await
    }

    async fn begun(mut self, time: Option<SystemTime>) -> Running {
        let mut upstreams = BTreeMap::new();
        let mut lines = Vec::new();
        for (host, registry, settings) in self.upstreams.drain(..) {
            lines.push(upstream_line(host, &registry, &settings));
            upstreams.insert(host, registry);
        }
        for host in std::iter::once(HOST).chain(self.contents.iter().map(|(host, _)| *host)) {
            if let std::collections::btree_map::Entry::Vacant(entry) = upstreams.entry(host) {
                let registry = entry.insert(Registry::start().await.unwrap());
                lines.push(upstream_line(host, registry, ""));
            }
        }
        for (host, content) in self.contents {
            content(&upstreams[host]);
        }
        let scopes: Vec<_> = upstreams.keys().map(|host| format!("\"{host}/**\"")).collect();
        let strict = format!("[{{ name: strict, scopes: [{}], require: wabbit }}]", scopes.join(", "));
        self.keys.entry("policies").or_insert(strict);
        self.keys.entry("upstreams").or_insert(format!("{{ {} }}", lines.join(", ")));
        let folder = Folder::new().unwrap();
        folder.write("trust/wabbit/wabbit.crt", &WABBIT.certificate_pem()).unwrap();
        for (name, text) in &self.files {
            folder.write(name, text).unwrap();
        }
        let clock = Clock::manual(time.unwrap_or_else(SystemTime::now));
        let (keys, watching) = (self.keys, self.watching);
        let mut running =
            Running { clock, folder, keys, upstreams, client: Client::new(), watching, proxy: None };
        running.begin().await;
        running
    }
}

/// The `policies` of one policy for everything at [`HOST`].
pub fn policy(rest: &str) -> String {
    format!("[{{ name: strict, scopes: [\"{HOST}/**\"], {rest} }}]")
}

fn upstream_line(host: &str, registry: &Registry, settings: &str) -> String {
    let default = if host == HOST { ", default: true" } else { "" };
    let more = if settings.is_empty() { String::new() } else { format!(", {settings}") };
    format!("\"{host}\": {{ url: \"{}\"{default}{more} }}", registry.url())
}

impl Running {
    async fn begin(&mut self) {
        let path = self.write();
        let clock = self.clock.clone();
        let proxy = match self.watching {
            true => Proxy::start_watching(&path, clock).await,
            false => Proxy::start(&path, clock).await,
        };
        self.proxy = Some(proxy.unwrap());
    }

    fn write(&self) -> std::path::PathBuf {
        let text: String = self.keys.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        self.folder.write("portcullis.yaml", &text).unwrap()
    }

    /// Ends the process, as far as state goes.
    pub async fn stop(&mut self) {
        self.proxy.take().unwrap().stop().await;
    }

    pub async fn start_again(&mut self) {
        // What runs behind answers ends a moment after them; a process would take it along.
        let lock = std::fs::File::open(self.folder.path().join("store/lock")).unwrap();
        for _ in 0..500 {
            if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared).is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(lock);
        self.begin().await;
    }

    /// Changes a top-level key and reloads; false where the new configuration is not taken.
    pub fn change(&mut self, key: &'static str, value: &str) -> bool {
        self.keys.insert(key, value.to_owned());
        self.write();
        self.reload()
    }

    pub fn reload(&self) -> bool {
        self.proxy().reload()
    }

    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().unwrap()
    }

    /// The default upstream.
    pub fn upstream(&self) -> &Registry {
        &self.upstreams[HOST]
    }

    /// Another upstream.
    pub fn at(&self, host: &str) -> &Registry {
        &self.upstreams[host]
    }

    /// Lets time pass: for the proxy, not for the test.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Gets a manifest: `app:1`, `app@sha256:…`.
    pub async fn get(&self, reference: &str) -> Answer {
        self.send(Method::GET, &manifest(reference), &[]).await
    }

    pub async fn head(&self, reference: &str) -> Answer {
        self.send(Method::HEAD, &manifest(reference), &[]).await
    }

    pub async fn blob(&self, repository: &str, digest: &Digest) -> Answer {
        self.path(&format!("/v2/{HOST}/{repository}/blobs/{digest}")).await
    }

    pub async fn path(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[]).await
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        let url = format!("{}{path}", self.proxy().url());
        self.client.send(method, &url, headers).await.unwrap()
    }

    /// The value of a sample on `/metrics`, whose line begins with this; 0 where there is none.
    pub async fn metric(&self, sample: &str) -> f64 {
        let url = format!("{}/metrics", self.proxy().admin_url());
        let page = self.client.get(&url).await.unwrap();
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        let values = page.lines().filter(|line| line.starts_with(sample));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Puts a link in the place of its file, which is `real.yaml` in another folder from then on, where nobody watches; what
    /// is in it.
    pub async fn moves_its_file(&self, to: &Folder) -> String {
        let (file, link) = (self.folder.path().join("portcullis.yaml"), self.folder.path().join("link"));
        let text = std::fs::read_to_string(&file).unwrap();
        std::os::unix::fs::symlink(to.write("real.yaml", &text).unwrap(), &link).unwrap();
        std::fs::rename(&link, &file).unwrap();
        self.reloaded(1).await;
        text
    }

    /// Waits until the configuration was taken again so many times since the start.
    pub async fn reloaded(&self, times: u32) {
        self.counted("portcullis_config_reloads_total{result=\"ok\"}", times).await;
    }

    /// Waits until a counter has come so far.
    pub async fn counted(&self, sample: &str, times: u32) {
        for _ in 0..200 {
            if self.metric(sample).await >= f64::from(times) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{sample} is not {times}");
    }

    /// The audit log, a line a value.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn manifest(reference: &str) -> String {
    match reference.split_once('@') {
        Some((name, digest)) => format!("/v2/{HOST}/{name}/manifests/{digest}"),
        None => {
            let (name, tag) = reference.rsplit_once(':').unwrap();
            format!("/v2/{HOST}/{name}/manifests/{tag}")
        }
    }
}

/// An image under `name:1`, signed.
pub fn signed(name: &'static str) -> impl FnOnce(&Registry) {
    move |registry| push_signed(registry, name, "1", &Package::image(name))
}

/// An image under `name:1` that nobody signed.
pub fn unsigned(name: &'static str) -> impl FnOnce(&Registry) {
    move |registry| {
        registry.push(name, "1", &Package::image(name));
    }
}

/// Pushes a package with a good signature as referrer.
pub fn push_signed(registry: &Registry, name: &str, tag: &str, package: &Package) {
    registry.push(name, tag, package);
    registry.push(name, None, &signature(&WABBIT, package.descriptor()));
}

/// A signature artifact about a subject.
pub fn signature(signer: &Identity, subject: &Descriptor) -> Package {
    signature_with(signer, &nv2::Claim::new(&["registry.test/app:1"]), subject)
}

pub fn signature_with(signer: &Identity, claim: &nv2::Claim, subject: &Descriptor) -> Package {
    nv2::jwt_artifact(nv2::jwt(signer, claim, subject).unwrap()).about(subject)
}

/// Asserts that something was refused with this status, code and words in its message.
#[track_caller]
pub fn refused(answer: &Answer, status: u16, code: &str, words: &str) {
    let message = answer.error_message().unwrap_or_default();
    assert_eq!(answer.status, StatusCode::from_u16(status).unwrap(), "{message}");
    assert_eq!(answer.error_code().unwrap_or_default(), code, "{message}");
    assert!(message.contains(words), "{words:?} is not in: {message}");
}

/// Asserts that exactly these bytes were served.
#[track_caller]
pub fn served(answer: &Answer, bytes: &[u8]) {
    let message = answer.error_message().unwrap_or_default();
    assert_eq!(answer.status, StatusCode::OK, "{message}");
    assert!(answer.complete && answer.body == bytes, "other bytes were served");
}
