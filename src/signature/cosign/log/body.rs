//! What was logged: `hashedrekord` 0.0.1 and 0.0.2, `dsse` 0.0.1 and 0.0.2, `intoto` 0.0.1 and 0.0.2
//! (sigstore/rekor, `pkg/types`; sigstore/rekor-tiles, `api/proto`), and whether it is about a signature.

mod first;
mod second;

use serde::Deserialize;
use serde_json::value::RawValue;

use self::first::First;
use self::second::Second;
use crate::oci::json;
use crate::signature::cosign::claim::Content;
use crate::x509::{Certificate, Hash, PublicKey};

/// What the entry must be about.
pub(in crate::signature::cosign) struct Bound<'a> {
    /// The key that made the signature.
    pub(in crate::signature::cosign) key: &'a PublicKey,
    /// Its certificate, where that says who signed.
    pub(in crate::signature::cosign) certificate: Option<&'a Certificate>,
    pub(in crate::signature::cosign) signature: &'a [u8],
    pub(in crate::signature::cosign) content: &'a Content,
    /// The signed bytes, where they are at hand, and else their SHA-256.
    pub(in crate::signature::cosign) signed: Signed<'a>,
    /// The layer that is the envelope, byte by byte, where there is one.
    pub(in crate::signature::cosign) envelope: Option<&'a [u8]>,
}

/// See [`Bound::signed`].
#[derive(Clone, Copy)]
pub(in crate::signature::cosign) enum Signed<'a> {
    Bytes(&'a [u8]),
    Sha256(&'a [u8]),
}

/// A body, read.
pub(super) struct Body {
    kind: String,
    version: String,
    spec: Spec,
}

enum Spec {
    First(First),
    Second(Second),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    kind: String,
    api_version: String,
    /// As text: built as values, hostile ones would be a hundred times as large.
    spec: Box<RawValue>,
}

impl Body {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let wrong = |why: serde_json::Error| format!("its body is no log entry: {why}");
        let Document { kind, api_version, spec } = json::strict(bytes).map_err(wrong)?;
        let spec = match (kind.as_str(), api_version.as_str()) {
            ("hashedrekord" | "dsse" | "intoto", "0.0.1") | ("intoto", "0.0.2") => {
                Spec::First(First::read(&kind, &api_version, spec.get()).map_err(wrong)?)
            }
            ("hashedrekord" | "dsse", "0.0.2") => {
                Spec::Second(serde_json::from_str(spec.get()).map_err(wrong)?)
            }
            _ => {
                let (kind, version) = (kind.escape_debug(), api_version.escape_debug());
                return Err(format!("its kind is {kind} {version}, which is not read"));
            }
        };
        Ok(Self { kind, version: api_version, spec })
    }

    /// The bundle calls it what it is.
    pub(super) fn is(&self, said: Option<&(String, String)>) -> Result<(), String> {
        match said {
            Some((kind, version)) if *kind != self.kind || *version != self.version => Err(format!(
                "its kindVersion is {} {}, its body's {} {}",
                kind.escape_debug(),
                version.escape_debug(),
                self.kind,
                self.version
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn is_second_version(&self) -> bool {
        matches!(self.spec, Spec::Second(_))
    }

    /// Signature, key and content are those of the claim.
    pub(super) fn check(&self, bound: &Bound<'_>) -> Result<(), String> {
        match &self.spec {
            Spec::First(spec) => spec.check(bound),
            Spec::Second(spec) => spec.check(bound),
        }
    }
}

impl Bound<'_> {
    fn check_signature(&self, logged: &[u8]) -> Result<(), String> {
        if logged == self.signature { Ok(()) } else { Err("it is about another signature".to_owned()) }
    }

    /// A logged certificate is the one that says who signed, where one does, and else for the key that signed.
    fn check_certificate(&self, logged: &Certificate) -> Result<(), String> {
        let same = self.certificate.is_none_or(|own| own == logged) && logged.public_key() == self.key;
        if same { Ok(()) } else { Err("it is about a signature by another certificate".to_owned()) }
    }

    /// A bare key tells nobody who watches the log for an identity that it was used.
    fn check_key(&self, logged: &PublicKey) -> Result<(), String> {
        if self.certificate.is_some() {
            return Err("it is about a signature by a key without the certificate".to_owned());
        }
        if logged == self.key { Ok(()) } else { Err("it is about a signature by another key".to_owned()) }
    }

    /// `digest` is the signed bytes' by `hash`.
    fn check_digest(&self, hash: Hash, digest: &[u8]) -> Result<(), String> {
        let same = match self.signed {
            Signed::Bytes(bytes) => hash.of(bytes) == digest,
            Signed::Sha256(known) => hash == Hash::Sha256 && known == digest,
        };
        if same { Ok(()) } else { Err("it is about other content: the digest differs".to_owned()) }
    }

    /// `digest` is the payload's that an envelope holds.
    fn check_payload(&self, hash: Hash, digest: &[u8]) -> Result<(), String> {
        let Content::Statement { envelope, .. } = self.content else {
            return Err("it is about an envelope, and this is none".to_owned());
        };
        if hash.of(&envelope.payload.0) == digest {
            Ok(())
        } else {
            Err("it is about another payload: the digest differs".to_owned())
        }
    }
}
