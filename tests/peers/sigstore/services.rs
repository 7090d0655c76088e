//! The private Sigstore of `tests/peers/sigstore-stand`, and both cosigns with it.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{Daemon, run};
use crate::stand::Stand;

/// The address that Fulcio certifies.
pub const EMAIL: (&str, &str) = ("dev@example.test", "https://issuer.example.test");
/// The workflow that Fulcio certifies.
pub const WORKFLOW: (&str, &str) = (
    "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
    "https://token.actions.githubusercontent.com",
);

/// A running one. Its checkpoints of Rekor v2 have a witness' cosignature.
pub struct Sigstore<'a> {
    pub stand: &'a Stand,
    _daemon: Daemon,
}

impl<'a> Sigstore<'a> {
    /// Starts it in the stand's place.
    pub fn start(stand: &'a Stand) -> Self {
        let mut command = stand.command("sigstore-stand");
        // What it keeps for a while goes away with the folder too.
        command.env("TMPDIR", stand.home()).args(["--witness", "--dir"]).arg(stand.services());
        let ready = stand.services().join("addresses.json");
        let daemon = Daemon::start(&command, stand.home()).ready_when(|_| ready.exists());
        Self { stand, _daemon: daemon }
    }

    /// Where all of its services are.
    fn url(&self) -> String {
        let addresses = std::fs::read(self.stand.services().join("addresses.json")).unwrap();
        let addresses: serde_json::Value = serde_json::from_slice(&addresses).unwrap();
        addresses["fulcio"].as_str().unwrap().to_owned()
    }

    fn token(&self, (identity, issuer): (&str, &str)) -> PathBuf {
        let mut token = self.stand.command("sigstore-stand");
        token.args(["token", "--identity", identity, "--issuer", issuer, "--dir"]);
        let token = run(token.arg(self.stand.services())).passed().stdout;
        self.stand.file("token", &token)
    }

    /// Arguments that say who signs: an identity of a token, or the stand's key.
    fn who(&self, command: &mut Command, identity: Option<(&str, &str)>) {
        match identity {
            Some(identity) => command.arg("--identity-token").arg(self.token(identity)),
            None => command.args(["--key", "cosign.key"]),
        };
    }

    fn cosign(&self, program: &str) -> Command {
        let mut command = self.stand.command(program);
        // Nothing of the public instance is asked for.
        command.env("COSIGN_PASSWORD", "").env("HTTPS_PROXY", "http://127.0.0.1:9");
        command.env("NO_PROXY", "127.0.0.1");
        command
    }

    /// `cosign2 VERB ARGUMENTS`.
    pub fn cosign2(&self, verb: &str, identity: Option<(&str, &str)>, arguments: &[&str]) {
        let (mut command, url) = (self.cosign("cosign2"), self.url());
        for (variable, file) in [
            ("SIGSTORE_ROOT_FILE", "fulcio.pem"),
            ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", "ctfe.pub"),
            ("SIGSTORE_REKOR_PUBLIC_KEY", "rekor.pub"),
        ] {
            command.env(variable, self.stand.services().join(file));
        }
        command.args([verb, "--yes", "--allow-insecure-registry", "--rekor-url", &url]);
        if identity.is_some() {
            command.args(["--fulcio-url", &url]);
        }
        if arguments.contains(&"--tlog-upload=false") && identity.is_some() {
            let stamp = format!("{url}/api/v1/timestamp");
            command.args(["--timestamp-server-url", &stamp]);
        }
        self.who(&mut command, identity);
        run(command.env("COSIGN_EXPERIMENTAL", "1").args(arguments)).passed();
    }

    /// `cosign VERB ARGUMENTS` of version 3, by one of the signing configurations.
    pub fn cosign3(&self, verb: &str, identity: Option<(&str, &str)>, services: &str, arguments: &[&str]) {
        let mut command = self.cosign("cosign");
        let config = self.stand.services().join(format!("signing-config-{services}.json"));
        command.args([verb, "--yes", "--signing-config"]).arg(config);
        command.arg("--trusted-root").arg(self.stand.trusted_root());
        self.who(&mut command, identity);
        run(command.args(arguments)).passed();
    }
}

impl Stand {
    /// The folder of the private Sigstore's files.
    pub fn services(&self) -> PathBuf {
        self.home().join("sigstore")
    }

    /// What trusts all of its services.
    pub fn trusted_root(&self) -> PathBuf {
        self.services().join("trusted_root.json")
    }
}
