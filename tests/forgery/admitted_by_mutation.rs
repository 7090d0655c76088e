//! refused: E0616

use portcullis::admission::Admitted;
use portcullis::oci::Manifest;

pub fn forged(mut honest: Admitted<Manifest>, content: Manifest) -> Admitted<Manifest> {
    honest.content = content;
    honest
}
