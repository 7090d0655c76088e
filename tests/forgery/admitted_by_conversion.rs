//! refused: E0277

use portcullis::admission::Admitted;
use portcullis::oci::Manifest;

pub fn forged(content: Manifest) -> Admitted<Manifest> {
    content.into()
}
