//! Proves nv2 signatures: the key is trusted, the signature is its, the claims are about the subject,
//! they hold now, and the certificate may speak for the hosts they name.

use std::time::SystemTime;

use super::token::{Form, Key, Token, time};
use super::{Settings, names};
use crate::oci::{Descriptor, Registry, Repository};
use crate::setting::SettingError;
use crate::signature::material::{Material, places};
use crate::signature::rejection::{Ends, Field};
use crate::signature::{
    Evidence, Fingerprint, Format, Rejected, Rejection, Signature, SignerName, Strength, Subject, TimeSource,
    Verifier, chain,
};
use crate::telemetry::Untrusted;
use crate::trust::{self, RevocationData};
use crate::x509::chain::Path;
use crate::x509::{Certificate, ExtendedKeyUsage, chain as walk};

/// Builds the verifier of one signer.
///
/// # Errors
/// A file that cannot be used, no certificate place at all, or a name that is no host.
pub fn verifier(name: &SignerName, settings: &Settings) -> Result<impl Verifier + use<>, SettingError> {
    if settings.paths().is_empty() {
        return Err(SettingError::new(
            ["certificates"],
            "certificates or ca_certificates is needed: nothing says whose signatures count",
        ));
    }
    for (at, host) in settings.names.iter().flatten().enumerate() {
        Registry::parse(host).map_err(|e| SettingError::new(["names", &at.to_string()], e.to_string()))?;
    }
    if settings.names.as_ref().is_some_and(Vec::is_empty) {
        return Err(SettingError::new(["names"], "an empty list would refuse every signature; leave it out"));
    }
    let read =
        |key: &str, paths| trust::certificates(paths).map_err(|e| SettingError::new([key], e.to_string()));
    let certificates = read("certificates", &settings.certificates)?;
    let authorities = read("ca_certificates", &settings.ca_certificates)?;
    Ok(Nv2 {
        signer: name.clone(),
        keys: certificates.iter().map(|c| (key_id(c.public_key().spki()), c.clone())).collect(),
        // The prototype's `--cert` are roots as well as keys.
        anchors: certificates.into_iter().chain(authorities).collect(),
        settings: settings.clone(),
    })
}

struct Nv2 {
    signer: SignerName,
    keys: Vec<(String, Certificate)>,
    anchors: Vec<Certificate>,
    settings: Settings,
}

impl Verifier for Nv2 {
    fn signer(&self) -> &SignerName {
        &self.signer
    }

    fn format(&self) -> Format {
        Format::Nv2
    }

    fn strength(&self, _repository: &Repository) -> Strength {
        Strength::Enforced
    }

    fn revision(&self) -> [u8; 32] {
        let known: Vec<Certificate> = self.keys.iter().map(|(_, c)| c.clone()).collect();
        let names = self.settings.names.iter().flatten();
        let material = Material::new("nv2").part("signer", self.signer.0.as_bytes());
        let material = material.certificates("key", &known).certificates("anchor", &self.anchors);
        let material = material.part("named", [u8::from(self.settings.names.is_some())]);
        names.fold(material, |material, name| material.part("name", name)).finish()
    }

    fn limitation(&self) -> Option<String> {
        let open = !self.settings.ca_certificates.is_empty() && self.settings.names.is_none();
        open.then(|| {
            format!(
                "signer {}: any certificate of its ca_certificates counts as this signer; set nv2.names",
                self.signer
            )
        })
    }

    fn proves_time(&self) -> bool {
        false
    }

    fn trust_ends(&self) -> Option<SystemTime> {
        self.anchors.iter().map(Certificate::not_after).min()
    }

