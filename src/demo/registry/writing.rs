//! The write side of OCI distribution-spec 1.1: uploads in the form POST, then PUT, mounts, and manifests whose
//! content is there.

use bytes::Bytes;
use http::request::Parts;
use hyper::header::{HeaderName, LOCATION};
use hyper::{Method, StatusCode};

use super::Inner;
use super::answer::{CONTENT_DIGEST, Plain, query};
use crate::oci::{Algorithm, Digest, Manifest};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Answers a request that writes; reads are somebody else's.
pub(super) fn write(inner: &mut Inner, request: &Parts, body: &Bytes) -> Option<Plain> {
    let path = request.uri.path().strip_prefix("/v2/")?;
    if request.method == Method::POST {
        let name = path.strip_suffix("/blobs/uploads/")?;
        return Some(begin(inner, name, request));
    }
    if request.method != Method::PUT {
        return None;
    }
    if let Some((name, _)) = path.split_once("/blobs/uploads/") {
        return Some(end(inner, name, request, body));
    }
    let (name, reference) = path.split_once("/manifests/")?;
    Some(manifest(inner, name, reference, body))
}

/// An upload; or nothing to upload, where a neighbour has the blob.
fn begin(inner: &mut Inner, name: &str, request: &Parts) -> Plain {
    let wanted = query(request, "mount").and_then(|digest| Digest::parse(&digest).ok());
    let from = query(request, "from");
    let mounted = wanted.and_then(|digest| {
        let neighbour = inner.repositories.of(from.as_deref()?)?;
        Some((digest, neighbour.blobs.get(&digest)?.clone()))
    });
    match mounted {
        Some((digest, blob)) => {
            inner.repositories.forge_blob(name, digest, &blob);
            Plain::new("application/octet-stream", Bytes::new()).of(StatusCode::CREATED)
        }
        None => {
            inner.uploads += 1;
            let upload = format!("/v2/{name}/blobs/uploads/{}?state=begun", inner.uploads);
            Plain::new("application/octet-stream", Bytes::new())
                .of(StatusCode::ACCEPTED)
                .with(LOCATION, &upload)
        }
    }
}

fn end(inner: &mut Inner, name: &str, request: &Parts, body: &Bytes) -> Plain {
    let is_begun = query(request, "state").as_deref() == Some("begun");
    match query(request, "digest").and_then(|digest| Digest::parse(&digest).ok()) {
        Some(digest) if is_begun && digest.matches(body) => {
            inner.repositories.forge_blob(name, digest, body);
            Plain::new("application/octet-stream", Bytes::new()).of(StatusCode::CREATED)
        }
        _ => Plain::error(StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
    }
}

fn manifest(inner: &mut Inner, name: &str, reference: &str, body: &Bytes) -> Plain {
    let Ok(manifest) = Manifest::parse(body.clone(), Algorithm::Sha256) else {
        return Plain::error(StatusCode::BAD_REQUEST, "MANIFEST_INVALID");
    };
    let digest = *manifest.digest();
    if Digest::parse(reference).is_ok_and(|named| named != digest) {
        return Plain::error(StatusCode::BAD_REQUEST, "DIGEST_INVALID");
    }
    if !inner.repositories.has_all(name, &manifest) {
        return Plain::error(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN");
    }
    inner.repositories.put(name, reference, &manifest);
    let created = Plain::new("application/json", Bytes::new()).of(StatusCode::CREATED);
    let created = created.with(CONTENT_DIGEST, &digest.to_string());
    match manifest.subject().filter(|_| inner.repositories.referrers_api) {
        Some(subject) => created.with(OCI_SUBJECT, &subject.digest.to_string()),
        None => created,
    }
}
