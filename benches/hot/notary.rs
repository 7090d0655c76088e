//! One Notary Project envelope of each algorithm, by the real tool, and beside it the bare signature checks of
//! its chain: the envelope's own and one a certificate. The goal is a ratio of at most 1.5.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use criterion::Criterion;
use portcullis::oci::media_type::{NOTATION_COSE, NOTATION_JWS};
use portcullis::oci::{Algorithm, Manifest, Repository};
use portcullis::signature::{Format, Subject};
use portcullis::x509::{self, Certificate, Encoding, Hash};
use serde_json::{Value, json};

use super::{Case, REPOSITORY};

const ALGORITHMS: [(&str, x509::Algorithm); 6] = [
    ("rsa2048", x509::Algorithm::RsaPss(Hash::Sha256)),
    ("rsa3072", x509::Algorithm::RsaPss(Hash::Sha384)),
    ("rsa4096", x509::Algorithm::RsaPss(Hash::Sha512)),
    ("p256", x509::Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed)),
    ("p384", x509::Algorithm::Ecdsa(Hash::Sha384, Encoding::Fixed)),
    ("p521", x509::Algorithm::Ecdsa(Hash::Sha512, Encoding::Fixed)),
];

pub fn notary(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("notary");
    for (name, algorithm) in ALGORITHMS {
        let bare = Bare::read(&file(&format!("envelopes/{name}.jws")), algorithm);
        group.bench_function(format!("{name}, bare checks"), |b| b.iter(|| bare.check()));
        for (form, media_type) in [("jws", NOTATION_JWS), ("cose", NOTATION_COSE)] {
            let case = case(folder.path(), &bare, &format!("{name}.{form}"), media_type);
            group.bench_function(format!("{name}, {form}"), |b| b.iter(|| black_box(case.verify())));
        }
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/notation/made").join(name)
}

fn case(folder: &Path, bare: &Bare, envelope: &str, media_type: &'static str) -> Case {
    let store = folder.join(envelope).join("x509/ca/acme");
    std::fs::create_dir_all(&store).unwrap();
    std::fs::write(store.join("root.cer"), bare.chain.last().unwrap().der()).unwrap();
    let settings = json!({ "notation": {
        "trust_store": "ca:acme", "trust_store_dir": folder.join(envelope), "trusted_identities": ["*"],
    }});
    let manifest = std::fs::read(file("manifest.json")).unwrap();
    let manifest = Manifest::parse(manifest.into(), Algorithm::Sha256).unwrap();
    let repository = Repository::parse(REPOSITORY).unwrap();
    let subject = Subject { repository, descriptor: manifest.descriptor().clone() };
    let payload = Bytes::from(std::fs::read(file("envelopes").join(envelope)).unwrap());
    let mut case = Case::new("notary", &subject, settings, (Format::Notation, media_type, payload));
    case.now = bare.chain[0].not_before() + Duration::from_secs(60);
    case
}

/// What no verifier can do without.
struct Bare {
    algorithm: x509::Algorithm,
    signed: Vec<u8>,
    signature: Vec<u8>,
    chain: Vec<Certificate>,
}

impl Bare {
    fn read(jws: &Path, algorithm: x509::Algorithm) -> Self {
        let jws: Value = serde_json::from_slice(&std::fs::read(jws).unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let certificate =
            |value: &Value| Certificate::from_der(&STANDARD.decode(text(value)).unwrap()).unwrap();
        Self {
            algorithm,
            signed: format!("{}.{}", text(&jws["protected"]), text(&jws["payload"])).into_bytes(),
            signature: URL_SAFE_NO_PAD.decode(text(&jws["signature"])).unwrap(),
            chain: jws["header"]["x5c"].as_array().unwrap().iter().map(certificate).collect(),
        }
    }

    fn check(&self) {
        self.chain[0].public_key().verify(self.algorithm, &self.signed, &self.signature).unwrap();
        for pair in self.chain.windows(2) {
            pair[1].issued(&pair[0]).unwrap();
        }
        let root = self.chain.last().unwrap();
        root.issued(root).unwrap();
    }
}
