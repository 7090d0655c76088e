//! Indexes of contents as they are carried from elsewhere: the keys have signed those of the seeds, and nothing that the
//! fuzzer made.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::engine::upkeep::{Sealed, Standing};
use portcullis::trust;
use portcullis::x509::PublicKey;
use portcullis_fuzz::file;

/// What the keys have signed.
const SIGNED: &str = "sha256:9a5ba91f84b32344d2b14d857f8ecfffb6d9fe851495213c36c6723b7dca325d";

static KEYS: LazyLock<Vec<PublicKey>> = LazyLock::new(|| {
    let key = |kind: &str| trust::public_key(&file("trust/contents").join(kind)).expect("a public key");
    ["p256.pub", "p384.pub", "ed25519.pub", "rsa.pub"].map(key).to_vec()
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(sealed) = Sealed::read(bytes) else { return };
    assert!(matches!(sealed.standing(&[]), Standing::Unsigned | Standing::Unverified));
    match sealed.standing(&KEYS) {
        Standing::Unsigned | Standing::Foreign => {}
        Standing::Trusted { .. } => assert_eq!(sealed.digest.to_string(), SIGNED),
        other => panic!("{other:?}"),
    }
});
