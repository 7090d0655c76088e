//! Manifests: exact bytes and one unambiguous reading of them.
//! OCI image-spec 1.1 `manifest.md`, `image-index.md`; Docker registry v2 schema 2.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};

use super::descriptor::{Descriptor, Platform};
use super::digest::{Algorithm, Digest};
use super::{MAX_MANIFEST_BYTES, json, media_type};

/// What a manifest is, decided by its bytes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A config and layers: images, and every artifact packed as one.
    Image,
    /// A list of manifests.
    Index,
    /// Blobs without a config (the OCI 1.1 release candidates).
    Artifact,
}

/// A manifest: its bytes are never changed, its descriptor and view are made from them.
#[derive(Clone, Debug)]
pub struct Manifest {
    bytes: Bytes,
    etag: Bytes,
    descriptor: Descriptor,
    kind: Kind,
    config: Option<Descriptor>,
    blobs: Vec<Descriptor>,
    manifests: Vec<Descriptor>,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
}

/// Why bytes are not a manifest that may be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than [`MAX_MANIFEST_BYTES`].
    #[error("the manifest has {0} bytes; at most {MAX_MANIFEST_BYTES} are read")]
    TooLarge(u64),
    /// Not JSON, a key twice, or a field of the wrong kind.
    #[error("the manifest is not well-formed: {0}")]
    Malformed(String),
    /// Docker schema 1.
    #[error(
        "the manifest is of Docker's schema 1, whose digest does not cover all of it; push it again with a current tool"
    )]
    Schema1,
    /// It can be read as an image and as an index, or as neither.
    #[error("the manifest is ambiguous: {0}")]
    Ambiguous(&'static str),
    /// A media type that is not read.
    #[error("the manifest's media type {0:?} is not one of OCI or Docker schema 2")]
    MediaType(String),
    /// A descriptor's embedded `data` is not the content it names.
    #[error("the data embedded for {0} is not what its digest and size say")]
    Data(Digest),
    /// The bytes do not have the digest that was asked for.
    #[error("the manifest's digest is {found}, expected was {expected}")]
    Digest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    blobs: Option<Vec<RawDescriptor>>,
    #[serde(default, deserialize_with = "nullable")]
    manifests: Option<Vec<RawDescriptor>>,
    subject: Option<RawDescriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: String,
    digest: Digest,
    size: u64,
    artifact_type: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    annotations: BTreeMap<String, String>,
    platform: Option<Platform>,
    data: Option<String>,
}

/// Go's tools write an empty list as `null`, which is an index all the same.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Vec<T>>, D::Error> {
    Ok(Some(Option::<Vec<T>>::deserialize(d)?.unwrap_or_default()))
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

impl Manifest {
    /// Reads a manifest whose digest is known.
    ///
    /// # Errors
    /// [`ManifestError::Digest`] when the bytes are others, else as [`Manifest::parse`].
    pub fn parse_expecting(bytes: Bytes, expected: &Digest) -> Result<Self, ManifestError> {
        let found = Digest::of(expected.algorithm(), &bytes);
        if found != *expected {
            return Err(ManifestError::Digest { expected: *expected, found });
        }
        Self::read(bytes, found)
    }

    /// Reads a manifest and gives it its digest under `algorithm`.
    ///
    /// # Errors
    /// [`ManifestError`] names what is wrong with it.
    pub fn parse(bytes: Bytes, algorithm: Algorithm) -> Result<Self, ManifestError> {
        let digest = Digest::of(algorithm, &bytes);
        Self::read(bytes, digest)
    }

