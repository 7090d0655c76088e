//! A developer of ACME Rockets': a proxy of its own, which trusts acme-rockets.io alone and has ACME's gate for its
//! Docker Hub.

use super::folder::Folder;
use super::proxy::Proxy;
use super::signing::Identity;
use super::{Error, Registry};
use crate::clock::Clock;

/// The developer's proxy.
pub struct Developer {
    pub(super) proxy: Proxy,
    _folder: Folder,
}

impl Developer {
    /// Starts it before ACME's gate at `gate`, with Wabbit Networks' registry straight beside.
    ///
    /// # Errors
    /// A port or the folder cannot be had.
    pub(super) async fn start(gate: &Proxy, wabbit: &Registry, acme: &Identity) -> Result<Self, Error> {
        let folder = Folder::new()?;
        folder.write("trust/acme-rockets.io.crt", &acme.certificate_pem())?;
        let config = folder.write("portcullis.yaml", &configuration(&gate.url(), &wabbit.url()))?;
        Ok(Self { proxy: Proxy::start(&config, Clock::system()).await?, _folder: folder })
    }
}

fn configuration(gate: &str, wabbit: &str) -> String {
    format!(
        r#"# A developer: what ACME Rockets certified, and nothing else.
listen: {{ address: "127.0.0.1:0" }}
admin: {{ address: "127.0.0.1:0" }}
store: {{ path: store, max_size: 256MiB }}
audit: {{ path: audit.jsonl }}
upstreams:
  docker.io: {{ url: "{gate}", default: true }}
  registry.wabbit-networks.io: {{ url: "{wabbit}" }}
signers:
  acme: {{ nv2: {{ certificates: [trust/acme-rockets.io.crt], names: [acme-rockets.io] }} }}
policies:
  - name: certified-by-acme
    scopes: ["docker.io/**", "registry.wabbit-networks.io/**"]
    require: acme
"#
    )
}
