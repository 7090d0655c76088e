//! Indexes of contents as they are carried from elsewhere: nobody has signed what the fuzzer made.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::engine::upkeep::{Sealed, Standing};

fuzz_target!(|bytes: &[u8]| {
    let Ok(sealed) = Sealed::read(bytes) else { return };
    assert!(matches!(sealed.standing(&[]), Standing::Unsigned | Standing::Unverified));
});
