//! An index as it is written (image-spec 1.1, `image-index.md`).

use serde::Serialize;

use super::{Descriptor, media_type};

/// An index of manifests, in JSON. It is read as a [`Manifest`](super::Manifest).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: &'a [Descriptor],
}

impl<'a> Index<'a> {
    /// Of these.
    pub fn of(manifests: &'a [Descriptor]) -> Self {
        Self { schema_version: 2, media_type: media_type::OCI_INDEX, manifests }
    }
}
