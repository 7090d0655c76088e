//! A private key wherever its owner keeps it: how it is named, and how it is asked to sign.

use std::path::Path;

use super::kms::Kms;
use super::pkcs11::{self, Token};
use super::plugin::Plugin;
use super::{AskPassword, Key, KeyError};
use crate::x509::{Algorithm, Certificate, Encoding, Hash, KeyKind, PublicKey, ecdsa};

/// A key that signs. Only one in a file is ever in this process.
#[derive(Debug)]
pub enum SigningKey {
    /// From a PEM file.
    File(Key),
    /// In a PKCS #11 token.
    Token(Token),
    /// Of AWS KMS.
    Kms(Box<Kms>),
    /// Had by a program that speaks notation's plug-in protocol.
    Plugin(Plugin),
}

impl SigningKey {
    /// Opens the key that `name` names: a `pkcs11:` URI (RFC 7512), `awskms://…/KEY`, `plugin:NAME?id=KEY`, or the path of a
    /// PEM file. Waits for whoever keeps it.
    ///
    /// # Errors
    /// As [`Key::read`], [`Token::open`], [`Kms::open`], [`Plugin::open`].
    pub fn open(name: &str, password: AskPassword<'_>) -> Result<Self, KeyError> {
        match name.split_once(':') {
            Some(("pkcs11", _)) => Token::open(name, password).map(Self::Token),
            Some(("awskms", _)) => Ok(Self::Kms(Box::new(Kms::open(name)?))),
            Some(("plugin", _)) => Ok(Self::Plugin(Plugin::open(name)?)),
            _ => Key::read(Path::new(name), password).map(Self::File),
        }
    }

    /// As [`SigningKey::open`], but nothing is signed: `None` for a plug-in's key, which it describes; only a signature would
    /// tell whose it is.
    ///
    /// # Errors
    /// As [`SigningKey::open`].
    pub fn look_up(name: &str, password: AskPassword<'_>) -> Result<Option<Self>, KeyError> {
        match name.split_once(':') {
            Some(("plugin", _)) => Ok(Plugin::describe(name).map(|()| None)?),
            _ => Self::open(name, password).map(Some),
        }
    }

    /// A key's name for messages: without what may be secret, as a PIN in a URI's query, or a user before a host, which no
    /// name of a key has.
    pub fn shown(name: &str) -> &str {
        match name.split_once(':') {
            Some(("pkcs11", _)) => name.split('?').next().unwrap_or(name),
            Some((scheme @ "awskms", rest)) if rest.contains('@') => scheme,
            _ => name,
        }
    }

    /// The public half of a key that a token or a service keeps, for those who verify: nobody is asked for a PIN.
    ///
    /// # Errors
    /// As [`pkcs11::public`] and [`Kms::open`]; [`KeyError::Unsupported`] for a name of another kind.
    pub fn public_of(name: &str) -> Result<PublicKey, KeyError> {
        match name.split_once(':') {
            Some(("pkcs11", _)) => pkcs11::public(name),
            Some(("awskms", _)) => Ok(Kms::open(name)?.public().clone()),
            _ => Err(KeyError::Unsupported(format!("{name:?}, which is no key that is kept elsewhere,"))),
        }
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        match self {
            Self::File(key) => key.public(),
            Self::Token(token) => token.public(),
            Self::Kms(kms) => kms.public(),
            Self::Plugin(plugin) => plugin.public(),
        }
    }

