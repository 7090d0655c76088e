//! Whose key it is: one that is configured, one that Fulcio certified for an identity, or one that a private
//! authority did.

use std::fmt;
use std::time::SystemTime;

use super::claim::{Claim, MadeBy};
use super::extension::{self, Extension};
use super::pattern::Pattern;
use super::witness::{Asked, Witnesses};
use crate::signature::{Fingerprint, Rejection, SignerName, chain};
use crate::trust::TrustedRoot;
use crate::trust::sigstore::Authority;
use crate::x509::chain::Path;
use crate::x509::{self, AlternativeName, Certificate, ExtendedKeyUsage, PublicKey, sct};

/// See the module.
pub(super) enum Holder {
    Key(PublicKey),
    Keyless(Fulcio),
    Pki(Pki),
}

/// Whom Fulcio must have certified.
pub(super) struct Fulcio {
    pub(super) identity: Identity,
    /// How many certificate-transparency logs must have seen the certificate.
    pub(super) scts: usize,
}

/// Whom a private authority must have certified.
pub(super) struct Pki {
    pub(super) roots: Vec<Certificate>,
    pub(super) intermediates: Vec<Certificate>,
    pub(super) identity: Identity,
}

/// Whom a certificate must be for.
pub(super) struct Identity {
    pub(super) name: Pattern,
    /// Who must have vouched; `None` where that is not asked.
    pub(super) issuer: Option<Pattern>,
    pub(super) extensions: Vec<(Extension, String)>,
}

/// Who a certificate says it is.
#[derive(Debug, Default)]
pub(super) struct Who {
    pub(super) identity: String,
    pub(super) issuer: Option<String>,
    /// When the certificates end, where nothing but now tells that they held at signing.
    pub(super) not_after: Option<SystemTime>,
}

impl Holder {
    /// The key that must have made the signature. A certificate's proves nothing yet.
    ///
    /// # Errors
    /// [`Rejection::UntrustedKey`] where the claim is by another kind of holder.
    pub(super) fn key<'a>(
        &'a self,
        claim: &'a Claim,
        signer: &SignerName,
    ) -> Result<&'a PublicKey, Rejection> {
        match (self, &claim.made_by) {
            (Self::Key(key), _) => Ok(key),
            (_, MadeBy::Certificates { leaf, .. }) => Ok(leaf.public_key()),
            (_, MadeBy::Key) => Err(Rejection::UnknownKeyId {
                expected: format!("the identities of signer {signer}").into(),
                found: "a key without a certificate".into(),
            }),
        }
    }

    /// Proves who signed.
    ///
    /// # Errors
    /// The chain, its transparency, the identity or the time that does not hold.
    pub(super) fn identify(
        &self,
        claim: &Claim,
        asked: &Asked<'_>,
        witnesses: &Witnesses,
        now: SystemTime,
    ) -> Result<Who, Rejection> {
        match (self, &claim.made_by) {
            (Self::Keyless(fulcio), MadeBy::Certificates { leaf, others }) => {
                asked.check_times(witnesses)?;
                fulcio.check(leaf, others, asked.root, witnesses)
            }
            (Self::Pki(pki), MadeBy::Certificates { leaf, others }) => {
                pki.check(leaf, others, witnesses, now)
            }
            (Self::Key(key), _) => {
                let fingerprint = Fingerprint(key.fingerprint());
                let identity = format!("key {} (SHA-256 {fingerprint})", key.kind());
                Ok(Who { identity, ..Who::default() })
            }
            // `key` has refused it before.
            (_, MadeBy::Key) => Ok(Who::default()),
        }
    }
}

impl Fulcio {
    fn check(
        &self,
        leaf: &Certificate,
        others: &[Certificate],
        root: &TrustedRoot,
        witnesses: &Witnesses,
    ) -> Result<Who, Rejection> {
        check_purpose(leaf)?;
        let mut found = None;
        // "If either fails, verification fails": the chain holds at each time that is told.
        for time in witnesses.times() {
            found = Some(path(leaf, others, root.authorities(), time.at)?);
        }
        let path = found.ok_or_else(|| Rejection::Timestamp {
            found: "nobody tells when the certificate's key signed".into(),
        })?;
        self.check_transparency(leaf, path.certificates().get(1), root)?;
        self.identity.check(leaf)
    }

    /// RFC 6962, as Fulcio has it: the timestamps are in the certificate.
    fn check_transparency(
        &self,
        leaf: &Certificate,
        issuing: Option<&Certificate>,
        root: &TrustedRoot,
    ) -> Result<(), Rejection> {
        if self.scts == 0 {
            return Ok(());
        }
        let invalid = |why: String| Rejection::Certificate { subject: shown(leaf).into(), why: why.into() };
        let mut seen: Vec<&[u8]> = Vec::new();
        let mut why = "it has no signed certificate timestamp (SCT) of a trusted log".to_owned();
        for sct in sct::embedded(leaf).map_err(|e| invalid(e.to_string()))? {
            let log = root.ct_logs().iter().find(|log| log.id == sct.log_id());
            let (Some(log), Some(issuing)) = (log, issuing) else { continue };
            if !log.window.contains(sct.at()) {
                why = "its certificate-transparency log did not count when it saw it".to_owned();
            } else if let Err(error) = sct.verify(leaf, issuing, &log.key) {
                why = format!("its signed certificate timestamp does not hold: {error}");
            } else if !seen.contains(&log.id.as_slice()) {
                seen.push(&log.id);
            }
        }
        if seen.len() >= self.scts {
            return Ok(());
        }
        if !seen.is_empty() {
            why = format!(
                "{} certificate-transparency logs have seen it, {} are needed",
                seen.len(),
                self.scts
            );
        }
        Err(invalid(why))
    }
}

