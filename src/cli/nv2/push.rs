//! `portcullis nv2 push`

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use super::{file, subject};
use crate::cli::runtime;
use crate::clock::Clock;
use crate::signature::nv2::claims;
use crate::signing::{Signed, nv2};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A signature of the manifest; may be given several times.
    #[arg(short = 'f', short_alias = 's', long = "signature", value_name = "FILE", required = true)]
    signatures: Vec<PathBuf>,
    #[command(flatten)]
    subject: subject::Flags,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let signatures = arguments.signatures.iter().map(|path| Ok((path, file::read(path)?)));
    let signatures: Vec<_> = signatures.collect::<anyhow::Result<_>>()?;
    let pushed = async {
        let (repository, subject, registries) = arguments.subject.in_registry().await?;
        let writer = registries.writer(repository.registry())?;
        for (path, signature) in signatures {
            let wrong = || format!("{} is no signature of {}", path.display(), subject.digest);
            claims(&signature, &subject).with_context(wrong)?;
            let text = String::from_utf8(signature.payload.to_vec()).with_context(wrong)?;
            let form = if text.starts_with('{') { nv2::Form::Json } else { nv2::Form::Jwt };
            let artifact = nv2::artifact(text, form, &subject, Clock::system().now())?;
            let place = Signed::from(artifact).publish(&writer, &repository).await;
            writeln!(std::io::stdout(), "{}", place.with_context(|| format!("to {repository}"))?)?;
        }
        Ok(())
    };
    runtime()?.block_on(pushed)
}
