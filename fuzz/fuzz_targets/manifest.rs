//! Manifests as upstreams give them: their bytes are kept, and how a signature hides in them is found.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis::oci::{Algorithm, Manifest};
use portcullis::signature::{cosign, notation, nv2};

fuzz_target!(|bytes: &[u8]| {
    let given = Bytes::copy_from_slice(bytes);
    let Ok(manifest) = Manifest::parse(given.clone(), Algorithm::Sha256) else { return };
    assert_eq!(manifest.bytes(), &given);
    let subject = manifest.subject().map_or(manifest.digest(), |subject| &subject.digest).clone();
    let _ = notation::layout::carrier(&manifest, &subject);
    let _ = cosign::layout::carrier(&manifest, &subject);
    let _ = nv2::layout::carrier(&manifest, &subject);
});
