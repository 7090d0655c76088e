//! The six signature algorithms, each bound to one kind and size of key (signature-specification,
//! "Algorithm Selection").

use crate::x509::{self, Encoding, Hash, KeyKind};

/// A signature algorithm of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
}

const ALL: [Algorithm; 6] = [
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
];

impl Algorithm {
    /// The only algorithm that a key of this kind may sign with; `None` where it may not sign.
    pub(super) fn of(key: KeyKind) -> Option<Self> {
        match key {
            KeyKind::Rsa { bits: 2048 } => Some(Self::Ps256),
            KeyKind::Rsa { bits: 3072 } => Some(Self::Ps384),
            KeyKind::Rsa { bits: 4096 } => Some(Self::Ps512),
            KeyKind::P256 => Some(Self::Es256),
            KeyKind::P384 => Some(Self::Es384),
            KeyKind::P521 => Some(Self::Es512),
            KeyKind::Rsa { .. } | KeyKind::Ed25519 => None,
        }
    }

    /// By its name in JOSE (RFC 7518, section 3.1).
    pub(super) fn from_jose(name: &str) -> Option<Self> {
        ALL.into_iter().find(|a| a.as_str() == name)
    }

    /// By its number in COSE (RFC 9053, section 2.1; RFC 8230, section 2).
    pub(super) fn from_cose(number: i128) -> Option<Self> {
        ALL.into_iter().find(|a| a.cose() == number)
    }

    /// The name in JOSE.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }

    const fn cose(self) -> i128 {
        match self {
            Self::Ps256 => -37,
            Self::Ps384 => -38,
            Self::Ps512 => -39,
            Self::Es256 => -7,
            Self::Es384 => -35,
            Self::Es512 => -36,
        }
    }

    /// How it is verified.
    pub(super) fn verification(self) -> x509::Algorithm {
        match self {
            Self::Ps256 => x509::Algorithm::RsaPss(Hash::Sha256),
            Self::Ps384 => x509::Algorithm::RsaPss(Hash::Sha384),
            Self::Ps512 => x509::Algorithm::RsaPss(Hash::Sha512),
            Self::Es256 => x509::Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed),
            Self::Es384 => x509::Algorithm::Ecdsa(Hash::Sha384, Encoding::Fixed),
            Self::Es512 => x509::Algorithm::Ecdsa(Hash::Sha512, Encoding::Fixed),
        }
    }
}
