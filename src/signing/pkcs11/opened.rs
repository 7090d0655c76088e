//! A key at hand: the session in which it signs, and what opens that anew when the token lets go of it. All of it waits
//! for foreign code.

use cryptoki::error::{Error as Failure, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::found::{Found, Login};
use super::{Error, Uri, mechanism};
use crate::x509::{Algorithm, PublicKey};

/// A key in its session.
pub(super) struct Opened {
    /// None after one that the token let go of, while no other could be had.
    pub(super) at: Option<(Session, ObjectHandle)>,
    pub(super) public: PublicKey,
    /// It wants to know who asks with each signature (`CKA_ALWAYS_AUTHENTICATE`).
    pub(super) asks_always: bool,
    pub(super) login: Login,
    /// Forgotten once the token refuses it: few wrong ones lock a token.
    pub(super) pin: Option<Zeroizing<String>>,
}

impl Opened {
    /// Signs. Where the token let go of the session meanwhile, since it was taken out or its machine restarted, the key is
    /// opened anew, once.
    pub(super) fn sign(&mut self, uri: &Uri, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signed = self.signed(algorithm, message);
        if signed.as_ref().is_err_and(is_gone) {
            self.open_anew(uri)?;
            signed = self.signed(algorithm, message);
        }
        signed.map_err(|error| refined(error, algorithm))
    }

    fn signed(&mut self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        let unknown = Error::Mechanism(algorithm);
        let (session, key) = self.at.as_ref().ok_or(Error::Gone)?;
        if !self.asks_always {
            let (by, content) = mechanism::of(algorithm, message).ok_or(unknown)?;
            return Ok(session.sign(&by, *key, &content)?);
        }
        // Only in several calls is there a place between the first and the signature, and those take no digest.
        let by = mechanism::hashing(algorithm).ok_or(unknown)?;
        self.check_pin()?;
        session.sign_init(&by, *key)?;
        match login(session, UserType::ContextSpecific, self.pin.as_ref()) {
            Ok(()) => {
                session.sign_update(message)?;
                Ok(session.sign_final()?)
            }
            Err(error) => Err(self.forgetting(error)),
        }
    }

    fn open_anew(&mut self, uri: &Uri) -> Result<(), Error> {
        self.check_pin()?;
        // Closed before: the new session may have its number.
        self.at = None;
        let opened = Found::of(uri).and_then(|found| found.open(uri, self.pin.clone()));
        let opened = opened.map_err(|error| self.forgetting(error))?;
        if opened.public != self.public {
            return Err(Error::Changed);
        }
        *self = opened;
        Ok(())
    }

    fn check_pin(&self) -> Result<(), Error> {
        match (self.login, &self.pin) {
            (Login::Pin, None) => {
                Err(Error::Pin("it was refused before and is not tried again: reload with the right one"))
            }
            _ => Ok(()),
        }
    }

    fn forgetting(&mut self, error: Error) -> Error {
        if matches!(error, Error::Pin(_)) {
            self.pin = None;
        }
        error
    }
}

/// Logs in.
///
/// # Errors
/// [`Error::Pin`], where the PIN is why not.
pub(super) fn login(session: &Session, user: UserType, pin: Option<&Zeroizing<String>>) -> Result<(), Error> {
    let pin = pin.map(|pin| AuthPin::new(pin.as_str().into()));
    match session.login(user, pin.as_ref()) {
        Ok(()) => Ok(()),
        Err(Failure::Pkcs11(why, function)) => match why {
            // Another key of the same token is in use here.
            RvError::UserAlreadyLoggedIn => Ok(()),
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
                Err(Error::Pin("it is another one; most tokens lock after a few wrong ones"))
            }
            RvError::PinLocked => Err(Error::Pin("it is locked, and its security officer has to reset it")),
            RvError::PinExpired => Err(Error::Pin("it has expired")),
            RvError::UserPinNotInitialized => Err(Error::Pin("the token has none yet")),
            why => Err(Error::Failed(Failure::Pkcs11(why, function))),
        },
        Err(failure) => Err(Error::Failed(failure)),
    }
}

/// Whether what was opened is there no more (PKCS #11 v2.40, section 5.1), so that opening it anew may help.
fn is_gone(error: &Error) -> bool {
    let Error::Failed(Failure::Pkcs11(why, _)) = error else { return matches!(error, Error::Gone) };
    matches!(
        why,
        RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::UserNotLoggedIn
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            // The signature before ended where the PIN was to be entered.
            | RvError::OperationActive
            | RvError::DeviceRemoved
            | RvError::DeviceError
            | RvError::TokenNotPresent
    )
}

/// What a token's refusal to sign means.
fn refined(error: Error, algorithm: Algorithm) -> Error {
    let Error::Failed(Failure::Pkcs11(why, _)) = &error else { return error };
    match why {
        RvError::MechanismInvalid | RvError::MechanismParamInvalid => Error::Mechanism(algorithm),
        RvError::KeyFunctionNotPermitted => Error::Use("it is not one that signs"),
        RvError::UserNotLoggedIn => Error::Pin("the token asks for it again"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;

    #[test]
    fn a_refusal_says_what_the_token_lacks() {
        let of = |rv| Error::Failed(Failure::Pkcs11(rv, Function::SignInit));
        let refined = |rv| refined(of(rv), Algorithm::Ed25519).to_string();
        assert!(refined(RvError::MechanismInvalid).contains("does not sign by Ed25519"));
        assert!(refined(RvError::KeyFunctionNotPermitted).contains("not one that signs"));
        assert!(refined(RvError::DeviceRemoved).contains("failed"));
        assert!(is_gone(&of(RvError::DeviceRemoved)) && is_gone(&of(RvError::SessionHandleInvalid)));
        assert!(!is_gone(&of(RvError::MechanismInvalid)) && !is_gone(&Error::Pin("")));
    }
}
