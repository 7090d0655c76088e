//! What a request costs beside I/O: reading names, matching and deciding, and verifying one signature of each
//! format. `cargo bench --bench hot`.

#![allow(clippy::unwrap_used, missing_docs)]

mod notary;
mod sigstore;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::demo::Package;
use portcullis::demo::signing::certificate::{Identity, Profile};
use portcullis::demo::signing::key::{Key, KeyKind};
use portcullis::demo::signing::{cosign, notation, nv2};
use portcullis::oci::media_type::{COSIGN_SIMPLE_SIGNING, NOTATION_COSE, NOTATION_JWS, NV2_CONFIG_JWT};
use portcullis::oci::{Algorithm, Manifest, Reference, Repository};
use portcullis::policy::{self, Findings, Judged, Limits, Policies};
use portcullis::signature::settings::{SignerSettings, build};
use portcullis::signature::{Evidence, Format, Signature, SignerName, Subject, Verifier};
use portcullis::signing::notation::Form;
use portcullis::trust::RevocationData;
use serde_json::{Value, json};

const REPOSITORY: &str = "docker.io/wabbit-networks/net-monitor";

fn names(c: &mut Criterion) {
    let mut group = c.benchmark_group("names");
    let digest = format!("ghcr.io/acme/team/service@sha256:{}", "5a".repeat(32));
    for (what, text) in [("tag", "docker.io/library/nginx:1.27"), ("digest", digest.as_str())] {
        group.bench_function(what, |b| b.iter(|| Reference::parse(black_box(text)).unwrap()));
    }
    let manifest = Package::image("net-monitor").bytes().clone();
    group.bench_function("manifest", |b| {
        b.iter(|| Manifest::parse(black_box(manifest.clone()), Algorithm::Sha256).unwrap());
    });
}

/// A verifier, and a signature that it believes.
struct Case {
    name: &'static str,
    verifier: Arc<dyn Verifier>,
    subject: Subject,
    signature: Signature,
    now: SystemTime,
}

impl Case {
    fn new(
        name: &'static str,
        subject: &Subject,
        settings: Value,
        (format, media_type, payload): (Format, &str, Bytes),
    ) -> Self {
        let settings: SignerSettings = serde_json::from_value(settings).unwrap();
        let verifier = build(&SignerName(name.into()), &settings).unwrap();
        let signature = Signature {
            format,
            digest: subject.descriptor.digest,
            media_type: media_type.into(),
            payload,
            annotations: BTreeMap::new(),
        };
        Self { name, verifier, subject: subject.clone(), signature, now: SystemTime::now() }
    }

    fn verify(&self) -> Evidence {
        let data = RevocationData::default();
        self.verifier.verify(&self.subject, &self.signature, &data, self.now).unwrap()
    }

    fn judged(&self, policies: &Policies) -> Judged {
        let policy = policies.matching(&self.subject.repository).unwrap();
        let results = vec![(self.verifier.signer().clone(), Ok(self.verify()))];
        Judged::new(policy, &self.subject.repository, &self.signature, results)
    }
}

