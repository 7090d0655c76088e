use serde_json::Value;

use super::*;
use crate::demo::Package;
use crate::oci::{Digest, Manifest, Repository};
use crate::signature::{Code, Evidence, Rejected, SignerName, Subject, Verifier, layout};
use crate::signing::notation::Form;
use crate::trust::RevocationData;
use crate::x509::{Algorithm, Certificate, Encoding, Hash};

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn a_jwt_is_signed_by_the_certificate_it_carries() {
    let signer = Identity::self_signed(&Profile::of_host("registry.example")).unwrap();
    let image = Package::image("app");
    let claim = nv2::Claim::new(&["registry.example/app:1"]);
    let token = nv2::jwt(&signer, &claim, image.descriptor()).unwrap();
    let token = std::str::from_utf8(&token).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();

    let certificate = STANDARD.decode(decoded(header)["x5c"][0].as_str().unwrap()).unwrap();
    let certificate = Certificate::from_der(&certificate).unwrap();
    assert_eq!(certificate.dns_names(), ["registry.example"]);
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let algorithm = Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed);
    assert!(certificate.public_key().verify(algorithm, signed.as_bytes(), &signature).is_ok());
    let payload = decoded(payload);
    assert_eq!(payload["digest"], image.digest().to_string());
    assert_eq!(payload["references"][0], "registry.example/app:1");
}

#[test]
fn an_authority_issues_what_chains_to_it() {
    let authority = Authority::new("acme").unwrap();
    let leaf = authority.issue(&Profile::of_organization("acme-rockets.io")).unwrap();
    let chain: Vec<_> = leaf.chain().iter().map(|c| Certificate::from_der(c).unwrap()).collect();
    assert!(chain[1].issued(&chain[0]).is_ok());
    assert!(chain[1].is_self_signed());
    let pem = Certificate::all_from(authority.certificate_pem().as_bytes()).unwrap();
    assert_eq!(pem[0].der(), chain[1].der());
}

#[test]
fn every_carrier_is_a_manifest_that_may_be_judged() {
    let signer = Identity::self_signed(&Profile::of_host("registry.example")).unwrap();
    let image = Package::image("app");
    let subject = image.descriptor();
    let claim = nv2::Claim::new(&["registry.example/app:1"]);
    let token = nv2::jwt(&signer, &claim, subject).unwrap();
    let json = nv2::json(&signer, &claim, subject).unwrap();
    let jws = notation::envelope(&signer, &notation::Claim::default(), subject, Form::Jws).unwrap();
    let cose = notation::envelope(&signer, &notation::Claim::default(), subject, Form::Cose).unwrap();
    let payload = cosign::payload("registry.example/app", &subject.digest);
    for package in [
        nv2::jwt_artifact(token.clone()).about(subject),
        nv2::json_artifact(json),
        nv2::index(token, subject),
        notation::artifact(jws, Form::Jws, &signer, subject).unwrap(),
        notation::artifact(cose, Form::Cose, &signer, subject).unwrap(),
        cosign::image(signer.key(), &payload).unwrap(),
        cosign::referrer(signer.key(), &payload).unwrap().about(subject),
    ] {
        Manifest::parse_expecting(package.bytes().clone(), &package.digest()).unwrap();
    }
}

/// What signature/ makes of an artifact, as discovery would hand it over.
fn judged(package: &Package, subject: &Package, verifier: &dyn Verifier) -> Result<Evidence, Rejected> {
    let manifest = Manifest::parse_expecting(package.bytes().clone(), &package.digest()).unwrap();
    let carrier = layout::carrier(&manifest, &subject.digest()).unwrap();
    assert!(carrier.pure);
    let part = &carrier.parts[0];
    let payload = package.blobs().iter().find(|blob| part.digest.matches(blob)).unwrap();
    let signature = layout::signature(&carrier, package.digest(), part, payload.clone());
    let repository = Repository::parse("registry.example/app").unwrap();
    let subject = Subject { repository, descriptor: subject.descriptor().clone() };
    verifier.verify(&subject, &signature, &RevocationData::default(), SystemTime::now())
}

