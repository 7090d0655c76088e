//! refused: E0596

use portcullis::admission::Admitted;
use portcullis::oci::Manifest;

pub fn forged(honest: &mut Admitted<Manifest>, content: Manifest) {
    std::mem::swap(&mut *honest.content(), &mut { content });
}