    fn read(bytes: Bytes, digest: Digest) -> Result<Self, ManifestError> {
        let size = bytes.len() as u64;
        if size > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(size));
        }
        let raw: Raw = json::strict(&bytes).map_err(|e| ManifestError::Malformed(e.to_string()))?;
        let (kind, media_type) = shape(&raw)?;
        let mut descriptor = Descriptor::new(media_type, digest, size);
        let config = raw.config.map(RawDescriptor::check).transpose()?;
        // image-spec, "Guidelines for Artifact Usage": without artifactType, the config's type is it.
        descriptor.artifact_type =
            raw.artifact_type.map(Arc::from).or_else(|| config.as_ref().map(|c| c.media_type.clone()));
        let all = |list: Option<Vec<RawDescriptor>>| -> Result<Vec<Descriptor>, ManifestError> {
            list.unwrap_or_default().into_iter().map(RawDescriptor::check).collect()
        };
        Ok(Self {
            bytes,
            etag: format!("\"{}\"", descriptor.digest).into(),
            descriptor,
            kind,
            config,
            blobs: if kind == Kind::Artifact { all(raw.blobs)? } else { all(raw.layers)? },
            manifests: all(raw.manifests)?,
            subject: raw.subject.map(RawDescriptor::check).transpose()?,
            annotations: raw.annotations,
        })
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Media type (from the bytes), digest, size, and the artifact type (the config's media type
    /// where the manifest does not name one).
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Shorthand for the descriptor's digest.
    pub fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    /// The digest in quotes, as the entity tag of an answer with these bytes: RFC 9110, section 8.8.3.
    pub fn etag(&self) -> &Bytes {
        &self.etag
    }

    /// The same with bytes of its own, which share no count of references with these.
    pub fn copied(&self) -> Self {
        let [bytes, etag] = [&self.bytes, &self.etag].map(|bytes| Bytes::copy_from_slice(bytes));
        Self { bytes, etag, ..self.clone() }
    }

    /// Image, index or artifact.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The config, where it has one.
    pub fn config(&self) -> Option<&Descriptor> {
        self.config.as_ref()
    }

    /// Layers of an image, blobs of an artifact.
    pub fn blobs(&self) -> &[Descriptor] {
        &self.blobs
    }

    /// The manifests that an index lists.
    pub fn manifests(&self) -> &[Descriptor] {
        &self.manifests
    }

    /// What it is about, where it is a referrer.
    pub fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }

    /// The manifest's own annotations.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }
}

/// Decides what the manifest is. A media type that contradicts the fields is an attack on readers
/// that look at one of the two only, so it is refused.
fn shape(raw: &Raw) -> Result<(Kind, &'static str), ManifestError> {
    use ManifestError::Ambiguous;
    use media_type::{
        DOCKER_LIST, DOCKER_MANIFEST, NV2_INDEX_CONFIG_JWT, OCI_ARTIFACT, OCI_INDEX, OCI_MANIFEST,
    };

    match (raw.schema_version, raw.media_type.as_deref()) {
        (Some(1), _) | (_, Some(media_type::DOCKER_SCHEMA1 | media_type::DOCKER_SCHEMA1_SIGNED)) => {
            return Err(ManifestError::Schema1);
        }
        (Some(2), _) | (None, Some(OCI_ARTIFACT)) => {}
        _ => return Err(ManifestError::Malformed("schemaVersion is not 2".to_owned())),
    }
    let index_config = raw.config.as_ref().is_none_or(|c| c.media_type == NV2_INDEX_CONFIG_JWT);
    let (kind, default) = match (&raw.manifests, &raw.layers, &raw.blobs) {
        (Some(_), None, None) if index_config => (Kind::Index, OCI_INDEX),
        (Some(_), None, None) => return Err(Ambiguous("it has both 'manifests' and an image's 'config'")),
        (None, Some(_), None) if raw.config.is_some() => (Kind::Image, OCI_MANIFEST),
        (None, Some(_), None) => return Err(Ambiguous("it has 'layers' and no 'config'")),
        // Only the release candidates' artifact manifest has 'blobs', and it must say so.
        (None, None, _) if raw.media_type.as_deref() == Some(OCI_ARTIFACT) => (Kind::Artifact, OCI_ARTIFACT),
        (None, None, None) => return Err(Ambiguous("it has neither 'layers' nor 'manifests'")),
        (None, None, Some(_)) => return Err(Ambiguous("it has 'blobs' and is no OCI artifact manifest")),
        _ => return Err(Ambiguous("it has more than one of 'layers', 'manifests' and 'blobs'")),
    };
    let media_type = match raw.media_type.as_deref() {
        None => default,
        Some(OCI_MANIFEST) => OCI_MANIFEST,
        Some(OCI_INDEX) => OCI_INDEX,
        Some(OCI_ARTIFACT) => OCI_ARTIFACT,
        Some(DOCKER_MANIFEST) => DOCKER_MANIFEST,
        Some(DOCKER_LIST) => DOCKER_LIST,
        Some(other) => return Err(ManifestError::MediaType(other.chars().take(128).collect())),
    };
    let fits = match kind {
        Kind::Image => matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST),
        Kind::Index => matches!(media_type, OCI_INDEX | DOCKER_LIST),
        Kind::Artifact => media_type == OCI_ARTIFACT,
    };
    if fits { Ok((kind, media_type)) } else { Err(Ambiguous("its media type contradicts its fields")) }
}

