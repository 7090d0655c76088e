//! The fixtures: images and the claims about them, found as the gate finds them, and what is trusted there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::super::*;
use super::{judge, subject};
use crate::oci::{Algorithm, Digest, Manifest, media_type};
use crate::setting::time;
use crate::signature::{Evidence, Format, Rejected, Subject};

/// An identity of the fixtures, and who vouches for it.
pub(super) type Who = (&'static str, &'static str);

pub(super) const WORKFLOW: Who = (
    "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
    "https://token.actions.githubusercontent.com",
);
pub(super) const EMAIL: Who = ("dev@example.test", "https://issuer.example.test");

/// An image and the claims about it.
pub(super) struct Recorded {
    pub(super) subject: Subject,
    pub(super) claims: Vec<Signature>,
}

pub(super) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sigstore").join(name)
}

/// A day after all of it was signed: every certificate of ten minutes has ended.
pub(super) fn later() -> SystemTime {
    time::parse("2026-11-27T12:00:00Z").unwrap()
}

/// The trusted root of the private Sigstore.
pub(super) fn root() -> Value {
    serde_json::from_slice(&fs::read(file("pki/trusted_root.json")).unwrap()).unwrap()
}

/// The certificates of its timestamp authority.
pub(super) fn authority() -> Vec<Vec<u8>> {
    let root = root();
    let chain = root["timestampAuthorities"][0]["certChain"]["certificates"].as_array().unwrap();
    chain.iter().map(|one| STANDARD.decode(one["rawBytes"].as_str().unwrap()).unwrap()).collect()
}

/// Settings that believe an identity.
pub(super) fn identity((identity, issuer): Who) -> Settings {
    let keyless = Keyless {
        issuer: Some(issuer.to_owned()),
        identity: Some(identity.to_owned()),
        ..Keyless::default()
    };
    let trusted_root = Some(file("pki/trusted_root.json"));
    Settings { keyless: Some(keyless), trusted_root, ..Settings::default() }
}

/// Settings that believe a key of the fixtures.
pub(super) fn key(name: &str) -> Settings {
    let key = file(&format!("pki/key-{name}.pub")).display().to_string();
    let trusted_root = Some(file("pki/trusted_root.json"));
    Settings { key: Some(Pem(key)), trusted_root, ..Settings::default() }
}

/// The same without a log.
pub(super) fn unlogged(settings: Settings) -> Settings {
    Settings { transparency_log: Requirement::Ignore, ..settings }
}

/// Without a log, by a timestamp.
pub(super) fn stamped(settings: Settings) -> Settings {
    Settings { timestamps: Requirement::Require, ..unlogged(settings) }
}

impl Recorded {
    /// A bundle by itself, or an image with all that is attached to it.
    pub(super) fn read(case: &str) -> Self {
        let folder = file(case);
        if folder.join("bundle.json").exists() {
            return Self::bundle(&folder);
        }
        let blob = |digest: &str| {
            Bytes::from(fs::read(folder.join("oci/blobs").join(digest.replace(':', "/"))).unwrap())
        };
        let json =
            |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap() };
        let index = json("oci/index.json");
        let digests = index["manifests"].as_array().unwrap().iter().map(|m| m["digest"].as_str().unwrap());
        let manifests: Vec<Manifest> =
            digests.map(|digest| Manifest::parse(blob(digest), Algorithm::Sha256).unwrap()).collect();
        let image = Digest::parse(json("case.json")["digest"].as_str().unwrap()).unwrap();
        let descriptor = manifests.iter().find(|m| *m.digest() == image).unwrap().descriptor().clone();
        let mut claims = Vec::new();
        for manifest in manifests.iter().filter(|m| *m.digest() != image) {
            let Some(carrier) = crate::signature::layout::carrier(manifest, &image) else { continue };
            assert!(carrier.pure && carrier.config.is_none(), "{case}");
            for part in &carrier.parts {
                let payload = blob(&part.digest.to_string());
                claims.push(crate::signature::layout::signature(&carrier, *manifest.digest(), part, payload));
            }
        }
        Self { subject: subject(descriptor), claims }
    }

    fn bundle(folder: &Path) -> Self {
        let case: Value = serde_json::from_slice(&fs::read(folder.join("case.json")).unwrap()).unwrap();
        let digest = Digest::parse(case["digest"].as_str().unwrap()).unwrap();
        let bundle = Bytes::from(fs::read(folder.join("bundle.json")).unwrap());
        let claim = Signature {
            format: Format::Cosign,
            digest: Digest::sha256(&bundle),
            media_type: media_type::SIGSTORE_BUNDLE.into(),
            payload: bundle,
            annotations: BTreeMap::new(),
        };
        // Claims do not say how long it is.
        let descriptor = Descriptor::new("application/octet-stream", digest, 1);
        Self { subject: subject(descriptor), claims: vec![claim] }
    }

    /// The only claim.
    pub(super) fn claim(&self) -> &Signature {
        let [claim] = &self.claims[..] else { panic!("{:?}", self.claims) };
        claim
    }

    pub(super) fn verify(&self, verifier: &Cosign) -> Result<Evidence, Rejected> {
        judge(verifier, &self.subject, self.claim(), later())
    }
}

/// A claim that keeps its annotations, with other bytes.
pub(super) fn with_payload(claim: &Signature, payload: &Value) -> Signature {
    Signature { payload: payload.to_string().into(), ..claim.clone() }
}

pub(super) fn parsed(claim: &Signature) -> Value {
    serde_json::from_slice(&claim.payload).unwrap()
}
