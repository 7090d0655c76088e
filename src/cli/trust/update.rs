//! `trust update`: renews sigstore's trusted root by TUF. Serving needs what it wrote, or what is built in.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::cli::{exit, report, runtime};
use crate::clock::Clock;
use crate::config::Settings;
use crate::setting::time::show;
use crate::trust::tuf::{self, Error, Order, Outcome};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file; without one, the built-in defaults.
    #[arg(long, env = crate::cli::CONFIG, value_parser = crate::cli::config_file())]
    config: Option<PathBuf>,
    /// The file to write the trusted root to, instead of trusted_root.json in `trust.tuf.path`. The
    /// metadata that protects from older ones is kept beside it.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The TUF repository, instead of `trust.tuf.url`.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// The TUF root to begin with, instead of `trust.tuf.root`.
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    match update(arguments, &Clock::system()) {
        Ok(()) => exit::OK,
        Err(error) => {
            report(&error);
            code(&error)
        }
    }
}

fn update(arguments: &Arguments, clock: &Clock) -> anyhow::Result<()> {
    let Settings { mut trust, egress, .. } = crate::cli::settings(arguments.config.as_deref())?;
    let tuf = &mut trust.tuf;
    if let Some(url) = &arguments.mirror {
        tuf.url.clone_from(url);
        tuf.base().map_err(|fault| anyhow::anyhow!("--mirror: {}", fault.message))?;
    }
    tuf.root = arguments.root.clone().or(tuf.root.take());
    let output = arguments.output.clone().or_else(|| trust.trusted_root()).ok_or_else(|| {
        anyhow::anyhow!(
            "nothing says where the trusted root is kept: set trust.tuf.path to a folder, or give --output FILE"
        )
    })?;
    let environment = |variable: &str| std::env::var(variable).ok();
    let order =
        Order { settings: &trust.tuf, egress: &egress, environment: &environment, output: &output, clock };
    let outcome = runtime()?.block_on(tuf::update(&order))?;
    print(&outcome, &output, clock.now())
}

/// Refused is 1, not reached is 2; everything else is ours to mend.
fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Error>() {
        Some(Error::Refused(_)) => exit::DENIED,
        Some(Error::Unreachable { .. }) => exit::UNDECIDED,
        Some(Error::Kept { .. } | Error::Setting(_)) | None => exit::USAGE,
    }
}

fn print(outcome: &Outcome, output: &std::path::Path, now: SystemTime) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let (before, after) = (outcome.before, outcome.after);
    writeln!(out, "repository: {}", outcome.repository)?;
    for (role, before, after) in [
        ("root", before.root, after.root),
        ("timestamp", before.timestamp, after.timestamp),
        ("snapshot", before.snapshot, after.snapshot),
        ("targets", before.targets, after.targets),
    ] {
        match (before, after.unwrap_or_default()) {
            (Some(before), after) if before != after => writeln!(out, "{role}: version {before} -> {after}")?,
            (_, after) => writeln!(out, "{role}: version {after}")?,
        }
    }
    if outcome.began_anew {
        writeln!(
            out,
            "note: keys of the timestamp or the snapshot were replaced; their versions began anew"
        )?;
    }
    for anchor in &outcome.removed {
        writeln!(out, "removed: {anchor}")?;
    }
    for anchor in &outcome.added {
        writeln!(out, "added: {anchor}")?;
    }
    let what = if outcome.changed { "is new" } else { "is still the current one" };
    writeln!(out, "{}: {what}, known to be so at {}", output.display(), show(now))?;
    if let Some(known) = outcome.known_before {
        let days = now.duration_since(known).unwrap_or_default().as_secs() / 86_400;
        writeln!(out, "before: known to be current at {}, {days} days ago", show(known))?;
    }
    Ok(())
}
