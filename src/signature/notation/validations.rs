//! The validations of one signature in the specification's order (trust-store-trust-policy,
//! "Signature Verification", "Steps").

use std::time::SystemTime;

use super::algorithm::Algorithm;
use super::attributes::Scheme;
use super::course::Course;
use super::envelope::Envelope;
use super::level::{Action, Validation, VerifyTimestamp};
use super::profile::{self, Purpose};
use super::revocation::{self, Unrevoked};
use super::statement::{Checks, Store};
use super::timestamp;
use crate::setting::time::show;
use crate::signature::evidence::{Evidence, Fingerprint, TimeSource};
use crate::signature::rejection::Ends;
use crate::signature::{Rejected, Rejection, Signature, SignerName, Subject};
use crate::telemetry::Untrusted;
use crate::trust::store::Kind;
use crate::trust::{Need, RevocationData};
use crate::x509::Certificate;
use crate::x509::timestamp::Timestamp;

/// How many of the signer's annotations are kept as notes.
const MAX_ANNOTATIONS: usize = 16;

/// One signature under the statement for its repository.
pub(super) struct Case<'a> {
    pub(super) checks: &'a Checks,
    /// The statement's name.
    pub(super) statement: &'a str,
    pub(super) signer: &'a SignerName,
    pub(super) subject: &'a Subject,
    pub(super) signature: &'a Signature,
    pub(super) now: SystemTime,
}

impl Case<'_> {
    /// Whose revocation has to be asked about: nobody's, unless the signature is whole, made by a
    /// trusted signer, and fails no enforced check already.
    pub(super) fn needs(&self) -> Vec<Need> {
        let Ok(envelope) = Envelope::parse(self.signature) else { return Vec::new() };
        let Some(leaf) = envelope.chain.first().filter(|_| self.may_need(&envelope)) else {
            return Vec::new();
        };
        let actions = self.checks.actions;
        let judged = Judged { case: self, envelope: &envelope, leaf };
        // Whoever can push can push signatures by strangers: those cost no cryptography here.
        if judged.authenticity().is_err() || (actions.expiry == Action::Enforce && judged.expiry().is_err()) {
            return Vec::new();
        }
        if integrity(&envelope, self.subject).is_err() {
            return Vec::new();
        }
        let stamped = match judged.timestamp() {
            Ok(stamped) => stamped,
            Err(_) if actions.authentic_timestamp == Action::Enforce => return Vec::new(),
            Err(_) => None,
        };
        let authority = stamped.as_ref().map_or(&[][..], Timestamp::chain);
        let signer = if actions.revocation == Action::Skip { &[][..] } else { &envelope.chain };
        revocation::needs(authority).chain(revocation::needs(signer)).collect()
    }

    /// Makes all validations.
    pub(super) fn prove(&self, data: &RevocationData) -> Result<Evidence, Rejected> {
        let mut course = Course::new(self.statement, self.checks.actions);
        let (envelope, leaf) = course.integrity(self.whole())?;
        let judged = Judged { case: self, envelope: &envelope, leaf: &leaf };
        course.settle(Validation::Authenticity, || judged.authenticity())?;
        course.settle(Validation::Expiry, || judged.expiry())?;
        let time = course.settle(Validation::AuthenticTimestamp, || judged.time(data))?;
        let unrevoked = course.settle(Validation::Revocation, || judged.unrevoked(data, time.as_ref()))?;
        Ok(judged.evidence(course, time.as_ref(), unrevoked.as_ref()))
    }

    /// Whether some certificate can name somebody to ask, which most private authorities' do not: known
    /// without any cryptography.
    fn may_need(&self, envelope: &Envelope) -> bool {
        self.needs_timestamp(envelope)
            || self.checks.actions.revocation != Action::Skip
                && envelope.chain.iter().any(Certificate::is_revocable)
    }

    fn needs_timestamp(&self, envelope: &Envelope) -> bool {
        let has_store = self.checks.stores_of(Kind::Tsa).next().is_some();
        has_store
            && match self.checks.verify_timestamp {
                VerifyTimestamp::Always => true,
                VerifyTimestamp::AfterCertExpiry => chain_ends(envelope) < self.now,
            }
    }

    /// The signature as far as nothing but itself is needed, and the signer's certificate.
    fn whole(&self) -> Result<(Envelope, Certificate), Rejection> {
        let envelope = Envelope::parse(self.signature)?;
        let leaf = integrity(&envelope, self.subject)?;
        Ok((envelope, leaf))
    }
}

