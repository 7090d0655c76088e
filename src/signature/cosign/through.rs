//! From a signature to content over an attestation manifest, as publishers chain them: the signature is over an
//! artifact whose layers are unsigned in-toto statements, and one of those names the content. BuildKit lists
//! such an artifact beside each platform of an index; Docker Hardened Images attach them to each platform.
//! Every link is a digest, so that what the signature covers reaches the content and nothing else.

use bytes::Bytes;

use super::claim::malformed;
use super::statement::Statement;
use crate::oci::{Descriptor, Digest, Kind, Manifest, media_type};
use crate::signature::rejection::Field;
use crate::signature::{Evidence, Rejection, Step};
use crate::telemetry::Untrusted;

/// The statements in an attestation manifest that may be about `subject`; `None` where it is something else, or
/// its `subject` field names other content.
pub fn statements(manifest: &Manifest, subject: &Digest) -> Option<Vec<Descriptor>> {
    let other = manifest.subject().is_some_and(|named| named.digest != *subject);
    if other || manifest.kind() == Kind::Index {
        return None;
    }
    let layers: Vec<Descriptor> =
        manifest.blobs().iter().filter(|layer| is_statement(layer)).cloned().collect();
    (!layers.is_empty()).then_some(layers)
}

/// What a signer who signed an attestation manifest attests of `subject` by one of its statements.
///
/// # Errors
/// The link that does not hold.
pub fn attested(
    signed: &Evidence,
    manifest: &Manifest,
    (layer, statement): (&Descriptor, &Bytes),
    subject: &Digest,
) -> Result<Evidence, Rejection> {
    let mismatch = |expected: &Digest, found: &Digest| Rejection::Mismatch {
        field: Field::Digest,
        expected: expected.to_string().into(),
        found: found.to_string().into(),
    };
    if signed.subject() != manifest.digest() {
        return Err(mismatch(manifest.digest(), signed.subject()));
    }
    if signed.attestation().is_some() {
        return Err(malformed(
            "chain of attestations",
            "what is signed is a statement about the manifest, not the manifest",
        ));
    }
    let listed = statements(manifest, subject).unwrap_or_default();
    if !listed.iter().any(|one| one.digest == layer.digest) {
        return Err(malformed("chain of attestations", "the manifest does not list the statement"));
    }
    if !layer.digest.matches(statement) {
        return Err(mismatch(&layer.digest, &Digest::of(layer.digest.algorithm(), statement)));
    }
    let says = Statement::read(statement)?;
    says.describe(subject)?;
    let steps = [
        ("signature", *signed.signature()),
        ("attestation manifest", *manifest.digest()),
        ("statement", layer.digest),
        ("subject", *subject),
    ];
    Ok(Evidence {
        subject: *subject,
        attestation: Some(says.attestation(statement)),
        steps: steps.into_iter().map(|(what, digest)| Step { what, digest }).collect(),
        names: says.name(subject).map(Untrusted::new).into_iter().collect(),
        ..signed.clone()
    })
}

fn is_statement(layer: &Descriptor) -> bool {
    *layer.media_type == *media_type::IN_TOTO
}
