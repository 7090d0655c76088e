//! `portcullis store verify`

use std::io::Write as _;

use serde_json::json;

use super::{Common, Output, bar, bytes};
use crate::cli::exit;
use crate::cli::store::Place;
use crate::engine::upkeep::{Order, Progress};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) async fn run(arguments: &Arguments, place: &Place) -> anyhow::Result<u8> {
    let (bar, mut rotten, mut total) = (bar::of_bytes(), Vec::new(), 0);
    let step = |progress| {
        match progress {
            Progress::Read { bytes, of } => {
                total = bytes;
                bar.set_length(of);
                bar.set_position(bytes);
            }
            Progress::Rotten { digest, found } => rotten.push((digest, found)),
            _ => {}
        }
        Ok(())
    };
    place.run(Order::Verify, step).await?;
    bar.finish_and_clear();
    let mut out = std::io::stdout().lock();
    match arguments.common.output {
        Output::Json => {
            let rotten: Vec<_> =
                rotten.iter().map(|(d, found)| json!({ "digest": d, "found": found })).collect();
            writeln!(out, "{}", json!({ "bytes": total, "rotten": rotten }))?;
        }
        Output::Text => {
            for (digest, found) in &rotten {
                writeln!(
                    out,
                    "{digest}: {found}; moved to the quarantine, it is fetched anew on its next use"
                )?;
            }
            writeln!(out, "{} read, {} rotten", bytes(total), rotten.len())?;
        }
    }
    Ok(if rotten.is_empty() { exit::OK } else { exit::DENIED })
}
