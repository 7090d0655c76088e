//! How a token is told who asks. Most lock after a few wrong PINs: none is tried without need, nor twice.

use cryptoki::error::{Error as Failure, RvError};
use cryptoki::session::{SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use sha2::{Digest as _, Sha256};

use super::Error;
use super::inside::{Inside, Place};
use crate::signing::Password;

/// How a token wants to know who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// It does not.
    None,
    /// By a PIN.
    Pin,
    /// By a PIN at its own keys.
    Pad,
}

impl Inside {
    /// Logs in, or, for one signature, once more.
    ///
    /// # Errors
    /// [`Error::Pin`], where the PIN is why not.
    pub(super) fn login(
        &mut self,
        place: &Place,
        user: UserType,
        pin: Option<&Password>,
    ) -> Result<(), Error> {
        let token = self.module()?.get_token_info(place.slot)?;
        let fingerprint = pin.map(|pin| fingerprint(token.serial_number(), pin));
        if fingerprint.is_some_and(|pin| self.refused.contains(&pin)) {
            return Err(Error::Pin(
                "it was refused before and is not tried again: give the right one, or restart where the token has this one by now",
            ));
        }
        let session = self.session(place)?;
        let state = session.get_session_info()?.session_state();
        // Another key of the token is in use here.
        if matches!(user, UserType::User) && matches!(state, SessionState::RoUser | SessionState::RwUser) {
            self.compare(place.slot, fingerprint);
            return Ok(());
        }
        if pin.is_some_and(|pin| !pin.typed) {
            enterable(&token)?;
        }
        let entered = pin.map(|pin| AuthPin::new(pin.text.as_str().into()));
        match session.login(user, entered.as_ref()).map_err(meaning) {
            Ok(()) => self.taken.extend(fingerprint.map(|pin| (place.slot.id(), pin))),
            // Not every module tells that of a session's state.
            Err(Error::Failed(Failure::Pkcs11(RvError::UserAlreadyLoggedIn, _))) => {
                self.compare(place.slot, fingerprint);
            }
            Err(error) => {
                self.refused.extend(fingerprint.filter(|_| matches!(error, Error::WrongPin)));
                return Err(error);
            }
        }
        Ok(())
    }

    /// A token that is logged into tries no PIN. Which it took is known all the same.
    fn compare(&self, slot: Slot, given: Option<[u8; 32]>) {
        if let (Some(given), Some(taken)) = (given, self.taken.get(&slot.id()))
            && given != *taken
        {
            tracing::warn!(
                slot = slot.id(),
                "the PIN is another one than the token took, and is not tried while that one holds: unless the token was given \
                 a new PIN since, it is wrong"
            );
        }
    }
}

/// Whether the token may be given a PIN that nobody types.
fn enterable(token: &TokenInfo) -> Result<(), Error> {
    match token.user_pin_count_low() || token.user_pin_final_try() {
        true => Err(Error::Pin(
            "the token was given a wrong one last, and is given none from a file until somebody has logged in by hand: \
             have `portcullis key show`, without pin-source, ask for it",
        )),
        false => Ok(()),
    }
}

fn fingerprint(serial: &str, pin: &Password) -> [u8; 32] {
    Sha256::new().chain_update(serial).chain_update([0]).chain_update(pin.text.as_bytes()).finalize().into()
}

fn meaning(failure: Failure) -> Error {
    let Failure::Pkcs11(why, _) = &failure else { return Error::Failed(failure) };
    match why {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => Error::WrongPin,
        RvError::PinLocked => Error::Pin("it is locked, and its security officer has to reset it"),
        RvError::PinExpired => Error::Pin("it has expired"),
        RvError::UserPinNotInitialized => Error::Pin("the token has none yet"),
        _ => Error::Failed(failure),
    }
}