impl RawDescriptor {
    fn check(self) -> Result<Descriptor, ManifestError> {
        if let Some(data) = &self.data {
            let data = base64::engine::general_purpose::STANDARD.decode(data);
            let holds = data.is_ok_and(|d| d.len() as u64 == self.size && self.digest.matches(&d));
            if !holds {
                return Err(ManifestError::Data(self.digest));
            }
        }
        if !media_type::is_content_type(&self.media_type) {
            return Err(ManifestError::Malformed(format!(
                "the descriptor of {} has no media type",
                self.digest
            )));
        }
        Ok(Descriptor {
            media_type: self.media_type.into(),
            digest: self.digest,
            size: self.size,
            artifact_type: self.artifact_type.map(Arc::from),
            annotations: self.annotations,
            platform: self.platform,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(Bytes::copy_from_slice(text.as_bytes()), Algorithm::Sha256)
    }

    fn descriptor(media_type: &str, extra: &str) -> String {
        let digest = Digest::sha256(b"hi");
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":2{extra}}}"#)
    }

    #[test]
    fn the_type_comes_from_the_bytes() {
        let config = descriptor("application/vnd.oci.image.config.v1+json", "");
        let image = parse(&format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#)).unwrap();
        assert_eq!(&*image.descriptor().media_type, media_type::OCI_MANIFEST);
        assert_eq!(image.kind(), Kind::Image);
        assert_eq!(
            image.descriptor().artifact_type.as_deref(),
            Some("application/vnd.oci.image.config.v1+json")
        );
        let index = parse(r#"{"schemaVersion":2,"manifests":null}"#).unwrap();
        assert_eq!(index.kind(), Kind::Index);
    }

    #[test]
    fn an_nv2_index_may_carry_its_signature_as_config() {
        let config = descriptor(media_type::NV2_INDEX_CONFIG_JWT, "");
        let index = parse(&format!(r#"{{"schemaVersion":2,"config":{config},"manifests":[]}}"#)).unwrap();
        assert_eq!(index.kind(), Kind::Index);
        assert!(index.config().is_some());
    }

    #[test]
    fn ambiguous_manifests_are_refused() {
        let config = descriptor("application/x", "");
        for text in [
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#),
            format!(r#"{{"schemaVersion":2,"config":{config},"manifests":[]}}"#),
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":null}}"#),
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":[]}}"#,
                media_type::OCI_INDEX
            ),
            format!(r#"{{"schemaVersion":2,"config":{config}}}"#),
            r#"{"schemaVersion":2,"layers":[]}"#.to_owned(),
            r#"{"schemaVersion":2,"blobs":[]}"#.to_owned(),
        ] {
            assert!(matches!(parse(&text), Err(ManifestError::Ambiguous(_))), "{text}");
        }
    }

    #[test]
    fn malformed_manifests_are_refused() {
        assert_eq!(parse(r#"{"schemaVersion":1,"fsLayers":[]}"#).unwrap_err(), ManifestError::Schema1);
        assert!(matches!(
            parse(r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#),
            Err(ManifestError::Malformed(_))
        ));
        assert!(matches!(parse(r#"{"manifests":[]}"#), Err(ManifestError::Malformed(_))));
        assert!(matches!(
            parse(r#"{"schemaVersion":2,"mediaType":"application/x","manifests":[]}"#),
            Err(ManifestError::MediaType(_))
        ));
    }

    #[test]
    fn embedded_data_must_be_what_it_says() {
        let good = descriptor("application/x", r#","data":"aGk=""#);
        let bad = descriptor("application/x", r#","data":"aG8=""#);
        assert!(parse(&format!(r#"{{"schemaVersion":2,"config":{good},"layers":[]}}"#)).is_ok());
        assert!(matches!(
            parse(&format!(r#"{{"schemaVersion":2,"config":{bad},"layers":[]}}"#)),
            Err(ManifestError::Data(_))
        ));
    }

    #[test]
    fn other_bytes_than_asked_for_are_refused() {
        let bytes = Bytes::from_static(br#"{"schemaVersion":2,"manifests":[]}"#);
        let expected = Digest::sha256(b"other");
        assert!(matches!(Manifest::parse_expecting(bytes, &expected), Err(ManifestError::Digest { .. })));
    }
}