    /// The one algorithm that its keeper signs by, where there is one alone: plug-ins have no other than notation's.
    pub fn only_algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Plugin(plugin) => Some(plugin.algorithm()),
            Self::File(_) | Self::Token(_) | Self::Kms(_) => None,
        }
    }

    /// The certificates that its keeper has for it, from its own to its authority; empty where there are none.
    pub fn chain(&self) -> &[Certificate] {
        match self {
            Self::Plugin(plugin) => plugin.chain(),
            Self::File(_) | Self::Token(_) | Self::Kms(_) => &[],
        }
    }

    /// Signs a message. An elliptic curve signs by the hash of its own size, P-521 in a file by SHA-256 too. What
    /// others sign for us is checked before it is given away.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let kind = self.public().kind();
        if !fits(algorithm, kind) {
            return Err(KeyError::Unfit { algorithm, kind });
        }
        let (made, encoding) = match self {
            Self::File(key) => return key.sign(algorithm, message),
            Self::Token(token) => (token.sign(algorithm, message).await?, Encoding::Fixed),
            Self::Kms(kms) => (kms.sign(algorithm, message).await?, Encoding::Asn1),
            Self::Plugin(plugin) => (plugin.sign(algorithm, message).await?, Encoding::Fixed),
        };
        let signature = encoded(algorithm, kind, encoding, made);
        let is_own = |signature: &Vec<u8>| self.public().verify(algorithm, message, signature).is_ok();
        signature.filter(is_own).ok_or(KeyError::Foreign)
    }
}

impl From<Key> for SigningKey {
    fn from(key: Key) -> Self {
        Self::File(key)
    }
}

fn fits(algorithm: Algorithm, kind: KeyKind) -> bool {
    matches!(
        (algorithm, kind),
        (Algorithm::RsaPkcs1(_) | Algorithm::RsaPss(_), KeyKind::Rsa { .. })
            | (Algorithm::Ecdsa(Hash::Sha256, _), KeyKind::P256)
            | (Algorithm::Ecdsa(Hash::Sha384, _), KeyKind::P384)
            | (
                Algorithm::Ecdsa(Hash::Sha512, _) | Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1),
                KeyKind::P521
            )
            | (Algorithm::Ed25519, KeyKind::Ed25519)
    )
}

/// A signature in the encoding that was asked for, made of the one it came in.
fn encoded(algorithm: Algorithm, kind: KeyKind, came: Encoding, signature: Vec<u8>) -> Option<Vec<u8>> {
    match (algorithm, came) {
        (Algorithm::Ecdsa(_, Encoding::Asn1), Encoding::Fixed) => ecdsa::to_asn1(&signature, kind),
        (Algorithm::Ecdsa(_, Encoding::Fixed), Encoding::Asn1) => ecdsa::to_fixed(&signature, kind),
        _ => Some(signature),
    }
}

/// Runs `work` to its end on a thread and runtime of its own: keys are opened before there is a runtime, and within
/// one.
pub(super) fn wait<T: Send, E: Send + From<std::io::Error>>(
    work: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, E> {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work);
    std::thread::scope(|scope| {
        let ended = scope.spawn(run).join();
        ended.unwrap_or_else(|_| Err(std::io::Error::other("the key's keeper could not be asked").into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_what_may_be_secret() {
        assert_eq!(SigningKey::shown("pkcs11:token=t?pin-value=271828"), "pkcs11:token=t");
        assert_eq!(SigningKey::shown("awskms://user:271828@kms.corp/alias/a"), "awskms");
        for name in ["key.pem", "w@t?.pem", "plugin:x?id=k", "pkcs11:token=t", "awskms://kms.corp/alias/a"] {
            assert_eq!(SigningKey::shown(name), name);
        }
    }

    #[test]
    fn an_algorithm_fits_its_own_keys_alone() {
        let rsa = KeyKind::Rsa { bits: 2048 };
        let fixed = |hash| Algorithm::Ecdsa(hash, Encoding::Fixed);
        for (algorithm, kind) in [
            (Algorithm::RsaPkcs1(Hash::Sha512), rsa),
            (Algorithm::RsaPss(Hash::Sha256), rsa),
            (fixed(Hash::Sha256), KeyKind::P256),
            (fixed(Hash::Sha384), KeyKind::P384),
            (fixed(Hash::Sha512), KeyKind::P521),
            (Algorithm::Ed25519, KeyKind::Ed25519),
        ] {
            for other in [rsa, KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519] {
                assert_eq!(fits(algorithm, other), kind == other, "{algorithm:?} {other}");
            }
        }
        assert!(!fits(Algorithm::RsaPssLongest(Hash::Sha256), rsa));
    }
}
