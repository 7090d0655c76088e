//! Bodies of log entries: only what the log has is believed.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::sigstore::{is_believed, text, with};
use serde_json::json;

const BODY: &str = "/verificationMaterial/tlogEntries/0/canonicalizedBody";

fuzz_target!(|bytes: &[u8]| {
    let body = STANDARD.encode(bytes);
    assert_eq!(is_believed(&with(BODY, json!(body))), body == text(BODY));
});
