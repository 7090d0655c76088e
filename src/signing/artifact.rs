//! Signatures as content of a registry: the artifacts that carry them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;

use super::Error;
use crate::oci::media_type::OCI_MANIFEST;
use crate::oci::{Algorithm, Descriptor, Digest, Manifest};

/// When it was made (image-spec 1.1, "Pre-Defined Annotation Keys").
const CREATED: &str = "org.opencontainers.image.created";

/// A manifest with the blobs that it names.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The manifest.
    pub manifest: Manifest,
    /// Its config and layers.
    pub blobs: Vec<Bytes>,
}

/// What an artifact is made of, before its manifest is written.
pub(super) struct Parts<'a> {
    pub(super) artifact_type: Option<&'a str>,
    pub(super) config: (&'a str, Bytes),
    pub(super) layers: Vec<(Descriptor, Option<Bytes>)>,
    pub(super) subject: Option<&'a Descriptor>,
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    schema_version: u8,
    media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Parts<'_> {
    /// Writes the manifest.
    pub(super) fn pack(self) -> Result<Artifact, Error> {
        let (config_type, config) = self.config;
        let written = Written {
            schema_version: 2,
            media_type: OCI_MANIFEST,
            artifact_type: self.artifact_type,
            config: descriptor(config_type, &config),
            layers: self.layers.iter().map(|(layer, _)| layer.clone()).collect(),
            subject: self.subject.map(bare),
            annotations: self.annotations,
        };
        let bytes = Bytes::from(serde_json::to_vec(&written)?);
        let manifest = Manifest::parse(bytes, Algorithm::Sha256)?;
        let blobs =
            std::iter::once(config).chain(self.layers.into_iter().filter_map(|(_, blob)| blob)).collect();
        Ok(Artifact { manifest, blobs })
    }
}

/// A blob's descriptor.
pub(super) fn descriptor(media_type: &str, blob: &[u8]) -> Descriptor {
    Descriptor::new(media_type, Digest::sha256(blob), blob.len() as u64)
}

/// The three fields that name content.
fn bare(descriptor: &Descriptor) -> Descriptor {
    Descriptor::new(descriptor.media_type.clone(), descriptor.digest, descriptor.size)
}

/// The annotation that tells when an artifact was made.
pub(super) fn created(at: SystemTime) -> (String, String) {
    (CREATED.to_owned(), humantime::format_rfc3339_seconds(at).to_string())
}
