//! compiles

use portcullis::oci::Digest;
use portcullis::signature::Evidence;

/// Proof may be read by anybody.
pub fn subject(evidence: &Evidence) -> &Digest {
    evidence.subject()
}
