//! What refers to a manifest: the referrers API of OCI distribution-spec 1.1, and the tag schema for
//! registries without it. Every doubt is an error: an empty list means that the registry said so.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::answer;
use super::endpoint::{Answer, Ask, Endpoint, Part};
use super::error::Error;
use super::link;
use crate::oci::media_type::OCI_INDEX;
use crate::oci::{Algorithm, Descriptor, Digest, Kind, MAX_MANIFEST_BYTES, Manifest, Repository, Tag};

const MAX_PAGES: usize = 16;
/// All pages together hold at most so many bytes.
const MAX_BYTES: u64 = 4 * MAX_MANIFEST_BYTES;

pub(super) async fn referrers(
    endpoint: &Endpoint,
    repository: &Repository,
    subject: &Digest,
) -> Result<Vec<Descriptor>, Error> {
    let (by_api, by_tag) = (by_api(endpoint, repository, subject), by_tag(endpoint, repository, subject));
    if endpoint.has_referrers.load(Ordering::Relaxed) {
        return match by_api.await? {
            Some(found) => Ok(found),
            None => {
                endpoint.has_referrers.store(false, Ordering::Relaxed);
                by_tag.await
            }
        };
    }
    // Without waiting for the API that was not there the last time; it decides all the same, once it is.
    let (by_api, by_tag) = tokio::join!(by_api, by_tag);
    match by_api? {
        Some(found) => {
            endpoint.has_referrers.store(true, Ordering::Relaxed);
            Ok(found)
        }
        None => by_tag,
    }
}

/// All pages of the API's answer; `None` where the registry does not have the API.
pub(super) async fn by_api(
    endpoint: &Endpoint,
    repository: &Repository,
    subject: &Digest,
) -> Result<Option<Vec<Descriptor>>, Error> {
    let mut ask = index(repository, format!("referrers/{subject}"));
    let mut found = Vec::new();
    let mut read = 0;
    for page in 0..MAX_PAGES {
        let answer = match endpoint.ask(&ask).await {
            Err(error) if page == 0 && is_unsupported(&error) => return Ok(None),
            Err(Error::NotFound) => return Err(gone(page + 1)),
            answer => answer?,
        };
        read += answer.bytes.len() as u64;
        if read > MAX_BYTES {
            break;
        }
        found.extend(descriptors(&answer)?);
        match link::next(&answer, &endpoint.url(&ask))? {
            Some(query) => ask.query = Some(query),
            None => return Ok(Some(found)),
        }
    }
    Err(Error::TooLarge { limit: MAX_BYTES })
}

/// The index under the subject's own tag. Where there is none, nothing refers to the subject.
async fn by_tag(
    endpoint: &Endpoint,
    repository: &Repository,
    subject: &Digest,
) -> Result<Vec<Descriptor>, Error> {
    let tag = Tag::about(subject, "");
    match endpoint.ask(&index(repository, format!("manifests/{tag}"))).await {
        Ok(answer) => descriptors(&answer),
        Err(Error::NotFound) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn index(repository: &Repository, what: String) -> Ask<'_> {
    Ask { repository, what, query: None, accept: Some(OCI_INDEX), part: Part::Whole(MAX_MANIFEST_BYTES) }
}

/// A page that the one before it named, and that is not there: no word about what refers to the subject.
fn gone(page: usize) -> Error {
    Error::nonsense(&format!(
        "page {page} of its list of referrers, which the page before names, is not there"
    ))
}

/// Registries older than the API answer 404, and some 400, 405 or 501, where they do not know a path.
fn is_unsupported(error: &Error) -> bool {
    match error {
        Error::NotFound => true,
        Error::Refused { status, .. } => matches!(status, 400 | 405 | 501),
        _ => false,
    }
}

fn descriptors(answer: &Answer) -> Result<Vec<Descriptor>, Error> {
    if answer::media_type(&answer.headers).as_deref() != Some(OCI_INDEX) {
        return Err(Error::nonsense("its list of referrers is not announced as an index"));
    }
    let bytes = Bytes::clone(&answer.bytes);
    match Manifest::parse(bytes, Algorithm::Sha256) {
        Ok(index) if index.kind() == Kind::Index => Ok(index.manifests().to_vec()),
        Ok(_) => Err(Error::nonsense("its list of referrers is not an index")),
        Err(why) => Err(Error::nonsense(&format!("its list of referrers: {why}"))),
    }
}
