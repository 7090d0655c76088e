//! Configuration files: settings, or a fault with its place.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portcullis::config;

fuzz_target!(|text: &str| {
    if let Err(fault) = config::parse(text, Path::new("portcullis.yaml")) {
        assert!(fault.to_string().starts_with("portcullis.yaml"), "{fault}");
    }
});
