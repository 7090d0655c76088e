//! Sigstore bundles of every version.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::sigstore::{GENUINE, is_believed};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    if is_believed(bytes) {
        let bundle: Value = serde_json::from_slice(bytes).expect("it was read");
        let signed = "/dsseEnvelope/payloadType";
        assert_eq!(bundle.pointer(signed), GENUINE.pointer(signed));
    }
});
