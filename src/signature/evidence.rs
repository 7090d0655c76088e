//! What a verifier proved. Only `signature/` can make it.

use std::fmt;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::{Attestation, Format, Signature, SignerName, Step, Validations};
use crate::oci::Digest;
use crate::telemetry::Untrusted;

/// SHA-256 over a certificate's DER or a public key's SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the signing time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// The signer's own word: not proof of anything.
    Claimed,
    /// An RFC 3161 timestamp whose authority is trusted.
    Timestamp,
    /// A Notary Project signing authority.
    SigningAuthority,
    /// A transparency log.
    Log,
}

/// Proof that a signer vouches for a subject. Its fields are private and its constructor belongs to
/// the verifiers, so holding one means that the checks were made.
#[derive(Clone, Debug)]
pub struct Evidence {
    pub(in crate::signature) signer: SignerName,
    pub(in crate::signature) format: Format,
    pub(in crate::signature) subject: Digest,
    pub(in crate::signature) signature: Digest,
    pub(in crate::signature) key: Fingerprint,
    pub(in crate::signature) identity: Option<Untrusted>,
    pub(in crate::signature) issuer: Option<Untrusted>,
    pub(in crate::signature) names: Vec<Untrusted>,
    pub(in crate::signature) signed_at: Option<(SystemTime, TimeSource)>,
    pub(in crate::signature) not_after: Option<SystemTime>,
    pub(in crate::signature) notes: Vec<String>,
    pub(in crate::signature) validations: Validations,
    pub(in crate::signature) attestation: Option<Attestation>,
    pub(in crate::signature) steps: Vec<Step>,
}

impl Evidence {
    /// The least that every proof holds; verifiers add what else they proved.
    pub(in crate::signature) fn new(
        signer: SignerName,
        signature: &Signature,
        subject: Digest,
        key: Fingerprint,
    ) -> Self {
        Self {
            signer,
            format: signature.format,
            subject,
            signature: signature.digest,
            key,
            identity: None,
            issuer: None,
            names: Vec::new(),
            signed_at: None,
            not_after: None,
            notes: Vec::new(),
            validations: Validations::default(),
            attestation: None,
            steps: Vec::new(),
        }
    }

    /// Who vouches.
    pub fn signer(&self) -> &SignerName {
        &self.signer
    }

    /// In which format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// For which manifest.
    pub fn subject(&self) -> &Digest {
        &self.subject
    }

    /// The artifact that carries the signature.
    pub fn signature(&self) -> &Digest {
        &self.signature
    }

    /// The signing key, whatever certificate it came in: thresholds count distinct ones.
    pub fn key(&self) -> Fingerprint {
        self.key
    }

    /// Who signed, as the certificate or the key's name in configuration tells.
    pub fn identity(&self) -> Option<&Untrusted> {
        self.identity.as_ref()
    }

    /// Who vouches for the identity.
    pub fn issuer(&self) -> Option<&Untrusted> {
        self.issuer.as_ref()
    }

    /// The names in the signed claim: where the content comes from, wherever it was copied to.
    pub fn names(&self) -> &[Untrusted] {
        &self.names
    }

    /// When it was signed, and who says so.
    pub fn signed_at(&self) -> Option<(SystemTime, TimeSource)> {
        self.signed_at
    }

    /// Until when the proof holds; `None` where nothing in it ends.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.not_after
    }

    /// What a reader of the proof should know, such as a field that the format does not sign.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What each check came to, where the format's policies name them.
    pub fn validations(&self) -> &Validations {
        &self.validations
    }

    /// The statement that was signed, where this is an attestation and no signature.
    pub fn attestation(&self) -> Option<&Attestation> {
        self.attestation.as_ref()
    }

    /// Lets go of the statement, which may be large, where its content was judged. That it is an attestation, and of what type,
    /// stays.
    pub fn forget_statement(&mut self) {
        if let Some(attestation) = &mut self.attestation {
            attestation.forget();
        }
    }

    /// The way from the signature to the subject, where it leads over other artifacts; else empty.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}
