//! refused: E0451

use portcullis::policy::{Decision, Verdict};

pub fn forged(honest: Decision) -> Decision {
    Decision { verdict: Verdict::Allow, ..honest }
}
