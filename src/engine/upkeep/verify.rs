//! A whole scrub at full speed.

use super::{Progress, Tell, told};
use crate::engine::State;
use crate::store::{Finding, Looked};

/// What is read between two tellings.
const TELLING: u64 = 16 << 20;

pub(super) async fn run(state: &State, tell: &Tell) -> Result<(), String> {
    let store = state.memory.store();
    let (mut pass, of) = (store.scrub_anew(), store.sizes().kept);
    let (mut bytes, mut untold) = (0, 0);
    while let Some(Looked { digest, size, finding }) = pass.next(|| 0).await.map_err(|e| e.to_string())? {
        bytes += size;
        untold += size;
        if let Finding::Rotten { found } = finding {
            told(tell, Progress::Rotten { digest, found }).await?;
        }
        if untold >= TELLING {
            untold = 0;
            told(tell, Progress::Read { bytes, of }).await?;
        }
    }
    pass.passed(state.clock.now());
    told(tell, Progress::Read { bytes, of: bytes }).await
}
