//! Proves cosign signatures with a public key.

use std::time::SystemTime;

use super::payload::Signed;
use super::settings::{Pem, Requirement};
use super::{Settings, layout};
use crate::oci::Repository;
use crate::setting::SettingError;
use crate::signature::material::Material;
use crate::signature::{
    Evidence, Fingerprint, Format, Rejected, Rejection, Signature, SignerName, Strength, Subject, Verifier,
};
use crate::telemetry::Untrusted;
use crate::trust::{self, RevocationData};
use crate::x509::{Algorithm, Certificate, Encoding, Hash, KeyKind, PublicKey};

const NOT_YET: &str = "not verified by this version";

/// Builds the verifier of one signer.
///
/// # Errors
/// A key that cannot be used, or settings that contradict each other.
pub fn verifier(name: &SignerName, settings: &Settings) -> Result<impl Verifier + use<>, SettingError> {
    settings.check()?;
    let key = settings.key.as_ref().map(read).transpose()?;
    if let Some(root) = &settings.trusted_root {
        trust::readable(root).map_err(|e| SettingError::new(["trusted_root"], e.to_string()))?;
    }
    Ok(Cosign { signer: name.clone(), key, settings: settings.clone() })
}

fn read(key: &Pem) -> Result<PublicKey, SettingError> {
    let fault = |e: String| SettingError::new(["key"], e);
    match key.path() {
        Some(path) => trust::public_key(path).map_err(|e| fault(e.to_string())),
        None => PublicKey::from_pem(key.0.as_bytes()).map_err(|e| fault(e.to_string())),
    }
}

struct Cosign {
    signer: SignerName,
    /// `None` for keyless signers, which are not verified yet.
    key: Option<PublicKey>,
    settings: Settings,
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
        // Every field is part of the settings' debug form, and the key's bytes come beside it.
        Material::new("cosign")
            .part("signer", self.signer.0.as_bytes())
            .part("settings", format!("{:?}", self.settings))
            .part("key", self.key.as_ref().map_or(&[][..], PublicKey::spki))
            .finish()
    }

    fn limitation(&self) -> Option<String> {
        let what = if self.key.is_none() {
            "keyless signatures are"
        } else if self.settings.transparency_log == Requirement::Require {
            "transparency-log entries (cosign.transparency_log: require, the default) are"
        } else if self.settings.timestamps == Requirement::Require {
            "timestamps (cosign.timestamps: require) are"
        } else {
            return None;
        };
        Some(format!("signer {}: {what} {NOT_YET}, so that it admits nothing", self.signer))
    }

    fn verify(
        &self,
        subject: &Subject,
        signature: &Signature,
        _revocation: &RevocationData,
        _now: SystemTime,
    ) -> Result<Evidence, Rejected> {
        Ok(self.prove(subject, signature)?)
    }
}

impl Cosign {
    fn prove(&self, subject: &Subject, signature: &Signature) -> Result<Evidence, Rejection> {
        let signed = Signed::read(signature)?;
        let Some(key) = &self.key else {
            return Err(Rejection::Unsupported {
                what: "signer",
                found: format!("keyless, {NOT_YET}").into(),
            });
        };
        check_signature(key, signature, &signed, &self.signer)?;
        signed.describe(&subject.descriptor)?;
        if self.settings.transparency_log == Requirement::Require {
            return Err(Rejection::LogEntry { found: NOT_YET.into() });
        }
        if self.settings.timestamps == Requirement::Require {
            return Err(Rejection::Timestamp { found: NOT_YET.into() });
        }
        Ok(self.evidence(key, signature, subject, signed))
    }

    fn evidence(
        &self,
        key: &PublicKey,
        signature: &Signature,
        subject: &Subject,
        signed: Signed,
    ) -> Evidence {
        let fingerprint = Fingerprint(key.fingerprint());
        let mut evidence =
            Evidence::new(self.signer.clone(), signature, subject.descriptor.digest, fingerprint);
        evidence.identity = Some(format!("key {} (SHA-256 {fingerprint})", key.kind()).into());
        if !signed.reference.is_empty() {
            evidence.names.push(Untrusted::new(signed.reference));
        }
        evidence.notes.push("the payload signs neither size nor media type: the digest binds".to_owned());
        evidence
    }
}

fn check_signature(
    key: &PublicKey,
    signature: &Signature,
    signed: &Signed,
    signer: &SignerName,
) -> Result<(), Rejection> {
    let algorithms = algorithms(key.kind());
    if algorithms.iter().any(|a| key.verify(*a, &signature.payload, &signed.signature).is_ok()) {
        return Ok(());
    }
    Err(match certificate(signature) {
        Some(other) => Rejection::UntrustedKey {
            expected: format!("the key of signer {signer}").into(),
            found: other.subject().to_string().into(),
            key: Fingerprint(other.fingerprint()),
        },
        None => Rejection::BadSignature {
            algorithm: algorithms.first().map_or("none", |a| a.as_str()),
            key: Fingerprint(key.fingerprint()),
        },
    })
}

/// The certificate of a keyless signature, to say whose it is. It proves nothing.
fn certificate(signature: &Signature) -> Option<Certificate> {
    let pem = signature.annotations.get(layout::CERTIFICATE)?;
    Certificate::all_from(pem.as_bytes()).ok()?.into_iter().next()
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
