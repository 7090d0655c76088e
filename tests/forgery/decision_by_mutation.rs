//! refused: E0616

use portcullis::policy::Decision;

pub fn forged(honest: &mut Decision) {
    honest.serve = true;
}
