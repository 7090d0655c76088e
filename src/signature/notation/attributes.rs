//! The signed attributes that JWS and COSE envelopes share (signature-specification, "Signed
//! Attributes"): which there must be, which must be critical, which are understood.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::algorithm::Algorithm;
use crate::signature::Rejection;

/// The payload's media type.
pub(crate) const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";

pub(crate) const SIGNING_SCHEME: &str = "io.cncf.notary.signingScheme";
pub(crate) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(super) const AUTHENTIC_SIGNING_TIME: &str = "io.cncf.notary.authenticSigningTime";
pub(crate) const EXPIRY: &str = "io.cncf.notary.expiry";
pub(super) const PLUGIN: &str = "io.cncf.notary.verificationPlugin";
pub(super) const PLUGIN_VERSION: &str = "io.cncf.notary.verificationPluginMinVersion";
pub(crate) const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";

/// The signed attributes as an envelope has them.
#[derive(Debug, Default)]
pub(super) struct Signed {
    pub(super) algorithm: Option<Algorithm>,
    pub(super) content_type: Option<String>,
    pub(super) scheme: Option<String>,
    pub(super) signing_time: Option<SystemTime>,
    pub(super) authentic_signing_time: Option<SystemTime>,
    pub(super) expiry: Option<SystemTime>,
    /// The names in `crit`, as they stand.
    pub(super) critical: Vec<String>,
    /// All names in the protected header.
    pub(super) names: BTreeSet<String>,
}

/// How the signature came about (signing-scheme).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `notary.x509`: the signer's own key, at a time that only the signer claims.
    X509,
    /// `notary.x509.signingAuthority`: an authority's key, at a time that the authority vouches for.
    SigningAuthority,
}

/// The signed attributes, checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    pub(super) algorithm: Algorithm,
    pub(super) scheme: Scheme,
    pub(super) signing_time: SystemTime,
    pub(super) expiry: Option<SystemTime>,
}

impl Signed {
    /// Checks that what must be there is, that what must be critical is, and that all that is
    /// critical is understood.
    pub(super) fn check(self) -> Result<Attributes, Rejection> {
        let algorithm = self.algorithm.ok_or_else(|| missing("alg"))?;
        match self.content_type.as_deref() {
            Some(PAYLOAD) => {}
            Some(found) => return Err(unsupported("content type", found)),
            None => return Err(missing("content type")),
        }
        let (scheme, signing_time) = self.scheme_and_time()?;
        self.check_plugin()?;
        self.check_critical(scheme)?;
        if self.expiry.is_some_and(|expiry| expiry <= signing_time) {
            return Err(malformed("its expiry is not after its signing time"));
        }
        Ok(Attributes { algorithm, scheme, signing_time, expiry: self.expiry })
    }

    fn scheme_and_time(&self) -> Result<(Scheme, SystemTime), Rejection> {
        let scheme = match self.scheme.as_deref() {
            Some("notary.x509") => Scheme::X509,
            Some("notary.x509.signingAuthority") => Scheme::SigningAuthority,
            Some(found) => return Err(unsupported("signing scheme", found)),
            None => return Err(missing(SIGNING_SCHEME)),
        };
        let (name, time, other) = match scheme {
            Scheme::X509 => (SIGNING_TIME, self.signing_time, AUTHENTIC_SIGNING_TIME),
            Scheme::SigningAuthority => (AUTHENTIC_SIGNING_TIME, self.authentic_signing_time, SIGNING_TIME),
        };
        if self.names.contains(other) {
            return Err(malformed(&format!("{other} does not belong to its signing scheme")));
        }
        Ok((scheme, time.ok_or_else(|| missing(name))?))
    }

    /// A verification plugin's checks are part of the signature's meaning and are not made here
    /// ("an implementation MUST fail signature verification if it cannot perform the equivalent").
    fn check_plugin(&self) -> Result<(), Rejection> {
        match [PLUGIN, PLUGIN_VERSION].iter().find(|name| self.names.contains(**name)) {
            Some(name) => Err(unsupported("verification plugin (none is installed)", name)),
            None => Ok(()),
        }
    }

    fn check_critical(&self, scheme: Scheme) -> Result<(), Rejection> {
        let mut required = BTreeSet::from([SIGNING_SCHEME]);
        if self.names.contains(EXPIRY) {
            required.insert(EXPIRY);
        }
        if scheme == Scheme::SigningAuthority {
            required.insert(AUTHENTIC_SIGNING_TIME);
        }
        for name in &self.critical {
            if !self.names.contains(name) {
                return Err(malformed(&format!("crit names {name}, which is not there")));
            }
            // What is understood is exactly what is required, so each is struck off once.
            if !required.remove(name.as_str()) {
                return Err(unsupported("critical attribute", name));
            }
        }
        match required.first() {
            Some(name) => Err(malformed(&format!("{name} is not marked critical"))),
            None => Ok(()),
        }
    }
}

/// The protected header breaks a rule.
pub(super) fn malformed(why: &str) -> Rejection {
    Rejection::Malformed { what: "protected header", why: why.into() }
}

fn missing(name: &str) -> Rejection {
    malformed(&format!("{name} is missing"))
}

fn unsupported(what: &'static str, found: &str) -> Rejection {
    Rejection::Unsupported { what, found: found.into() }
}
