//! `portcullis nv2`: the command line of the Notary v2 prototype (`notaryproject/nv2`, `docs/nv2/README.md`), with
//! its flags and defaults. Exits 0 or 1, as it does.

mod file;
mod pull;
mod push;
mod sign;
mod subject;
mod verify;

use super::{exit, report};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Sign a manifest; the signature goes to a file, the manifest's digest to standard output.
    Sign(sign::Arguments),
    /// Verify a manifest by a signature in a file; prints the manifest's digest.
    Verify(verify::Arguments),
    /// Attach signatures in files to a manifest in a registry; prints where they are.
    Push(push::Arguments),
    /// Fetch the signatures of a manifest in a registry into files; prints their names.
    Pull(pull::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let done = match &arguments.action {
        Action::Sign(arguments) => sign::run(arguments),
        Action::Verify(arguments) => verify::run(arguments),
        Action::Push(arguments) => push::run(arguments),
        Action::Pull(arguments) => pull::run(arguments),
    };
    match done {
        Ok(()) => exit::OK,
        Err(error) => {
            report(&error);
            exit::DENIED
        }
    }
}
