//! Transparency logs of both versions. Each entry is the second of a tree of two.

use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use super::{encoded, sha256};

/// The number of an entry over all of a first-version log's trees.
const INDEX: u64 = 1_000_001;

pub(in super::super) struct Log {
    pub(in super::super) host: &'static str,
    pub(in super::super) key: KeyPair,
    second: bool,
}

impl Log {
    pub(super) fn first(host: &'static str) -> Self {
        Self { host, key: KeyPair::generate().unwrap(), second: false }
    }

    pub(super) fn second(host: &'static str) -> Self {
        Self { host, key: KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(), second: true }
    }

    /// By the key in the first version, by origin and key in the second (signed-note.md, "Key ID").
    pub(in super::super) fn id(&self) -> Vec<u8> {
        let spki = self.key.subject_public_key_info();
        if !self.second {
            return sha256(&spki);
        }
        sha256(&[self.host.as_bytes(), b"\n\x01", &spki[spki.len() - 32..]].concat())
    }

    pub(super) fn trusted(&self) -> Value {
        let details = if self.second { "PKIX_ED25519" } else { "PKIX_ECDSA_P256_SHA_256" };
        json!({
            "baseUrl": format!("https://{}", self.host),
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": encoded(self.key.subject_public_key_info()),
                "keyDetails": details,
                "validFor": {"start": "2026-01-01T00:00:00Z"},
            },
            "logId": {"keyId": encoded(self.id())},
        })
    }

    pub(in super::super) fn origin(&self) -> String {
        if self.second { self.host.to_owned() } else { format!("{} - 123456789", self.host) }
    }

    /// A signed tree head.
    pub(in super::super) fn checkpoint(&self, origin: &str, size: u64, root: &[u8]) -> String {
        self.note(&format!("{origin}\n{size}\n{}\n", encoded(root)))
    }

    /// A note with any text.
    pub(in super::super) fn note(&self, text: &str) -> String {
        format!("{text}\n{}\n", self.line(self.host, text))
    }

    /// A line of signature.
    pub(in super::super) fn line(&self, name: &str, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes()).unwrap();
        format!("\u{2014} {name} {}", encoded([&self.id()[..4], &signature].concat()))
    }

    /// What a bundle says of the entry that it made at this time. The second version gives no times.
    pub(in super::super) fn entry(&self, body: &Value, at: u64) -> Value {
        let bytes = body.to_string().into_bytes();
        let leaf = sha256(&[&[0], &bytes[..]].concat());
        let sibling = sha256(b"sibling");
        let root = sha256(&[&[1], &sibling[..], &leaf].concat());
        let index = if self.second { 1 } else { INDEX };
        let mut entry = json!({
            "logIndex": index.to_string(),
            "logId": {"keyId": encoded(self.id())},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": encoded(&root),
                "treeSize": "2",
                "hashes": [encoded(&sibling)],
                "checkpoint": {"envelope": self.checkpoint(&self.origin(), 2, &root)},
            },
            "canonicalizedBody": encoded(&bytes),
        });
        if !self.second {
            entry["integratedTime"] = json!(at.to_string());
            entry["inclusionPromise"] = json!({"signedEntryTimestamp": encoded(self.promise(&bytes, at))});
        }
        entry
    }

    /// A signed entry timestamp.
    fn promise(&self, body: &[u8], at: u64) -> Vec<u8> {
        let signed = format!(
            r#"{{"body":"{}","integratedTime":{at},"logID":"{}","logIndex":{INDEX}}}"#,
            encoded(body),
            hex::encode(self.id()),
        );
        self.key.sign(signed.as_bytes()).unwrap()
    }
}
