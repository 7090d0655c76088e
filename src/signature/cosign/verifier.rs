//! Proves what cosign signs: with a key, a keyless identity, or a private authority's certificate.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::claim::{Artifact, Claim, Content, Form, MadeBy, unsupported};
use super::holder::{Holder, Who};
use super::log::{Bound, Signed};
use super::settings::{Layout, Requirement};
use super::witness::{Asked, Witnesses};
use super::{Settings, build};
use crate::oci::{Algorithm as Hashing, Digest, Repository, media_type};
use crate::setting::SettingError;
use crate::signature::{
    Evidence, Fingerprint, Format, Rejected, Rejection, Signature, SignerName, Strength, Subject, Verifier,
};
use crate::telemetry::Untrusted;
use crate::trust::{RevocationData, TrustedRoot};
use crate::x509::{Algorithm, Certificate, Encoding, Hash, KeyKind, PublicKey};

/// Builds the verifier of one signer.
///
/// # Errors
/// Trust material that cannot be used, or settings that contradict each other.
pub fn verifier(name: &SignerName, settings: &Settings) -> Result<Cosign, SettingError> {
    build::verifier(name, settings)
}

/// One configured signer.
pub struct Cosign {
    pub(super) signer: SignerName,
    pub(super) holder: Holder,
    pub(super) root: TrustedRoot,
    pub(super) settings: Settings,
    pub(super) revision: [u8; 32],
}

impl Verifier for Cosign {
    fn signer(&self) -> &SignerName {
        &self.signer
    }

    fn format(&self) -> Format {
        Format::Cosign
    }

    fn strength(&self, _repository: &Repository) -> Strength {
        Strength::Enforced
    }

    fn revision(&self) -> [u8; 32] {
        self.revision
    }

    fn limitation(&self) -> Option<String> {
        self.settings.dangerous_skip_sct.then(|| {
            format!(
                "signer {}: dangerous_skip_sct: a certificate that no transparency log has seen is believed",
                self.signer
            )
        })
    }

    fn trust_ends(&self) -> Option<SystemTime> {
        match &self.holder {
            Holder::Key(_) => None,
            Holder::Keyless(_) => self.root.ends(),
            Holder::Pki(pki) => pki.roots.iter().map(Certificate::not_after).min(),
        }
    }

    fn shares_root(&self) -> bool {
        let is_needed = self.proves_time() || matches!(self.holder, Holder::Keyless(_));
        is_needed && self.settings.shares_root
    }

    fn proves_time(&self) -> bool {
        let required = Requirement::Require;
        self.settings.transparency_log == required || self.settings.timestamps == required
    }

    fn verify(
        &self,
        subject: &Subject,
        signature: &Signature,
        _revocation: &RevocationData,
        now: SystemTime,
    ) -> Result<Evidence, Rejected> {
        let artifact = Artifact { digest: subject.descriptor.digest, bytes: None };
        Ok(self.judge(signature, &artifact, now)?)
    }
}

/// What was proven of a claim.
struct Proven {
    who: Who,
    witnesses: Witnesses,
}

impl Cosign {
    /// Proves a bundle's claim about an artifact that is no manifest.
    ///
    /// # Errors
    /// [`Rejection`] names the first check that failed, with what was expected and found.
    pub fn verify_bundle(
        &self,
        bundle: &Bytes,
        artifact: &Artifact<'_>,
        now: SystemTime,
    ) -> Result<Evidence, Rejection> {
        let signature = Signature {
            format: Format::Cosign,
            digest: Digest::sha256(bundle),
            media_type: media_type::SIGSTORE_BUNDLE.into(),
            payload: bundle.clone(),
            annotations: BTreeMap::new(),
        };
        self.judge(&signature, artifact, now)
    }

    fn judge(
        &self,
        signature: &Signature,
        artifact: &Artifact<'_>,
        now: SystemTime,
    ) -> Result<Evidence, Rejection> {
        let claim = Claim::read(signature)?;
        self.check_layout(claim.form)?;
        let key = Fingerprint(self.holder.key(&claim, &self.signer)?.fingerprint());
        let envelope = (&*signature.media_type == media_type::DSSE_ENVELOPE).then_some(&*signature.payload);
        let proven = self.prove(&claim, artifact, envelope, now)?;
        let mut evidence = Evidence::new(self.signer.clone(), signature, artifact.digest, key);
        proven.tell(&claim, &artifact.digest, &mut evidence);
        Ok(evidence)
    }

    /// It is laid out as the signer's claims are.
    fn check_layout(&self, form: Form) -> Result<(), Rejection> {
        match (self.settings.layout, form) {
            (Layout::Legacy, Form::Bundle) => Err(unsupported("layout", "a bundle (layout: legacy)")),
            (Layout::Bundle, Form::Legacy) => Err(unsupported("layout", "a layer (layout: bundle)")),
            _ => Ok(()),
        }
    }

