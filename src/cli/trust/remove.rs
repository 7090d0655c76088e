//! `trust remove`: takes certificates or keys away from where a signer's are.

use std::io::Write as _;

use super::show;
use super::target::Target;
use crate::cli::{exit, report};
use crate::clock::Clock;
use crate::trust::anchor::fingerprint;
use crate::trust::place::Which;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Its SHA-256 fingerprint, or the name of its file there.
    #[arg(value_name = "FINGERPRINT|FILE", required = true)]
    which: Vec<String>,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let places = arguments.target.places(&arguments.target.settings()?)?;
    let now = Clock::system().now();
    let mut out = std::io::stdout().lock();
    let mut code = exit::OK;
    for text in &arguments.which {
        let which = fingerprint(text).map_or_else(|| Which::File(text.clone()), Which::Fingerprint);
        let mut gone = 0;
        for named in places.iter().filter(|named| named.place.path().is_some()) {
            match named.place.remove(&which) {
                Ok(anchors) => {
                    gone += anchors.len();
                    for (file, anchor) in &anchors {
                        writeln!(out, "removed from {}:", named.key)?;
                        show::anchor(&mut out, anchor, Some(file), now)?;
                    }
                }
                Err(error) => {
                    report(&error.into());
                    code = exit::DENIED;
                }
            }
        }
        if gone == 0 {
            report(&anyhow::anyhow!("{text}: there is no such certificate or key"));
            code = exit::DENIED;
        }
    }
    Ok(code)
}
