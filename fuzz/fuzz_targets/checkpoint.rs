//! Checkpoints of transparency logs: any note in the place of the genuine one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::sigstore::{is_believed, text, with};
use serde_json::json;

const ENVELOPE: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";

fuzz_target!(|bytes: &[u8]| {
    let Ok(note) = std::str::from_utf8(bytes) else { return };
    if is_believed(&with(ENVELOPE, json!(note))) {
        // Witnesses may say what they want below what the log signed.
        let signed = |note: &'static str| note.rsplit_once("\n\n").map(|(text, _)| text);
        let found = note.rsplit_once("\n\n").map(|(text, _)| text);
        assert_eq!(found, signed(text(ENVELOPE)));
    }
});
