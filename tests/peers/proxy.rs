//! The built program: as a server, and as a command.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::namespace::Place;
use super::process::{Daemon, Outcome, free_port, run};
use super::signing::NOTATION_IDENTITY;
use super::stand::{Stand, UNSIGNED};

/// The program under test.
pub const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

/// Where a refusal sends its reader.
pub const KEYS: &str = "https://wabbit-networks.example/keys";
/// The policy of all repositories here.
pub const POLICY: &str = "acme-prod";

/// A running proxy. Its upstream is Docker Hub by name, and the default.
pub struct Proxy {
    daemon: Daemon,
    port: u16,
}

impl Proxy {
    /// Starts it on plain HTTP.
    pub fn start(stand: &Stand) -> Self {
        let port = free_port();
        Self::with_listener(stand, port, &format!("{{ address: \"127.0.0.1:{port}\" }}"))
    }

    /// Starts it with these settings of the listener, which is on `port`.
    pub fn with_listener(stand: &Stand, port: u16, listen: &str) -> Self {
        let config = config(stand, "portcullis.yaml", listen);
        Self::with_config(&stand.place, stand, port, &config)
    }

    /// Starts it in a place, by a configuration whose listener is on `port`.
    pub fn with_config(place: &Place, stand: &Stand, port: u16, config: &Path) -> Self {
        Self::with_config_at(place, stand.home(), port, config)
    }

    /// The same, at home in a folder.
    pub fn with_config_at(place: &Place, home: &Path, port: u16, config: &Path) -> Self {
        let mut serve = place.command(PORTCULLIS, home);
        serve.args(["serve", "--config"]).arg(config);
        let ready = |_: &Daemon| place.answers(port, home);
        Self { daemon: Daemon::start(&serve, home).ready_when(ready), port }
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `docker.io/REPOSITORY` as it is named through the proxy.
    pub fn name(&self, repository: &str) -> String {
        format!("{}/docker.io/{repository}", self.address())
    }

    /// Ends it as a service manager would: the exit code.
    pub fn stop(self) -> Option<i32> {
        self.daemon.stop()
    }
}

/// Writes a configuration for this stand: cosign's or notation's signature suffices.
pub fn config(stand: &Stand, file: &str, listen: &str) -> PathBuf {
    let text = format!(
        r#"
listen: {listen}
admin: {{ address: "127.0.0.1:{admin}" }}
store: {{ path: store, max_size: 1GiB }}
audit: {{ path: audit.jsonl }}
upstreams:
  docker.io: {{ url: "http://{upstream}", default: true }}
signers:
  wabbit: {{ cosign: {{ key: "{key}", transparency_log: ignore }}, acquire: "{KEYS}" }}
  acme:
    notation:
      trust_store: "ca:acme-rockets.io"
      trust_store_dir: "{trust_store}"
      trusted_identities: ["{NOTATION_IDENTITY}"]
policies:
  - name: {POLICY}
    scopes: ["docker.io/**"]
    require: {{ any: [wabbit, acme] }}
"#,
        admin = free_port(),
        upstream = stand.upstream.address(),
        key = stand.cosign_key().display(),
        trust_store = stand.notation_trust_store().display(),
    );
    stand.file(file, &text)
}

/// `portcullis ARGUMENTS` in the stand's place.
pub fn portcullis(stand: &Stand) -> Command {
    stand.command(PORTCULLIS)
}

/// Runs `portcullis verify --output json` on a reference: the outcome and what it printed.
pub fn verify(stand: &Stand, reference: &str) -> (Outcome, serde_json::Value) {
    let config = config(stand, "verify.yaml", "{}");
    let mut command = portcullis(stand);
    command.args(["verify", "--output", "json", "--config"]).arg(config).arg(reference);
    let outcome = run(&mut command);
    let object = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|e| panic!("verify prints one JSON object: {e}\n{}", outcome.text));
    (outcome, object)
}

impl Outcome {
    /// Asserts that the client was refused [`UNSIGNED`] and shows why, and where the key is had.
    #[track_caller]
    pub fn explains(self) -> Self {
        self.failed().says(&format!("policy {POLICY}: docker.io/{UNSIGNED}@sha256:")).says(KEYS)
    }
}
