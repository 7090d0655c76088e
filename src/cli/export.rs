//! `portcullis export`: pulls references through the gate, of a running server or here, and has what is admitted written
//! into a folder or archives.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::store::{Common, Output, Place, bar, bytes};
use super::{exit, password, references, report, runtime};
use crate::engine::upkeep::contents::{self, Sealed};
use crate::engine::upkeep::{Export, Order, Platform, Progress, Pulled};
use crate::export::{Destination, Summary, Writer};
use crate::setting::size;
use crate::signing::SigningKey;
use crate::upstream::Carried;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Where it is written: a folder, or an archive whose name ends in `.tar`. A folder is gone on with where an earlier
    /// export into it ended.
    #[arg(short = 'o', long = "to", value_name = "DIR|FILE.tar")]
    to: PathBuf,
    /// Archives of at most so many bytes, such as 4GiB: FILE.1.tar, FILE.2.tar and so on.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    split: Option<u64>,
    /// An earlier export (its folder, its last archive, or its contents.json): layers that it has are left out.
    #[arg(long, value_name = "OLD")]
    since: Option<PathBuf>,
    /// Of indexes only what runs on this; may be given several times. Without it, everything.
    #[arg(long = "platform", value_name = "OS/ARCHITECTURE[/VARIANT]")]
    platforms: Vec<Platform>,
    /// The private key that signs the index of contents.
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    password: password::Flags,
    /// So many references at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// A list of references, one a line, `#` before comments; `-` for standard input.
    #[arg(long, value_name = "LIST", conflicts_with = "references")]
    from: Option<PathBuf>,
    /// What to export, by source names: docker.io/library/nginx:1.27
    #[arg(value_name = "REF", required_unless_present = "from")]
    references: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    match export(arguments) {
        Ok(code) => code,
        Err((code, error)) => {
            report(&error);
            code
        }
    }
}

fn export(arguments: &Arguments) -> Result<u8, (u8, anyhow::Error)> {
    let usage = |error| (exit::USAGE, error);
    let settings = super::settings(arguments.common.config.as_deref()).map_err(|e| usage(e.into()))?;
    let key = key(arguments).map_err(usage)?;
    let references = match &arguments.from {
        Some(list) => listed(list).map_err(usage)?,
        None => arguments.references.clone(),
    };
    let earlier = arguments.since.as_deref().map(earlier).transpose().map_err(usage)?;
    let trouble = |error| (exit::UNDECIDED, error);
    let writer = writer(arguments, &settings.store.path, earlier).map_err(usage)?;
    let work = async {
        let place = Place::find(settings).await?;
        let done = write(arguments, references, &place, writer, key.as_ref()).await;
        place.close().await;
        done
    };
    runtime().and_then(|runtime| runtime.block_on(work)).map_err(trouble)
}

async fn write(
    arguments: &Arguments,
    references: Vec<String>,
    place: &Place,
    mut writer: Writer,
    key: Option<&SigningKey>,
) -> anyhow::Result<u8> {
    let bar = bar::of_references(references.len());
    let platforms = arguments.platforms.clone();
    let order = Order::Export(Export { references, platforms, at_once: arguments.jobs.into() });
    let mut all = Vec::new();
    let step = |progress| {
        match progress {
            Progress::Found(found) => writer.take(found)?,
            Progress::Pulled(pulled) => {
                bar.set_message(pulled.reference.clone());
                bar.inc(1);
                all.push(pulled);
            }
            _ => {}
        }
        Ok(())
    };
    place.run(order, step).await?;
    let summary = writer.finish(key).await?;
    bar.finish_and_clear();
    print(arguments, &all, summary.as_ref())?;
    Ok(references::code(&all))
}

fn print(arguments: &Arguments, all: &[Pulled], summary: Option<&Summary>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if arguments.common.output == Output::Json {
        let paths =
            summary.map(|s| s.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>());
        let bytes = |of: fn(&Summary) -> u64| summary.map_or(0, of);
        let summary = json!({
            "references": all, "paths": paths.unwrap_or_default(), "contents": summary.map(|s| s.contents),
            "written_bytes": bytes(|s| s.written), "left_out_bytes": bytes(|s| s.left_out),
            "present_bytes": bytes(|s| s.present),
        });
        writeln!(out, "{summary}")?;
        return Ok(());
    }
    for pulled in all {
        references::print(&mut out, pulled, "exported")?;
    }
    let Some(Summary { paths, contents, written, left_out, present }) = summary else {
        let to = arguments.to.display();
        writeln!(
            out,
            "nothing is exported: no index is written, and what {to} named before stays named (to carry revocation data \
             alone, name another folder)"
        )?;
        return Ok(());
    };
    let (written, left_out, present) = (bytes(*written), bytes(*left_out), bytes(*present));
    writeln!(out, "{written} written, {present} there already, {left_out} left out; contents {contents}")?;
    for path in paths {
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}

fn listed(list: &Path) -> anyhow::Result<Vec<String>> {
    let references = references::read(list)?;
    anyhow::ensure!(!references.is_empty(), "{}: no reference is in it: nothing is exported", list.display());
    Ok(references)
}

fn key(arguments: &Arguments) -> anyhow::Result<Option<SigningKey>> {
    let Some(name) = &arguments.key else {
        anyhow::ensure!(!arguments.password.is_given(), "--key-password-file: there is no --key");
        return Ok(None);
    };
    arguments.password.open(name).map(Some)
}

fn writer(arguments: &Arguments, store: &Path, earlier: Option<Sealed>) -> anyhow::Result<Writer> {
    let to = &arguments.to;
    let destination = if to.extension().is_some_and(|extension| extension == "tar") {
        Destination::archive(to, arguments.split)?
    } else {
        anyhow::ensure!(arguments.split.is_none(), "--split cuts archives: give a name that ends in .tar");
        Destination::folder(to)?
    };
    Ok(Writer::new(store, destination, earlier, arguments.platforms.clone()))
}

fn earlier(path: &Path) -> anyhow::Result<Sealed> {
    let text = || path.display().to_string();
    let is_file = |extension: &str| path.extension().is_some_and(|found| found == extension);
    let bytes = if is_file("json") {
        std::fs::read(path).with_context(text)?.into()
    } else {
        let carried = Carried::open(&[path.to_owned()], None, contents::FILE, contents::MAX_BYTES)?;
        let beside = carried.layouts().iter().find_map(|layout| layout.beside.clone());
        let broken = || carried.layouts().iter().find_map(|layout| layout.broken.clone());
        beside.with_context(|| {
            broken().unwrap_or_else(|| format!("{}: no {} is in it", text(), contents::FILE))
        })?
    };
    Sealed::read(&bytes).map_err(anyhow::Error::msg).with_context(text)
}
