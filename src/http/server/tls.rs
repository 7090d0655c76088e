//! Whom a client's certificate names.

use sha2::{Digest as _, Sha256};
use tokio_rustls::server::TlsStream;

use crate::access::Principal;
use crate::telemetry::Untrusted;

/// Whom the client's certificate names; it was proven in the handshake.
pub(super) fn principal<S>(stream: &TlsStream<S>) -> Principal {
    let (_, session) = stream.get_ref();
    match session.peer_certificates().and_then(<[_]>::first) {
        Some(certificate) => named_by(certificate),
        None => Principal::Anonymous,
    }
}

fn named_by(certificate: &[u8]) -> Principal {
    let parsed = x509_parser::parse_x509_certificate(certificate);
    Principal::Certificate {
        subject: Untrusted::new(parsed.map_or_else(|_| String::new(), |(_, c)| c.subject().to_string())),
        fingerprint: Sha256::digest(certificate).into(),
    }
}