    fn verify(
        &self,
        subject: &Subject,
        signature: &Signature,
        _revocation: &RevocationData,
        now: SystemTime,
    ) -> Result<Evidence, Rejected> {
        let token = Token::read(signature)?;
        let path = self.trusted(&token, now)?;
        // A path always has a leaf; without one nothing may be believed.
        let leaf = path.certificates().first().ok_or_else(|| self.not_acquired())?;
        check_key_usage(leaf)?;
        check_signature(&token, leaf)?;
        check_subject(&token, &subject.descriptor)?;
        check_times(&token, now)?;
        self.check_names(&token, leaf)?;
        Ok(self.evidence(&token, signature, subject, &path, leaf))
    }
}

impl Nv2 {
    /// From the key that the token names to an anchor.
    fn trusted(&self, token: &Token, now: SystemTime) -> Result<Path, Rejection> {
        if self.anchors.is_empty() {
            return Err(self.not_acquired());
        }
        match &token.key {
            Key::Chain(leaf, others) => walk::find(leaf, others, &self.anchors, now)
                .map_err(|error| chain::rejection(error, leaf, self.expected(), now)),
            Key::Id(id) => self.known(id, now),
        }
    }

    /// The certificates whose key has this id: renewed ones share it, so any that is valid will do.
    fn known(&self, id: &str, now: SystemTime) -> Result<Path, Rejection> {
        let mut last =
            Rejection::UnknownKeyId { expected: Untrusted::new(self.expected()), found: Untrusted::new(id) };
        for (_, leaf) in self.keys.iter().filter(|(known, _)| known == id) {
            match walk::find(leaf, &[], std::slice::from_ref(leaf), now) {
                Ok(path) => return Ok(path),
                Err(error) => last = chain::rejection(error, leaf, self.expected(), now),
            }
        }
        Err(last)
    }

    fn expected(&self) -> String {
        format!("the certificates of signer {}", self.signer)
    }

    fn not_acquired(&self) -> Rejection {
        Rejection::KeyNotAcquired { signer: self.signer.to_string(), place: places(&self.settings.paths()) }
    }

    fn check_names(&self, token: &Token, leaf: &Certificate) -> Result<(), Rejection> {
        if let Some(allowed) = &self.settings.names
            && !allowed.iter().any(|host| names::carries(leaf, host))
        {
            return Err(Rejection::Identity {
                expected: allowed.join(", ").into(),
                found: names::shown(leaf).into(),
                key: Fingerprint(leaf.fingerprint()),
            });
        }
        let references = token.claims.references();
        references.iter().try_for_each(|reference| self.check_reference(reference, leaf))?;
        if references.is_empty() { Ok(()) } else { check_purpose(leaf) }
    }

    fn check_reference(&self, reference: &str, leaf: &Certificate) -> Result<(), Rejection> {
        let host = named(reference, leaf)?;
        match &self.settings.names {
            Some(allowed) if !allowed.iter().any(|a| a.eq_ignore_ascii_case(host)) => Err(Rejection::Name {
                expected: format!("the names of signer {} ({})", self.signer, allowed.join(", ")).into(),
                found: reference.into(),
            }),
            _ => Ok(()),
        }
    }

    fn evidence(
        &self,
        token: &Token,
        signature: &Signature,
        subject: &Subject,
        path: &Path,
        leaf: &Certificate,
    ) -> Evidence {
        let key = Fingerprint(leaf.public_key().fingerprint());
        let mut evidence = Evidence::new(self.signer.clone(), signature, subject.descriptor.digest, key);
        evidence.identity = Some(leaf.subject().to_string().into());
        evidence.issuer = Some(leaf.issuer().to_string().into());
        evidence.names = token.claims.references().iter().map(Untrusted::new).collect();
        evidence.signed_at = token.claims.iat.map(|iat| (time(iat), TimeSource::Claimed));
        evidence.not_after = [token.claims.exp.map(time), path.not_after()].into_iter().flatten().min();
        if token.claims.media_type.is_none() {
            evidence.notes.push("the form signs no media type: digest and size bind".to_owned());
        }
        evidence
    }
}

