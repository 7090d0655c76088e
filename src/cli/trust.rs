//! `portcullis trust`: looks after what signatures are judged by: the certificates and keys that signers name, and
//! sigstore's trusted root. The only command that fetches trust; serving asks nobody.

mod add;
mod list;
mod remove;
mod show;
mod target;
mod update;

use super::{exit, report};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Show the certificates and keys that each signer is trusted by: exits 0, or 1 where one cannot be read.
    List(list::Arguments),
    /// Show whose certificates and keys these are, and the fingerprints that refusals print.
    Fingerprint(list::Files),
    /// Put a certificate or key where a signer's are: exits 0 where it is there then, 1 refused, 2 not reached.
    Add(add::Arguments),
    /// Take certificates or keys away, by fingerprint or file name: exits 0, or 1 where there is none.
    Remove(remove::Arguments),
    /// Fetch sigstore's trusted root by TUF, with rollback protection: exits 0 up to date, 1 refused,
    /// 2 not reached.
    Update(update::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let done = match &arguments.action {
        Action::List(arguments) => list::list(arguments),
        Action::Fingerprint(files) => list::fingerprint(files),
        Action::Add(arguments) => add::run(arguments),
        Action::Remove(arguments) => remove::run(arguments),
        Action::Update(arguments) => return update::run(arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            exit::USAGE
        }
    }
}
