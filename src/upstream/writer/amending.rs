//! What several write to under one tag: the list of referrers under the subject's own tag, for registries without the
//! API (distribution-spec 1.1, "Referrers Tag Schema"), and cosign's signatures. Registries cannot replace a tag only
//! where it is still what was read, so whoever writes may overwrite what another has just added. Nothing is lost
//! all the same, among those who keep the same two times: what was read is written back within [`WINDOW`] and sent
//! once, else read anew; and who wrote looks again after [`SETTLED`], when everybody who had read before that has
//! written, and adds what is missing.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Error, Scope, Writer, is_listed};
use crate::oci::media_type::OCI_INDEX;
use crate::oci::{Algorithm, Digest, Kind, Manifest, Repository, Tag, Target};

const WINDOW: Duration = Duration::from_millis(1000);
/// Longer than the window: the request that writes needs its time too.
const SETTLED: Duration = Duration::from_millis(1500);
/// So often it is written. Among twenty who begin at once, each is done after a few.
const ATTEMPTS: u32 = 30;

/// What is to stand under a tag: a manifest, and the blobs that it newly names.
pub type Amended = (Vec<Bytes>, Manifest);

impl Writer {
    /// Changes what stands under a tag, until it is there to stay. `change` is given what stands there now, and says
    /// what should, or nothing where that is so already.
    ///
    /// # Errors
    /// [`Error`], and those of `change`.
    pub async fn amend<E: From<Error>>(
        &self,
        repository: &Repository,
        tag: &Tag,
        change: impl Fn(Option<Manifest>) -> Result<Option<Amended>, E>,
    ) -> Result<(), E> {
        let target = Target::Tag(tag.clone());
        for attempt in 0..ATTEMPTS {
            let read = Instant::now();
            let present = self.manifest(repository, &target).await?.map(parsed).transpose()?;
            let Some((blobs, manifest)) = change(present)? else { return Ok(()) };
            for blob in &blobs {
                self.put_bytes(repository, blob).await?;
            }
            if read.elapsed() <= WINDOW {
                sleep(self.put_once(repository, &target, &manifest).await?).await;
            }
            if attempt > 0 {
                // Those who overwrote each other do not meet again.
                sleep(WINDOW.mul_f64(fastrand::f64())).await;
            }
        }
        let why =
            format!("others overwrite {tag} again and again, or it takes longer than {WINDOW:?} to write");
        Err(Error::Unavailable(why).into())
    }

    /// Writes a manifest, or fails to in a way that may pass. What failed may have been written all the same, so that
    /// either has to settle: tells for how long.
    async fn put_once(
        &self,
        repository: &Repository,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<Duration, Error> {
        let request = self.put(repository, target, manifest)?;
        match self.home.change_once(&Scope::push(repository), &request).await {
            Ok(response) => is_listed(&response, manifest).map(|_| SETTLED),
            Err((_, Some(pause))) => Ok(pause.max(SETTLED)),
            Err((error, None)) => Err(error),
        }
    }
}

fn parsed(bytes: Bytes) -> Result<Manifest, Error> {
    Manifest::parse(bytes, Algorithm::Sha256).map_err(|why| Error::nonsense(&why.to_string()))
}

/// Sees to it that all of the `referrers` are in the list of what refers to `subject`.
pub(super) async fn list(
    writer: &Writer,
    repository: &Repository,
    subject: &Digest,
    referrers: &[&Manifest],
) -> Result<(), Error> {
    writer.amend(repository, &Tag::about(subject, ""), |present| with(present, referrers)).await
}

/// The list with the referrers, or nothing where they are in it.
fn with(present: Option<Manifest>, referrers: &[&Manifest]) -> Result<Option<Amended>, Error> {
    let nonsense = |why: &dyn std::fmt::Display| Error::nonsense(&why.to_string());
    let is_listed = |referrer: &Manifest| {
        let listed = present.iter().flat_map(|index| index.manifests());
        listed.into_iter().any(|entry| entry.digest == *referrer.digest())
    };
    let missing: Vec<&&Manifest> = referrers.iter().filter(|referrer| !is_listed(referrer)).collect();
    let mut list = match &present {
        None => json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}),
        Some(index) if index.kind() != Kind::Index => {
            return Err(Error::nonsense("its list of referrers is not an index"));
        }
        Some(_) if missing.is_empty() => return Ok(None),
        // As it stands, with what we know nothing of.
        Some(index) => serde_json::from_slice(index.bytes()).map_err(|why| nonsense(&why))?,
    };
    for referrer in missing {
        let mut entry = referrer.descriptor().clone();
        entry.annotations.clone_from(referrer.annotations());
        let entry = serde_json::to_value(entry).map_err(|why| nonsense(&why))?;
        match list.get_mut("manifests") {
            Some(Value::Array(entries)) => entries.push(entry),
            // As Go writes an empty list.
            _ => list["manifests"] = json!([entry]),
        }
    }
    Ok(Some((Vec::new(), parsed(list.to_string().into())?)))
}