fn kept(folder: &tempfile::TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn nv2_signatures_of_every_form_and_key_are_believed() {
    let image = Package::image("app");
    let name = SignerName("wabbit".into());
    for key in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048] {
        let profile = Profile { key, ..Profile::of_host("registry.example") };
        let signer = Identity::self_signed(&profile).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let certificates = vec![kept(&folder, "own.crt", &signer.certificate_pem())];
        let settings = crate::signature::nv2::Settings { certificates, ..Default::default() };
        let verifier = crate::signature::nv2::verifier(&name, &settings).unwrap();
        for with_certificate in [true, false] {
            let claim = nv2::Claim { with_certificate, ..nv2::Claim::new(&["registry.example/app:1"]) };
            let token = nv2::jwt(&signer, &claim, image.descriptor()).unwrap();
            let json = nv2::json(&signer, &claim, image.descriptor()).unwrap();
            for package in [
                nv2::jwt_artifact(token.clone()).about(image.descriptor()),
                nv2::jwt_artifact(token.clone()),
                nv2::index(token, image.descriptor()),
                nv2::json_artifact(json),
            ] {
                let evidence = judged(&package, &image, &verifier).unwrap();
                assert_eq!(evidence.names()[0].to_string(), "registry.example/app:1");
            }
            let other = Package::image("other");
            let token = nv2::jwt(&signer, &claim, other.descriptor()).unwrap();
            let moved = judged(&nv2::jwt_artifact(token), &image, &verifier).unwrap_err();
            assert_eq!(moved.code(), Code::DigestMismatch);
        }
    }
}

#[test]
fn notation_signatures_of_every_envelope_and_key_are_believed() {
    let image = Package::image("app");
    let authority = Authority::new("acme").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("x509/ca/acme")).unwrap();
    kept(&folder, "x509/ca/acme/root.pem", &authority.certificate_pem());
    let mut settings: crate::signature::notation::Settings = serde_json::from_value(serde_json::json!({
        "trust_store": "ca:acme",
        "trust_store_dir": folder.path(),
        "trusted_identities": ["x509.subject: C=US, ST=WA, O=acme-rockets.io"],
    }))
    .unwrap();
    settings.resolve(folder.path());
    let verifier = crate::signature::notation::verifier(&SignerName("acme".into()), &settings).unwrap();
    for key in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048, KeyKind::Rsa3072] {
        let profile = Profile { key, ..Profile::of_organization("acme-rockets.io") };
        let signer = authority.issue(&profile).unwrap();
        let claim = notation::Claim { expires: Some(SystemTime::now() + YEAR), ..Default::default() };
        for claim in [claim, notation::Claim::default()] {
            let jws = notation::envelope(&signer, &claim, image.descriptor(), Form::Jws).unwrap();
            let jws = notation::artifact(jws, Form::Jws, &signer, image.descriptor()).unwrap();
            let cose = notation::envelope(&signer, &claim, image.descriptor(), Form::Cose).unwrap();
            let cose = notation::artifact(cose, Form::Cose, &signer, image.descriptor()).unwrap();
            for package in [jws, cose] {
                assert_eq!(&*judged(&package, &image, &verifier).unwrap().signer().0, "acme");
            }
        }
    }
    let stranger =
        Authority::new("acme").unwrap().issue(&Profile::of_organization("acme-rockets.io")).unwrap();
    let jws =
        notation::envelope(&stranger, &notation::Claim::default(), image.descriptor(), Form::Jws).unwrap();
    let refused = judged(
        &notation::artifact(jws, Form::Jws, &stranger, image.descriptor()).unwrap(),
        &image,
        &verifier,
    );
    assert_eq!(refused.unwrap_err().code(), Code::UntrustedKey);
}

#[test]
fn cosign_signatures_of_every_layout_and_key_are_believed() {
    let image = Package::image("app");
    let folder = tempfile::tempdir().unwrap();
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519, KeyKind::Rsa2048] {
        let key = Key::generate(kind).unwrap();
        let path = kept(&folder, "key.pub", &key.public_pem());
        let settings: crate::signature::cosign::Settings =
            serde_json::from_value(serde_json::json!({"key": path, "transparency_log": "ignore"})).unwrap();
        let verifier = crate::signature::cosign::verifier(&SignerName("acme".into()), &settings).unwrap();
        let payload = cosign::payload("registry.example/app", &image.digest());
        for package in [
            cosign::image(&key, &payload).unwrap(),
            cosign::referrer(&key, &payload).unwrap().about(image.descriptor()),
        ] {
            let evidence = judged(&package, &image, &verifier).unwrap();
            assert_eq!(evidence.names()[0].to_string(), "registry.example/app");
        }
        let other = cosign::payload("registry.example/app", &Digest::sha256(b"other"));
        let moved = judged(&cosign::image(&key, &other).unwrap(), &image, &verifier).unwrap_err();
        assert_eq!(moved.code(), Code::DigestMismatch);
    }
}
