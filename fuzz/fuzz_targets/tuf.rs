//! TUF metadata, as a repository or whoever stands before it sends it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::trust::sigstore_root::TUF_ROOT;
use portcullis::trust::tuf;

fuzz_target!(|bytes: &[u8]| {
    let _ = tuf::anchors(bytes).map(|anchors| anchors.iter().map(ToString::to_string).collect::<Vec<_>>());
    match tuf::follows(TUF_ROOT, bytes) {
        // Who can sign a root after sigstore's is not a fuzzer.
        Ok(()) => panic!("a root that nobody signed"),
        Err(refusal) => drop(refusal.to_string()),
    }
});
