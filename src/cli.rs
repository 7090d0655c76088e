//! The command line: one file a subcommand. Results go to standard output, everything else to
//! standard error.

mod audit;
mod check;
mod demo;
mod export;
mod import;
mod key;
mod login;
mod nv2;
mod password;
mod promote;
mod references;
mod registry;
mod serve;
mod sign;
mod store;
mod trust;
mod verify;
mod verify_bundle;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};

use crate::config::Settings;
use crate::telemetry::logs;

/// Exit codes (docs/CONFIG.md, "Commands"): 64 is `EX_USAGE` of sysexits(3).
mod exit {
    pub(super) const OK: u8 = 0;
    pub(super) const DENIED: u8 = 1;
    pub(super) const UNDECIDED: u8 = 2;
    pub(super) const USAGE: u8 = 64;
}

/// A pull-through caching proxy for OCI registries that serves only what passes signature policy.
#[derive(Parser)]
#[command(name = "portcullis", version, about, max_term_width = 100)]
struct Cli {
    /// How log lines are written to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Json,
    Text,
}

#[derive(Subcommand)]
enum Command {
    /// Serve clients until SIGTERM; SIGHUP and changed files reload the configuration.
    Serve(serve::Arguments),
    /// Say whether a configuration would start, and what it weakens.
    Check(check::Arguments),
    /// Judge one reference as serving would: exits 0 allowed, 1 denied, 2 undecided.
    Verify(Box<verify::Arguments>),
    /// Verify a sigstore bundle about a file or digest: exits 0 where it holds, else 1.
    VerifyBundle(verify_bundle::Arguments),
    /// Sign and verify as the Notary v2 prototype does: exits 0 where it holds, else 1.
    Nv2(nv2::Arguments),
    /// Sign a manifest in a registry, as notation, cosign or nv2 does, and put the signature beside it.
    Sign(Box<sign::Arguments>),
    /// Make private keys, show what they are called, ask for their certificates.
    Key(key::Arguments),
    /// Copy what the policy allows to another registry, with all its platforms, signatures and referrers.
    Promote(promote::Arguments),
    /// Look after what signatures are judged by: certificates and keys of signers, sigstore's trusted root.
    Trust(trust::Arguments),
    /// Look after the store: what is in it, whether it is whole, what can go, what should be there.
    Store(store::Arguments),
    /// Write what the policy admits into an OCI image layout, to be carried to another network.
    Export(export::Arguments),
    /// Take in what was carried here from another network, as far as this side's policy admits it.
    Import(import::Arguments),
    /// Look after the audit log: whether it is as it was written.
    Audit(audit::Arguments),
    /// Show what the gate does, on content that is signed on the spot.
    Demo(demo::Arguments),
}

/// Runs the program to its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { exit::USAGE } else { exit::OK };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let format = match cli.log_format {
        LogFormat::Json => logs::Format::Json,
        LogFormat::Text => logs::Format::Text,
    };
    // The demo is a table to be read; what it warns about on the way is part of the story.
    if !matches!(cli.command, Command::Demo(_)) {
        logs::init(format);
    }
    if let Err(error) = keep_out_of_core_dumps() {
        report(&anyhow::Error::new(error).context("core dumps cannot be turned off"));
        return ExitCode::from(exit::USAGE);
    }
    let code = match cli.command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::VerifyBundle(arguments) => verify_bundle::run(&arguments),
        Command::Sign(arguments) => sign::run(&arguments),
        Command::Key(arguments) => key::run(&arguments),
        Command::Nv2(arguments) => nv2::run(&arguments),
        Command::Promote(arguments) => promote::run(&arguments),
        Command::Trust(arguments) => trust::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
    };
    ExitCode::from(code)
}

/// Prints why the command ends, with all causes in one line.
fn report(error: &anyhow::Error) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "portcullis: {}", told(error));
}

/// An error and its causes, those left out that the words before hold: many errors tell their cause themselves.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        before if before.contains(&cause) => told,
        before => format!("{before}: {cause}"),
    })
}

/// The runtime that the command's work runs on.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    keep_freed_memory();
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Has glibc's allocator keep what is freed instead of giving it back to the system each time, page fault by page fault.
///
/// It measures by what is freed: blocks up to the largest so far come from its arenas from then on, and up to twice as much
/// stays free at the end of each (mallopt(3), `M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD`). This block itself is not written to, so
/// it takes no memory. Nothing changes where the environment sets these thresholds, nor with musl.
fn keep_freed_memory() {
    /// Above the largest buffer, 1 MiB; an arena may keep twice as much, and there are as many as threads that were busy.
    const KEPT: usize = 4 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT)));
}

/// A crash of this process writes no core file, in which its keys and passwords would be.
fn keep_out_of_core_dumps() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// The variable that names the configuration file where `--config` does not.
const CONFIG: &str = "PORTCULLIS_CONFIG";

/// Reads the name of a configuration file. An empty one, as of a variable that was meant to be set, names none.
fn config_file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|name| match name.is_empty() {
        true => Err(format!("expected the name of a file; if {CONFIG} is set and empty, unset it")),
        false => Ok(PathBuf::from(name)),
    })
}

/// The file of `--config`, else the one that is set in the environment: for commands that read that by hand, since for
/// clap it would contradict other arguments.
fn config_or_set(config: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    match std::env::var_os(CONFIG).filter(|_| config.is_none()) {
        Some(name) if name.is_empty() => anyhow::bail!("{CONFIG} is set and empty: name a file, or unset it"),
        Some(name) => Ok(Some(name.into())),
        None => Ok(config.map(Path::to_owned)),
    }
}

/// The configuration of `--config`, or the built-in one.
fn settings(config: Option<&Path>) -> Result<Settings, crate::config::Error> {
    match config {
        Some(path) => crate::config::load(path),
        None => Settings::without_file(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use clap::CommandFactory as _;

    use super::*;

    /// The first cells of the table of commands: each with the arguments that it cannot do without, as far as they matter.
    #[test]
    fn every_command_is_documented() {
        let page = include_str!("../docs/CONFIG.md");
        let cells: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix("| portcullis ")?.split(" |").next()).collect();
        let mut commands = Vec::new();
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let below = command.get_subcommands().map(|below| format!("{name} {}", below.get_name()));
            let before = commands.len();
            commands.extend(below);
            if commands.len() == before {
                commands.push(name.to_owned());
            }
        }
        for command in commands {
            let is_told = |cell: &&str| **cell == command || cell.starts_with(&format!("{command} "));
            assert!(cells.iter().any(is_told), "{command}: {cells:?}");
        }
    }

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        #[derive(Debug, thiserror::Error)]
        #[error("store: {source}")]
        struct Telling {
            source: io::Error,
        }
        let error = || Telling { source: io::Error::other("disk on fire") };
        assert_eq!(told(&error().into()), "store: disk on fire");
        assert_eq!(told(&anyhow::Error::new(error()).context("start")), "start: store: disk on fire");
        let quoted = anyhow::Error::new(io::Error::other("gone")).context("the library failed (gone)");
        assert_eq!(told(&quoted), "the library failed (gone)");
        let other = anyhow::Error::new(io::Error::other("disk on fire")).context("store");
        assert_eq!(told(&other), "store: disk on fire");
    }
}
