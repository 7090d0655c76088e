//! Who calls, and what they may pull. Every caller that the listener lets in may pull what the
//! policies admit; with `listen.tls.client_ca` the listener lets in only holders of a certificate of
//! that CA. Certificates are proven by TLS, not here.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::oci::Repository;
use crate::telemetry::Untrusted;

/// Who caused a request, as audit lines name them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A client that did not say who it is.
    Anonymous,
    /// A client with a certificate of `listen.tls.client_ca`.
    Certificate {
        /// The certificate's subject.
        subject: Untrusted,
        /// SHA-256 over the certificate's DER.
        fingerprint: [u8; 32],
    },
    /// The process itself: `verify`, renewals.
    Process,
}

impl Principal {
    /// The holder of a certificate that TLS has proven, in DER; `None` where it does not parse.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let subject = Untrusted::new(certificate.subject().to_string());
        rest.is_empty().then(|| Self::Certificate { subject, fingerprint: Sha256::digest(der).into() })
    }
}

/// What callers may pull.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    certificate_needed: bool,
}

/// Why a caller may not pull something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("clients of this proxy show a certificate (listen.tls.client_ca)")]
pub struct NotAllowed;

impl Access {
    /// `certificate_needed` is whether `listen.tls.client_ca` is set.
    pub fn new(certificate_needed: bool) -> Self {
        Self { certificate_needed }
    }

    /// Whether the caller may pull from the repository what its policy admits: all repositories,
    /// for whoever is known where callers must be. TLS refuses the others before; should it ever
    /// let one through, it ends here.
    ///
    /// # Errors
    /// [`NotAllowed`] says what is missing.
    pub fn authorize(&self, who: &Principal, _repository: &Repository) -> Result<(), NotAllowed> {
        match who {
            Principal::Anonymous if self.certificate_needed => Err(NotAllowed),
            Principal::Anonymous | Principal::Certificate { .. } | Principal::Process => Ok(()),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Certificate { subject, fingerprint } => {
                write!(f, "certificate {subject} (SHA-256 {})", hex::encode(fingerprint))
            }
            Self::Process => f.write_str("portcullis"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_cannot_pass_for_somebody_else_in_the_log() {
        let named = |subject: &str| Principal::Certificate { subject: subject.into(), fingerprint: [7; 32] };
        let shown = named("CN=anonymous\n{\"decision\":\"forged\"}").to_string();
        assert!(!shown.contains('\n'));
        assert!(shown.ends_with(&format!("(SHA-256 {})", "07".repeat(32))));
        assert_ne!(named("anonymous").to_string(), Principal::Anonymous.to_string());
    }

    #[test]
    fn a_certificate_names_its_holder() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "ci");
        let der = parameters.self_signed(&key).unwrap().der().to_vec();
        let fingerprint = Sha256::digest(&der).into();
        let holder = Principal::Certificate { subject: "CN=ci".into(), fingerprint };
        assert_eq!(Principal::of_certificate(&der), Some(holder));
        assert_eq!(Principal::of_certificate(&der[1..]), None);
        assert_eq!(Principal::of_certificate(&[&der[..], b"x"].concat()), None);
    }

    #[test]
    fn where_callers_must_be_known_the_unknown_pull_nothing() {
        let repository = Repository::parse("docker.io/library/app").unwrap();
        let known = Principal::Certificate { subject: "CN=ci".into(), fingerprint: [7; 32] };
        for who in [Principal::Anonymous, known.clone(), Principal::Process] {
            assert_eq!(Access::new(false).authorize(&who, &repository), Ok(()));
        }
        assert_eq!(Access::new(true).authorize(&Principal::Anonymous, &repository), Err(NotAllowed));
        assert_eq!(Access::new(true).authorize(&known, &repository), Ok(()));
    }
}
