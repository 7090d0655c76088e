//! `portcullis demo`: the gate at work, on content that is signed on the spot.

use super::{exit, report, runtime};
use crate::demo;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Keep the proxy up afterwards and print pull commands.
    #[arg(long)]
    serve: bool,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let outcome = runtime().and_then(|runtime| {
        let options = demo::Options { serve: arguments.serve };
        Ok(runtime.block_on(demo::run(options, &mut std::io::stdout()))?)
    });
    match outcome {
        Ok(true) => exit::OK,
        Ok(false) => exit::DENIED,
        Err(error) => {
            report(&error);
            exit::UNDECIDED
        }
    }
}