    /// The whole check of one claim, in the order of the client specification (sigstore/architecture-docs,
    /// `client-spec.md`, section 4): signature, content, witnesses, certificate, identity.
    fn prove(
        &self,
        claim: &Claim,
        artifact: &Artifact<'_>,
        envelope: Option<&[u8]>,
        now: SystemTime,
    ) -> Result<Proven, Rejection> {
        let key = self.holder.key(claim, &self.signer)?;
        let bytes = claim.content.signed(artifact);
        let signed = match &bytes {
            Some(bytes) => Signed::Bytes(bytes),
            None => Signed::Sha256(artifact.digest.as_bytes()),
        };
        let signature = self.check_signature(key, claim, artifact, signed)?;
        claim.content.describe(&artifact.digest)?;
        check_annotations(&self.settings.annotations, said(&claim.content, &artifact.digest).as_deref())?;
        let certificate = match (&self.holder, &claim.made_by) {
            (Holder::Keyless(_) | Holder::Pki(_), MadeBy::Certificates { leaf, .. }) => Some(leaf),
            _ => None,
        };
        let bound = Bound { key, certificate, signature, content: &claim.content, signed, envelope };
        let asked = Asked {
            root: &self.root,
            transparency_log: self.settings.transparency_log,
            timestamps: self.settings.timestamps,
            at_least: self.settings.at_least,
        };
        let witnesses = asked.hear(claim, &bound, now)?;
        asked.check_timestamps(&witnesses)?;
        let who = self.holder.identify(claim, &asked, &witnesses, now)?;
        Ok(Proven { who, witnesses })
    }

    /// The signature that the key made: of an envelope's, one suffices.
    fn check_signature<'a>(
        &self,
        key: &PublicKey,
        claim: &'a Claim,
        artifact: &Artifact<'_>,
        signed: Signed<'_>,
    ) -> Result<&'a [u8], Rejection> {
        if let Signed::Sha256(_) = signed
            && artifact.digest.algorithm() != Hashing::Sha256
        {
            return Err(unsupported("signature over an artifact", "its digest is no SHA-256"));
        }
        let algorithms = algorithms(key.kind());
        let made = |signature: &&[u8]| {
            algorithms.iter().any(|algorithm| match signed {
                Signed::Bytes(bytes) => key.verify(*algorithm, bytes, signature).is_ok(),
                Signed::Sha256(digest) => key.verify_digest(*algorithm, digest, signature).is_ok(),
            })
        };
        let found = match &claim.content {
            Content::Statement { envelope, .. } => envelope.signatures().find(made),
            Content::Payload { signature, .. } | Content::Artifact { signature, .. } => {
                Some(signature.as_slice()).filter(made)
            }
        };
        found.ok_or_else(|| self.not_made(key, claim))
    }

    fn not_made(&self, key: &PublicKey, claim: &Claim) -> Rejection {
        match (&self.holder, &claim.made_by) {
            (Holder::Key(_), MadeBy::Certificates { leaf, .. }) if leaf.public_key() != key => {
                Rejection::UntrustedKey {
                    expected: format!("the key of signer {}", self.signer).into(),
                    found: super::holder::shown(leaf).into(),
                    key: Fingerprint(leaf.fingerprint()),
                }
            }
            _ => Rejection::BadSignature {
                algorithm: algorithms(key.kind()).first().map_or("none", |a| a.as_str()),
                key: Fingerprint(key.fingerprint()),
            },
        }
    }
}

impl Proven {
    /// Writes what was proven into the evidence.
    fn tell(self, claim: &Claim, subject: &Digest, evidence: &mut Evidence) {
        evidence.identity = Some(Untrusted::new(&self.who.identity));
        evidence.issuer = self.who.issuer.as_ref().map(Untrusted::new);
        evidence.not_after = self.who.not_after;
        evidence.signed_at = self.witnesses.earliest();
        let name = match &claim.content {
            Content::Payload { says, .. } => Some(says.reference.as_str()).filter(|name| !name.is_empty()),
            Content::Statement { says, .. } => says.name(subject),
            Content::Artifact { .. } => None,
        };
        evidence.names.extend(name.map(Untrusted::new));
        evidence.attestation = claim.content.attests();
        evidence.notes.push("the payload signs neither size nor media type: the digest binds".to_owned());
    }
}

/// What the signer said beside the digest.
fn said<'a>(content: &'a Content, subject: &Digest) -> Option<Cow<'a, Map<String, Value>>> {
    match content {
        Content::Payload { says, .. } => Some(Cow::Borrowed(&says.optional)),
        Content::Statement { says, .. } => says.annotations(subject).map(Cow::Owned),
        Content::Artifact { .. } => None,
    }
}

fn check_annotations(
    expected: &BTreeMap<String, String>,
    found: Option<&Map<String, Value>>,
) -> Result<(), Rejection> {
    for (key, value) in expected {
        let stands = found.and_then(|said| said.get(key));
        if stands.and_then(Value::as_str) != Some(value) {
            let found = stands.map_or_else(|| "absent".to_owned(), ToString::to_string);
            return Err(Rejection::Annotation {
                key: key.into(),
                expected: value.into(),
                found: found.into(),
            });
        }
    }
    Ok(())
}

/// What cosign signs with: SHA-256 for every key by default, the curve's own hash with newer versions,
/// and what a key management service makes of RSA keys.
fn algorithms(kind: KeyKind) -> Vec<Algorithm> {
    let ecdsa = |hash| Algorithm::Ecdsa(hash, Encoding::Asn1);
    match kind {
        KeyKind::P256 => vec![ecdsa(Hash::Sha256)],
        KeyKind::P384 => vec![ecdsa(Hash::Sha256), ecdsa(Hash::Sha384)],
        KeyKind::P521 => vec![ecdsa(Hash::Sha256), ecdsa(Hash::Sha512)],
        KeyKind::Ed25519 => vec![Algorithm::Ed25519],
        KeyKind::Rsa { .. } => [Hash::Sha256, Hash::Sha384, Hash::Sha512]
            .into_iter()
            .flat_map(|h| [Algorithm::RsaPkcs1(h), Algorithm::RsaPss(h), Algorithm::RsaPssLongest(h)])
            .collect(),
    }
}
