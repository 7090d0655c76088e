//! nv2 artifacts: a manifest whose config is the signature and that has no layers (the prototype's
//! `docs/artifact/README.md`), or an index whose config is the signature over the manifests it lists
//! (its `docs/distribution/persistance-discovery-options.md`, option 2).

use crate::oci::{Digest, Kind, Manifest, media_type};
use crate::signature::Format;
use crate::signature::layout::Carrier;

/// Reads the artifact.
pub fn carrier(manifest: &Manifest, subject: &Digest) -> Option<Carrier> {
    let config = manifest.config()?;
    let pure = match (manifest.kind(), &*config.media_type) {
        (Kind::Image, media_type::NV2_CONFIG_JWT | media_type::NV2_CONFIG_JSON) => {
            // Registries that refuse an empty list get the one empty layer of image-spec 1.1.
            manifest.blobs().is_empty()
                || manifest.blobs().iter().all(is_empty) && manifest.blobs().len() == 1
        }
        (Kind::Index, media_type::NV2_INDEX_CONFIG_JWT) => {
            if !manifest.manifests().iter().any(|listed| listed.digest == *subject) {
                return None;
            }
            manifest.manifests().len() == 1
        }
        _ => return None,
    };
    Some(Carrier { format: Format::Nv2, parts: vec![config.clone()], pure, config: None })
}

fn is_empty(layer: &crate::oci::Descriptor) -> bool {
    layer.media_type.as_ref() == media_type::EMPTY && layer.size == 2 && layer.digest == Digest::sha256(b"{}")
}
