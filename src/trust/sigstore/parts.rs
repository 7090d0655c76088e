//! A trusted root in parts: PEM files of certificates and keys, as cosign's `SIGSTORE_ROOT_FILE`,
//! `SIGSTORE_REKOR_PUBLIC_KEY`, `SIGSTORE_CT_LOG_PUBLIC_KEY_FILE` and `--timestamp-certificate-chain` name them.

use super::{Authority, Error, Inner, Log, Window};
use crate::x509::{Certificate, PublicKey};

/// What a trusted root is made of. Nothing in it has a window: it counts while it is configured.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// Fulcio's chains: in each a root and its intermediates.
    pub fulcio: Vec<Vec<Certificate>>,
    /// Keys of transparency logs.
    pub rekor: Vec<PublicKey>,
    /// Keys of certificate-transparency logs.
    pub ct_logs: Vec<PublicKey>,
    /// Timestamp authorities' chains: in each a root and what is below it.
    pub timestamps: Vec<Vec<Certificate>>,
}

impl Parts {
    pub(super) fn join(self) -> Result<Inner, Error> {
        let mut material = Vec::new();
        // How many there are tells where the next part begins: what vouches for something else is other trust.
        let mut part = |part: Vec<&[u8]>| {
            material.extend_from_slice(&part.len().to_be_bytes());
            material.extend(part.concat());
        };
        for chains in [&self.fulcio, &self.timestamps] {
            part(vec![&[]; chains.len()]);
            chains.iter().for_each(|chain| part(chain.iter().map(Certificate::der).collect()));
        }
        for keys in [&self.rekor, &self.ct_logs] {
            part(keys.iter().map(PublicKey::spki).collect());
        }
        Ok(Inner {
            authorities: authorities("fulcio", self.fulcio)?,
            timestamp_authorities: authorities("timestamps", self.timestamps)?,
            ct_logs: self.ct_logs.into_iter().map(log).collect(),
            logs: self.rekor.into_iter().map(log).collect(),
            material,
        })
    }
}

/// Each root is an authority, with what is no root in its own chain: what is below another's root is not its own.
fn authorities(name: &str, chains: Vec<Vec<Certificate>>) -> Result<Vec<Authority>, Error> {
    let mut all = Vec::new();
    for (i, chain) in chains.into_iter().enumerate() {
        let (roots, others): (Vec<_>, Vec<_>) = chain.into_iter().partition(Certificate::is_self_signed);
        if roots.is_empty() {
            let why = "there is no root (no self-signed certificate) in it: a file holds the whole chain";
            return Err(Error(format!("{name}[{i}]: {why}")));
        }
        all.extend(roots.into_iter().map(|root| {
            let name = root.subject().to_string();
            let certificates = others.iter().cloned().chain([root]).collect();
            Authority { certificates, name, window: Window::default() }
        }));
    }
    Ok(all)
}

/// Logs are named by their key's SHA-256 (RFC 6962, section 3.2; Rekor v1 alike).
fn log(key: PublicKey) -> Log {
    let id = key.fingerprint().to_vec();
    Log { checkpoint_id: id.clone(), id, url: String::new(), key, window: Window::default() }
}
