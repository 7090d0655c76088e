//! The index of an export's contents: what it holds, what it leaves out since another export has it, and what
//! decisions knew of revocations. Kept beside the layout's own index as a DSSE envelope (secure-systems-lab/dsse,
//! `protocol.md`), signed or not. It admits nothing: what it lists goes through the gate as all else does.

use std::collections::HashMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Platform;
use crate::oci::{Digest, json};
use crate::signature::cosign::pre_authentication;
use crate::signing::{KeyError, SigningKey};
use crate::trust::revocation::Answer;
use crate::x509::{Algorithm, Encoding, Hash, KeyKind, PublicKey};

/// The envelope's name, beside `index.json`.
pub const FILE: &str = "contents.json";
/// A longer one is not read: some two hundred thousand blobs.
pub const MAX_BYTES: u64 = 64 << 20;
const TYPE: &str = "application/vnd.portcullis.contents.v1+json";
const MAX_SIGNATURES: usize = 8;

/// What an export holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contents {
    /// When it was made.
    #[serde(with = "crate::setting::time")]
    pub made: SystemTime,
    /// The digest of the contents that it builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Digest>,
    /// Of indexes it has only what runs on these; without any, everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// How many pieces it was cut into.
    pub pieces: u32,
    /// What the layout's index names.
    pub references: Vec<Named>,
    /// All content, manifests too.
    pub blobs: Vec<Listed>,
    /// What decisions knew of revocations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocation: Vec<Answer>,
}

/// A name, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The reference, by its source name.
    pub name: String,
    /// The manifest's digest.
    pub digest: Digest,
}

/// Content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// In which piece it is, counted from 1; `None`: in the export that this one builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece: Option<u32>,
}

/// Contents as they were read, with who signed them.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// What was signed.
    pub contents: Contents,
    /// SHA-256 over what was signed: what other contents call it by.
    pub digest: Digest,
    envelope: Envelope,
}

