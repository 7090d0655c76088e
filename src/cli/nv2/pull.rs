//! `portcullis nv2 pull`

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::{file, subject};
use crate::cli::runtime;
use crate::oci::{Descriptor, Digest, Manifest, ManifestError, Repository, Tag, Target};
use crate::signature::Format;
use crate::signature::layout::carrier;
use crate::upstream::{Error, Upstream};

/// More signatures of one manifest are not looked at.
const MAX_ARTIFACTS: usize = 64;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder that the signatures are written to, each as the digest of its own and `.nv2`. A file that is there
    /// already stays as it is.
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    output: PathBuf,
    #[command(flatten)]
    subject: subject::Flags,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let signatures = runtime()?.block_on(async {
        let (repository, subject, registries) = arguments.subject.in_registry().await?;
        let upstream = registries.upstream(repository.registry())?;
        let found = found(&upstream, &repository, &subject.digest).await;
        let found = found.with_context(|| format!("signatures of {repository}@{}", subject.digest))?;
        if found.is_empty() {
            bail!("{repository}@{} has no nv2 signature", subject.digest);
        }
        Ok(found)
    })?;
    for signature in signatures {
        let path = arguments.output.join(format!("{}.nv2", Digest::sha256(&signature).hex()));
        write(&path, &signature).with_context(|| path.display().to_string())?;
        writeln!(std::io::stdout(), "{}", path.display())?;
    }
    Ok(())
}

/// Writes a file whole or not at all; one that is there already stays.
fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    let mut partial = OsString::from(path);
    partial.push(".partial");
    let written = std::fs::write(&partial, content).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // What it says is why it was not written.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

/// What refers to the manifest, and what stands under its tag.
async fn found(upstream: &Upstream, repository: &Repository, subject: &Digest) -> anyhow::Result<Vec<Bytes>> {
    let listed = upstream.referrers(repository, subject).await?;
    if listed.len() > MAX_ARTIFACTS {
        let all = listed.len();
        tracing::warn!(
            "{all} artifacts refer to {subject}; only the first {MAX_ARTIFACTS} are looked through"
        );
    }
    let listed = listed.into_iter().take(MAX_ARTIFACTS);
    let mut artifacts: Vec<Target> = listed.map(|artifact| Target::Digest(artifact.digest)).collect();
    artifacts.push(Target::Tag(Tag::about(subject, ".nv2")));
    let mut signatures = Vec::new();
    for target in artifacts {
        let bytes = match upstream.manifest(repository, &target).await {
            Err(Error::NotFound) if matches!(target, Target::Tag(_)) => continue,
            bytes => bytes?,
        };
        let manifest = match &target {
            Target::Digest(digest) => Manifest::parse_expecting(bytes, digest),
            Target::Tag(_) => Manifest::parse(bytes, subject.algorithm()),
        };
        let manifest = match manifest {
            // The registry sent something else, so nobody knows what the artifact is.
            Err(trouble @ ManifestError::Digest { .. }) => return Err(trouble.into()),
            Err(why) => {
                tracing::warn!("the artifact {target} is passed over: {why}");
                continue;
            }
            Ok(manifest) => manifest,
        };
        let Some(carrier) = carrier(&manifest, subject).filter(|c| c.format == Format::Nv2) else { continue };
        for part in &carrier.parts {
            signatures.push(blob(upstream, repository, part).await?);
        }
    }
    signatures.dedup();
    Ok(signatures)
}

async fn blob(upstream: &Upstream, repository: &Repository, part: &Descriptor) -> anyhow::Result<Bytes> {
    if part.size > file::MAX_SIGNATURE {
        bail!("the signature {} has {} bytes, more than any", part.digest, part.size);
    }
    let mut body = upstream.blob(repository, part, 0).await?.body;
    let mut bytes = BytesMut::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() as u64 > part.size {
            bail!("the signature {} is longer than announced", part.digest);
        }
    }
    if !part.digest.matches(&bytes) {
        bail!("the registry sent other bytes than {}", part.digest);
    }
    Ok(bytes.freeze())
}
