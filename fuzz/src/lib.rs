//! What the fuzz targets share: a subject, the moment at which it is judged, and claims about it that are
//! nothing but the fuzzer's bytes. The seeds hold genuine signatures of this subject by real tools.

pub mod sigstore;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use portcullis::oci::{Algorithm, Manifest, Repository};
use portcullis::signature::{Format, Signature, SignerName, Subject, Verifier};
use portcullis::trust::RevocationData;
use portcullis::x509::Certificate;
use portcullis::x509::revocation::Question;

/// When the seeds were signed, and a minute: their certificates are good for a day.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_314_180)
}

/// A file of this crate.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The name of the only signer.
pub fn signer() -> SignerName {
    SignerName("fuzz".into())
}

/// What the manifest in this file is called and described by.
pub fn subject(manifest: &str) -> Subject {
    let bytes = std::fs::read(file(manifest)).expect("the manifest is in the repository");
    let manifest = Manifest::parse(bytes.into(), Algorithm::Sha256).expect("a valid manifest");
    let repository = Repository::parse("docker.io/wabbit-networks/net-monitor").expect("a valid name");
    Subject { repository, descriptor: manifest.descriptor().clone() }
}

/// A claim made of any bytes.
pub fn signature(format: Format, subject: &Subject, media_type: &str, payload: &[u8]) -> Signature {
    Signature {
        format,
        digest: subject.descriptor.digest.clone(),
        media_type: Arc::from(media_type),
        payload: Bytes::copy_from_slice(payload),
        annotations: BTreeMap::new(),
    }
}

/// Judges a claim. What is believed must be about this subject.
pub fn judge(verifier: &dyn Verifier, subject: &Subject, signature: &Signature) -> bool {
    match verifier.verify(subject, signature, &RevocationData::default(), now()) {
        Ok(evidence) => {
            assert_eq!(evidence.subject(), &subject.descriptor.digest);
            true
        }
        Err(rejection) => {
            let _ = rejection.to_string();
            false
        }
    }
}

/// A certificate that names where its revocation is known, and its issuer's.
pub fn revocable() -> Option<[Certificate; 2]> {
    static PAIR: LazyLock<Option<[Certificate; 2]>> = LazyLock::new(|| {
        let read = |name: &str| std::fs::read(file("../tests/fixtures/notation/made/pki").join(name));
        let all = [read("listed.pem").ok()?, read("middle.pem").ok()?];
        let [certificate, issuer] = all.map(|pem| Certificate::all_from(&pem).ok()?.into_iter().next());
        Some([certificate?, issuer?])
    });
    PAIR.clone()
}

/// Whether it is revoked now, for a signature that was made nobody knows when.
pub fn question<'a>(certificate: &'a Certificate, issuer: &'a Certificate) -> Question<'a> {
    Question { certificate, issuer, now: now(), signed_at: None, grace: Duration::ZERO }
}
