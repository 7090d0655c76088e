//! refused: E0451

use portcullis::oci::{Descriptor, Manifest};

pub fn forged(honest: Manifest, descriptor: Descriptor) -> Manifest {
    Manifest { descriptor, ..honest }
}
