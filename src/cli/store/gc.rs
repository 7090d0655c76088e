//! `portcullis store gc`

use std::io::Write as _;

use serde_json::json;

use super::{Common, Output, bytes};
use crate::cli::exit;
use crate::cli::store::Place;
use crate::engine::upkeep::{Order, Progress};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) async fn run(arguments: &Arguments, place: &Place) -> anyhow::Result<u8> {
    let mut freed = Vec::new();
    let step = |progress| {
        if let Progress::Freed { what, count, bytes } = progress {
            freed.push((what, count, bytes));
        }
        Ok(())
    };
    let done = place.run(Order::Gc { compact: true }, step).await;
    let mut out = std::io::stdout().lock();
    match arguments.common.output {
        Output::Json => {
            let freed: Vec<_> = freed
                .iter()
                .map(|(what, count, bytes)| json!({ "what": what, "count": count, "bytes": bytes }))
                .collect();
            writeln!(out, "{}", json!({ "freed": freed }))?;
        }
        Output::Text => {
            for (what, count, size) in &freed {
                let size = if *size > 0 { format!(", {}", bytes(*size)) } else { String::new() };
                writeln!(out, "{what}: {count}{size}")?;
            }
            if done.is_ok() && matches!(place, Place::Server(_)) {
                writeln!(out, "the records' file is rewritten only while no server has it open")?;
            }
        }
    }
    // What was done is done, whatever else there was trouble with.
    done.map(|()| exit::OK)
}
