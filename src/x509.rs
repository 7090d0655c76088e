//! Certificates, names, public keys, chains, revocation. Parses and checks; reads no file, knows no clock and
//! trusts nothing by itself: anchors are always given.

use std::time::{Duration, SystemTime};

pub mod algorithm;
pub mod certificate;
pub mod chain;
pub mod crl;
mod der;
pub mod ecdsa;
pub mod key;
pub mod name;
pub mod ocsp;
mod pem;
pub mod request;
pub mod revocation;
pub mod sct;
mod signed;
pub mod timestamp;

#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, Encoding, Hash};
pub use certificate::{AlternativeName, BasicConstraints, Certificate, ExtendedKeyUsage, KeyUsage};
pub use crl::Crl;
pub use key::{BadSignature, KeyKind, PublicKey};
pub use name::{Attribute, Name};
pub use pem::write as to_pem;

use crate::setting::time::show as shown;

/// Why bytes are not a certificate or key that can be judged, or a certificate did not issue another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not DER or PEM of what was expected.
    #[error("not a {what}: {why}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Well-formed, of a kind that is not verified.
    #[error("unsupported {what}: {found}")]
    Unsupported {
        /// Which part.
        what: &'static str,
        /// What stands there: an object identifier, a size.
        found: String,
    },
    /// More than is read.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// The issuer's name is not the name that the certificate gives for its issuer.
    #[error("its issuer is {named}, not {found}")]
    WrongIssuer {
        /// Whom the certificate names.
        named: String,
        /// Whose certificate was tried.
        found: String,
    },
    /// The issuer may not sign such a thing.
    #[error("{issuer} may not sign it: {why}")]
    Forbidden {
        /// Whose certificate was tried.
        issuer: String,
        /// What it lacks.
        why: String,
    },
    /// An OCSP responder gives no answer.
    #[error("expected an OCSP answer, found the responder's error {status}")]
    NoAnswer {
        /// The standard's name of the error.
        status: String,
    },
    /// It was made after the moment at which it is used.
    #[error("it is from the future: made at {}, and it is {}", shown(*.made_at), shown(*.now))]
    FromTheFuture {
        /// When it says that it was made.
        made_at: SystemTime,
        /// When it was to be used.
        now: SystemTime,
    },
    /// It says nothing about this certificate.
    #[error("it is not about {subject}: {why}")]
    NotAbout {
        /// The certificate's subject.
        subject: String,
        /// About what it is.
        why: String,
    },
    /// The issuer's key did not sign the certificate.
    #[error("its signature was not made by the key of {issuer}")]
    BadSignature {
        /// Whose key was tried.
        issuer: String,
    },
}

/// How far clocks may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// A list or an answer that is made later than now is a mistake of some clock, or a trick.
///
/// # Errors
/// [`Error::FromTheFuture`].
pub fn not_from_the_future(made_at: SystemTime, now: SystemTime) -> Result<(), Error> {
    if made_at.duration_since(now).is_ok_and(|ahead| ahead > CLOCK_SKEW) {
        return Err(Error::FromTheFuture { made_at, now });
    }
    Ok(())
}

impl Error {
    fn malformed(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }
}
