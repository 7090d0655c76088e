//! Upstream registries, each as others ship it.

use std::path::Path;

use super::namespace::Place;
use super::process::{Daemon, free_port};

/// Which registry stands upstream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Debian's docker-registry 2.8: referrers are found through the tag schema alone.
    TagSchema,
    /// go-containerregistry's: it has the referrers API.
    Referrers,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::TagSchema, Self::Referrers];
}

/// A running registry on plain HTTP.
pub struct Upstream {
    daemon: Option<Daemon>,
    port: u16,
}

impl Upstream {
    /// Starts an empty one.
    pub fn start(kind: Kind, place: &Place, home: &Path) -> Self {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut command = match kind {
            Kind::Referrers => place.command("referrers-registry", home),
            Kind::TagSchema => place.command("docker-registry", home),
        };
        match kind {
            Kind::Referrers => command.arg(&address),
            Kind::TagSchema => {
                let config = home.join("registry.yml");
                let root = home.join("registry");
                let text = format!(
                    "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n\
                     http: {{ addr: \"{address}\" }}\n",
                    root.display()
                );
                std::fs::write(&config, text).unwrap();
                command.arg("serve").arg(config)
            }
        };
        let daemon = Daemon::start(&command, home).ready_when(|_| place.answers(port, home));
        Self { daemon: Some(daemon), port }
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Takes it down.
    pub fn stop(&mut self) {
        self.daemon.take();
    }
}
