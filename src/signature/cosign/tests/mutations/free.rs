//! What may be changed without anybody being told anything else, and which reasons are the right ones.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::recorded;
use super::super::tree::Mutation;
use crate::signature::Code;

/// To which case what was done where, and why it does no harm. `*` stands for anything.
const FREE: [(&str, &str); 18] = [
    ("* [0] twice", "a witness, or a signature, that stands there twice counts once"),
    (
        "* /verificationMaterial/publicKey*",
        "a hint which key it is: the verifier has one, and tries no other",
    ),
    ("*/signatures/0/keyid *", "the same hint in an envelope"),
    ("*/signatures/0 * keyid", "the same hint, left out"),
    (
        "key-* /verificationMaterial/tlogEntries/0 * inclusionPromise",
        "a key needs no time, and the proof stands",
    ),
    (
        "*-rekor2-dsse */integratedTime *",
        "a time that no log of the second version gives, nor signs: it is not read",
    ),
    ("*-rekor2-dsse */tlogEntries/0 * integratedTime", "the same time, left out"),
    ("file-* /messageSignature * messageDigest", "the digest is of the content, whatever is said of it"),
    ("*  unheardOf", "beside the layer and its annotations nothing is looked at"),
    ("* /annotations unheardOf", "an annotation that nobody reads"),
    ("* /annotations*predicateType*", "for listings: the statement says it"),
    (
        "* /verificationMaterial/x509CertificateChain/certificates/1*",
        "the way to the root is in the trusted root too",
    ),
    (
        "* /verificationMaterial/x509CertificateChain/certificates *[1]*",
        "the same certificate, left out or doubled",
    ),
    ("* /annotations*dev.sigstore.cosign*chain*", "the way to the root is in the trusted root too"),
    ("* /annotations/dev.sigstore.cosign~1certificate longer", "text after a PEM block"),
    ("*/logID upper case", "a number in hexadecimal digits, whose value is signed and not their case"),
    ("attest-* /annotations*dev.cosignproject.cosign*signature*", "an attestation's is in its envelope"),
    ("attest-key-*annotations*", "the same, and nobody asks for a witness"),
];

/// The same of a part of a text or of what it encodes.
pub(super) fn harmless(case: &str, mutation: &Mutation, genuine: &Value) -> bool {
    let place = format!("{case} {} {}", mutation.pointer, mutation.what);
    if FREE.iter().any(|(free, _)| glob(free, &place)) {
        return true;
    }
    let (Some(bytes), Some(text)) =
        (&mutation.bytes, genuine.pointer(&mutation.pointer).and_then(Value::as_str))
    else {
        return false;
    };
    let within = |range: &Range<usize>| range.start <= bytes.start && bytes.end <= range.end;
    parts(&mutation.pointer, text).iter().any(within)
}

fn parts(pointer: &str, text: &str) -> Vec<Range<usize>> {
    match pointer.rsplit('/').next() {
        Some("envelope") => note(text),
        Some("signedTimestamp" | "SignedRFC3161Timestamp") => response(text),
        Some("dev.sigstore.cosign~1certificate") => armour(text),
        _ => Vec::new(),
    }
}

/// Cosignatures, by witnesses whom nobody here knows; and the name by which a log of the first version signs, where
/// the key's id tells which log it is.
fn note(text: &str) -> Vec<Range<usize>> {
    let log = text.find('\u{2014}').unwrap() + '\u{2014}'.len_utf8() + 1;
    let end = log + text[log..].find('\n').unwrap() + 1;
    let name = log..log + text[log..].find(' ').unwrap();
    let free = if text.contains(" - ") { name } else { end..text.len() };
    Vec::from([free])
}

/// Whether a token was granted as asked or with changes; and certificates of the authority's that the token brings,
/// which the trusted root has.
fn response(text: &str) -> Vec<Range<usize>> {
    let bytes = STANDARD.decode(text).unwrap();
    let known = recorded::authority().into_iter().filter_map(|der| {
        let at = bytes.windows(der.len()).position(|window| window == der)?;
        Some(at..at + der.len())
    });
    // 30 82 LL LL 30 03 02 01 00
    std::iter::once(8..9).chain(known).collect()
}

/// What PEM has around and between the lines of base64.
fn armour(text: &str) -> Vec<Range<usize>> {
    let breaks = text.match_indices('\n').map(|(at, _)| at..at + 1);
    breaks.chain(std::iter::once(text.find("-----END").unwrap()..text.len())).collect()
}

/// The codes that a change below this place may be refused with: the first row that fits.
pub(super) fn codes(pointer: &str) -> &'static [Code] {
    use Code::*;
    const CERTIFICATE: &[Code] = &[
        Malformed,
        BadSignature,
        LogEntryMissing,
        UntrustedKey,
        CertificateInvalid,
        CertificateExpired,
        NotYetValid,
        IdentityMismatch,
    ];
    const ROWS: [(&str, &[Code]); 18] = [
        ("*/timestampVerificationData*", &[Malformed, TimestampInvalid]),
        ("*rfc3161timestamp*", &[Malformed, TimestampInvalid]),
        // Without the promise nobody tells the time.
        ("*/tlogEntries/0", &[Malformed, LogEntryMissing, TimestampInvalid]),
        ("*/tlogEntries*", &[Malformed, LogEntryMissing]),
        ("/annotations/dev.sigstore.cosign~1bundle*", &[Malformed, LogEntryMissing]),
        ("/verificationMaterial/certificate*", CERTIFICATE),
        ("/verificationMaterial/x509CertificateChain*", CERTIFICATE),
        ("/annotations/dev.sigstore.cosign~1certificate", CERTIFICATE),
        ("/annotations/dev.sigstore.cosign~1chain", &[Malformed]),
        ("/verificationMaterial", &[Malformed, LogEntryMissing, TimestampInvalid]),
        ("/annotations", &[Malformed, BadSignature, LogEntryMissing, TimestampInvalid, UntrustedKey]),
        ("*/payloadType", &[Malformed, Unsupported]),
        ("*/payload", &[Malformed, Unsupported, BadSignature]),
        ("/layer", &[Malformed, Unsupported, BadSignature]),
        ("*/messageDigest*", &[Malformed, DigestMismatch]),
        ("*ignature*", &[Malformed, BadSignature]),
        ("/mediaType", &[Malformed, Unsupported]),
        // A layer without its annotations has no certificate.
        ("*", &[Malformed, UntrustedKey]),
    ];
    ROWS.into_iter().find(|(place, _)| glob(place, pointer)).map_or(&[], |(_, codes)| codes)
}

/// `*` stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            (0..=left.len()).any(|at| left.is_char_boundary(at) && glob(rest, &left[at..]))
        }),
    }
}
