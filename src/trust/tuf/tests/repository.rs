//! A TUF repository, made and signed on the spot.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use super::{DAY, NOW, Role, TRUSTED_ROOT};
use crate::oci::Digest;
use crate::setting::time::show;
use crate::trust::tuf::canonical::canonical;

pub(super) const ROLES: [Role; 4] = [Role::Root, Role::Timestamp, Role::Snapshot, Role::Targets];

/// A signer's key, under an id of its own choice.
pub(super) struct Key {
    pub(super) id: String,
    kind: [&'static str; 2],
    public: String,
    pair: Pair,
}

enum Pair {
    Any(KeyPair),
    Pss(RsaKeyPair),
}

impl Key {
    pub(super) fn p256(id: &str) -> Self {
        Self::any(id, ["ecdsa", "ecdsa-sha2-nistp256"], &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    pub(super) fn p384(id: &str) -> Self {
        Self::any(id, ["ecdsa", "ecdsa-sha2-nistp384"], &rcgen::PKCS_ECDSA_P384_SHA384)
    }

    pub(super) fn ed25519(id: &str) -> Self {
        let mut key = Self::any(id, ["ed25519", "ed25519"], &rcgen::PKCS_ED25519);
        let Pair::Any(pair) = &key.pair else { unreachable!() };
        key.public = hex::encode(pair.der_bytes());
        key
    }

    pub(super) fn pss(id: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair.public_key());
        let public = format!("-----BEGIN RSA PUBLIC KEY-----\n{base64}\n-----END RSA PUBLIC KEY-----\n");
        Self { id: id.to_owned(), kind: ["rsa", "rsassa-pss-sha256"], public, pair: Pair::Pss(pair) }
    }

    fn any(id: &str, kind: [&'static str; 2], algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        Self { id: id.to_owned(), kind, public: pair.public_key_pem(), pair: Pair::Any(pair) }
    }

    pub(super) fn as_json(&self) -> Value {
        json!({"keytype": self.kind[0], "scheme": self.kind[1], "keyval": {"public": self.public}})
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Any(pair) => pair.sign(message).unwrap(),
            Pair::Pss(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
        }
    }
}

pub(super) type Edit = Box<dyn Fn(Role, &mut Value)>;

/// A change of that role's metadata alone.
pub(super) fn only(role: Role, change: impl Fn(&mut Value) + 'static) -> Edit {
    Box::new(move |of, metadata| {
        if of == role {
            change(metadata);
        }
    })
}

/// The repository's state. Every field may be changed before its files are made.
pub(super) struct Repository {
    pub(super) keys: BTreeMap<Role, Vec<Key>>,
    /// Those whose time is over, who sign the next root once more.
    pub(super) former: Vec<Key>,
    pub(super) threshold: BTreeMap<Role, usize>,
    pub(super) version: BTreeMap<Role, u64>,
    pub(super) expires: BTreeMap<Role, SystemTime>,
    pub(super) consistent: bool,
    /// Whether snapshot and timestamp give lengths and hashes. Sigstore's do not.
    pub(super) pinned: bool,
    pub(super) target: Vec<u8>,
    /// The last word on what is signed.
    pub(super) edit: Edit,
    /// The last word on the signatures.
    pub(super) forge: Edit,
}

impl Repository {
    pub(super) fn new() -> Self {
        let each = |value: u64| ROLES.map(|role| (role, value)).into();
        Self {
            keys: ROLES.map(|role| (role, vec![Key::p256(&format!("{role}-a"))])).into(),
            former: Vec::new(),
            threshold: ROLES.map(|role| (role, 1)).into(),
            version: each(1),
            expires: ROLES.map(|role| (role, *NOW + DAY)).into(),
            consistent: true,
            pinned: false,
            target: trusted_root(&["https://log.example"]),
            edit: Box::new(|_, _| {}),
            forge: Box::new(|_, _| {}),
        }
    }

    /// One more of each version but the root's.
    pub(super) fn renew(&mut self) {
        for role in [Role::Timestamp, Role::Snapshot, Role::Targets] {
            *self.version.get_mut(&role).unwrap() += 1;
        }
    }

    /// A next root, under new keys of that role.
    pub(super) fn rotate(&mut self, role: Role, keys: Vec<Key>) {
        *self.version.get_mut(&Role::Root).unwrap() += 1;
        let before = self.keys.insert(role, keys).unwrap();
        self.former = if role == Role::Root { before } else { Vec::new() };
    }

    pub(super) fn root(&self) -> Vec<u8> {
        let keys: BTreeMap<_, _> = self.keys.values().flatten().map(|key| (&key.id, key.as_json())).collect();
        let roles: BTreeMap<_, _> = self
            .keys
            .iter()
            .map(|(role, keys)| {
                let ids: Vec<_> = keys.iter().map(|key| &key.id).collect();
                (role.as_str(), json!({"keyids": ids, "threshold": self.threshold[role]}))
            })
            .collect();
        let body = json!({"consistent_snapshot": self.consistent, "keys": keys, "roles": roles});
        self.signed(Role::Root, body)
    }

    /// All files by their paths.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let hash = |bytes: &[u8]| Digest::sha256(bytes).hex();
        let target = json!({"length": self.target.len(), "hashes": {"sha256": hash(&self.target)}});
        let targets = self.signed(Role::Targets, json!({"targets": {TRUSTED_ROOT: target}}));
        let delegated = json!({"version": self.version[&Role::Targets]});
        let meta = json!({"targets.json": self.pin(Role::Targets, &targets), "delegated.json": delegated});
        let snapshot = self.signed(Role::Snapshot, json!({"meta": meta}));
        let meta = json!({"snapshot.json": self.pin(Role::Snapshot, &snapshot)});
        let timestamp = self.signed(Role::Timestamp, json!({"meta": meta}));
        let prefix = |role: Role| match self.consistent {
            true => format!("{}.{}", self.version[&role], role.file()),
            false => role.file(),
        };
        let target = match self.consistent {
            true => format!("targets/{}.{TRUSTED_ROOT}", hash(&self.target)),
            false => format!("targets/{TRUSTED_ROOT}"),
        };
        [
            (format!("{}.root.json", self.version[&Role::Root]), self.root()),
            (Role::Timestamp.file(), timestamp),
            (prefix(Role::Snapshot), snapshot),
            (prefix(Role::Targets), targets),
            (target, self.target.clone()),
        ]
        .into()
    }

    fn pin(&self, role: Role, bytes: &[u8]) -> Value {
        let version = self.version[&role];
        match self.pinned {
            true => json!({
                "version": version,
                "length": bytes.len(),
                "hashes": {"sha256": Digest::sha256(bytes).hex()},
            }),
            false => json!({"version": version}),
        }
    }

    fn signed(&self, role: Role, mut body: Value) -> Vec<u8> {
        body["_type"] = role.as_str().into();
        body["spec_version"] = "1.0.34".into();
        body["version"] = self.version[&role].into();
        body["expires"] = show(self.expires[&role]).into();
        (self.edit)(role, &mut body);
        let message = canonical(&body).unwrap_or_default();
        let former = self.former.iter().filter(|_| role == Role::Root);
        let signatures: Vec<_> = self.keys[&role]
            .iter()
            .chain(former)
            .map(|key| json!({"keyid": key.id, "sig": hex::encode(key.sign(&message))}))
            .collect();
        let mut metadata = json!({"signed": body, "signatures": signatures});
        (self.forge)(role, &mut metadata);
        serde_json::to_vec_pretty(&metadata).unwrap()
    }
}

/// A trusted root with these transparency logs.
pub(super) fn trusted_root(logs: &[&str]) -> Vec<u8> {
    let log = |url: &&str| {
        json!({
            "baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": {"keyId": "AAAAAA=="},
            "publicKey": {
                "rawBytes": "MCowBQYDK2VwAyEAt8rlp1knGwjfbcXAYPYAkn0XiLz1x8O4t0YkEhie244=",
                "keyDetails": "PKIX_ED25519",
                "validFor": {"start": "2025-09-23T00:00:00Z"},
            },
        })
    };
    let logs: Vec<_> = logs.iter().map(log).collect();
    let root =
        json!({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": logs});
    serde_json::to_vec(&root).unwrap()
}
