//! Certificates, names, public keys, chains. Parses and checks; reads no file, knows no clock and
//! trusts nothing by itself: anchors are always given.

pub mod algorithm;
pub mod certificate;
pub mod chain;
pub mod key;
pub mod name;
pub mod timestamp;

#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, Encoding, Hash};
pub use certificate::{BasicConstraints, Certificate, ExtendedKeyUsage, KeyUsage};
pub use key::{BadSignature, KeyKind, PublicKey};
pub use name::{Attribute, Name};

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
    /// The issuer's key did not sign the certificate.
    #[error("its signature was not made by the key of {issuer}")]
    BadSignature {
        /// Whose key was tried.
        issuer: String,
    },
}

impl Error {
    fn malformed(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }
}
