//! `portcullis import`: takes in layouts that were carried here, through the gate of a running server or here.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::store::{Common, Output, Place, bar};
use super::{exit, references, report, runtime};
use crate::engine::upkeep::{Import, Layout, Order, Progress, Pulled, Standing};
use crate::oci::Repository;
use crate::trust;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The public key (PEM) that must have signed the index of contents; may be given several times. Without it, whoever
    /// made the layout may have left something out or named an older image as the newer one. The configuration's
    /// `trust.import_keys` go before it.
    #[arg(long = "trusted-key", value_name = "FILE")]
    trusted_keys: Vec<PathBuf>,
    /// The repository of what other tools named by a tag alone: docker.io/library/nginx
    #[arg(long = "as", value_name = "REPOSITORY")]
    repository: Option<Repository>,
    /// Take names back to what older contents say than those that they were taken in from.
    #[arg(long)]
    older: bool,
    /// So many references at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Layouts: folders, archives, or all pieces of one in any order.
    #[arg(value_name = "DIR|FILE.tar", required = true)]
    paths: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let settings = match super::settings(arguments.common.config.as_deref()) {
        Ok(settings) => settings,
        Err(error) => {
            report(&error.into());
            return exit::USAGE;
        }
    };
    let order = match order(arguments) {
        Ok(order) => order,
        Err(error) => {
            report(&error);
            return exit::USAGE;
        }
    };
    let work = async {
        let place = Place::find(settings).await?;
        let done = import(arguments, order, &place).await;
        place.close().await;
        done
    };
    runtime().and_then(|runtime| runtime.block_on(work)).unwrap_or_else(|error| {
        report(&error);
        exit::UNDECIDED
    })
}

fn order(arguments: &Arguments) -> anyhow::Result<Order> {
    // Whoever takes it in may stand elsewhere.
    let whole = |path: &PathBuf| path.canonicalize().with_context(|| path.display().to_string());
    let paths = arguments.paths.iter().map(whole).collect::<Result<_, _>>()?;
    let pem = |path: &PathBuf| trust::public_key(path).map(|key| key.to_pem());
    let trusted_keys = arguments.trusted_keys.iter().map(pem).collect::<Result<_, _>>()?;
    Ok(Order::Import(Import {
        paths,
        trusted_keys,
        repository: arguments.repository.clone(),
        older: arguments.older,
        at_once: arguments.jobs.into(),
    }))
}

async fn import(arguments: &Arguments, order: Order, place: &Place) -> anyhow::Result<u8> {
    let bar = bar::of_references(0);
    let (mut layouts, mut all) = (Vec::new(), Vec::new());
    let step = |progress| {
        match progress {
            Progress::Layout(layout) => {
                bar.inc_length(layout.references as u64);
                layouts.push(layout);
            }
            Progress::Pulled(pulled) => {
                bar.set_message(pulled.reference.clone());
                bar.inc(1);
                all.push(pulled);
            }
            _ => {}
        }
        Ok(())
    };
    let done = place.run(order, step).await;
    bar.finish_and_clear();
    // What was taken in is in, whatever else there was trouble with.
    print(arguments, &layouts, &all)?;
    let done = match place {
        // It reads the files as its own user.
        Place::Server(_) => done.context("the running server that has the store was asked to take it in"),
        Place::Own(..) => done,
    };
    let damaged = if layouts.iter().any(Layout::is_damaged) { exit::UNDECIDED } else { exit::OK };
    done.map(|()| references::code(&all).max(damaged))
}

fn print(arguments: &Arguments, layouts: &[Layout], all: &[Pulled]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match arguments.common.output {
        Output::Json => writeln!(out, "{}", json!({ "layouts": layouts, "references": all }))?,
        Output::Text => {
            for layout in layouts {
                about(&mut out, layout)?;
            }
            for pulled in all {
                references::print(&mut out, pulled, "taken in")?;
            }
        }
    }
    Ok(())
}

fn about(out: &mut impl std::io::Write, layout: &Layout) -> std::io::Result<()> {
    if let Some(why) = &layout.broken {
        return writeln!(out, "{}: trouble: {why}", layout.path.display());
    }
    let standing = match &layout.standing {
        Standing::Absent => "no index of contents".to_owned(),
        Standing::Unsigned => "contents that nobody signed".to_owned(),
        Standing::Unverified => "signed contents, not verified: give --trusted-key".to_owned(),
        Standing::Foreign => "contents that no trusted key signed".to_owned(),
        Standing::Trusted { key } => format!("contents signed by the trusted key sha256:{key}"),
    };
    let made = layout.made.as_ref().map(|made| format!(", made at {made}")).unwrap_or_default();
    writeln!(out, "{}: {} references, {standing}{made}", layout.path.display(), layout.references)?;
    if let Some(since) = &layout.since {
        writeln!(out, "  builds on the export whose contents are {since}")?;
    }
    if !layout.missing_pieces.is_empty() {
        let pieces: Vec<String> = layout.missing_pieces.iter().map(u32::to_string).collect();
        writeln!(out, "  content is missing: of piece {}", pieces.join(", "))?;
    }
    if layout.damaged > 0 {
        writeln!(
            out,
            "  damaged: {} artifacts, of which nobody can tell what they are about",
            layout.damaged
        )?;
    }
    if layout.answers_lost > 0 {
        let lost = layout.answers_lost;
        writeln!(out, "  revocation data: {lost} answers are not taken in, and a revocation may be missed")?;
    }
    for passed_over in &layout.passed_over {
        writeln!(out, "  passed over: {passed_over}")?;
    }
    Ok(())
}
