//! Who calls. Every caller that the listener lets in may pull what the policies admit; with
//! `listen.tls.client_ca` the listener lets in only holders of a certificate of that CA.

use std::fmt;

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
}
