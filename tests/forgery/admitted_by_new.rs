//! refused: E0624

use std::sync::Arc;

use portcullis::admission::{Admitted, Unlocks};
use portcullis::oci::Manifest;
use portcullis::policy::Decision;

pub fn forged(content: Manifest, decision: &Arc<Decision>, unlocks: Unlocks) -> Option<Admitted<Manifest>> {
    Admitted::new(decision, unlocks, content, false)
}