impl Pki {
    /// The chain holds at each time that witnesses tell; where none is asked, now.
    fn check(
        &self,
        leaf: &Certificate,
        others: &[Certificate],
        witnesses: &Witnesses,
        now: SystemTime,
    ) -> Result<Who, Rejection> {
        check_purpose(leaf)?;
        let between: Vec<Certificate> = self.intermediates.iter().chain(others).cloned().collect();
        let path = |at| {
            find(leaf, &between, &self.roots, at)
                .map_err(|e| chain::rejection(e, leaf, "the configured roots (pki.roots)", at))
        };
        for time in witnesses.times() {
            path(time.at)?;
        }
        let not_after = match witnesses.times() {
            [] => path(now)?.not_after(),
            _ => None,
        };
        Ok(Who { not_after, ..self.identity.check(leaf)? })
    }
}

impl Identity {
    fn check(&self, leaf: &Certificate) -> Result<Who, Rejection> {
        let name = only_name(leaf)?;
        let issuer = extension::issuer(leaf);
        let shown = match issuer {
            Some("") => name.to_owned(),
            Some(issuer) => format!("{name} (issuer {issuer})"),
            None => format!("{name} (issuers that differ)"),
        };
        let refused = |expected: String, found: String| Rejection::Identity {
            expected: expected.into(),
            found: found.into(),
            key: Fingerprint(leaf.fingerprint()),
        };
        let vouched = |pattern: &Pattern| issuer.is_some_and(|issuer| pattern.matches(issuer));
        if !self.name.matches(name) || !self.issuer.as_ref().is_none_or(vouched) {
            return Err(refused(self.to_string(), shown));
        }
        for (extension, expected) in &self.extensions {
            let found = extension.of(leaf);
            if found != Some(expected) {
                let found = format!("{shown} with {} {}", extension.name, found.unwrap_or("absent"));
                return Err(refused(format!("{} {expected}", extension.name), found));
            }
        }
        let issuer = issuer.filter(|issuer| !issuer.is_empty()).map(str::to_owned);
        Ok(Who { identity: name.to_owned(), issuer, not_after: None })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.issuer {
            Some(issuer) => write!(f, "{} (issuer {issuer})", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// The way to an authority that counted at a time.
fn path(
    leaf: &Certificate,
    others: &[Certificate],
    authorities: &[Authority],
    at: SystemTime,
) -> Result<Path, Rejection> {
    let mut worst = x509::chain::Error::Untrusted { subject: shown(leaf) };
    for authority in authorities.iter().filter(|authority| authority.window.contains(at)) {
        let Some(anchor) = authority.root() else { continue };
        // What the root names is all that the authority is; what else its anchor certified may be another's.
        let between = if authority.others().is_empty() { others } else { authority.others() };
        match find(leaf, between, std::slice::from_ref(anchor), at) {
            Ok(path) => return Ok(path),
            Err(x509::chain::Error::Untrusted { .. }) => {}
            Err(error) => worst = error,
        }
    }
    let expected = "the certificate authorities of the trusted root";
    Err(chain::rejection(worst, leaf, expected, at))
}

/// The way to an anchor, all of whose certificates are for signing code.
fn find(
    leaf: &Certificate,
    between: &[Certificate],
    anchors: &[Certificate],
    at: SystemTime,
) -> Result<Path, x509::chain::Error> {
    let path = x509::chain::find(leaf, between, anchors, at)?;
    x509::chain::check_purpose(path.certificates(), ExtendedKeyUsage::CODE_SIGNING, "codeSigning")?;
    Ok(path)
}

/// The key signs code, and nothing else issues.
fn check_purpose(leaf: &Certificate) -> Result<(), Rejection> {
    let invalid = |why: &str| Rejection::Certificate { subject: shown(leaf).into(), why: why.into() };
    if leaf.basic_constraints().is_some_and(|constraints| constraints.ca) {
        return Err(invalid("it is an authority's and signs no content"));
    }
    if leaf.key_usage().is_some_and(|usage| !usage.digital_signature()) {
        return Err(invalid("its key usage lacks digitalSignature"));
    }
    match leaf.extended_key_usage() {
        Some(usage) if usage.has(ExtendedKeyUsage::CODE_SIGNING) => Ok(()),
        _ => Err(invalid("its extended key usage lacks codeSigning")),
    }
}

/// Who the certificate is for. Of several names, each a policy could mean another.
fn only_name(leaf: &Certificate) -> Result<&str, Rejection> {
    let invalid = |why: String| Rejection::Certificate { subject: shown(leaf).into(), why: why.into() };
    match leaf.alternative_names() {
        [name] => name
            .text()
            .ok_or_else(|| invalid("its subject alternative name is of no kind that is read".to_owned())),
        names => Err(invalid(format!("expected one subject alternative name, found {}", names.len()))),
    }
}

/// Fulcio's certificates have no subject: they are shown by their names.
pub(super) fn shown(leaf: &Certificate) -> String {
    let subject = leaf.subject().to_string();
    if !subject.is_empty() {
        return subject;
    }
    let names: Vec<&str> = leaf.alternative_names().iter().filter_map(AlternativeName::text).collect();
    names.join(", ")
}
