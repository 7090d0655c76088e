//! `portcullis store stats`

use std::io::Write as _;

use super::{Common, Output, bytes};
use crate::cli::exit;
use crate::cli::store::Place;
use crate::engine::upkeep::Stats;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) async fn run(arguments: &Arguments, place: &Place) -> anyhow::Result<u8> {
    let stats = place.stats().await?;
    let mut out = std::io::stdout().lock();
    match arguments.common.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string(&stats)?)?,
        Output::Text => print(&mut out, &stats)?,
    }
    Ok(exit::OK)
}

fn print(out: &mut impl std::io::Write, stats: &Stats) -> std::io::Result<()> {
    let sizes = &stats.sizes;
    writeln!(out, "kept:        {} of {}, in {} files", bytes(sizes.kept), bytes(sizes.limit), stats.blobs)?;
    writeln!(out, "held:        {}, by {} manifests", bytes(sizes.held), stats.manifests)?;
    writeln!(out, "promised:    {}", bytes(sizes.promised))?;
    writeln!(out, "quarantined: {} files", stats.quarantined)?;
    writeln!(out, "last scrub:  {}", stats.last_scrub.as_deref().unwrap_or("not finished yet"))?;
    writeln!(out, "records:     {}", bytes(stats.records_bytes))?;
    for (table, rows) in &stats.records {
        writeln!(out, "  {table}: {rows}")?;
    }
    Ok(())
}
