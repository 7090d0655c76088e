//! `trust add`: puts a certificate or key where a signer's are, from a file, or from the address that a refusal names
//! once its fingerprint is known.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use url::Url;

use super::target::Target;
use super::{list, show};
use crate::cli::{exit, report, runtime};
use crate::clock::Clock;
use crate::config::Settings;
use crate::signature::anchors::NamedPlace;
use crate::trust::anchor::fingerprint;
use crate::trust::place::Added;
use crate::trust::{Anchor, Place, acquire};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Certificates or public keys, PEM or DER.
    #[arg(value_name = "FILE", required_unless_present = "from")]
    files: Vec<PathBuf>,
    /// Fetch it from here. It is added only with its fingerprint; without one, it is shown.
    #[arg(long, value_name = "URL", conflicts_with = "files")]
    from: Option<Url>,
    /// Only the one with this fingerprint: SHA-256 of a certificate, or of a key's SubjectPublicKeyInfo, as
    /// refusals print it. May be repeated.
    #[arg(long, value_name = "FINGERPRINT", value_parser = read_fingerprint)]
    sha256: Vec<[u8; 32]>,
    /// Fetch it over plain HTTP from another machine.
    #[arg(long, requires = "from")]
    insecure: bool,
    #[command(flatten)]
    target: Target,
}

fn read_fingerprint(text: &str) -> Result<[u8; 32], String> {
    fingerprint(text).ok_or_else(|| "expected 64 hexadecimal digits".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let settings = arguments.target.settings()?;
    let signer = arguments.signer(&settings)?;
    let places = Target { signer: signer.clone(), ..arguments.target.clone() }.places(&settings)?;
    let added =
        arguments.read(&settings).and_then(|anchors| arguments.add(&anchors, &places, signer.as_deref()));
    Ok(added.unwrap_or_else(|error| {
        report(&error);
        match error.downcast_ref::<acquire::Error>() {
            Some(acquire::Error::Unreachable { .. }) => exit::UNDECIDED,
            Some(acquire::Error::Address(_)) => exit::USAGE,
            None => exit::DENIED,
        }
    }))
}

impl Arguments {
    /// The signer that is meant: the one that is named, else the one whose key is acquired there.
    fn signer(&self, settings: &Settings) -> anyhow::Result<Option<String>> {
        let (None, None, Some(from)) = (&self.target.signer, &self.target.folder, &self.from) else {
            return Ok(self.target.signer.clone());
        };
        let acquired = |url: &String| Url::parse(url).is_ok_and(|url| url == *from);
        let mut named =
            settings.signers.iter().filter(|(_, signer)| signer.acquire.as_ref().is_some_and(acquired));
        match (named.next(), named.next()) {
            (Some((name, _)), None) => Ok(Some(name.to_string())),
            (None, _) => bail!("no signer's key is acquired at {from}: give --signer NAME or --folder PATH"),
            (Some(_), Some(_)) => bail!("several signers' keys are acquired at {from}: give --signer NAME"),
        }
    }

    /// What is offered.
    fn read(&self, settings: &Settings) -> anyhow::Result<Vec<Anchor>> {
        let Some(url) = &self.from else {
            let mut all = Vec::new();
            for file in &self.files {
                all.extend(list::read(file)?);
            }
            return Ok(all);
        };
        let environment = |variable: &str| std::env::var(variable).ok();
        let fetched = acquire::fetch(url, self.insecure, &settings.egress, &environment);
        let bytes = runtime()?.block_on(fetched)?;
        let page = "if that is a page for people, find the certificate or key on it and give its own address";
        Anchor::all_from(&bytes)
            .with_context(|| format!("{url} is no certificate and no public key ({page})"))
    }

    /// Shows what is offered, and adds what is wanted of it.
    fn add(&self, anchors: &[Anchor], places: &[NamedPlace], signer: Option<&str>) -> anyhow::Result<u8> {
        let now = Clock::system().now();
        let mut out = std::io::stdout().lock();
        anchors.iter().try_for_each(|anchor| show::anchor(&mut out, anchor, None, now))?;
        let wanted = self.wanted(anchors)?;
        if wanted.is_empty() {
            writeln!(
                out,
                "nothing is added: compare the fingerprint with one that came another way, then run"
            )?;
            for anchor in anchors {
                writeln!(out, "  {}", self.line(signer, anchor))?;
            }
            return Ok(exit::DENIED);
        }
        for anchor in wanted {
            match place_for(places, anchor)?.add(anchor)? {
                Added::New(file) => writeln!(out, "added: {}", file.display())?,
                Added::Already(file) => writeln!(out, "is there already: {}", file.display())?,
            }
        }
        Ok(exit::OK)
    }

    /// What of it is added: all that a file holds, or those whose fingerprints are given. Of what was fetched without any,
    /// nothing.
    fn wanted<'a>(&self, anchors: &'a [Anchor]) -> anyhow::Result<Vec<&'a Anchor>> {
        if self.sha256.is_empty() {
            return Ok(if self.from.is_some() { Vec::new() } else { anchors.iter().collect() });
        }
        let find = |wanted: &[u8; 32]| {
            let found = anchors.iter().find(|anchor| anchor.fingerprint() == *wanted);
            found.with_context(|| {
                let others: Vec<String> =
                    anchors.iter().map(|anchor| hex::encode(anchor.fingerprint())).collect();
                format!(
                    "expected SHA-256 {}, found {}: nothing is added",
                    hex::encode(wanted),
                    others.join(", ")
                )
            })
        };
        self.sha256.iter().map(find).collect()
    }

    /// The command that adds what was shown.
    fn line(&self, signer: Option<&str>, anchor: &Anchor) -> String {
        let mut words = vec!["portcullis trust add".to_owned()];
        let quoted = |path: &PathBuf| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
        words.extend(self.target.config.as_ref().map(|path| format!("--config {}", quoted(path))));
        words.extend(signer.map(|name| format!("--signer '{name}'")));
        words.extend(self.target.setting.as_ref().map(|key| format!("--setting {key}")));
        words.extend(self.target.folder.as_ref().map(|path| format!("--folder {}", quoted(path))));
        words.extend(self.from.as_ref().map(|url| format!("--from '{url}'")));
        words.extend(self.insecure.then(|| "--insecure".to_owned()));
        words.push(format!("--sha256 {}", hex::encode(anchor.fingerprint())));
        words.join(" ")
    }
}

/// The first place that has room for it.
fn place_for<'a>(places: &'a [NamedPlace], anchor: &Anchor) -> anyhow::Result<&'a Place> {
    let takes = |place: &Place| match anchor {
        Anchor::Certificate(_) => matches!(place, Place::Certificates(_) | Place::Store(..)),
        Anchor::Key(_) => matches!(place, Place::Key(_)),
    };
    let mut fit = places.iter().map(|named| &named.place).filter(|place| takes(place));
    let first = fit.clone().next();
    let place = fit.find(|place| place.is_folder()).or(first).or(places.first().map(|named| &named.place));
    place.with_context(|| format!("there is no place for a {}", anchor.what()))
}
