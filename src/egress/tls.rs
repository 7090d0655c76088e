//! TLS with the system's authorities or those of one file.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::client::Authorities;

/// A file of authorities holds at most so many.
const MAX_AUTHORITIES: usize = 1000;

/// Whose certificates count where.
pub(super) struct Trusted {
    /// For the client's own host.
    pub(super) own: Arc<RootCertStore>,
    /// For the hosts that it sends us to.
    pub(super) other: Arc<RootCertStore>,
    /// For the operator's proxy.
    pub(super) system: Arc<RootCertStore>,
}

impl Trusted {
    /// # Errors
    /// What is wrong with the PEM.
    pub(super) fn new(authorities: &Authorities) -> Result<Self, String> {
        let system = system_roots();
        let (given, alone) = match authorities {
            Authorities::System => {
                return Ok(Self { own: system.clone(), other: system.clone(), system });
            }
            Authorities::Only(pem) => (roots(pem)?, true),
            Authorities::Also(pem) => (roots(pem)?, false),
        };
        let mut both = given.clone();
        both.extend(system.roots.iter().cloned());
        let other = Arc::new(both);
        Ok(Self { own: if alone { Arc::new(given) } else { other.clone() }, other, system })
    }
}

/// The authorities that the system trusts, read once a process.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a part of the system's certificate authorities cannot be read");
            }
            let mut roots = RootCertStore::empty();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                tracing::warn!("the system has no certificate authorities: give upstreams a ca");
            }
            Arc::new(roots)
        })
        .clone()
}

/// The authorities in a PEM file.
///
/// # Errors
/// What is wrong with the file.
fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem).take(MAX_AUTHORITIES) {
        let certificate = certificate.map_err(|e| format!("is not PEM: {e}"))?;
        roots.add(certificate).map_err(|e| format!("holds a certificate that cannot be used: {e}"))?;
    }
    if roots.is_empty() { Err("holds no certificate in PEM form".to_owned()) } else { Ok(roots) }
}

/// A client's configuration that speaks these protocols (ALPN names).
///
/// # Errors
/// When the cryptographic library supports no version of TLS.
pub(super) fn config(roots: Arc<RootCertStore>, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    Ok(Arc::new(config))
}
