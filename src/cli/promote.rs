//! `portcullis promote`: copies what the policy allows to another registry, with all that belongs to it.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::registry::Access;
use super::store::bar;
use super::{exit, report, runtime};
use crate::clock::Clock;
use crate::engine::{Engine, State};
use crate::oci::{Reference, Tag, Target};
use crate::promote::{Error, Left, Promoted, Promotion, Step, Why};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file, whose policies decide and whose upstreams say how registries are reached; without one,
    /// the built-in defaults.
    #[arg(long, value_name = "FILE", env = crate::cli::CONFIG, value_parser = crate::cli::config_file())]
    config: Option<PathBuf>,
    /// Ask the destination's registry over plain HTTP; the source's is asked as the configuration says.
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    access: Access,
    /// What is copied, by its source name: docker.io/library/nginx:1.27
    source: String,
    /// Where to: registry.example/team/nginx, with a tag where that is to be another than the source's.
    destination: String,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    match arguments.promote() {
        Ok(()) => exit::OK,
        Err(error) => {
            report(&error);
            match error.downcast_ref::<Error>() {
                Some(Error::Refused(_)) => exit::DENIED,
                Some(Error::Trouble(_)) => exit::UNDECIDED,
                None => exit::USAGE,
            }
        }
    }
}

impl Arguments {
    fn promote(&self) -> anyhow::Result<()> {
        let source = Reference::parse(&self.source).with_context(|| format!("{:?}", self.source))?;
        let (destination, tag) = self.destination(&source)?;
        let mut settings = super::settings(self.config.as_deref())?;
        // What is counter-signed goes along, so it is waited for.
        let counter_signing = settings.policies.iter_mut().filter_map(|policy| policy.counter_sign.as_mut());
        counter_signing.for_each(|counter_sign| counter_sign.before_serving = true);
        let home = destination.repository.registry();
        let registries = self.access.registries(settings.clone(), home, self.insecure)?;
        let writer = registries.writer(home)?;
        let bar = bar::of_bytes();
        let tell = |step| match step {
            Step::Found(bytes) => bar.inc_length(bytes),
            Step::Copied(bytes) => bar.inc(bytes),
        };
        let promoted = runtime()?.block_on(async {
            let state = State::ephemeral(Clock::system()).await?;
            let engine = Engine::build(settings, &state, None)?;
            let promotion = Promotion {
                gate: engine.gate(),
                writer: &writer,
                source: &source,
                destination: &destination.repository,
                tag: tag.as_ref(),
                tell: &tell,
            };
            anyhow::Ok(promotion.run().await?)
        });
        bar.finish_and_clear();
        print(&source, &destination, tag.as_ref(), &promoted?)
    }

    /// Where to, and under which tag: the one that is written, else the source's.
    fn destination(&self, source: &Reference) -> anyhow::Result<(Reference, Option<Tag>)> {
        let text = &self.destination;
        let destination = Reference::parse(text).with_context(|| format!("{text:?}"))?;
        let is_tagged = text.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let tag = match (&destination.target, &source.target) {
            (Target::Digest(_), _) => {
                bail!("{text:?}: the digest stays what it is; give a repository, or a tag in it")
            }
            (Target::Tag(tag), _) if is_tagged => Some(tag.clone()),
            (_, Target::Tag(tag)) => Some(tag.clone()),
            (_, Target::Digest(_)) => None,
        };
        Ok((destination, tag))
    }
}

fn print(source: &Reference, to: &Reference, tag: Option<&Tag>, promoted: &Promoted) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let Promoted { digest, manifests: (manifests, written), referrers, tags, left, blobs } = promoted;
    let repository = &to.repository;
    writeln!(out, "{source} is {repository}@{digest}")?;
    if let Some(tag) = tag {
        writeln!(out, "tag: {repository}:{tag}")?;
    }
    writeln!(out, "manifests: {manifests}, {written} written")?;
    writeln!(
        out,
        "blobs: {} sent ({} bytes), {} mounted, {} there before",
        blobs.sent, blobs.bytes, blobs.mounted, blobs.there
    )?;
    writeln!(out, "attached: {referrers} referrers, {tags} tags")?;
    for Left { tag, artifact, why } in left {
        match why {
            Why::Taken { admitted: false } => writeln!(out, "left as it is there: {repository}:{tag}")?,
            Why::Taken { admitted: true } => writeln!(
                out,
                "left as it is there: {repository}:{tag}, WITHOUT {artifact}, which the policy admits: \
                 move what has the tag there away and promote again"
            )?,
            Why::Unproven => {
                writeln!(out, "left out: {artifact} under {tag}: what the policy admits has the tag")?;
            }
        }
    }
    Ok(())
}
