//! Signs as the Notary Project specifies, with certificates that no real signer may have where a test wants that.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;

use super::{Error, Identity};
use crate::demo::package::Package;
use crate::oci::Descriptor;
use crate::signing::notation::{self, Draft, Form};

/// What is claimed beside the descriptor.
#[derive(Clone, Debug)]
pub struct Claim {
    /// When it was signed, by the signer's own word.
    pub signed: SystemTime,
    /// When the signature ends, where it does.
    pub expires: Option<SystemTime>,
}

impl Default for Claim {
    fn default() -> Self {
        Self { signed: SystemTime::now(), expires: None }
    }
}

/// A signature in an envelope.
///
/// # Errors
/// The key does not sign.
pub fn envelope(signer: &Identity, claim: &Claim, subject: &Descriptor, form: Form) -> Result<Bytes, Error> {
    let (key, annotations) = (signer.key().signing(), &BTreeMap::new());
    let Claim { signed, expires } = *claim;
    let draft =
        Draft::new(key.public().kind(), &notation::Claim { subject, annotations, signed, expires }, form)?;
    let signature = key.sign(draft.algorithm(), draft.signed())?;
    Ok(draft.seal(signature, &ders(signer), None)?)
}

/// The artifact that carries an envelope about `subject`.
///
/// # Errors
/// It cannot be written.
pub fn artifact(
    envelope: Bytes,
    form: Form,
    signer: &Identity,
    subject: &Descriptor,
) -> Result<Package, Error> {
    let made = notation::artifact(envelope, form, ders(signer), subject, SystemTime::now())?;
    Package::made(made.manifest.bytes().clone(), made.blobs, Vec::new()).map_err(|e| Error(e.to_string()))
}

fn ders(signer: &Identity) -> Vec<&[u8]> {
    signer.chain().iter().map(AsRef::as_ref).collect()
}