fn subject() -> Subject {
    let descriptor = Package::image("net-monitor").descriptor().clone();
    Subject { repository: Repository::parse(REPOSITORY).unwrap(), descriptor }
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn cases(folder: &Path) -> Vec<Case> {
    let subject = subject();
    let mut cases = vec![nv2_case(folder, &subject)];
    cases.push(cosign_case(folder, &subject, "cosign, P-256", KeyKind::P256));
    cases.push(cosign_case(folder, &subject, "cosign, RSA 3072", KeyKind::Rsa3072));
    cases.push(cosign_case(folder, &subject, "cosign, Ed25519", KeyKind::Ed25519));
    cases.extend(notation_cases(folder, &subject));
    cases
}

fn nv2_case(folder: &Path, subject: &Subject) -> Case {
    let signer = Identity::self_signed(&Profile::of_host("docker.io")).unwrap();
    let certificate = file(folder, "nv2.crt", &signer.certificate_pem());
    let claim = nv2::Claim::new(&["docker.io/wabbit-networks/net-monitor:v1"]);
    let token = nv2::jwt(&signer, &claim, &subject.descriptor).unwrap();
    let settings = json!({ "nv2": { "certificates": [certificate] } });
    Case::new("nv2, P-256", subject, settings, (Format::Nv2, NV2_CONFIG_JWT, token))
}

fn cosign_case(folder: &Path, subject: &Subject, name: &'static str, kind: KeyKind) -> Case {
    let key = Key::generate(kind).unwrap();
    let public = file(folder, &format!("{name}.pub"), &key.public_pem());
    let payload = cosign::payload(REPOSITORY, &subject.descriptor.digest);
    let artifact: Value = serde_json::from_slice(cosign::image(&key, &payload).unwrap().bytes()).unwrap();
    let settings = json!({ "cosign": { "key": public, "transparency_log": "ignore" } });
    let payload = Bytes::from(payload.to_string());
    let mut case = Case::new(name, subject, settings, (Format::Cosign, COSIGN_SIMPLE_SIGNING, payload));
    let annotations = artifact["layers"][0]["annotations"].clone();
    case.signature.annotations = serde_json::from_value(annotations).unwrap();
    case
}

fn notation_cases(folder: &Path, subject: &Subject) -> [Case; 2] {
    let signer = Identity::self_signed(&Profile::of_organization("acme-rockets.io")).unwrap();
    file(folder, "truststore/x509/ca/acme/root.crt", &signer.root_pem());
    let settings = json!({ "notation": {
        "trust_store": "ca:acme", "trust_store_dir": folder.join("truststore"), "trusted_identities": ["*"],
    }});
    let claim = notation::Claim::default();
    let jws = notation::envelope(&signer, &claim, &subject.descriptor, Form::Jws).unwrap();
    let cose = notation::envelope(&signer, &claim, &subject.descriptor, Form::Cose).unwrap();
    [
        Case::new("notation JWS, P-256", subject, settings.clone(), (Format::Notation, NOTATION_JWS, jws)),
        Case::new("notation COSE, P-256", subject, settings, (Format::Notation, NOTATION_COSE, cose)),
    ]
}

fn verify(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("verify");
    for case in cases(folder.path()) {
        group.bench_function(case.name, |b| b.iter(|| black_box(case.verify())));
    }
}

/// A policy for the repository among a thousand others.
fn policies(case: &Case) -> Policies {
    let signer = policy::Signer { verifier: Arc::clone(&case.verifier), acquire: None };
    let signers = BTreeMap::from([(case.verifier.signer().clone(), signer)]);
    let others = (0..1000).map(|n| format!("docker.io/team-{n}/**"));
    let settings: Vec<policy::Settings> = others
        .chain(["docker.io/wabbit-networks/*".to_owned()])
        .map(|scope| json!({ "name": scope, "scopes": [scope], "require": { "any": [case.name] } }))
        .map(|settings| serde_json::from_value(settings).unwrap())
        .collect();
    Policies::build(&settings, &[], &signers).unwrap()
}

fn policy(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let case = cosign_case(folder.path(), &subject(), "wabbit", KeyKind::P256);
    let policies = policies(&case);
    let findings = Findings { signatures: vec![case.judged(&policies)], troubles: Vec::new() };
    let (limits, now) = (Limits::default(), SystemTime::now());
    let mut group = c.benchmark_group("policy");
    group.bench_function("match among 1001", |b| {
        b.iter(|| policies.matching(black_box(&case.subject.repository)).is_some());
    });
    group.bench_function("decide", |b| {
        b.iter(|| {
            let decision = policy::decide(&case.subject, None, &policies, black_box(&findings), &limits, now);
            assert!(decision.serve());
            decision
        });
    });
}

criterion_group!(benches, names, verify, notary::notary, sigstore::sigstore, policy);
criterion_main!(benches);
