//! The list of referrers under the subject's own tag, for registries without the API (distribution-spec 1.1,
//! "Referrers Tag Schema"). Registries cannot replace a tag only where it is still what was read, so whoever writes
//! the list may overwrite what another has just added. Nothing is lost all the same, among those who keep the
//! same two times: a list is written within [`WINDOW`] of being read, else read anew; and who wrote looks again
//! after [`SETTLED`], when everybody who had read the list before that has written it, and adds what is missing.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Error, Writer};
use crate::oci::media_type::OCI_INDEX;
use crate::oci::{Algorithm, Digest, Kind, Manifest, Repository, Tag, Target};

const WINDOW: Duration = Duration::from_millis(500);
/// Twice the window: a request needs its time too.
const SETTLED: Duration = Duration::from_millis(1000);
/// So often the list is written. Among twenty who begin at once, each is done after a few.
const ATTEMPTS: u32 = 30;

/// Sees to it that `referrer` is in the list of what refers to `subject`.
pub(super) async fn list(
    writer: &Writer,
    repository: &Repository,
    subject: &Digest,
    referrer: &Manifest,
) -> Result<(), Error> {
    let target = Target::Tag(Tag::about(subject, ""));
    for attempt in 0..ATTEMPTS {
        let read = Instant::now();
        let found = writer.manifest(repository, &target).await?;
        let Some(list) = with(found, referrer)? else { return Ok(()) };
        if read.elapsed() <= WINDOW {
            writer.put_manifest(repository, &target, &list).await?;
            sleep(SETTLED).await;
        }
        if attempt > 0 {
            // Those who overwrote each other do not meet again.
            sleep(WINDOW.mul_f64(fastrand::f64())).await;
        }
    }
    Err(Error::Unavailable(format!(
        "the list of referrers {target} is overwritten again and again by others"
    )))
}

/// The list with the referrer, or nothing where it is in it.
fn with(found: Option<bytes::Bytes>, referrer: &Manifest) -> Result<Option<Manifest>, Error> {
    let mut list = match found {
        None => json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}),
        Some(bytes) => {
            let index = Manifest::parse(bytes.clone(), Algorithm::Sha256);
            let index = index.map_err(|why| Error::nonsense(&format!("its list of referrers: {why}")))?;
            if index.kind() != Kind::Index {
                return Err(Error::nonsense("its list of referrers is not an index"));
            }
            if index.manifests().iter().any(|entry| entry.digest == *referrer.digest()) {
                return Ok(None);
            }
            serde_json::from_slice(&bytes).map_err(|why| Error::nonsense(&why.to_string()))?
        }
    };
    let mut entry = referrer.descriptor().clone();
    entry.annotations.clone_from(referrer.annotations());
    let entry = serde_json::to_value(entry).map_err(|why| Error::nonsense(&why.to_string()))?;
    match list.get_mut("manifests") {
        Some(Value::Array(entries)) => entries.push(entry),
        // As Go writes an empty list.
        _ => list["manifests"] = json!([entry]),
    }
    let made = Manifest::parse(list.to_string().into(), Algorithm::Sha256);
    made.map(Some).map_err(|why| Error::nonsense(&format!("its list of referrers, with one more: {why}")))
}
