//! `portcullis audit verify`: whether an audit log is as it was written, over its rotated files.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;

use super::{exit, report};
use crate::audit::Verifier;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Follow the chain of lines: exits 0 where it is whole, 1 where lines were changed, taken out or moved.
    Verify(Files),
}

#[derive(clap::Args)]
struct Files {
    /// The files of one log, the oldest first; - is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let Action::Verify(files) = &arguments.action;
    verify(files).unwrap_or_else(|error| {
        report(&error);
        exit::UNDECIDED
    })
}

fn verify(arguments: &Files) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    let mut faults: u64 = 0;
    let mut verifier = Verifier::default();
    for path in &arguments.files {
        let shown = path.display();
        let file: Box<dyn BufRead> = match path.as_os_str() == "-" {
            true => Box::new(std::io::stdin().lock()),
            false => Box::new(BufReader::new(File::open(path).with_context(|| shown.to_string())?)),
        };
        let mut written = Ok(());
        let mut tell = |line, why| {
            faults += 1;
            written =
                std::mem::replace(&mut written, Ok(())).and_then(|()| writeln!(out, "{shown}:{line}: {why}"));
        };
        verifier.file(file, &mut tell).with_context(|| shown.to_string())?;
        written?;
    }
    match verifier.end() {
        Ok(Some(log)) if faults == 0 => {
            let begins = if log.first == 1 { "" } else { "; what came before is not in these files" };
            writeln!(out, "whole: lines {} to {}{begins}", log.first, log.last)?;
            writeln!(out, "last line: sha256 {}", hex::encode(log.head))?;
            return Ok(exit::OK);
        }
        Ok(Some(_)) => writeln!(out, "not whole: {faults} breaks")?,
        Ok(None) => writeln!(out, "not whole: there is no line")?,
        Err(why) => writeln!(out, "not whole: {why}")?,
    }
    Ok(exit::DENIED)
}
