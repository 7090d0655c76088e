//! The way to a key: its module, the one token, the one object. All of it waits for foreign code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Failure, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use zeroize::Zeroizing;

use super::opened::{Opened, login};
use super::{Error, Uri, public};
use crate::telemetry::Untrusted;
use crate::trust::files;
use crate::x509::{KeyKind, PublicKey};

/// A longer PIN is none.
const MAX_PIN: u64 = 4096;

/// Modules that were loaded. They stay: unloading one under a key that is in use would end the process.
static LOADED: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

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

/// The one token that a URI names.
pub(super) struct Found {
    module: Pkcs11,
    slot: Slot,
    pub(super) login: Login,
}

impl Uri {
    /// The PIN in the file of `pin-source`, whose last line break does not count.
    pub(super) fn pin(&self) -> Result<Option<Zeroizing<String>>, std::io::Error> {
        let Some(path) = &self.pin_source else { return Ok(None) };
        let read = || {
            let bytes = files::read_within(path, MAX_PIN)?.ok_or(std::io::ErrorKind::FileTooLarge)?;
            let bytes = Zeroizing::new(bytes);
            let text = std::str::from_utf8(&bytes).map_err(|_| std::io::ErrorKind::InvalidData)?;
            Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
        };
        let named = |e: std::io::Error| std::io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        read().map_err(named)
    }

    fn names(&self, slot: Slot, token: &TokenInfo) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        self.slot.is_none_or(|id| id == slot.id())
            && is(&self.token, token.label())
            && is(&self.manufacturer, token.manufacturer_id())
            && is(&self.model, token.model())
            && is(&self.serial, token.serial_number())
    }
}

impl Found {
    /// Loads the module, and finds the token.
    pub(super) fn of(uri: &Uri) -> Result<Self, Error> {
        let module = load(&uri.module()?)?;
        let mut all = Vec::new();
        for slot in module.get_slots_with_token()? {
            all.push((slot, module.get_token_info(slot)?));
        }
        all.retain(|(_, token)| token.token_initialized());
        let named: Vec<_> = all.iter().filter(|(slot, token)| uri.names(*slot, token)).collect();
        let [(slot, token)] = named.as_slice() else {
            return Err(Error::Tokens { found: named.len(), all: all.len(), hint: labels(&all) });
        };
        if token.user_pin_locked() {
            return Err(Error::Pin("it is locked, and its security officer has to reset it"));
        }
        let login = match (token.login_required(), token.protected_authentication_path()) {
            (false, _) => Login::None,
            (true, false) => Login::Pin,
            (true, true) => Login::Pad,
        };
        Ok(Self { slot: *slot, login, module })
    }

    /// Finds the key.
    pub(super) fn open(self, uri: &Uri, pin: Option<Zeroizing<String>>) -> Result<Opened, Error> {
        let session = self.module.open_ro_session(self.slot)?;
        if self.login != Login::None {
            login(&session, UserType::User, pin.as_ref())?;
        }
        let key = one(&session, ObjectClass::PRIVATE_KEY, uri)?;
        let asks_always = usable(&session, key)?;
        let public = match public::of(&session, key, ObjectClass::PRIVATE_KEY)? {
            Some(public) => public,
            None => beside(&session, key)?,
        };
        // In one call alone is signed by it, and between two the PIN would have to be entered.
        if asks_always && public.kind() == KeyKind::Ed25519 {
            return Err(Error::Use("an Ed25519 key that asks for a PIN with each signature does not serve"));
        }
        Ok(Opened { at: Some((session, key)), public, asks_always, login: self.login, pin })
    }

    /// Finds the public half: without logging in, if that suffices.
    pub(super) fn public(self, uri: &Uri, pin: Option<Zeroizing<String>>) -> Result<PublicKey, Error> {
        let session = self.module.open_ro_session(self.slot)?;
        for class in [ObjectClass::PUBLIC_KEY, ObjectClass::CERTIFICATE] {
            if let [object] = objects(&session, class, uri)?[..]
                && let Some(public) = public::of(&session, object, class)?
            {
                return Ok(public);
            }
        }
        drop(session);
        if self.login == Login::Pin && pin.is_none() {
            return Err(Error::Hidden);
        }
        self.open(uri, pin).map(|opened| opened.public)
    }
}

fn load(path: &Path) -> Result<Pkcs11, Error> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = loaded.get(path) {
        return Ok(module.clone());
    }
    let wrong = |source| Error::Module { path: path.to_owned(), source };
    let module = Pkcs11::new(path).map_err(wrong)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Under another path already.
        Ok(()) | Err(Failure::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(failure) => return Err(wrong(failure)),
    }
    loaded.insert(path.to_owned(), module.clone());
    Ok(module)
}

fn labels(tokens: &[(Slot, TokenInfo)]) -> String {
    let names = tokens.iter().map(|(slot, token)| {
        let (label, serial) = (Untrusted::new(token.label()), Untrusted::new(token.serial_number()));
        format!("token={label};serial={serial};slot-id={}", slot.id())
    });
    let names: Vec<_> = names.take(8).collect();
    if names.is_empty() { "none is there".to_owned() } else { format!("there are {}", names.join(", ")) }
}

fn objects(session: &Session, class: ObjectClass, uri: &Uri) -> Result<Vec<ObjectHandle>, Error> {
    let mut wanted = vec![Attribute::Class(class)];
    wanted.extend(uri.object.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
    wanted.extend(uri.id.clone().map(Attribute::Id));
    Ok(session.find_objects(&wanted)?)
}

fn one(session: &Session, class: ObjectClass, uri: &Uri) -> Result<ObjectHandle, Error> {
    match objects(session, class, uri)?[..] {
        [object] => Ok(object),
        ref other => Err(Error::Keys(other.len())),
    }
}

/// Whether the key asks for a PIN with each signature.
///
/// # Errors
/// It may not sign.
fn usable(session: &Session, key: ObjectHandle) -> Result<bool, Error> {
    let mut asks_always = false;
    for attribute in session.get_attributes(key, &[AttributeType::Sign, AttributeType::AlwaysAuthenticate])? {
        match attribute {
            Attribute::Sign(false) => return Err(Error::Use("it is not one that signs (CKA_SIGN)")),
            Attribute::AlwaysAuthenticate(asks) => asks_always = asks,
            _ => {}
        }
    }
    Ok(asks_always)
}

/// The public half in an object with the private key's id.
fn beside(session: &Session, key: ObjectHandle) -> Result<PublicKey, Error> {
    let id = session.get_attributes(key, &[AttributeType::Id])?.into_iter().next();
    let id = id.filter(|id| matches!(id, Attribute::Id(id) if !id.is_empty())).ok_or(Error::Hidden)?;
    for class in [ObjectClass::PUBLIC_KEY, ObjectClass::CERTIFICATE] {
        for object in session.find_objects(&[Attribute::Class(class), id.clone()])? {
            if let Some(public) = public::of(session, object, class)? {
                return Ok(public);
            }
        }
    }
    Err(Error::Hidden)
}
