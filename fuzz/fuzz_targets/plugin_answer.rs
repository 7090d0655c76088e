//! Answers of signing plug-ins: what is believed is what was asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::signing::plugin::answer::{Description, Metadata, Signed, read, refusal};

fuzz_target!(|printed: &[u8]| {
    assert!(!refusal(printed).to_string().contains('\x1b'));
    if let Ok(metadata) = read::<Metadata>(printed) {
        let _ = metadata.check("x");
    }
    let description = read::<Description>(br#"{"keyId":"k","keySpec":"EC-256"}"#).expect("a description");
    let spec = description.spec("k").expect("its kind");
    if let Ok(described) = read::<Description>(printed) {
        let _ = described.spec("k");
    }
    if let Ok(signed) = read::<Signed>(printed)
        && let Ok(made) = signed.made("k", spec)
    {
        assert_eq!(made.chain.first().map(|leaf| leaf.public_key()), Some(&made.public));
    }
});