/// The envelope is whole, signed by its own certificate, and about the subject. Enforced at every
/// level, the certificate profile included, as by notation.
fn integrity(envelope: &Envelope, subject: &Subject) -> Result<Certificate, Rejection> {
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
    Ok(leaf.clone())
}

/// What is proven of the moment at which the signature was made.
struct Time {
    /// The latest moment at which it can have been made; `None` where only the signer says so.
    authentic: Option<SystemTime>,
    /// The timestamp countersignature that says so.
    stamped: Option<Timestamp>,
    /// Until when that holds, where its authority's certificates can be revoked.
    until: Option<SystemTime>,
}

struct Judged<'a> {
    case: &'a Case<'a>,
    envelope: &'a Envelope,
    leaf: &'a Certificate,
}

impl Judged<'_> {
    /// A certificate of the chain stands in a trust store of the scheme's type, and the signer is one
    /// of the trusted identities.
    fn authenticity(&self) -> Result<((), String), Rejection> {
        let checks = self.case.checks;
        let kind = match self.envelope.attributes.scheme {
            Scheme::X509 => Kind::Ca,
            Scheme::SigningAuthority => Kind::SigningAuthority,
        };
        let trusts = |store: &&Store| store.certificates.iter().any(|c| self.envelope.chain.contains(c));
        let Some(store) = checks.stores_of(kind).find(trusts) else { return Err(self.untrusted(kind)) };
        let identities = &checks.identities;
        if !identities.admit(self.leaf.subject()) {
            return Err(Rejection::Identity {
                expected: identities.to_string().into(),
                found: self.leaf.subject().to_string().into(),
                key: Fingerprint(self.leaf.fingerprint()),
            });
        }
        Ok(((), format!("{}, by trust store {}", self.leaf.subject(), store.name)))
    }

    fn untrusted(&self, kind: Kind) -> Rejection {
        let names: Vec<String> = self.case.checks.stores_of(kind).map(|s| s.name.to_string()).collect();
        let expected = if names.is_empty() {
            format!("any trust store: none of type {} is configured", kind.as_str())
        } else if self.case.checks.stores_of(kind).all(|s| s.certificates.is_empty()) {
            let places: Vec<&str> = self.case.checks.stores_of(kind).map(|s| s.place.as_str()).collect();
            return Rejection::KeyNotAcquired {
                signer: self.case.signer.to_string(),
                place: places.join(", "),
            };
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
    fn expiry(&self) -> Result<((), String), Rejection> {
        let now = self.case.now;
        match self.envelope.attributes.expiry {
            Some(not_after) if now >= not_after => {
                Err(Rejection::Expired { what: Ends::Signature, not_after, now })
            }
            Some(not_after) => Ok(((), format!("until {}", show(not_after)))),
            None => Ok(((), "the signature has no expiry".to_owned())),
        }
    }

    /// The chain was valid when the signature was made. Without a timestamp or authority to say when
    /// that was, it must be valid now.
    fn time(&self, data: &RevocationData) -> Result<(Time, String), Rejection> {
        let now = self.case.now;
        if let Some(stamped) = self.timestamp()? {
            let (from, to) = (show(stamped.earliest()), show(stamped.latest()));
            // "Always enforced when timestamp countersignature verification is triggered", whatever the
            // action for the signer's own certificates; an authority that was revoked vouches for no time.
            let Unrevoked { until, basis } = revocation::check(stamped.chain(), data, now, None)?;
            let basis = format!("timestamped between {from} and {to}; {basis}");
            return Ok((Time { authentic: Some(stamped.latest()), stamped: Some(stamped), until }, basis));
        }
        let (authentic, basis) = match self.envelope.attributes.scheme {
            Scheme::SigningAuthority => {
                let at = self.envelope.attributes.signing_time;
                (Some(at), format!("signed at {}, says the signing authority", show(at)))
            }
            Scheme::X509 => {
                (None, format!("the certificates are valid now, until {}", show(chain_ends(self.envelope))))
            }
        };
        Ok((Time { authentic, stamped: None, until: None }, basis))
    }

    /// Checks the validity of the chain at the time that counts, which is the timestamp's where that
    /// has to be verified.
    fn timestamp(&self) -> Result<Option<Timestamp>, Rejection> {
        match self.envelope.attributes.scheme {
            Scheme::SigningAuthority => self.valid_at(self.envelope.attributes.signing_time)?,
            Scheme::X509 if self.case.needs_timestamp(self.envelope) => {
                let Some(token) = &self.envelope.timestamp else {
                    return Err(Rejection::Timestamp { found: "there is none".into() });
                };
                let stores = self.case.checks.stores_of(Kind::Tsa);
                let anchors: Vec<Certificate> = stores.flat_map(|s| s.certificates.clone()).collect();
                let stamped = timestamp::verify(token, &self.envelope.signature, &anchors)?;
                // The whole interval of its accuracy lies within the validity of every certificate.
                self.valid_at(stamped.earliest())?;
                self.valid_at(stamped.latest())?;
                return Ok(Some(stamped));
            }
            Scheme::X509 => self.valid_at(self.case.now)?,
        }
        Ok(None)
    }

    fn unrevoked(
        &self,
        data: &RevocationData,
        time: Option<&Time>,
    ) -> Result<(Unrevoked, String), Rejection> {
        let signed_at = time.and_then(|time| time.authentic);
        let result = revocation::check(&self.envelope.chain, data, self.case.now, signed_at);
        // Nobody is asked about a signer who is not trusted: that is the reason, and no trouble that may pass.
        if let Err(Rejection::RevocationUnknown { .. }) = &result {
            self.authenticity()?;
        }
        let unrevoked = result?;
        let basis = unrevoked.basis.clone();
        Ok((unrevoked, basis))
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

    fn evidence(&self, course: Course, time: Option<&Time>, unrevoked: Option<&Unrevoked>) -> Evidence {
        let Case { signer, signature, subject, .. } = self.case;
        let key = Fingerprint(self.leaf.public_key().fingerprint());
        let mut evidence = Evidence::new((*signer).clone(), signature, subject.descriptor.digest, key);
        evidence.identity = Some(self.leaf.subject().to_string().into());
        evidence.issuer = Some(self.leaf.issuer().to_string().into());
        evidence.signed_at = Some(self.signed_at(time));
        evidence.not_after = self.not_after(time, unrevoked);
        if self.envelope.timestamp.is_some() && time.is_none_or(|time| time.stamped.is_none()) {
            evidence.notes.push("the timestamp countersignature was not verified".to_owned());
        }
        for (key, value) in self.envelope.target.annotations.iter().take(MAX_ANNOTATIONS) {
            let (key, value) = (Untrusted::new(key), Untrusted::new(value));
            evidence.notes.push(format!("signed annotation {key}={value}"));
        }
        evidence.validations = course.finish();
        evidence
    }

    fn signed_at(&self, time: Option<&Time>) -> (SystemTime, TimeSource) {
        let claimed = self.envelope.attributes.signing_time;
        match (self.envelope.attributes.scheme, time.and_then(|time| time.stamped.as_ref())) {
            (Scheme::SigningAuthority, _) => (claimed, TimeSource::SigningAuthority),
            (Scheme::X509, Some(stamped)) => (stamped.latest(), TimeSource::Timestamp),
            (Scheme::X509, None) => (claimed, TimeSource::Claimed),
        }
    }

    /// The first end among those that are enforced.
    fn not_after(&self, time: Option<&Time>, unrevoked: Option<&Unrevoked>) -> Option<SystemTime> {
        let actions = self.case.checks.actions;
        let enforced = |action, end: Option<SystemTime>| end.filter(|_| action == Action::Enforce);
        let by_now = time.is_some_and(|time| time.authentic.is_none());
        let ends = [
            enforced(actions.expiry, self.envelope.attributes.expiry),
            enforced(actions.authentic_timestamp, by_now.then(|| chain_ends(self.envelope))),
            enforced(actions.authentic_timestamp, time.and_then(|time| time.until)),
            enforced(actions.revocation, unrevoked.and_then(|unrevoked| unrevoked.until)),
        ];
        ends.into_iter().flatten().min()
    }
}

fn chain_ends(envelope: &Envelope) -> SystemTime {
    envelope.chain.iter().map(Certificate::not_after).min().unwrap_or(SystemTime::UNIX_EPOCH)
}
