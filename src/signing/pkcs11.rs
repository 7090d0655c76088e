//! Keys in tokens that speak PKCS #11 (v2.40 and later): smart cards, hardware modules, software in their place.
//!
//! A module is foreign code in this process: it may hang, and is then waited for no longer than a bound; it may
//! crash, and the process with it. It is loaded once, stays, and is asked by one call at a time, but for signatures.

mod found;
mod inside;
mod library;
mod login;
mod mechanism;
mod opened;
mod public;
mod uri;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cryptoki::error::{Error as Failure, RvError};

pub use uri::{Module, Uri};

use self::found::Found;
use self::inside::Turns;
use self::library::{Library, Within};
use self::login::Login;
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
    /// The PIN is another one.
    #[error("the PIN is not accepted: it is another one; most tokens lock after a few wrong ones")]
    WrongPin,
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

impl Error {
    /// Whether nobody answered, so that nothing is known of the key.
    pub(super) fn is_unanswered(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Gone | Self::Tokens { found: 0, .. } => true,
            Self::Failed(Failure::Pkcs11(why, _)) => {
                matches!(why, RvError::DeviceError | RvError::DeviceRemoved | RvError::TokenNotPresent)
            }
            _ => false,
        }
    }
}

/// A key in a token.
pub struct Token {
    uri: Uri,
    library: Arc<Library>,
    /// Touched within calls of the library alone.
    opened: Arc<RwLock<Opened>>,
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
        let library = Library::at(uri.module()?);
        let named = uri.clone();
        let found = wait(library.call(Within::of(OPENING), move |inside| Found::of(inside, &named)))?;
        let pin = match found.login {
            Login::Pin => Some(match uri.pin()? {
                Some(pin) => pin,
                None => password()?,
            }),
            // A key may ask for it where the token does not.
            Login::None => uri.pin()?,
            Login::Pad => None,
        };
        let named = uri.clone();
        let opened = wait(library.call(Within::of(OPENING), move |inside| found.open(inside, &named, pin)))?;
        Ok(Self { uri, library, public: opened.public.clone(), opened: Arc::new(RwLock::new(opened)) })
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
        let (within, message) = (Within::of(SIGNING), Arc::<[u8]>::from(message));
        if let Some(turns) = self.turns() {
            let (opened, message) = (Arc::clone(&self.opened), Arc::clone(&message));
            let beside = move |inside: &_| {
                let opened = opened.read().unwrap_or_else(PoisonError::into_inner);
                opened.sign_beside(inside, algorithm, &message)
            };
            if let Some(signature) = self.library.share(within, &turns, beside).await? {
                return Ok(signature);
            }
        }
        let (opened, uri) = (Arc::clone(&self.opened), self.uri.clone());
        let alone = move |inside: &mut _| {
            let mut opened = opened.write().unwrap_or_else(PoisonError::into_inner);
            opened.sign(inside, &uri, algorithm, &message)
        };
        self.library.call(within, alone).await
    }

    /// Nothing where the key signs alone, or is being opened anew.
    fn turns(&self) -> Option<Turns> {
        self.opened.try_read().ok()?.turns().cloned()
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
    let (library, pin) = (Library::at(uri.module()?), uri.pin()?);
    let find = move |inside: &mut _| Found::of(inside, &uri)?.public(inside, &uri, pin);
    Ok(wait(library.call(Within::of(OPENING), find))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_silence() {
        let of = |rv| Error::Failed(Failure::Pkcs11(rv, cryptoki::context::Function::Login));
        let absent = Error::Tokens { found: 0, all: 1, hint: String::new() };
        for silence in
            [Error::TimedOut(OPENING), absent, of(RvError::DeviceError), of(RvError::DeviceRemoved)]
        {
            assert!(silence.is_unanswered(), "{silence}");
        }
        let several = Error::Tokens { found: 2, all: 2, hint: String::new() };
        for refusal in [Error::WrongPin, Error::Pin(""), Error::Keys(0), several, of(RvError::PinExpired)] {
            assert!(!refusal.is_unanswered(), "{refusal}");
        }
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
