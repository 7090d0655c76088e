//! compiles

use portcullis::admission::Admitted;
use portcullis::oci::{Digest, Manifest};
use portcullis::policy::Decision;
use portcullis::signature::Evidence;

/// Proof may be read by anybody, and handed on.
pub fn subject(evidence: &Evidence) -> &Digest {
    evidence.subject()
}

pub fn bytes(admitted: Admitted<Manifest>) -> Vec<u8> {
    let _: &Decision = admitted.decision();
    admitted.into_content().bytes().to_vec()
}
