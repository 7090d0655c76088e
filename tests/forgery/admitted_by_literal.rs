//! refused: E0451

use std::sync::Arc;

use portcullis::admission::Admitted;
use portcullis::oci::Manifest;
use portcullis::policy::Decision;

pub fn forged(content: Manifest, decision: Arc<Decision>) -> Admitted<Manifest> {
    Admitted { content, decision, stale: false }
}
