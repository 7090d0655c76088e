//! `listen.tls`: the files, and the TLS configuration of new connections that they make. It is read when an engine is
//! built, so that what cannot be used is no configuration, and by the listener again when the files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use crate::config;
use crate::setting::{SettingError, time};
use crate::telemetry::Metrics;

/// A certificate is renewed by now, unless it lives so short that this is more than a third of its life.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// The TLS configuration of new connections.
#[derive(Debug)]
pub struct ListenerTls {
    files: config::Tls,
    config: ArcSwap<ServerConfig>,
    /// What the files held when they were last looked at, good or bad; none where they could not be read.
    seen: Mutex<Option<[u8; 32]>>,
    metrics: Arc<Metrics>,
}

impl ListenerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// The key of the file that cannot be used, and what is wrong with it.
    pub fn load(files: config::Tls, metrics: &Arc<Metrics>) -> Result<Self, SettingError> {
        let texts = Texts::read(&files)?;
        let config = ArcSwap::from_pointee(texts.config(&files)?);
        let tls = Self { files, config, seen: Mutex::new(Some(texts.hash())), metrics: Arc::clone(metrics) };
        tls.show_end(&texts);
        Ok(tls)
    }

    /// Reads the files again and tells whether they are others now. Connections that are open keep
    /// what they have. The configuration is replaced as a whole, so that no session from before is
    /// resumed with the old certificate.
    ///
    /// # Errors
    /// As [`Self::load`]; the configuration then stays what it was. The same fault is told and counted once.
    pub fn reload(&self) -> Result<bool, SettingError> {
        let texts = Texts::read(&self.files);
        let found = texts.as_ref().ok().map(Texts::hash);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == found {
            return Ok(false);
        }
        *seen = found;
        let made = texts.and_then(|texts| Ok((texts.config(&self.files)?, texts)));
        let (config, texts) = made.inspect_err(|_| self.metrics.listener_certificate_failures.inc())?;
        self.config.store(Arc::new(config));
        self.show_end(&texts);
        Ok(true)
    }

    /// What new connections go by.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    fn show_end(&self, texts: &Texts) {
        let ends = texts.life().and_then(|(_, ends)| ends.duration_since(UNIX_EPOCH).ok());
        let seconds = ends.map_or(0, |ends| i64::try_from(ends.as_secs()).unwrap_or(i64::MAX));
        self.metrics.listener_certificate_expiry.set(seconds);
    }
}

/// Reads the files and forgets them: whether the listener could use them, and what is to be known of the certificate.
///
/// # Errors
/// As [`ListenerTls::load`].
pub(super) fn check(files: &config::Tls, now: SystemTime) -> Result<Option<String>, SettingError> {
    let texts = Texts::read(files)?;
    texts.config(files)?;
    let told = texts.life().and_then(|life| standing(life, now));
    Ok(told.map(|told| format!("listen.tls.certificate {}: {told}", files.certificate.display())))
}

/// What is wrong, or soon will be, with a certificate that is valid between these times.
fn standing((begins, ends): (SystemTime, SystemTime), now: SystemTime) -> Option<String> {
    let third = ends.duration_since(begins).unwrap_or_default() / 3;
    let end = time::show(ends);
    if now > ends {
        Some(format!("it ended at {end}, and clients refuse it: renew it"))
    } else if now < begins {
        Some(format!("clients refuse it until it begins, at {}", time::show(begins)))
    } else if ends.duration_since(now).is_ok_and(|left| left < SOON.min(third)) {
        Some(format!("it ends at {end}, and clients refuse it from then on: renew it"))
    } else {
        None
    }
}

/// What the files hold.
struct Texts {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Texts {
    fn read(files: &config::Tls) -> Result<Self, SettingError> {
        let read = |key, path: &PathBuf| std::fs::read(path).map_err(|e| fault(key, path, e));
        Ok(Self {
            certificate: read(CERTIFICATE, &files.certificate)?,
            key: read(KEY, &files.key)?,
            client_ca: files.client_ca.as_ref().map(|path| read(CLIENT_CA, path)).transpose()?,
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

    /// When the last of the certificates begins and the first ends: outside, clients refuse the chain.
    fn life(&self) -> Option<(SystemTime, SystemTime)> {
        let all = CertificateDer::pem_slice_iter(&self.certificate).filter_map(Result::ok);
        let lives = all.filter_map(|der| {
            let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
            let at = |seconds: i64| UNIX_EPOCH + Duration::from_secs(seconds.max(0).cast_unsigned());
            let validity = certificate.validity();
            Some((at(validity.not_before.timestamp()), at(validity.not_after.timestamp())))
        });
        lives.reduce(|one, other| (one.0.max(other.0), one.1.min(other.1)))
    }

    fn config(&self, files: &config::Tls) -> Result<ServerConfig, SettingError> {
        let of_certificate = |e: rustls::Error| fault(CERTIFICATE, &files.certificate, e);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(of_certificate)?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(text), Some(path)) => {
                let roots = Arc::new(roots(text, path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|e| fault(CLIENT_CA, path, e))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let chain = certificates(&self.certificate, CERTIFICATE, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| fault(KEY, &files.key, expected("an unencrypted private key", &self.key)))?;
        let mut config = builder.with_single_cert(chain, key).map_err(|e| match e {
            rustls::Error::InconsistentKeys(_) => {
                let why = format!("it is not the private key of {}", files.certificate.display());
                fault(KEY, &files.key, why)
            }
            other => of_certificate(other),
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // What a client needs to come back quickly is kept by the client, however many there are. Its
        // keys go with this configuration.
        config.ticketer = Ticketer::new().map_err(of_certificate)?;
        Ok(config)
    }
}

const CERTIFICATE: &str = "certificate";
const KEY: &str = "key";
const CLIENT_CA: &str = "client_ca";

fn certificates(
    text: &[u8],
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, SettingError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| fault(key, path, expected("certificates", text)))
}

fn roots(text: &[u8], path: &Path) -> Result<RootCertStore, SettingError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(text, CLIENT_CA, path)? {
        roots.add(certificate).map_err(|e| fault(CLIENT_CA, path, e))?;
    }
    Ok(roots)
}

/// What a file was to hold and what it holds, by the label of its first PEM block (RFC 7468).
fn expected(what: &str, text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let label = text.lines().find_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    let found = match label {
        Some(label) => format!("PEM of {label:?}"),
        None if text.trim().is_empty() => "an empty file".to_owned(),
        None => "no PEM".to_owned(),
    };
    format!("expected {what} in PEM, found {found}")
}

fn fault(key: &'static str, path: &Path, why: impl std::fmt::Display) -> SettingError {
    SettingError::new(["listen", "tls", key], format!("{}: {why}", path.display()))
}

#[cfg(test)]
pub(super) mod tests;
