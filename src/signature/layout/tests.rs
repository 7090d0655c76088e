//! What reading takes that is proven to be nobody's only later.

use std::collections::BTreeMap;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::oci::media_type::*;

/// A test of this process measures; it is told so here.
const MEASURES: &str = "PORTCULLIS_TEST_MEASURES";
const MIB: usize = 1024 * 1024;
/// Room for what is decoded and kept as it stands. As values, any of it would take some hundred MiB.
const MOST_KIB: usize = 64 * 1024;

fn json_of(length: usize) -> String {
    let pair = r#"{"":0},"#;
    format!("[{}0]", pair.repeat(length / pair.len()))
}

fn jws(header: &str, protected: &str, payload: &str) -> Vec<u8> {
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let (protected, payload) = (encoded(protected), encoded(payload));
    format!(r#"{{"header":{header},"payload":"{payload}","protected":"{protected}","signature":""}}"#)
        .into_bytes()
}

/// A COSE_Sign1 whose unprotected header has one label, with that many small values.
fn cose(length: usize) -> Vec<u8> {
    let count = u32::try_from(length).unwrap().to_be_bytes();
    [&[0xd2, 0x84, 0x40, 0xa1, 0x00, 0x9a][..], &count, &vec![0xf6; length], &[0x40, 0x40]].concat()
}

/// What nobody signed, of about the greatest length that is read.
const HOSTILE: [(Format, &str, fn() -> Vec<u8>); 7] = [
    (Format::Notation, NOTATION_JWS, || jws(&object("x", &json_of(LENGTH)), "{}", "{}")),
    (Format::Notation, NOTATION_JWS, || jws("{}", &object("x", &json_of(ENCODED)), "{}")),
    (Format::Notation, NOTATION_JWS, || jws("{}", ATTRIBUTES, &object("x", &json_of(ENCODED)))),
    (Format::Notation, NOTATION_COSE, || cose(LENGTH)),
    (Format::Nv2, NV2_CONFIG_JWT, || {
        format!("{}.e30.", URL_SAFE_NO_PAD.encode(object("crit", &json_of(ENCODED)))).into_bytes()
    }),
    (Format::Nv2, NV2_CONFIG_JSON, || {
        let signature = format!(r#"{{"typ":"x509","sig":"","crit":{}}}"#, json_of(LENGTH));
        format!(r#"{{"signed":{{}},"signature":{signature}}}"#).into_bytes()
    }),
    (Format::Cosign, DSSE_ENVELOPE, || object("x", &json_of(LENGTH)).into_bytes()),
];

const LENGTH: usize = 4 * MIB - 1000;
/// As long as that in base64.
const ENCODED: usize = 3 * MIB - 3000;
const ATTRIBUTES: &str = r#"{"alg":"PS256","cty":"application/vnd.cncf.notary.payload.v1+json",
    "crit":["io.cncf.notary.signingScheme"],"io.cncf.notary.signingScheme":"notary.x509",
    "io.cncf.notary.signingTime":"2026-01-01T00:00:00Z"}"#;

fn object(name: &str, value: &str) -> String {
    format!(r#"{{"{name}":{value}}}"#)
}

/// What the system says of this process's memory, in KiB.
fn memory(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|other| other.strip_prefix(line)).unwrap();
    found.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap()
}

/// Each in a process of its own, whose peak is nobody else's.
#[test]
fn hostile_claims_take_little_more_than_their_length() {
    let Ok(which) = std::env::var(MEASURES) else {
        let (_, module) = module_path!().split_once("::").unwrap();
        let own = format!("{module}::hostile_claims_take_little_more_than_their_length");
        for which in 0..HOSTILE.len() {
            let mut child = Command::new(std::env::current_exe().unwrap());
            let output = child.args(["--exact", &own]).env(MEASURES, which.to_string()).output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && told.contains("1 passed"), "{which}: {told}");
        }
        return;
    };
    let (format, media_type, payload) = HOSTILE[which.parse::<usize>().unwrap()];
    let signature = Signature {
        format,
        digest: Digest::sha256(b"artifact"),
        media_type: media_type.into(),
        payload: payload().into(),
        annotations: BTreeMap::new(),
    };
    let before = memory("VmRSS");
    let why = claims(&signature, &Descriptor::new(OCI_MANIFEST, Digest::sha256(b"{}"), 2)).unwrap_err();
    let taken = memory("VmHWM") - before;
    assert!(taken < MOST_KIB, "{media_type}: {taken} KiB: {why}");
}
