//! DSSE envelopes (secure-systems-lab/dsse, `envelope.md` and `protocol.md`, v1.0).

use serde::Deserialize;

use super::claim::{malformed, unsupported};
use crate::signature::Rejection;
use crate::trust::sigstore::proto::Bytes;

/// The payload's type when it is an in-toto statement.
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Signatures by more parties than ever sign one statement.
const MAX_SIGNATURES: usize = 8;

/// The pre-authentication encoding of type and payload: what a signature of an envelope is over.
pub fn pre_authentication(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

/// An envelope as JSON.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Envelope {
    pub(super) payload: Bytes,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    sig: Bytes,
    #[serde(default, rename = "keyid")]
    _keyid: Option<String>,
}

impl Envelope {
    /// Whether it is one that is read: of an in-toto statement, with signatures.
    ///
    /// # Errors
    /// [`Rejection::Malformed`] or [`Rejection::Unsupported`].
    pub(super) fn check(&self) -> Result<(), Rejection> {
        if self.payload_type != IN_TOTO {
            return Err(unsupported("DSSE payload type", &self.payload_type));
        }
        match self.signatures.len() {
            1..=MAX_SIGNATURES => Ok(()),
            n => Err(malformed(
                "DSSE envelope",
                format_args!("expected 1 to {MAX_SIGNATURES} signatures, found {n}"),
            )),
        }
    }

    /// What is signed: the pre-authentication encoding of type and payload.
    pub(super) fn signed(&self) -> Vec<u8> {
        pre_authentication(&self.payload_type, &self.payload.0)
    }

    /// The signatures. Their key ids are hints that nothing signs, and are not looked at.
    pub(super) fn signatures(&self) -> impl Iterator<Item = &[u8]> {
        self.signatures.iter().map(|signature| signature.sig.0.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::json;

    fn envelope(text: &str) -> Envelope {
        json::strict(text.as_bytes()).unwrap()
    }

    /// The example of `protocol.md`.
    #[test]
    fn type_and_payload_are_encoded_with_their_lengths() {
        let text = r#"{"payload":"aGVsbG8gd29ybGQ=","payloadType":"http://example.com/HelloWorld",
            "signatures":[{"sig":"AA=="}]}"#;
        let hello = envelope(text);
        assert_eq!(hello.signed(), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
        assert!(matches!(hello.check(), Err(Rejection::Unsupported { .. })));
    }

    #[test]
    fn an_envelope_has_a_few_signatures() {
        let with = |signatures: &str| {
            envelope(&format!(
                r#"{{"payload":"e30=","payloadType":"{IN_TOTO}","signatures":[{signatures}]}}"#
            ))
            .check()
        };
        let one = r#"{"keyid":"","sig":"AA=="}"#;
        assert!(with(one).is_ok() && with(&[one; MAX_SIGNATURES].join(",")).is_ok());
        assert!(with("").is_err() && with(&[one; MAX_SIGNATURES + 1].join(",")).is_err());
    }
}
