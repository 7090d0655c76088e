//! `portcullis demo`: the gate at work on registries in memory, with content that is signed on the
//! spot. The registries are also the tests' fake upstreams.

mod archive;
pub mod client;
mod developer;
pub mod folder;
mod island;
pub mod package;
pub mod proxy;
pub mod pull;
pub mod registry;
pub mod signing;
mod stage;
mod story;
mod table;

use std::io::{self, IsTerminal as _, Write};

pub use package::Package;
pub use proxy::Proxy;
pub use registry::{Fault, Registry};

use crate::oci::repository::NameError;
use crate::{config, engine, export, http};
use stage::Stage;
use table::Table;

/// What the command line says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Keep the proxy up after the story and print pull commands.
    pub serve: bool,
}

/// The demo cannot be played. That a step came out otherwise than told is no error but an answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Signing(#[from] signing::Error),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("the demo's configuration: {0}")]
    Configuration(#[from] config::Error),
    #[error("the demo's configuration was not taken when its key had been acquired")]
    Reload,
    #[error(transparent)]
    Open(#[from] engine::OpenError),
    #[error(transparent)]
    Bind(#[from] http::BindError),
    #[error(transparent)]
    Export(#[from] export::Error),
    #[error("what is carried to the island: {0}")]
    Carrying(String),
    #[error(transparent)]
    NoAnswer(#[from] client::NoAnswer),
}

/// Plays the story and prints it to `out`. True when every step came out as told.
///
/// # Errors
/// [`Error`], where the story cannot be played to its end.
pub async fn run(options: Options, out: &mut impl Write) -> Result<bool, Error> {
    let stage = Stage::build().await?;
    writeln!(out, "ACME Rockets trusts docker.io and acme-rockets.io. What they vouch for comes in.\n")?;
    let mut played = Vec::new();
    let mut table = Table::new(out, io::stdout().is_terminal());
    table.head()?;
    story::play(&stage, |step| {
        played.push(step.as_told());
        Ok(table.row(step)?)
    })
    .await?;
    let as_told = played.iter().filter(|as_told| **as_told).count();
    writeln!(out, "\n{as_told} of {} steps came out as told.", played.len())?;
    if options.serve {
        commands(&stage, out)?;
        tokio::signal::ctrl_c().await?;
    }
    stage.island.proxy.stop().await;
    stage.developer.proxy.stop().await;
    stage.proxy.stop().await;
    Ok(as_told == played.len())
}

fn commands(stage: &Stage, out: &mut impl Write) -> io::Result<()> {
    let proxy = stage.proxy.address();
    let (good, bad) = ("docker.io/library/hello-world:latest", "docker.io/wabbit-networks/unsigned:v1");
    writeln!(out, "\nThe proxy is up at {proxy}, configured by {}.", stage.configuration())?;
    for (image, what) in [(good, "This comes in"), (bad, "This is refused, and says why")] {
        writeln!(out, "\n{what}:")?;
        writeln!(out, "  docker pull {proxy}/{image}")?;
        writeln!(out, "  podman pull --tls-verify=false {proxy}/{image}")?;
        writeln!(
            out,
            "  skopeo copy --src-tls-verify=false docker://{proxy}/{image} dir:/tmp/portcullis-demo"
        )?;
        writeln!(out, "  crane pull --insecure {proxy}/{image} /tmp/portcullis-demo.tar")?;
    }
    writeln!(out, "\nCtrl-C ends it.")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_step_comes_out_as_told() {
        let mut printed = Vec::new();
        let as_told = run(Options::default(), &mut printed).await.unwrap();
        let printed = String::from_utf8(printed).unwrap();
        assert!(as_told, "{printed}");
        assert!(printed.contains(stage::WABBIT_KEYS), "the refusal shows where the key is");
    }
}
