//! Lists of references, and what came of each.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

use super::exit;
use super::store::bytes;
use crate::engine::upkeep::{Outcome, Pulled, Refused};

/// Says what came of a reference; `done` is what it is called when all is well.
pub(super) fn print(out: &mut impl std::io::Write, pulled: &Pulled, done: &str) -> std::io::Result<()> {
    let Pulled { reference, outcome, reason, manifests, bytes: fetched, refused, damaged } = pulled;
    let reason = reason.as_deref().unwrap_or_default();
    match outcome {
        Outcome::Kept => {
            writeln!(out, "{reference}: {done}, {manifests} manifests, {} fetched", bytes(*fetched))
        }
        Outcome::Refused => writeln!(out, "{reference}: refused: {reason}"),
        Outcome::Trouble => writeln!(out, "{reference}: trouble: {reason}"),
    }?;
    for Refused { digest, platform, reason } in refused {
        let platform = platform.as_ref().map(|platform| format!(" ({platform})")).unwrap_or_default();
        writeln!(out, "  {digest}{platform}: refused: {reason}")?;
    }
    for why in damaged {
        writeln!(out, "  damaged: {why}")?;
    }
    Ok(())
}

/// The exit code for all of them together.
pub(super) fn code(all: &[Pulled]) -> u8 {
    let any = |outcome| all.iter().any(|pulled| pulled.outcome == outcome);
    if any(Outcome::Trouble) || all.iter().any(|pulled| !pulled.damaged.is_empty()) {
        exit::UNDECIDED
    } else if any(Outcome::Refused) {
        exit::DENIED
    } else {
        exit::OK
    }
}

/// Reads a list, `-` from standard input: a reference a line, `#` before comments.
///
/// # Errors
/// What cannot be read.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<String>> {
    if file.as_os_str() != "-" {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        return Ok(references(&text));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input")?;
    Ok(references(&text))
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
            damaged: vec![],
        };
        assert_eq!(code(&[]), exit::OK);
        assert_eq!(code(&[pulled(Outcome::Kept), pulled(Outcome::Refused)]), exit::DENIED);
        assert_eq!(code(&[pulled(Outcome::Trouble), pulled(Outcome::Refused)]), exit::UNDECIDED);
        let damaged = Pulled { damaged: vec!["why".into()], ..pulled(Outcome::Refused) };
        assert_eq!(code(&[damaged]), exit::UNDECIDED);
    }
}
