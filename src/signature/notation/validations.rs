//! The validations of one signature in the specification's order (trust-store-trust-policy,
//! "Signature Verification", "Steps"): what fails is refused or noted, as the statement says.

use std::time::SystemTime;

use super::algorithm::Algorithm;
use super::attributes::Scheme;
use super::envelope::Envelope;
use super::level::{Action, Validation, VerifyTimestamp};
use super::profile::{self, Purpose};
use super::statement::Checks;
use crate::signature::evidence::{Evidence, Fingerprint, TimeSource};
use crate::signature::rejection::Ends;
use crate::signature::{Rejection, Signature, SignerName, Subject};
use crate::telemetry::Untrusted;
use crate::trust::store::Kind;
use crate::x509::Certificate;

/// How many of the signer's annotations are kept as notes.
const MAX_ANNOTATIONS: usize = 16;

/// Judges one signature by the checks of the statement for its repository.
pub(super) fn prove(
    checks: &Checks,
    signer: &SignerName,
    subject: &Subject,
    signature: &Signature,
    now: SystemTime,
) -> Result<Evidence, Rejection> {
    let envelope = Envelope::parse(signature)?;
    let leaf = integrity(&envelope, subject)?;
    let judged = Judged { checks, signer, envelope: &envelope, leaf, now };
    let actions = checks.actions;
    let mut notes = Vec::new();
    let mut note = |validation, action, result| settle(validation, action, result, &mut notes);
    note(Validation::Authenticity, actions.authenticity, judged.authenticity())?;
    note(Validation::Expiry, actions.expiry, judged.expiry())?;
    note(Validation::AuthenticTimestamp, actions.authentic_timestamp, judged.authentic_timestamp())?;
    Ok(judged.evidence(signature, subject, notes))
}

/// Enforced failures are refusals, logged ones are notes.
fn settle(
    validation: Validation,
    action: Action,
    result: Result<(), Rejection>,
    notes: &mut Vec<String>,
) -> Result<(), Rejection> {
    match (action, result) {
        (_, Ok(())) => Ok(()),
        (Action::Enforce, Err(failure)) => Err(failure),
        (Action::Log | Action::Skip, Err(failure)) => {
            notes.push(format!("{} failed and is only logged: {failure}", validation.as_str()));
            Ok(())
        }
    }
}

/// The envelope is whole, signed by its own certificate, and about the subject. Enforced at every
/// level, the certificate profile included, as by notation.
fn integrity<'a>(envelope: &'a Envelope, subject: &Subject) -> Result<&'a Certificate, Rejection> {
    let Some(leaf) = envelope.chain.first() else {
        return Err(Rejection::Malformed { what: "certificate chain", why: "it is empty".into() });
    };
    let key = leaf.public_key();
    let stated = envelope.attributes.algorithm;
    // The certificate decides; the header must agree, so that no weaker algorithm can be put in.
    match Algorithm::of(key.kind()) {
        Some(fitting) if fitting == stated => {}
        _ => {
            let found = format!("{} with a key of kind {}", stated.as_str(), key.kind());
            return Err(Rejection::Unsupported { what: "signature algorithm", found: found.into() });
        }
    }
    key.verify(stated.verification(), &envelope.signed, &envelope.signature).map_err(|_| {
        Rejection::BadSignature { algorithm: stated.as_str(), key: Fingerprint(leaf.fingerprint()) }
    })?;
    profile::check(&envelope.chain, Purpose::CodeSigning)?;
    envelope.target.is(&subject.descriptor)?;
    Ok(leaf)
}

struct Judged<'a> {
    checks: &'a Checks,
    signer: &'a SignerName,
    envelope: &'a Envelope,
    leaf: &'a Certificate,
    now: SystemTime,
}

