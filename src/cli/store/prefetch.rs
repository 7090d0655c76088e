//! `portcullis store prefetch`

use std::io::Write as _;
use std::path::PathBuf;

use super::{Common, Output, bar};
use crate::cli::references;
use crate::cli::store::Place;
use crate::engine::upkeep::{Order, Platform, Prefetch, Progress, Pulled};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    /// Of indexes only what runs on this; without it, everything.
    #[arg(long, value_name = "OS/ARCHITECTURE[/VARIANT]")]
    platform: Option<Platform>,
    /// So many references at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// A list of references by their source names, one a line, `#` before comments; `-` for standard input.
    file: PathBuf,
}

pub(super) async fn run(arguments: &Arguments, place: &Place) -> anyhow::Result<u8> {
    let references = references::read(&arguments.file)?;
    let bar = bar::of_references(references.len());
    let prefetch =
        Prefetch { references, platform: arguments.platform.clone(), at_once: arguments.jobs.into() };
    let mut all: Vec<Pulled> = Vec::new();
    let step = |progress| {
        if let Progress::Pulled(pulled) = progress {
            bar.set_message(pulled.reference.clone());
            // What is told again is there no more.
            match all.iter_mut().find(|told| told.reference == pulled.reference) {
                Some(told) => *told = pulled,
                None => all.push(pulled),
            }
            bar.set_position(all.len() as u64);
        }
        Ok(())
    };
    place.run(Order::Prefetch(prefetch), step).await?;
    bar.finish_and_clear();
    let mut out = std::io::stdout().lock();
    for pulled in &all {
        match arguments.common.output {
            Output::Json => writeln!(out, "{}", serde_json::to_string(pulled)?)?,
            Output::Text => references::print(&mut out, pulled, "kept")?,
        }
    }
    Ok(references::code(&all))
}
