//! refused: E0616

use portcullis::oci::Digest;
use portcullis::signature::Evidence;

pub fn forged(honest: &mut Evidence, subject: Digest) {
    honest.subject = subject;
}
