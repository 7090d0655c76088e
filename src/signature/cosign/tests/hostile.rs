//! Bytes that nobody honest wrote: nothing panics, and nothing takes long.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::claim::Claim;
use super::super::*;
use super::judge;
use super::recorded::{Recorded, WORKFLOW, identity, later, parsed};
use super::tree::with;
use crate::oci::{Digest, media_type};
use crate::signature::{Code, Format};
use crate::trust::TrustedRoot;

const TYPES: [&str; 3] =
    [media_type::COSIGN_SIMPLE_SIGNING, media_type::DSSE_ENVELOPE, media_type::SIGSTORE_BUNDLE];

fn layer(media_type: &str, payload: &[u8], annotations: BTreeMap<String, String>) -> Signature {
    Signature {
        format: Format::Cosign,
        digest: Digest::sha256(b"artifact"),
        media_type: media_type.into(),
        payload: payload.to_vec().into(),
        annotations,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_no_claim(bytes in prop::collection::vec(any::<u8>(), 0..400), annotation in any::<String>()) {
        for media_type in TYPES {
            let names = [layout::SIGNATURE, layout::CERTIFICATE, layout::CHAIN, layout::BUNDLE, layout::TIMESTAMP];
            let annotations = names.map(|name| (name.to_owned(), annotation.clone())).into();
            prop_assert!(Claim::read(&layer(media_type, &bytes, annotations)).is_err());
        }
        prop_assert!(TrustedRoot::parse(&bytes).is_err());
    }

    #[test]
    fn spliced_claims_are_not_believed(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 1..8)) {
        let recorded = Recorded::read("keyless-workflow-bundle-both");
        let mut payload = recorded.claim().payload.to_vec();
        let at = at.index(payload.len());
        payload.splice(at..(at + bytes.len()).min(payload.len()), bytes);
        let claim = layer(media_type::SIGSTORE_BUNDLE, &payload, BTreeMap::new());
        let verifier = super::built(&identity(WORKFLOW));
        if let Ok(evidence) = judge(&verifier, &recorded.subject, &claim, later()) {
            prop_assert_eq!(evidence.subject(), &recorded.subject.descriptor.digest);
        }
    }

    #[test]
    fn spliced_annotations_are_not_believed(which in 0..5_usize, at in any::<prop::sample::Index>(), text in "\\PC{1,8}") {
        let recorded = Recorded::read("keyless-workflow-legacy-both");
        let mut claim = recorded.claim().clone();
        let Some(annotation) = claim.annotations.values_mut().nth(which) else { return Ok(()) };
        let at = at.index(annotation.len());
        prop_assume!(annotation.is_char_boundary(at));
        annotation.insert_str(at, &text);
        let _ = judge(&super::built(&identity(WORKFLOW)), &recorded.subject, &claim, later());
    }

    #[test]
    fn spliced_roots_are_read_or_refused(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 1..8)) {
        let mut document = super::recorded::root().to_string().into_bytes();
        let at = at.index(document.len());
        document.splice(at..(at + bytes.len()).min(document.len()), bytes);
        let _ = TrustedRoot::parse(&document);
    }
}

/// What is refused in less time than a verdict may take.
fn soon(what: &str, bundle: Vec<u8>) -> Code {
    let (verifier, image) =
        (super::built(&identity(WORKFLOW)), Recorded::read("keyless-workflow-bundle-both").subject);
    let claim = layer(media_type::SIGSTORE_BUNDLE, &bundle, BTreeMap::new());
    let start = Instant::now();
    let rejected = judge(&verifier, &image, &claim, later()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5), "{what}: {:?}", start.elapsed());
    let shown = rejected.to_string();
    assert!(shown.len() < 4096, "{what}: {}", shown.len());
    rejected.code()
}

#[test]
fn what_is_huge_is_refused_soon() {
    let document = parsed(Recorded::read("keyless-workflow-bundle-both").claim());
    let many = |value: Value, n: usize| json!(vec![value; n]);
    let entry = "/verificationMaterial/tlogEntries/0";
    for (what, pointer, value) in [
        ("hashes", format!("{entry}/inclusionProof/hashes"), many(json!("AAAA"), 100_000)),
        (
            "a checkpoint of lines",
            format!("{entry}/inclusionProof/checkpoint/envelope"),
            json!("\n".repeat(1 << 20)),
        ),
        (
            "a checkpoint of one line",
            format!("{entry}/inclusionProof/checkpoint/envelope"),
            json!("x".repeat(1 << 20)),
        ),
        ("a body", format!("{entry}/canonicalizedBody"), json!("A".repeat(1 << 20))),
        ("a kind", format!("{entry}/kindVersion/kind"), json!("x".repeat(1 << 20))),
        (
            "entries",
            "/verificationMaterial/tlogEntries".to_owned(),
            many(document.pointer(entry).unwrap().clone(), 300),
        ),
        ("signatures", "/dsseEnvelope/signatures".to_owned(), many(json!({"sig": "AAAA"}), 100_000)),
        ("a payload type", "/dsseEnvelope/payloadType".to_owned(), json!("x".repeat(1 << 20))),
        ("nesting", "/dsseEnvelope/payload".to_owned(), json!(super::stand::encoded("[".repeat(1 << 20)))),
        ("a version", "/mediaType".to_owned(), json!("x".repeat(1 << 20))),
    ] {
        let code = soon(what, with(&document, &pointer, value).to_string().into_bytes());
        assert!(
            [Code::Malformed, Code::Unsupported, Code::LogEntryMissing].contains(&code),
            "{what}: {code:?}"
        );
    }
    assert_eq!(soon("nesting", vec![b'['; 1 << 20]), Code::Malformed);
}

/// What is said beside name and digest is built as values before anything is proven.
#[test]
fn a_payload_is_no_longer_than_a_name_a_digest_and_annotations() {
    let padded = |length: usize| {
        let digest = Digest::sha256(b"{}");
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": ""},
                "image": {"docker-manifest-digest": digest},
                "type": "cosign container image signature",
            },
            "optional": {"padding": ""},
        })
        .to_string();
        let padding = "x".repeat(length - payload.len());
        let payload = payload.replace(r#""padding":"""#, &format!(r#""padding":"{padding}""#));
        let annotations = [(layout::SIGNATURE.to_owned(), "AAAA".to_owned())].into();
        Claim::read(&layer(media_type::COSIGN_SIMPLE_SIGNING, payload.as_bytes(), annotations))
    };
    assert!(padded(64 * 1024).is_ok());
    let rejected = padded(64 * 1024 + 1).unwrap_err();
    assert!(rejected.to_string().contains("longer than 65536 bytes"), "{rejected}");
}
