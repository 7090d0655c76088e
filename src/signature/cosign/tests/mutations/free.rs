//! What may be changed without anybody being told anything else, and which reasons are the right ones.

use crate::signature::Code;

/// What was done where, as `*` in them stands for anything, to which kinds of claim, and why it does no harm.
pub(super) const FREE: [(&str, &str, &str); 13] = [
    ("*", "* [0] twice", "a witness, or a signature, that stands there twice counts once"),
    ("*", "/verificationMaterial/publicKey*", "a hint which key it is: the verifier has one, and tries no other"),
    ("*", "/dsseEnvelope/signatures/0/keyid *", "the same hint in an envelope"),
    ("*", "/dsseEnvelope/signatures/0 * keyid", "the same hint in an envelope"),
    ("*", "/layer/signatures/0/keyid *", "the same hint in an envelope"),
    ("*", "/layer/signatures/0 * keyid", "the same hint in an envelope"),
    ("*", "* unheardOf", "an annotation that nobody reads; what is signed has no such fields"),
    ("*", "/annotations/dev.sigstore.cosign~1chain *", "the trusted root has the way from the certificate to the root"),
    ("*", "/annotations * dev.sigstore.cosign/chain", "the same chain, left out"),
    ("*", "/annotations/dev.sigstore.cosign~1certificate longer", "text after a PEM block"),
    ("*", "* upper case", "hexadecimal digits of the log's id, whose value is signed and not their case"),
    ("*", "/annotations/dev.sigstore.cosign~1predicateType*", "for listings: the statement says it too"),
    ("*", "/annotations * predicateType", "the same, left out"),
];

/// The codes that a change below this place may be refused with.
pub(super) fn codes(pointer: &str) -> &'static [Code] {
    const ROWS: [(&str, &[Code]); 0] = [];
    ROWS.into_iter().find(|(place, _)| glob(place, pointer)).map_or(&[], |(_, codes)| codes)
}

/// `*` stands for anything.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            (0..=left.len()).any(|at| left.is_char_boundary(at) && glob(rest, &left[at..]))
        }),
    }
}