impl Judged<'_> {
    /// A certificate of the chain stands in a trust store of the scheme's type, and the signer is one
    /// of the trusted identities.
    fn authenticity(&self) -> Result<(), Rejection> {
        let kind = match self.envelope.attributes.scheme {
            Scheme::X509 => Kind::Ca,
            Scheme::SigningAuthority => Kind::SigningAuthority,
        };
        let mut trusted = self.checks.stores_of(kind).flat_map(|s| &s.certificates);
        if !trusted.any(|anchor| self.envelope.chain.contains(anchor)) {
            return Err(self.untrusted(kind));
        }
        let identities = &self.checks.identities;
        if !identities.admit(self.leaf.subject()) {
            return Err(Rejection::Identity {
                expected: identities.to_string().into(),
                found: self.leaf.subject().to_string().into(),
                key: Fingerprint(self.leaf.fingerprint()),
            });
        }
        Ok(())
    }

    fn untrusted(&self, kind: Kind) -> Rejection {
        let names: Vec<String> = self.checks.stores_of(kind).map(|s| s.name.to_string()).collect();
        let expected = if names.is_empty() {
            format!("any trust store: none of type {} is configured", kind.as_str())
        } else if self.checks.stores_of(kind).all(|s| s.certificates.is_empty()) {
            let places: Vec<&str> = self.checks.stores_of(kind).map(|s| s.place.as_str()).collect();
            return Rejection::KeyNotAcquired { signer: self.signer.to_string(), place: places.join(", ") };
        } else {
            format!("trust store {}", names.join(", "))
        };
        Rejection::UntrustedKey {
            expected: expected.into(),
            found: self.leaf.subject().to_string().into(),
            key: Fingerprint(self.leaf.fingerprint()),
        }
    }

    /// "Considered expired when the current time is greater than or equal to expiry time."
    fn expiry(&self) -> Result<(), Rejection> {
        match self.envelope.attributes.expiry {
            Some(not_after) if self.now >= not_after => {
                Err(Rejection::Expired { what: Ends::Signature, not_after, now: self.now })
            }
            _ => Ok(()),
        }
    }

    /// The chain was valid when the signature was made. Without a timestamp or authority to say when
    /// that was, it must be valid now.
    fn authentic_timestamp(&self) -> Result<(), Rejection> {
        match self.envelope.attributes.scheme {
            Scheme::SigningAuthority => self.valid_at(self.envelope.attributes.signing_time),
            Scheme::X509 if self.needs_timestamp() => Err(Rejection::Timestamp {
                found: match self.envelope.timestamp {
                    Some(_) => "timestamps are not verified in this version",
                    None => "there is none",
                }
                .into(),
            }),
            Scheme::X509 => self.valid_at(self.now),
        }
    }

    fn needs_timestamp(&self) -> bool {
        let has_store = self.checks.stores_of(Kind::Tsa).next().is_some();
        has_store
            && match self.checks.verify_timestamp {
                VerifyTimestamp::Always => true,
                VerifyTimestamp::AfterCertExpiry => self.chain_ends() < self.now,
            }
    }

    fn valid_at(&self, at: SystemTime) -> Result<(), Rejection> {
        for certificate in &self.envelope.chain {
            if at < certificate.not_before() {
                let not_before = certificate.not_before();
                return Err(Rejection::NotYetValid { what: Ends::Certificate, not_before, now: at });
            }
            if at > certificate.not_after() {
                let not_after = certificate.not_after();
                return Err(Rejection::Expired { what: Ends::Certificate, not_after, now: at });
            }
        }
        Ok(())
    }

    fn chain_ends(&self) -> SystemTime {
        self.envelope.chain.iter().map(Certificate::not_after).min().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn evidence(&self, signature: &Signature, subject: &Subject, mut notes: Vec<String>) -> Evidence {
        let attributes = &self.envelope.attributes;
        let key = Fingerprint(self.leaf.public_key().fingerprint());
        let mut evidence = Evidence::new(self.signer.clone(), signature, subject.descriptor.digest, key);
        evidence.identity = Some(self.leaf.subject().to_string().into());
        evidence.issuer = Some(self.leaf.issuer().to_string().into());
        let source = match attributes.scheme {
            Scheme::X509 => TimeSource::Claimed,
            Scheme::SigningAuthority => TimeSource::SigningAuthority,
        };
        evidence.signed_at = Some((attributes.signing_time, source));
        evidence.not_after = self.not_after();
        if self.envelope.timestamp.is_some() {
            notes.push("the timestamp countersignature was not verified".to_owned());
        }
        if self.checks.actions.revocation != Action::Skip {
            notes.push("revocation was not checked".to_owned());
        }
        for (key, value) in self.envelope.target.annotations.iter().take(MAX_ANNOTATIONS) {
            notes.push(format!("signed annotation {}={}", Untrusted::new(key), Untrusted::new(value)));
        }
        evidence.notes = notes;
        evidence
    }

    /// The first end among those that are enforced.
    fn not_after(&self) -> Option<SystemTime> {
        let actions = self.checks.actions;
        let expiry = self.envelope.attributes.expiry.filter(|_| actions.expiry == Action::Enforce);
        let by_now = self.envelope.attributes.scheme == Scheme::X509;
        let chain = (by_now && actions.authentic_timestamp == Action::Enforce).then(|| self.chain_ends());
        expiry.into_iter().chain(chain).min()
    }
}
