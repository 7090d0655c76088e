//! `kind: TrustRoot`: certificates and keys of a sigstore of one's own, written out in the file
//! (`sigstoreKeys`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::object::Object;
use crate::setting::SettingError;
use crate::signature::cosign::{Pem, Roots};

const SPEC: [&str; 3] = ["sigstoreKeys", "remote", "repository"];
const KEYS: [&str; 4] = ["certificateAuthorities", "tLogs", "ctLogs", "timestampAuthorities"];
const AUTHORITY: [&str; 3] = ["subject", "uri", "certChain"];
const LOG: [&str; 3] = ["baseURL", "hashAlgorithm", "publicKey"];
const NOT_FETCHED: &str = "is a TUF repository, which is not read from here: write the certificates and keys that it \
    holds under `sigstoreKeys`";

/// What a root vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrustRoot {
    pub(super) name: String,
    /// The addresses of its transparency logs.
    pub(super) log_addresses: Vec<String>,
    pub(super) keys: Roots,
}

impl TrustRoot {
    /// Reads the `spec`.
    ///
    /// # Errors
    /// What is not understood, or material that is not written out.
    pub(super) fn read(name: &str, spec: &Value) -> Result<Self, SettingError> {
        let spec = Object::of(spec, &SPEC)?;
        spec.refuse("remote", NOT_FETCHED)?;
        spec.refuse("repository", NOT_FETCHED)?;
        let Some(keys) = spec.object("sigstoreKeys", &KEYS)? else {
            return Err(SettingError::new(
                ["sigstoreKeys"],
                "is missing: a TrustRoot is read from nothing else",
            ));
        };
        let within = |e: SettingError| e.under("sigstoreKeys");
        let chains = |field| keys.each(field, |_, value| authority(value)).map_err(within);
        let logs = |field| keys.each(field, |_, value| log(value)).map_err(within);
        let (log_addresses, rekor) = logs("tLogs")?.into_iter().unzip();
        let roots = Roots {
            fulcio: chains("certificateAuthorities")?,
            rekor,
            ct_logs: logs("ctLogs")?.into_iter().map(|(_, key)| key).collect(),
            timestamps: chains("timestampAuthorities")?,
        };
        if roots.fulcio.is_empty() && roots.timestamps.is_empty() {
            let message = "names neither certificateAuthorities nor timestampAuthorities";
            return Err(within(SettingError::here(message)));
        }
        Ok(Self { name: name.to_owned(), log_addresses, keys: roots })
    }
}

fn authority(value: &Value) -> Result<Pem, SettingError> {
    let authority = Object::of(value, &AUTHORITY)?;
    authority.object("subject", &["organization", "commonName"])?;
    authority.text("uri")?;
    pem(&authority, "certChain")
}

fn log(value: &Value) -> Result<(String, Pem), SettingError> {
    let log = Object::of(value, &LOG)?;
    match log.needed_text("hashAlgorithm")? {
        "sha256" | "sha-256" => {}
        other => {
            let message = format!("expected sha-256, the hash of every log of sigstore, found {other:?}");
            return Err(SettingError::new(["hashAlgorithm"], message));
        }
    }
    Ok((log.needed_text("baseURL")?.to_owned(), pem(&log, "publicKey")?))
}

/// Kubernetes writes bytes in base64; lines may be broken.
fn pem(object: &Object<'_>, field: &str) -> Result<Pem, SettingError> {
    let fault = |why: &str| SettingError::new([field], format!("expected PEM in base64, {why}"));
    let text: String = object.needed_text(field)?.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(text).map_err(|e| fault(&format!("and it is no base64: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|_| fault("and it is no text"))?;
    inline(&text).ok_or_else(|| fault("and no -----BEGIN is in it"))
}

/// PEM text: a path, which settings take as well, is none.
pub(super) fn inline(text: &str) -> Option<Pem> {
    let pem = Pem(text.to_owned());
    pem.path().is_none().then_some(pem)
}
