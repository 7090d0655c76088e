//! A trusted root in parts: PEM files of certificates and keys, as cosign's `SIGSTORE_ROOT_FILE`,
//! `SIGSTORE_REKOR_PUBLIC_KEY`, `SIGSTORE_CT_LOG_PUBLIC_KEY_FILE` and `--timestamp-certificate-chain` name them.

use super::{Authority, Error, Inner, Log, Window};
use crate::x509::{Certificate, PublicKey};

/// What a trusted root is made of. Nothing in it has a window: it counts while it is configured.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// Fulcio's certificates, roots and intermediates.
    pub fulcio: Vec<Certificate>,
    /// Keys of transparency logs.
    pub rekor: Vec<PublicKey>,
    /// Keys of certificate-transparency logs.
    pub ct_logs: Vec<PublicKey>,
    /// Timestamp authorities' certificates, roots and what is below them.
    pub timestamps: Vec<Certificate>,
}

impl Parts {
    pub(super) fn join(self) -> Result<Inner, Error> {
        let mut material = Vec::new();
        let certificates =
            [&self.fulcio, &self.timestamps].map(|all| all.iter().map(Certificate::der).collect());
        let keys = [&self.rekor, &self.ct_logs].map(|all| all.iter().map(PublicKey::spki).collect());
        for part in certificates.into_iter().chain(keys) {
            let part: Vec<&[u8]> = part;
            // How many there are tells where the next part begins: what vouches for something else is other trust.
            material.extend_from_slice(&part.len().to_be_bytes());
            material.extend(part.concat());
        }
        Ok(Inner {
            authorities: authorities(self.fulcio)?,
            timestamp_authorities: authorities(self.timestamps)?,
            ct_logs: self.ct_logs.into_iter().map(log).collect(),
            logs: self.rekor.into_iter().map(log).collect(),
            material,
        })
    }
}

/// Each root is an authority, with all that is no root beside it.
fn authorities(all: Vec<Certificate>) -> Result<Vec<Authority>, Error> {
    let (roots, others): (Vec<_>, Vec<_>) = all.into_iter().partition(Certificate::is_self_signed);
    if roots.is_empty() && !others.is_empty() {
        return Err(Error("there is no root (no self-signed certificate) among the certificates".to_owned()));
    }
    let authority = |root: Certificate| {
        let name = root.subject().to_string();
        let certificates = others.iter().cloned().chain([root]).collect();
        Authority { certificates, name, window: Window::default() }
    };
    Ok(roots.into_iter().map(authority).collect())
}

/// Logs are named by their key's SHA-256 (RFC 6962, section 3.2; Rekor v1 alike).
fn log(key: PublicKey) -> Log {
    let id = key.fingerprint().to_vec();
    Log { checkpoint_id: id.clone(), id, url: String::new(), key, window: Window::default() }
}
