//! A signature in a file.

use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;

use crate::oci::Digest;
use crate::oci::media_type::{NV2_CONFIG_JSON, NV2_CONFIG_JWT};
use crate::signature::{Format, Signature};
use crate::trust::files;

/// A signature is at most so long, as an artifact's config is.
pub(super) const MAX_SIGNATURE: u64 = 4 * 1024 * 1024;

/// Reads one.
pub(super) fn read(path: &Path) -> anyhow::Result<Signature> {
    let shown = || path.display().to_string();
    let text = files::read_within(path, MAX_SIGNATURE).with_context(shown)?;
    let text = text.with_context(|| format!("{}: longer than {MAX_SIGNATURE} bytes", shown()))?;
    Ok(signature(Bytes::from(text.trim_ascii().to_vec())))
}

/// The form shows itself: a JWT begins with no brace.
pub(super) fn signature(payload: Bytes) -> Signature {
    let media_type = if payload.starts_with(b"{") { NV2_CONFIG_JSON } else { NV2_CONFIG_JWT };
    Signature {
        format: Format::Nv2,
        digest: Digest::sha256(&payload),
        media_type: media_type.into(),
        payload,
        annotations: Default::default(),
    }
}
