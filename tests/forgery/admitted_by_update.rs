//! refused: E0451

use portcullis::admission::Admitted;
use portcullis::oci::Manifest;

pub fn forged(honest: Admitted<Manifest>, content: Manifest) -> Admitted<Manifest> {
    Admitted { content, ..honest }
}
