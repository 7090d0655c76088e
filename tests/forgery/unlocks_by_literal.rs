//! refused: E0451

use portcullis::admission::Unlocks;
use portcullis::oci::Digest;

pub fn forged(digest: Digest) -> Unlocks {
    Unlocks { digest }
}