/// What is known of who made the contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
pub enum Standing {
    /// There are none: another tool made the layout.
    Absent,
    /// Nobody signed them.
    Unsigned,
    /// They are signed, and no key was given to compare with.
    Unverified,
    /// None of the keys that were given signed them.
    Foreign,
    /// A key that was given signed them.
    Trusted {
        /// SHA-256 over its SubjectPublicKeyInfo, in hexadecimal.
        key: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Signature {
    keyid: String,
    sig: String,
}

impl Contents {
    /// The envelope's bytes, signed where there is a key.
    ///
    /// # Errors
    /// [`KeyError`]: the key does not sign.
    pub async fn seal(&self, key: Option<&SigningKey>) -> Result<Vec<u8>, KeyError> {
        let payload = serde_json::to_vec(self).map_err(|_| KeyError::Failed)?;
        let mut signatures = Vec::new();
        if let Some(key) = key {
            let sig = key.sign(algorithm(key.public().kind()), &pre_authentication(TYPE, &payload)).await?;
            signatures.push(Signature { keyid: fingerprint(key.public()), sig: STANDARD.encode(sig) });
        }
        let payload = STANDARD.encode(payload);
        let envelope = Envelope { payload, payload_type: TYPE.to_owned(), signatures };
        serde_json::to_vec(&envelope).map_err(|_| KeyError::Failed)
    }

    /// The content by its digest.
    pub fn by_digest(&self) -> HashMap<Digest, &Listed> {
        self.blobs.iter().map(|listed| (listed.digest, listed)).collect()
    }
}

impl Sealed {
    /// Reads an envelope.
    ///
    /// # Errors
    /// What is no such envelope.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let envelope: Envelope = json::strict(bytes).map_err(|e| e.to_string())?;
        if envelope.payload_type != TYPE {
            return Err(format!("expected contents of the type {TYPE}, found another"));
        }
        if envelope.signatures.len() > MAX_SIGNATURES {
            return Err(format!("more than {MAX_SIGNATURES} signatures"));
        }
        let payload = STANDARD.decode(&envelope.payload).map_err(|e| format!("payload: {e}"))?;
        let contents = json::strict(&payload).map_err(|e| format!("payload: {e}"))?;
        Ok(Self { contents, digest: Digest::sha256(&payload), envelope })
    }

    /// Whether one of the keys signed it. A signature's key id is a hint that nothing signs, and is not looked at.
    pub fn standing(&self, keys: &[PublicKey]) -> Standing {
        if self.envelope.signatures.is_empty() {
            return Standing::Unsigned;
        }
        if keys.is_empty() {
            return Standing::Unverified;
        }
        let payload = STANDARD.decode(&self.envelope.payload).unwrap_or_default();
        let message = pre_authentication(&self.envelope.payload_type, &payload);
        let made = |key: &&PublicKey| {
            let mut signatures = self.envelope.signatures.iter().filter_map(|s| STANDARD.decode(&s.sig).ok());
            signatures.any(|sig| key.verify(algorithm(key.kind()), &message, &sig).is_ok())
        };
        match keys.iter().find(made) {
            Some(key) => Standing::Trusted { key: fingerprint(key) },
            None => Standing::Foreign,
        }
    }
}

fn fingerprint(key: &PublicKey) -> String {
    hex::encode(key.fingerprint())
}

fn algorithm(kind: KeyKind) -> Algorithm {
    match kind {
        KeyKind::Rsa { .. } => Algorithm::RsaPss(Hash::Sha256),
        KeyKind::P256 => Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1),
        KeyKind::P384 => Algorithm::Ecdsa(Hash::Sha384, Encoding::Asn1),
        KeyKind::P521 => Algorithm::Ecdsa(Hash::Sha512, Encoding::Asn1),
        KeyKind::Ed25519 => Algorithm::Ed25519,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::signing::Key;

    fn contents() -> Contents {
        let digest = Digest::sha256(b"x");
        Contents {
            made: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            since: Some(Digest::sha256(b"before")),
            platforms: vec!["linux/amd64".parse().unwrap()],
            pieces: 2,
            references: vec![Named { name: "r.test/app:1".into(), digest }],
            blobs: vec![Listed { digest, size: 1, piece: Some(2) }],
            revocation: Vec::new(),
        }
    }

    #[tokio::test]
    async fn who_signed_is_found_out() {
        for kind in
            [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519, KeyKind::Rsa { bits: 2048 }]
        {
            let [own, other] = [(); 2].map(|()| SigningKey::from(Key::generate(kind, None).unwrap().0));
            let bytes = contents().seal(Some(&own)).await.unwrap();
            let sealed = Sealed::read(&bytes).unwrap();
            assert_eq!(sealed.contents, contents());
            let trusted = Standing::Trusted { key: fingerprint(own.public()) };
            let keys = [other.public().clone(), own.public().clone()];
            assert_eq!(sealed.standing(&keys), trusted);
            assert_eq!(sealed.standing(&keys[..1]), Standing::Foreign);
            assert_eq!(sealed.standing(&[]), Standing::Unverified);
        }
        let unsigned = Sealed::read(&contents().seal(None).await.unwrap()).unwrap();
        assert_eq!(unsigned.standing(&[]), Standing::Unsigned);
    }

    #[tokio::test]
    async fn only_so_many_signatures_are_looked_at() {
        let key = SigningKey::from(Key::generate(KeyKind::P256, None).unwrap().0);
        let mut envelope = Sealed::read(&contents().seal(Some(&key)).await.unwrap()).unwrap().envelope;
        let own = envelope.signatures.pop().unwrap();
        let foreign = Signature { sig: STANDARD.encode("none"), ..own.clone() };
        envelope.signatures = vec![foreign.clone(); MAX_SIGNATURES - 1];
        envelope.signatures.push(own);
        let sealed = Sealed::read(&serde_json::to_vec(&envelope).unwrap()).unwrap();
        assert!(matches!(sealed.standing(&[key.public().clone()]), Standing::Trusted { .. }));
        envelope.signatures.push(foreign);
        let why = Sealed::read(&serde_json::to_vec(&envelope).unwrap()).unwrap_err();
        assert!(why.contains("more than 8 signatures"), "{why}");
    }

    #[tokio::test]
    async fn another_payload_or_type_is_signed_by_nobody() {
        let key = SigningKey::from(Key::generate(KeyKind::P256, None).unwrap().0);
        let bytes = contents().seal(Some(&key)).await.unwrap();
        let mut sealed = Sealed::read(&bytes).unwrap();
        let payload = STANDARD.decode(&sealed.envelope.payload).unwrap();
        let other = String::from_utf8(payload).unwrap().replace("app:1", "app:2");
        sealed.envelope.payload = STANDARD.encode(other);
        assert_eq!(sealed.standing(&[key.public().clone()]), Standing::Foreign);
        let text = String::from_utf8(bytes).unwrap().replace("contents.v1", "contents.v2");
        assert!(Sealed::read(text.as_bytes()).unwrap_err().contains("expected contents of the type"));
        assert!(Sealed::read(b"{}").is_err() && Sealed::read(b"").is_err());
    }
}
