//! Credentials as AWS' services give them: nothing of an answer is shown, whatever it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::signing::kms::answer::{from_json, from_xml, refusal};

fuzz_target!(|answer: &[u8]| {
    for read in [from_json(answer), from_xml(answer)] {
        match read {
            Ok(credentials) => assert!(format!("{credentials:?}").len() < 200),
            Err(why) => assert!(why.len() < 200 && why.is_ascii()),
        }
    }
    let (code, message) = refusal(answer);
    assert!(!format!("{code}: {message}").contains('\x1b'));
});
