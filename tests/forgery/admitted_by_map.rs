//! refused: E0599

use portcullis::admission::Admitted;
use portcullis::oci::Manifest;

pub fn forged(honest: Admitted<Manifest>, content: Manifest) -> Admitted<Manifest> {
    honest.map(|_| content)
}
