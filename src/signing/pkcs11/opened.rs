//! A key at hand: the session in which it signs, and what opens that anew when the token lets go of it. All of it waits
//! for foreign code.

use cryptoki::error::{Error as Failure, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::UserType;

use super::found::Found;
use super::inside::{Inside, Place, Turns};
use super::{Error, Uri, mechanism};
use crate::signing::Password;
use crate::x509::{Algorithm, PublicKey};

/// A key in the sessions with its token.
pub(super) struct Opened {
    pub(super) at: Place,
    /// Its number in each, as long as they last.
    pub(super) keys: Vec<ObjectHandle>,
    pub(super) public: PublicKey,
    /// It wants to know who asks with each signature (`CKA_ALWAYS_AUTHENTICATE`).
    pub(super) asks_always: bool,
    pub(super) pin: Option<Password>,
}

impl Opened {
    /// Signs while others do, by who has a turn: `None` where that cannot be any more, since the token let go of a session.
    pub(super) fn sign_beside(
        &self,
        inside: &Inside,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        let (by, content) = mechanism::of(algorithm, message).ok_or(Error::Mechanism(algorithm))?;
        let signed = inside.in_one_of(&self.at, |at, session| {
            let key = self.keys.get(at).ok_or(Error::Gone)?;
            Ok(session.sign(&by, *key, &content)?)
        });
        match signed {
            Ok(signature) => Ok(Some(signature)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(refined(error, algorithm)),
        }
    }

    /// With whom it takes turns in signing beside others: nothing where it signs alone, since there is one session or the
    /// key wants to know who asks.
    pub(super) fn turns(&self) -> Option<&Turns> {
        // A PIN that is wrong by now would be tried by all of them at once.
        (self.keys.len() > 1 && !self.asks_always).then_some(&self.at.turns)
    }

    /// Signs alone. Where the token let go of the session meanwhile, since it was taken out or its machine restarted, the
    /// key is opened anew, once.
    pub(super) fn sign(
        &mut self,
        inside: &mut Inside,
        uri: &Uri,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mut signed = match self.turns().is_some() {
            // It would have signed beside others, had it not found one of its sessions gone.
            true => self.open_anew(inside, uri).and_then(|()| self.signed(inside, algorithm, message)),
            false => self.signed(inside, algorithm, message),
        };
        if signed.as_ref().is_err_and(is_gone) {
            inside.close(&self.at);
            self.open_anew(inside, uri)?;
            signed = self.signed(inside, algorithm, message);
        }
        signed.map_err(|error| refined(error, algorithm))
    }

    fn signed(&self, inside: &mut Inside, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        let unknown = Error::Mechanism(algorithm);
        let (session, key) = (inside.session(&self.at)?, *self.keys.first().ok_or(Error::Gone)?);
        if !self.asks_always {
            let (by, content) = mechanism::of(algorithm, message).ok_or(unknown)?;
            return Ok(session.sign(&by, key, &content)?);
        }
        // Only in several calls is there a place between the first and the signature, and those take no digest.
        session.sign_init(&mechanism::hashing(algorithm).ok_or(unknown)?, key)?;
        if let Err(error) = inside.login(&self.at, UserType::ContextSpecific, self.pin.as_ref()) {
            // Else the session would wait for the rest of the signature.
            inside.close(&self.at);
            return Err(error);
        }
        let session = inside.session(&self.at)?;
        session.sign_update(message)?;
        Ok(session.sign_final()?)
    }

    /// With the PIN as it is now, where a file has it.
    fn open_anew(&mut self, inside: &mut Inside, uri: &Uri) -> Result<(), Error> {
        let pin = uri.pin()?.or_else(|| self.pin.clone());
        let opened = Found::of(inside, uri)?.open(inside, uri, pin)?;
        if opened.public != self.public {
            return Err(Error::Changed);
        }
        *self = opened;
        Ok(())
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
            // The signature before ended in its midst.
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
