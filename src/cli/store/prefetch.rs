//! `portcullis store prefetch`

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Common, Output, bar, bytes};
use crate::cli::exit;
use crate::cli::store::Place;
use crate::engine::upkeep::{Order, Outcome, Platform, Prefetch, Progress, Pulled, Refused};

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
    let references = references(&read(&arguments.file)?);
    let bar = bar::of_references(references.len());
    let prefetch =
        Prefetch { references, platform: arguments.platform.clone(), at_once: arguments.jobs.into() };
    let mut all = Vec::new();
    let step = |progress| {
        if let Progress::Pulled(pulled) = progress {
            bar.set_message(pulled.reference.clone());
            bar.inc(1);
            all.push(pulled);
        }
    };
    place.run(Order::Prefetch(prefetch), step).await?;
    bar.finish_and_clear();
    let mut out = std::io::stdout().lock();
    for pulled in &all {
        match arguments.common.output {
            Output::Json => writeln!(out, "{}", serde_json::to_string(pulled)?)?,
            Output::Text => print(&mut out, pulled)?,
        }
    }
    Ok(code(&all))
}

fn print(out: &mut impl std::io::Write, pulled: &Pulled) -> std::io::Result<()> {
    let Pulled { reference, outcome, reason, manifests, bytes: fetched, refused } = pulled;
    let reason = reason.as_deref().unwrap_or_default();
    match outcome {
        Outcome::Kept => {
            writeln!(out, "{reference}: kept, {manifests} manifests, {} fetched", bytes(*fetched))
        }
        Outcome::Refused => writeln!(out, "{reference}: refused: {reason}"),
        Outcome::Trouble => writeln!(out, "{reference}: trouble: {reason}"),
    }?;
    for Refused { digest, platform, reason } in refused {
        let platform = platform.as_ref().map(|platform| format!(" ({platform})")).unwrap_or_default();
        writeln!(out, "  {digest}{platform}: refused: {reason}")?;
    }
    Ok(())
}

fn code(all: &[Pulled]) -> u8 {
    let any = |outcome| all.iter().any(|pulled| pulled.outcome == outcome);
    if any(Outcome::Trouble) {
        exit::UNDECIDED
    } else if any(Outcome::Refused) {
        exit::DENIED
    } else {
        exit::OK
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() != "-" {
        return std::fs::read_to_string(file).with_context(|| file.display().to_string());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input")?;
    Ok(text)
}

fn references(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_comments_and_empty_lines() {
        let text = "# all of ours\ndocker.io/library/nginx:1.27\n\n  ghcr.io/acme/app@sha256:ab  # pinned\n";
        assert_eq!(references(text), ["docker.io/library/nginx:1.27", "ghcr.io/acme/app@sha256:ab"]);
    }

    #[test]
    fn trouble_goes_before_refusals() {
        let pulled = |outcome| Pulled {
            reference: "r".into(),
            outcome,
            reason: None,
            manifests: 0,
            bytes: 0,
            refused: vec![],
        };
        assert_eq!(code(&[]), exit::OK);
        assert_eq!(code(&[pulled(Outcome::Kept), pulled(Outcome::Refused)]), exit::DENIED);
        assert_eq!(code(&[pulled(Outcome::Trouble), pulled(Outcome::Refused)]), exit::UNDECIDED);
    }
}
