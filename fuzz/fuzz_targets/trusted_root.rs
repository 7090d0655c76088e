//! Sigstore's trusted roots.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::trust::TrustedRoot;
use portcullis_fuzz::now;

fuzz_target!(|bytes: &[u8]| {
    let Ok(root) = TrustedRoot::parse(bytes) else { return };
    let _ = root.ends();
    for authority in root.authorities().iter().chain(root.timestamp_authorities()) {
        assert!(authority.root().is_some());
        let _ = (authority.others().len(), authority.window.contains(now()));
    }
    for log in root.logs().iter().chain(root.ct_logs()) {
        let _ = (log.shown(), log.host(), log.algorithm(), log.window.contains(now()));
    }
});
