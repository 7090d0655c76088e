//! The way to a key: the one token, the one object. All of it waits for foreign code.

use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};

use super::inside::Inside;
use super::login::Login;
use super::opened::Opened;
use super::{Error, Uri, public};
use crate::signing::Password;
use crate::telemetry::Untrusted;
use crate::trust::files;
use crate::x509::{KeyKind, PublicKey};

/// The one token that a URI names.
pub(super) struct Found {
    slot: Slot,
    pub(super) login: Login,
    /// A PIN is entered at its own keys.
    pad: bool,
}

impl Uri {
    /// The PIN in the file of `pin-source`, whose last line break does not count. A file that is empty, since it is just being
    /// written, is an error: tokens count what they are given.
    pub(super) fn pin(&self) -> Result<Option<Password>, std::io::Error> {
        let Some(path) = &self.pin_source else { return Ok(None) };
        let pin = files::secret(path)?;
        if pin.is_empty() {
            let why = format!("{}: the file is empty: write the token's PIN into it", path.display());
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
        }
        Ok(Some(Password::kept(pin)))
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
    /// Finds the token.
    pub(super) fn of(inside: &mut Inside, uri: &Uri) -> Result<Self, Error> {
        let (module, mut all) = (inside.module()?, Vec::new());
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
        let pad = token.protected_authentication_path();
        let login = match (token.login_required(), pad) {
            (false, _) => Login::None,
            (true, false) => Login::Pin,
            (true, true) => Login::Pad,
        };
        Ok(Self { slot: *slot, login, pad })
    }

    /// Finds the key.
    pub(super) fn open(self, inside: &mut Inside, uri: &Uri, pin: Option<Password>) -> Result<Opened, Error> {
        let at = inside.open(self.slot)?;
        if self.login != Login::None {
            inside.login(&at, UserType::User, pin.as_ref())?;
        }
        let found = inside.sessions(&at)?.map(|session| one(session, ObjectClass::PRIVATE_KEY, uri));
        let keys = found.collect::<Result<Vec<_>, _>>()?;
        let (session, key) = (inside.session(&at)?, *keys.first().ok_or(Error::Gone)?);
        let asks_always = usable(session, key)?;
        let public = match public::of(session, key, ObjectClass::PRIVATE_KEY)? {
            Some(public) => public,
            None => beside(session, key)?,
        };
        if asks_always {
            enterable(public.kind(), pin.is_some() || self.pad)?;
        }
        Ok(Opened { at, keys, public, asks_always, pin })
    }

    /// Finds the public half: without logging in, if that suffices.
    pub(super) fn public(
        self,
        inside: &mut Inside,
        uri: &Uri,
        pin: Option<Password>,
    ) -> Result<PublicKey, Error> {
        let at = inside.open(self.slot)?;
        let session = inside.session(&at)?;
        for class in [ObjectClass::PUBLIC_KEY, ObjectClass::CERTIFICATE] {
            if let [object] = objects(session, class, uri)?[..]
                && let Some(public) = public::of(session, object, class)?
            {
                return Ok(public);
            }
        }
        if self.login == Login::Pin && pin.is_none() {
            return Err(Error::Hidden);
        }
        self.open(inside, uri, pin).map(|opened| opened.public)
    }
}

/// Whether a PIN can be entered with each signature.
fn enterable(kind: KeyKind, has_pin: bool) -> Result<(), Error> {
    // In one call alone is signed by it, and between two the PIN would have to be entered.
    if kind == KeyKind::Ed25519 {
        return Err(Error::Use("an Ed25519 key that asks for a PIN with each signature does not serve"));
    }
    // Without one, the token would wait for it at keys that it does not have.
    has_pin
        .then_some(())
        .ok_or(Error::Use("it asks for a PIN with each signature: name its file in pin-source"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_asks_with_each_signature_is_told_or_does_not_serve() {
        assert!(enterable(KeyKind::P256, true).is_ok());
        let why = |kind, has_pin| enterable(kind, has_pin).unwrap_err().to_string();
        assert!(why(KeyKind::P256, false).contains("name its file in pin-source"));
        assert!(why(KeyKind::Ed25519, true).contains("does not serve"));
    }

    /// Tokens lock after a few wrong ones.
    #[test]
    fn an_empty_file_is_no_pin() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let uri = Uri { pin_source: Some(file.path().to_owned()), ..Uri::default() };
        for (text, pin) in [("", None), ("\n", None), ("1234\n", Some("1234"))] {
            std::fs::write(file.path(), text).unwrap();
            match (uri.pin(), pin) {
                (Ok(Some(read)), Some(pin)) => assert_eq!(*read.text, pin),
                (Err(why), None) => assert!(why.to_string().contains("the file is empty"), "{why}"),
                (read, _) => panic!("{text:?}: {:?}", read.is_ok()),
            }
        }
        assert!(Uri::default().pin().unwrap().is_none());
    }
}
