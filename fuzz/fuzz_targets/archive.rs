//! Tar archives as they are carried from elsewhere: whatever is found lies within them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::upstream::fuzz_archive;

fuzz_target!(|bytes: &[u8]| assert!(fuzz_archive(bytes)));
