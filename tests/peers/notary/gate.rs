//! A running proxy that trusts a Notary Project signer, and decides anew every second or two.

use std::time::{Duration, Instant};

use crate::namespace::Place;
use crate::process::{free_port, run};
use crate::proxy::Proxy;
use crate::stand::Stand;

/// How long a changed status may take to be seen. Decisions end after two seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The proxy, its audit log and where it runs.
pub struct Gate<'a> {
    stand: &'a Stand,
    place: &'a Place,
    proxy: Proxy,
    name: String,
}

/// What the client got.
pub struct Answer {
    pub status: u16,
    /// Status line, headers and body.
    pub text: String,
}

impl<'a> Gate<'a> {
    /// Starts one with `level` (the settings of the signer besides its store `ca:acme`), that may ask these
    /// ports of loopback for revocation. Its files are called `name`.
    pub fn open(stand: &'a Stand, name: &str, level: &str, ports: &[u16]) -> Self {
        Self::open_in(&stand.place, stand, name, level, ports)
    }

    /// The same somewhere else.
    pub fn open_in(place: &'a Place, stand: &'a Stand, name: &str, level: &str, ports: &[u16]) -> Self {
        let port = free_port();
        let allow: Vec<_> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        let text = format!(
            r#"
listen: {{ address: "127.0.0.1:{port}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
store: {{ path: store-{name}, max_size: 1GiB }}
audit: {{ path: audit-{name}.jsonl }}
egress: {{ allow: [{allow}] }}
trust: {{ revocation_ttl: 1s }}
decisions: {{ allow_max_age: 2s, deny_ttl: 1s, indeterminate_ttl: 1s }}
upstreams:
  docker.io: {{ url: "http://{upstream}", default: true }}
signers:
  acme: {{ notation: {{ trust_store_dir: "{stores}", trusted_identities: ["*"], {level} }} }}
policies:
  - {{ name: acme, scopes: ["docker.io/**"], require: acme }}
"#,
            admin = free_port(),
            allow = allow.join(", "),
            upstream = stand.upstream.address(),
            stores = stand.notation_folder().join("truststore").display(),
        );
        let config = stand.file(&format!("{name}.yaml"), &text);
        Self { stand, place, proxy: Proxy::with_config(place, stand, port, &config), name: name.to_owned() }
    }

    /// Asks for a manifest by tag or digest.
    pub fn ask(&self, method: &str, repository: &str, reference: &str) -> Answer {
        let url = format!("http://{}/v2/docker.io/{repository}/manifests/{reference}", self.proxy.address());
        let mut curl = self.place.command("curl", self.stand.home());
        curl.args(["--silent", "--show-error", "--include", "--max-time", "60"]);
        if method == "HEAD" {
            curl.arg("--head");
        }
        let text = run(curl.arg(url)).passed().stdout;
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer { status: status.unwrap_or_else(|| panic!("no status in {text}")), text }
    }

    /// Asserts that GET and HEAD, by `v1`, come to this status, and returns what GET showed.
    #[track_caller]
    pub fn comes_to(&self, repository: &str, status: u16) -> Answer {
        let end = Instant::now() + PATIENCE;
        let answer = loop {
            let answer = self.ask("GET", repository, "v1");
            if answer.status == status || Instant::now() > end {
                break answer;
            }
            std::thread::sleep(Duration::from_millis(300));
        };
        assert_eq!(answer.status, status, "GET {repository}: {}", answer.text);
        let head = self.ask("HEAD", repository, "v1");
        assert_eq!(head.status, status, "HEAD {repository}: {}", head.text);
        answer
    }

    /// The audit log.
    pub fn audit(&self) -> String {
        std::fs::read_to_string(self.stand.home().join(format!("audit-{}.jsonl", self.name))).unwrap()
    }

    /// Asserts that the last decision found a signature, and what it says of it.
    #[track_caller]
    pub fn last_signature(&self) -> serde_json::Value {
        let audit = self.audit();
        let lines = audit.lines().rev().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let signatures = lines.filter_map(|line| line["signatures"].get(0).cloned());
        signatures.into_iter().next().unwrap_or_else(|| panic!("no signature in {audit}"))
    }

    /// Ends it as a service manager would.
    pub fn close(self) {
        assert_eq!(self.proxy.stop(), Some(0));
    }
}
