//! refused: E0451

use portcullis::oci::Digest;
use portcullis::signature::Evidence;

pub fn forged(honest: Evidence, subject: Digest) -> Evidence {
    Evidence { subject, ..honest }
}
