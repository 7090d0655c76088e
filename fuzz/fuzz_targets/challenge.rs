//! `WWW-Authenticate` as upstreams send it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::upstream::challenge;

fuzz_target!(|header: &str| {
    for challenge in challenge::parse(header).into_iter().flatten() {
        for name in ["realm", "service", "scope"] {
            let _ = challenge.parameter(name);
        }
    }
});
