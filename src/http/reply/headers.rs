//! Header values, made with as few copies as they allow.

use bytes::Bytes;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::oci::{Digest, Manifest, media_type};

/// What a manifest's answer says about it.
pub struct Labels {
    pub(super) media_type: HeaderValue,
    pub(super) digest: HeaderValue,
    pub(super) etag: HeaderValue,
}

impl Labels {
    /// Those of this manifest.
    pub fn of(manifest: &Manifest) -> Self {
        Self::new(&manifest.descriptor().media_type, manifest.etag())
    }

    /// Those of a manifest of this type, under its digest in quotes.
    pub fn new(media_type: &str, etag: &Bytes) -> Self {
        let (digest, etag) = values_of_etag(etag);
        Self { media_type: media_type_value(media_type), digest, etag }
    }
}

/// The digest, and the same in quotes as entity tag: one text, used twice.
pub(super) fn digest_and_etag(digest: &Digest) -> (HeaderValue, HeaderValue) {
    values_of_etag(&Bytes::from(format!("\"{digest}\"")))
}

/// As [`digest_and_etag`], of a tag that is made already.
fn values_of_etag(quoted: &Bytes) -> (HeaderValue, HeaderValue) {
    let plain = quoted.slice(1..quoted.len() - 1);
    let value = |bytes| HeaderValue::from_maybe_shared(bytes).unwrap_or(HeaderValue::from_static(""));
    (value(plain), value(quoted.clone()))
}

/// The type of a manifest, as its bytes tell it.
fn media_type_value(name: &str) -> HeaderValue {
    let known = [
        media_type::OCI_MANIFEST,
        media_type::OCI_INDEX,
        media_type::DOCKER_MANIFEST,
        media_type::DOCKER_LIST,
        media_type::OCI_ARTIFACT,
    ];
    match known.into_iter().find(|known| *known == name) {
        Some(known) => HeaderValue::from_static(known),
        None => text(name.to_owned()).unwrap_or(HeaderValue::from_static("application/octet-stream")),
    }
}

/// Whether the client holds the content with this entity tag.
pub(super) fn holds(request: &HeaderMap, etag: &HeaderValue) -> bool {
    tags(request, IF_NONE_MATCH).any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag)
}

/// Whether the client would have the content under this entity tag too. Compared strongly: RFC 9110, section 13.1.1.
pub(super) fn takes(request: &HeaderMap, etag: &HeaderValue) -> bool {
    tags(request, IF_MATCH).any(|tag| tag == b"*" || tag == etag)
}

fn tags(request: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let values = request.get_all(name).into_iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// The text as a header's value, where it can be one.
pub(super) fn text(text: String) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}
