//! An island of ACME Rockets' without a network. What its gate let in is exported into a folder, the folder is carried
//! across, and a proxy that knows the address of no registry takes in what its own policy admits.

use std::path::PathBuf;

use tokio::sync::mpsc;

use super::folder::Folder;
use super::proxy::Proxy;
use super::signing::Identity;
use super::{Error, Package};
use crate::clock::Clock;
use crate::engine::upkeep::{self, Export, Import, Order, Progress, Pulled};
use crate::export::{Destination, Writer};
use crate::signing::{Key, SigningKey};
use crate::x509::KeyKind;

/// What is carried.
const CARRIED: &str = "carried";

/// The island's proxy, and what passes between it and the mainland.
pub struct Island {
    pub(super) proxy: Proxy,
    /// Signs the contents of what is exported to it.
    exporter: SigningKey,
    /// Where the export is written.
    mainland: Folder,
    folder: Folder,
}

impl Island {
    /// Starts it, with ACME's certificate and the exporter's key, which came before by a way that is trusted.
    ///
    /// # Errors
    /// A key, a port or the folders cannot be had.
    pub(super) async fn start(acme: &Identity) -> Result<Self, Error> {
        let (mainland, folder) = (Folder::new()?, Folder::new()?);
        let (exporter, _) = Key::generate(KeyKind::P256, None).map_err(super::signing::Error::from)?;
        folder.write("trust/exporter.pub", &exporter.public().to_pem())?;
        folder.write("trust/acme-rockets.io.crt", &acme.certificate_pem())?;
        let config = folder.write("portcullis.yaml", CONFIGURATION)?;
        let proxy = Proxy::start(&config, Clock::system()).await?;
        Ok(Self { proxy, exporter: exporter.into(), mainland, folder })
    }

    /// Exports through ACME's gate, as `portcullis export` does. What came of each reference.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(super) async fn export(&self, gate: &Proxy, references: Vec<String>) -> Result<Vec<Pulled>, Error> {
        let destination = Destination::folder(&self.mainland.path().join(CARRIED))?;
        let mut writer = Writer::new(&gate.engine().settings().store.path, destination, None, Vec::new());
        let mut all = Vec::new();
        let order = Order::Export(Export { references, platforms: Vec::new(), at_once: 1 });
        order_done(gate, order, |progress| {
            match progress {
                Progress::Found(found) => writer.take(found)?,
                Progress::Pulled(pulled) => all.push(pulled),
                _ => {}
            }
            Ok(())
        })
        .await?;
        writer.finish(Some(&self.exporter)).await?;
        Ok(all)
    }

    /// Carries the folder across. On the way a bit of one image's layer is flipped.
    ///
    /// # Errors
    /// The folder cannot be moved, or the layer is not in it.
    pub(super) fn carry_across(&self, damaged: &Package) -> Result<(), Error> {
        std::fs::rename(self.mainland.path().join(CARRIED), self.carried())?;
        let layer = damaged.layer();
        let layer = self.carried().join("blobs").join(layer.algorithm().as_str()).join(layer.hex());
        let mut bytes = std::fs::read(&layer)?;
        if let Some(byte) = bytes.last_mut() {
            *byte ^= 1;
        }
        Ok(std::fs::write(layer, bytes)?)
    }

    /// Takes in what was carried, as `portcullis import` does. What came of each reference.
    ///
    /// # Errors
    /// Nothing of it can be read.
    pub(super) async fn import(&self) -> Result<Vec<Pulled>, Error> {
        let (paths, trusted_keys) = (vec![self.carried()], Vec::new());
        let import = Import { paths, trusted_keys, repository: None, older: false, at_once: 1 };
        let mut all = Vec::new();
        order_done(&self.proxy, Order::Import(import), |progress| {
            if let Progress::Pulled(pulled) = progress {
                all.push(pulled);
            }
            Ok(())
        })
        .await?;
        Ok(all)
    }

    fn carried(&self) -> PathBuf {
        self.folder.path().join(CARRIED)
    }
}

/// Has a running proxy do what is ordered; `on` is told of each step.
async fn order_done(
    proxy: &Proxy,
    order: Order,
    mut on: impl FnMut(Progress) -> Result<(), Error>,
) -> Result<(), Error> {
    let (tell, mut steps) = mpsc::channel(64);
    let (state, engine) = (proxy.state().clone(), proxy.engine());
    tokio::spawn(async move { upkeep::run(order, &state, &engine, &tell).await });
    while let Some(step) = steps.recv().await {
        match step {
            Progress::Done => return Ok(()),
            Progress::Failed { message } => return Err(Error::Carrying(message)),
            step => on(step)?,
        }
    }
    Err(Error::Carrying("it broke off before its end".to_owned()))
}

const CONFIGURATION: &str = r#"# An island without a network: what ACME Rockets certified and somebody carried here, and nothing else.
listen: { address: "127.0.0.1:0" }
admin: { address: "127.0.0.1:0" }
store: { path: store, max_size: 256MiB }
audit: { path: audit.jsonl }
upstreams:
  docker.io: { default: true, offline: true }
  registry.acme-rockets.io: { offline: true }
egress: { revocation: local }
trust: { import_keys: [trust/exporter.pub] }
signers:
  acme: { nv2: { certificates: [trust/acme-rockets.io.crt], names: [acme-rockets.io] } }
policies:
  - name: certified-by-acme
    scopes: ["docker.io/**", "registry.acme-rockets.io/**"]
    require: acme
"#;
