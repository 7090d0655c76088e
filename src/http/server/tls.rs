//! TLS of a listener: the certificate, read again when its files change, and client certificates.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::access::Principal;
use crate::telemetry::Untrusted;

/// The files of `listen.tls`, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsFiles {
    /// The server's certificate and those that lead to its authority.
    pub(super) certificate: PathBuf,
    /// Its private key.
    pub(super) key: PathBuf,
    /// Authorities of client certificates; with them, a client without one gets no connection.
    pub(super) client_ca: Option<PathBuf>,
}

/// Files that do not make a TLS configuration.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub struct TlsError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// The TLS configuration of new connections.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    /// What the files held when they were last looked at, good or bad.
    seen: Mutex<[u8; 32]>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let texts = Texts::read(&files)?;
        let config = texts.config(&files)?;
        Ok(Self { files, config: ArcSwap::from_pointee(config), seen: Mutex::new(texts.hash()) })
    }

    /// Reads the files again and tells whether they are others now. Connections that are open keep
    /// what they have. The configuration is replaced as a whole, so that no session from before is
    /// resumed with the old certificate.
    ///
    /// # Errors
    /// [`TlsError`]; the configuration then stays what it was. The same fault is told once.
    pub(super) fn reload(&self) -> Result<bool, TlsError> {
        let texts = Texts::read(&self.files)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == texts.hash() {
            return Ok(false);
        }
        *seen = texts.hash();
        self.config.store(Arc::new(texts.config(&self.files)?));
        Ok(true)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

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

/// What the files hold.
struct Texts {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Texts {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|e| fault(path, e));
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_ref().map(read).transpose()?,
        })
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for text in [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten()
        {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }

    fn config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| fault(&files.certificate, e))?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(text), Some(path)) => {
                let roots = Arc::new(roots(text, path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|e| fault(path, e))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|e| fault(&files.key, e))?;
        let mut config = builder
            .with_single_cert(certificates(&self.certificate, &files.certificate)?, key)
            .map_err(|e| fault(&files.certificate, e))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // What a client needs to come back quickly is kept by the client, however many there are. Its
        // keys go with this configuration.
        config.ticketer = Ticketer::new().map_err(|e| fault(&files.certificate, e))?;
        Ok(config)
    }
}

fn certificates(text: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = certificates.map_err(|e| fault(path, e))?;
    if certificates.is_empty() {
        return Err(fault(path, "there is no certificate in this file"));
    }
    Ok(certificates)
}

fn roots(text: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(text, path)? {
        roots.add(certificate).map_err(|e| fault(path, e))?;
    }
    Ok(roots)
}

fn fault(path: &Path, why: impl ToString) -> TlsError {
    TlsError { path: path.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests;
