//! refused: E0277

use portcullis::admission::Admitted;
use portcullis::oci::Manifest;

pub fn forged(honest: &Admitted<Manifest>) -> Admitted<Manifest> {
    Admitted::clone(honest)
}
