//! `portcullis store`: one file an action. Where a running server has the store, it is asked to do the work;
//! else the store is opened here.

pub(super) mod bar;
mod gc;
mod place;
mod prefetch;
mod stats;
mod verify;

use std::path::PathBuf;

use anyhow::Context as _;

use super::{exit, report, runtime};
use crate::config::Settings;
use crate::store::Store;
pub(super) use place::Place;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Say what is in the store.
    Stats(stats::Arguments),
    /// Read all content and compare it with its digests: exits 1 where something rotted.
    Verify(verify::Arguments),
    /// Bring the store within its limits and drop what leads nowhere.
    Gc(gc::Arguments),
    /// Pull a list of references through the gate: exits 1 where one is refused, 2 where there was trouble.
    Prefetch(prefetch::Arguments),
}

/// What all actions have in common.
#[derive(clap::Args)]
pub(super) struct Common {
    /// The configuration file; without one, the built-in defaults.
    #[arg(long, env = crate::cli::CONFIG, value_parser = crate::cli::config_file())]
    pub(super) config: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    Text,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let common = match &arguments.action {
        Action::Stats(arguments) => &arguments.common,
        Action::Verify(arguments) => &arguments.common,
        Action::Gc(arguments) => &arguments.common,
        Action::Prefetch(arguments) => &arguments.common,
    };
    let mut settings = match super::settings(common.config.as_deref()) {
        Ok(settings) => settings,
        Err(error) => {
            report(&error.into());
            return exit::USAGE;
        }
    };
    settings.signs_nothing = !matches!(arguments.action, Action::Prefetch(_));
    if let Err(error) = has_a_store(&arguments.action, &settings) {
        report(&error);
        return exit::USAGE;
    }
    runtime().and_then(|runtime| runtime.block_on(act(&arguments.action, settings))).unwrap_or_else(|error| {
        report(&error);
        exit::UNDECIDED
    })
}

/// What looks at a store makes none: where there is none, the configuration is another one than was meant.
fn has_a_store(action: &Action, settings: &Settings) -> anyhow::Result<()> {
    let path = &settings.store.path;
    let looked = || format!("store.path: {}", path.display());
    if matches!(action, Action::Prefetch(_)) || Store::exists(path).with_context(looked)? {
        return Ok(());
    }
    anyhow::bail!(
        "store.path: there is no store at {}; give the configuration of the server whose store it is with --config \
         (`store prefetch` makes a store where there is none)",
        path.display()
    )
}

async fn act(action: &Action, settings: Settings) -> anyhow::Result<u8> {
    let place = Place::find(settings).await?;
    let done = match action {
        Action::Stats(arguments) => stats::run(arguments, &place).await,
        Action::Verify(arguments) => verify::run(arguments, &place).await,
        Action::Gc(arguments) => gc::run(arguments, &place).await,
        Action::Prefetch(arguments) => prefetch::run(arguments, &place).await,
    };
    place.close().await;
    done
}

/// Bytes as people read them.
pub(super) fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
