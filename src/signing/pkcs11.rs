//! Keys in tokens that speak PKCS #11 (v2.40 and later): smart cards, hardware modules, software in their place.
//!
//! A module is foreign code in this process: it may hang, and is then waited for no longer than a bound; it may
//! crash, and the process with it. It is loaded once and stays.

mod found;
mod mechanism;
mod opened;
mod public;
mod uri;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cryptoki::error::Error as Failure;
use tokio::sync::{Mutex, oneshot};

pub use uri::{Module, Uri};

use self::found::{Found, Login};
use self::opened::Opened;
use super::signing_key::wait;
use super::{AskPassword, KeyError};
use crate::x509::{self, Algorithm, PublicKey};

/// For finding a key, and for entering a PIN at the token's own keys.
const OPENING: Duration = Duration::from_secs(60);

/// For one signature; those that wait before it included.
const SIGNING: Duration = Duration::from_secs(30);

/// Why a token's key does not sign.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is none. What stands there is not shown: it could be a PIN.
    #[error("expected a PKCS #11 URI (RFC 7512), found {0}")]
    Uri(String),
    /// The module is no module, or does not start.
    #[error("{} does not serve as a PKCS #11 module: {source}", path.display())]
    Module {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: Failure,
    },
    /// No token, or several.
    #[error("expected one token that the URI names, found {found} of {all}: {hint}")]
    Tokens {
        /// How many it names.
        found: usize,
        /// How many there are.
        all: usize,
        /// What to write.
        hint: String,
    },
    /// No key, or several.
    #[error(
        "expected one private key that the URI names, found {0}: name it by object= or id= (and see the PIN)"
    )]
    Keys(usize),
    /// The key may be used for other things alone.
    #[error("the key cannot be used: {0}")]
    Use(&'static str),
    /// The PIN is not accepted.
    #[error("the PIN is not accepted: {0}")]
    Pin(&'static str),
    /// Nothing shows the public half.
    #[error(
        "the token shows no public half of the key: store its public key or certificate beside it, with the same id"
    )]
    Hidden,
    /// A public half of no kind that is verified.
    #[error(transparent)]
    Public(#[from] x509::Error),
    /// The session is no more.
    #[error("the token let go of the session")]
    Gone,
    /// The name leads to another key than before.
    #[error(
        "the token has another key of that name than before: was it replaced? A reload takes the new one"
    )]
    Changed,
    /// The token does not know how.
    #[error("the token does not sign by {}", .0.as_str())]
    Mechanism(Algorithm),
    /// It hangs.
    #[error("the token has not answered within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// Anything else.
    #[error("the token failed: {0}")]
    Failed(#[from] Failure),
    /// A thread could not be had, or ended early.
    #[error("the token could not be asked: {0}")]
    Unasked(#[from] std::io::Error),
}

/// A key in a token.
pub struct Token {
    uri: Uri,
    /// One call at a time, and none after one that hangs.
    opened: Arc<Mutex<Opened>>,
    public: PublicKey,
}

impl Token {
    /// Finds the key, and logs in where its token wants that: with the PIN in the file of `pin-source`, else one that is
    /// asked for.
    ///
    /// # Errors
    /// [`Error`]; no password.
    pub fn open(uri: &str, password: AskPassword<'_>) -> Result<Self, KeyError> {
        let uri = Uri::parse(uri)?;
        let named = uri.clone();
        let found = wait(apart(OPENING, move || Found::of(&named)))?;
        let pin = match found.login {
            Login::Pin => Some(match uri.pin()? {
                Some(pin) => pin,
                None => password()?,
            }),
            Login::Pad | Login::None => None,
        };
        let named = uri.clone();
        let opened = wait(apart(OPENING, move || found.open(&named, pin)))?;
        Ok(Self { uri, public: opened.public.clone(), opened: Arc::new(Mutex::new(opened)) })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message: elliptic curves with both integers at full length. A token that let go of the key, since it was
    /// taken out or its machine restarted, is logged into again, once.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        let (uri, message) = (self.uri.clone(), message.to_vec());
        let signed = async {
            let mut opened = Arc::clone(&self.opened).lock_owned().await;
            apart(SIGNING, move || opened.sign(&uri, algorithm, &message)).await
        };
        let late = |_| Error::TimedOut(SIGNING);
        tokio::time::timeout(SIGNING, signed).await.map_err(late)?
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({:?})", self.public)
    }
}

/// The public half of the key that the URI names, for those who verify: without a PIN where the token shows it to
/// everybody, else with the one in the file of `pin-source`.
///
/// # Errors
/// [`Error`].
pub fn public(uri: &str) -> Result<PublicKey, KeyError> {
    let uri = Uri::parse(uri)?;
    let pin = uri.pin()?;
    Ok(wait(apart(OPENING, move || Found::of(&uri)?.public(&uri, pin)))?)
}

/// Does `work` on a thread of its own, which is left behind when it does not end in time.
async fn apart<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (done, told) = oneshot::channel();
    let run = move || {
        let _ = done.send(work());
    };
    std::thread::Builder::new().name("pkcs11".to_owned()).spawn(run)?;
    match tokio::time::timeout(limit, told).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::Unasked(std::io::ErrorKind::BrokenPipe.into())),
        Err(_) => Err(Error::TimedOut(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_hangs_is_left_behind() {
        let (held, hangs) = std::sync::mpsc::channel::<()>();
        let limit = Duration::from_millis(20);
        let hanging = move || {
            let _ = hangs.recv();
            Ok(())
        };
        assert!(matches!(wait(apart(limit, hanging)), Err(Error::TimedOut(of)) if of == limit));
        drop(held);
        assert_eq!(wait(apart(OPENING, || Ok(7))).unwrap(), 7);
    }

    #[test]
    fn what_is_no_module_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("module.so");
        std::fs::write(&module, "not a library").unwrap();
        let uri = format!("pkcs11:token=t?module-path={}", module.display());
        for error in
            [Token::open(&uri, &|| panic!("nobody is asked")).unwrap_err(), public(&uri).unwrap_err()]
        {
            assert!(matches!(error, KeyError::Token(Error::Module { .. })), "{error}");
            assert!(error.to_string().contains("module.so"), "{error}");
        }
    }
}