/// Whether a certificate's key may sign content of these references: what would be refused on its account
/// is better not signed.
///
/// # Errors
/// Why a verifier would not believe it.
pub fn may_claim(leaf: &Certificate, references: &[String]) -> Result<(), Rejection> {
    check_key_usage(leaf)?;
    references.iter().try_for_each(|reference| named(reference, leaf).map(drop))?;
    if references.is_empty() { Ok(()) } else { check_purpose(leaf) }
}

/// The host of a reference, where the certificate carries it.
fn named<'a>(reference: &'a str, leaf: &Certificate) -> Result<&'a str, Rejection> {
    let name = |expected: String| Rejection::Name { expected: expected.into(), found: reference.into() };
    let host = names::host(reference).ok_or_else(|| name("the form host/path[:tag][@digest]".to_owned()))?;
    if names::carries(leaf, host) {
        return Ok(host);
    }
    Err(name(format!("the names of the certificate ({})", names::shown(leaf))))
}

fn check_key_usage(leaf: &Certificate) -> Result<(), Rejection> {
    match leaf.key_usage() {
        Some(usage) if !usage.digital_signature() => Err(unfit(leaf, "its key usage lacks digitalSignature")),
        _ => Ok(()),
    }
}

/// The prototype matches references as the names of a TLS server, so a certificate that is limited to
/// other purposes cannot name any.
fn check_purpose(leaf: &Certificate) -> Result<(), Rejection> {
    match leaf.extended_key_usage() {
        Some(u) if !u.has(ExtendedKeyUsage::SERVER_AUTH) && !u.has(ExtendedKeyUsage::ANY) => {
            Err(unfit(leaf, "its extended key usage lacks serverAuth, so it may name no registry"))
        }
        _ => Ok(()),
    }
}

fn unfit(leaf: &Certificate, why: &str) -> Rejection {
    Rejection::Certificate { subject: leaf.subject().to_string().into(), why: why.into() }
}

fn check_signature(token: &Token, leaf: &Certificate) -> Result<(), Rejection> {
    leaf.public_key().verify(token.algorithm, &token.signed, &token.signature).map_err(|_| {
        Rejection::BadSignature { algorithm: token.algorithm.as_str(), key: Fingerprint(leaf.fingerprint()) }
    })
}

fn check_subject(token: &Token, subject: &Descriptor) -> Result<(), Rejection> {
    token.claims.describe(subject)?;
    if token.form == Form::Jwt && token.claims.media_type.is_none() {
        return Err(Rejection::Mismatch {
            field: Field::MediaType,
            expected: Untrusted::new(&subject.media_type),
            found: "absent".into(),
        });
    }
    Ok(())
}

/// `exp` ends the claim at its own second (RFC 7519, section 4.1.4), 0 included; `nbf` begins it.
fn check_times(token: &Token, now: SystemTime) -> Result<(), Rejection> {
    if let Some(not_after) = token.claims.exp.map(time).filter(|end| now >= *end) {
        return Err(Rejection::Expired { what: Ends::Signature, not_after, now });
    }
    if let Some(not_before) = token.claims.nbf.map(time).filter(|start| now < *start) {
        return Err(Rejection::NotYetValid { what: Ends::Signature, not_before, now });
    }
    Ok(())
}

/// libtrust's key id: the first 240 bits of SHA-256 over the SubjectPublicKeyInfo in base32 (RFC 4648),
/// in twelve groups of four with colons between.
pub fn key_id(spki: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = crate::oci::Digest::sha256(spki);
    let mut id = String::with_capacity(59);
    // Five octets are eight characters, which is two groups.
    for octets in digest.as_bytes().get(..30).unwrap_or_default().chunks(5) {
        let bits = octets.iter().fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
        for at in 0..8 {
            if at % 4 == 0 && !id.is_empty() {
                id.push(':');
            }
            let index = (bits >> (35 - 5 * at)) & 31;
            id.push(char::from(ALPHABET[index as usize]));
        }
    }
    id
}
