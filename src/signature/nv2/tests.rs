#![allow(clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};

use super::*;
use crate::oci::{Digest, Repository, media_type};
use crate::signature::Code;
use crate::signature::Rejected;
use crate::signature::{Evidence, Format, SignerName, Subject, Verifier};
use crate::trust::RevocationData;

const NOW: u64 = 1_800_000_000;
const HOST: &str = "registry.example.test";

fn fixtures(form: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(form)
}

fn subject(manifest: &[u8], media_type: &str) -> Subject {
    let digest = Digest::sha256(manifest);
    let descriptor = Descriptor::new(media_type, digest, manifest.len() as u64);
    Subject { repository: Repository::parse("docker.io/library/app").unwrap(), descriptor }
}

fn signature(media_type: &str, payload: impl Into<Bytes>) -> Signature {
    Signature {
        format: Format::Nv2,
        digest: Digest::sha256(b"artifact"),
        media_type: media_type.into(),
        payload: payload.into(),
        annotations: Default::default(),
    }
}

fn judge(
    settings: &Settings,
    subject: &Subject,
    signature: &Signature,
    now: u64,
) -> Result<Evidence, Rejected> {
    let verifier = verifier(&SignerName("wabbit".into()), settings).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(now);
    verifier.verify(subject, signature, &RevocationData::default(), now)
}

/// Every verdict that the prototype gave is given here too.
fn replay(form: &str, file: &str, media_type: &str) {
    let root = fixtures(form);
    let manifest = std::fs::read(root.join("manifest.json")).unwrap();
    let subject = subject(&manifest, media_type::DOCKER_MANIFEST);
    let mut verdicts = 0;
    for entry in std::fs::read_dir(&root).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(case) = std::fs::read(folder.join("case.json")) else { continue };
        let case: Value = serde_json::from_slice(&case).unwrap();
        let signature = signature(media_type, std::fs::read(folder.join(file)).unwrap());
        for verify in case["verify"].as_array().unwrap() {
            let places = |key: &str| -> Vec<PathBuf> {
                let names = verify[key].as_array().cloned().unwrap_or_default();
                names.iter().map(|n| root.join("pki").join(format!("{}.crt", n.as_str().unwrap()))).collect()
            };
            let settings =
                Settings { certificates: places("cert"), ca_certificates: places("ca"), names: None };
            let result = judge(&settings, &subject, &signature, NOW);
            assert_eq!(result.is_ok(), verify["rc"] == 0, "{}: {result:?}", folder.display());
            verdicts += 1;
        }
    }
    assert!(verdicts >= 7, "{verdicts}");
}

#[test]
fn the_prototypes_verdicts_on_jwts() {
    replay("nv2", "signature.jwt", media_type::NV2_CONFIG_JWT);
}

#[test]
fn the_prototypes_verdicts_on_json_signatures() {
    replay("nv2-json", "signature.json", media_type::NV2_CONFIG_JSON);
}

/// A claim, freshly signed: every part can be changed before or after signing.
struct Story {
    key: KeyPair,
    certificate: Vec<u8>,
    chain: Vec<Vec<u8>>,
    header: Value,
    claims: Value,
    subject: Subject,
    settings: Settings,
    folder: tempfile::TempDir,
}

impl Story {
    fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        Self::with(key, vec![certificate.clone()], &certificate, |place| Settings {
            certificates: vec![place],
            ..Settings::default()
        })
    }

    fn with(
        key: KeyPair,
        chain: Vec<Vec<u8>>,
        anchor: &[u8],
        settings: impl FnOnce(PathBuf) -> Settings,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("anchor.der"), anchor).unwrap();
        let subject = subject(b"{}", media_type::OCI_MANIFEST);
        let claims = json!({
            "mediaType": media_type::OCI_MANIFEST, "digest": subject.descriptor.digest, "size": 2,
            "references": [format!("{HOST}/app:v1")], "exp": NOW + 100, "nbf": NOW - 100, "iat": NOW - 100,
        });
        let x5c: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        Self {
            key,
            certificate: chain[0].clone(),
            chain,
            header: json!({"typ": "x509", "alg": "ES256", "x5c": x5c}),
            claims,
            subject,
            settings: settings(folder.path().to_owned()),
            folder,
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let der = self.key.serialize_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
        key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    fn jwt_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn jwt(&self) -> String {
        self.jwt_of(&self.header.to_string(), &self.claims.to_string())
    }

    fn judge_jwt(&self, jwt: impl Into<Bytes>) -> Result<Evidence, Rejected> {
        judge(&self.settings, &self.subject, &signature(media_type::NV2_CONFIG_JWT, jwt), NOW)
    }

    fn judge(&self) -> Result<Evidence, Rejected> {
        self.judge_jwt(self.jwt())
    }

    fn code(&self) -> Code {
        self.judge().unwrap_err().code()
    }

    fn json(&self) -> String {
        let mut header = self.header.clone();
        let signed = self.claims.to_string();
        header["sig"] = json!(STANDARD.encode(self.sign(signed.as_bytes())));
        format!(r#"{{"signed":{signed},"signature":{header}}}"#)
    }

    fn judge_json(&self, text: String) -> Result<Evidence, Rejected> {
        judge(&self.settings, &self.subject, &signature(media_type::NV2_CONFIG_JSON, text), NOW)
    }
}

fn story() -> Story {
    Story::new(|_| {})
}

#[test]
fn what_a_proof_tells() {
    let story = story();
    let evidence = story.judge().unwrap();
    assert_eq!(evidence.subject(), &story.subject.descriptor.digest);
    assert_eq!(evidence.names()[0].to_string(), format!("{HOST}/app:v1"));
    assert_eq!(evidence.not_after(), Some(UNIX_EPOCH + Duration::from_secs(NOW + 100)));
    let signed_at = UNIX_EPOCH + Duration::from_secs(NOW - 100);
    assert_eq!(evidence.signed_at(), Some((signed_at, crate::signature::TimeSource::Claimed)));
    assert!(evidence.notes().is_empty());
}

#[test]
fn every_claim_binds() {
    for (key, value, code) in [
        ("digest", json!(Digest::sha256(b"other")), Code::DigestMismatch),
        ("digest", json!("sha256:44"), Code::DigestMismatch),
        ("size", json!(3), Code::SizeMismatch),
        ("size", json!(-2), Code::Malformed),
        ("mediaType", json!(media_type::DOCKER_MANIFEST), Code::MediaTypeMismatch),
        ("mediaType", Value::Null, Code::MediaTypeMismatch),
        ("exp", json!(NOW), Code::SignatureExpired),
        ("exp", json!(0), Code::SignatureExpired),
        ("exp", json!("never"), Code::Malformed),
        ("nbf", json!(NOW + 1), Code::NotYetValid),
        ("references", json!(["evil.test/app:v1"]), Code::NameMismatch),
        ("references", json!([format!("{HOST}/app:v1"), "evil.test/app:v1"]), Code::NameMismatch),
        ("references", json!([format!("{HOST}:5000/app:v1")]), Code::NameMismatch),
        ("references", json!(["app:v1"]), Code::NameMismatch),
        ("references", json!(vec![format!("{HOST}/a"); 257]), Code::Malformed),
        ("Digest", json!("sha256:44"), Code::Malformed),
    ] {
        let mut story = story();
        story.claims[key] = value.clone();
        assert_eq!(story.code(), code, "{key}: {value}");
    }
}

#[test]
fn optional_claims_may_be_absent() {
    let mut story = story();
    story.claims = json!({
        "mediaType": media_type::OCI_MANIFEST, "digest": story.subject.descriptor.digest, "size": 2,
    });
    let evidence = story.judge().unwrap();
    assert!(evidence.names().is_empty() && evidence.signed_at().is_none());
    assert!(evidence.not_after().is_some(), "the certificate's end is the proof's");
}

#[test]
fn every_header_field_binds() {
    for (key, value, code) in [
        ("typ", json!("JWT"), Code::Unsupported),
        ("typ", Value::Null, Code::Unsupported),
        ("alg", json!("none"), Code::Unsupported),
        ("alg", json!("HS256"), Code::Unsupported),
        ("alg", json!("PS256"), Code::Unsupported),
        ("alg", json!("ES384"), Code::BadSignature),
        ("alg", json!("RS256"), Code::BadSignature),
        ("crit", json!(["exp"]), Code::Unsupported),
        ("crit", json!([]), Code::Unsupported),
        ("x5c", json!([]), Code::Malformed),
        ("x5c", json!(["not base64!"]), Code::Malformed),
        ("x5c", json!(["MAA="]), Code::Malformed),
        ("X5C", json!([]), Code::Malformed),
    ] {
        let mut story = story();
        story.header[key] = value.clone();
        assert_eq!(story.code(), code, "{key}: {value}");
    }
}

#[test]
fn changed_bytes_are_refused() {
    let story = story();
    let jwt = story.jwt();
    let mut parts: Vec<String> = jwt.split('.').map(str::to_owned).collect();
    let mut claims = story.claims.clone();
    claims["iat"] = json!(NOW);
    parts[1] = URL_SAFE_NO_PAD.encode(claims.to_string());
    assert_eq!(story.judge_jwt(parts.join(".")).unwrap_err().code(), Code::BadSignature);

    let mut spaced = story.header.to_string();
    spaced.push(' ');
    let header = URL_SAFE_NO_PAD.encode(spaced);
    let (_, rest) = jwt.split_once('.').unwrap();
    assert_eq!(story.judge_jwt(format!("{header}.{rest}")).unwrap_err().code(), Code::BadSignature);

    for bad in [format!("{jwt}\n"), format!("{jwt}="), format!("{jwt}.x"), format!(" {jwt}"), String::new()] {
        assert_eq!(story.judge_jwt(bad.clone()).unwrap_err().code(), Code::Malformed, "{bad}");
    }
}

#[test]
fn keys_may_not_stand_twice() {
    let story = story();
    let claims = story.claims.to_string();
    let doubled = claims.replacen('{', r#"{"size":3,"#, 1);
    let jwt = story.jwt_of(&story.header.to_string(), &doubled);
    assert_eq!(story.judge_jwt(jwt).unwrap_err().code(), Code::Malformed);
    let header = story.header.to_string().replacen('{', r#"{"typ":"JWT","#, 1);
    assert_eq!(story.judge_jwt(story.jwt_of(&header, &claims)).unwrap_err().code(), Code::Malformed);
}

#[test]
fn the_json_form_signs_the_raw_bytes() {
    let story = story();
    let text = story.json();
    let evidence = story.judge_json(text.clone()).unwrap();
    assert!(evidence.notes().is_empty());
    for (bad, code) in [
        (text.replacen(r#""size":2"#, r#""size": 2"#, 1), Code::BadSignature),
        (text.replacen(r#""signed":{"#, r#""signed":{"size":2,"#, 1), Code::Malformed),
        (text.replacen(r#"{"signed""#, r#"{"signed":{},"signed""#, 1), Code::Malformed),
        (text.replacen(r#""sig":""#, r#""sig":"A"#, 1), Code::Malformed),
        (format!("{text}x"), Code::Malformed),
        (text.replacen(r#""typ":"x509""#, r#""typ":"tuf""#, 1), Code::Unsupported),
    ] {
        assert_ne!(bad, text);
        assert_eq!(story.judge_json(bad.clone()).unwrap_err().code(), code, "{bad}");
    }
}

#[test]
fn the_json_form_says_that_it_signs_no_media_type() {
    let mut story = story();
    story.claims.as_object_mut().unwrap().remove("mediaType");
    let evidence = story.judge_json(story.json()).unwrap();
    assert_eq!(evidence.notes().len(), 1);
    story.claims["mediaType"] = json!(media_type::DOCKER_MANIFEST);
    assert_eq!(story.judge_json(story.json()).unwrap_err().code(), Code::MediaTypeMismatch);
}

#[test]
fn the_certificates_own_rules() {
    let usage = |all: Vec<KeyUsagePurpose>| Story::new(|p| p.key_usages = all);
    assert!(usage(vec![KeyUsagePurpose::DigitalSignature]).judge().is_ok());
    assert_eq!(usage(vec![KeyUsagePurpose::KeyEncipherment]).code(), Code::CertificateInvalid);

    let purpose = |all: Vec<ExtendedKeyUsagePurpose>| Story::new(|p| p.extended_key_usages = all);
    assert!(purpose(vec![ExtendedKeyUsagePurpose::ServerAuth]).judge().is_ok());
    let mut code_signing = purpose(vec![ExtendedKeyUsagePurpose::CodeSigning]);
    assert_eq!(code_signing.code(), Code::CertificateInvalid);
    code_signing.claims["references"] = json!([]);
    assert!(code_signing.judge().is_ok());

    assert_eq!(
        Story::new(|p| p.not_after = rcgen::date_time_ymd(2027, 1, 1)).code(),
        Code::CertificateExpired
    );
    assert_eq!(Story::new(|p| p.not_before = rcgen::date_time_ymd(2028, 1, 1)).code(), Code::NotYetValid);
    let critical = Story::new(|p| {
        let mut unknown = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        unknown.set_criticality(true);
        p.custom_extensions.push(unknown);
    });
    assert_eq!(critical.code(), Code::CertificateInvalid);
}

#[test]
fn the_common_name_counts_only_without_alternative_names() {
    let named = |san: Vec<rcgen::SanType>| {
        Story::new(|p| {
            p.subject_alt_names = san;
            p.distinguished_name.push(rcgen::DnType::CommonName, HOST);
        })
    };
    assert!(named(Vec::new()).judge().is_ok());
    let address = rcgen::SanType::IpAddress([192, 0, 2, 1].into());
    assert_eq!(named(vec![address]).code(), Code::NameMismatch);
}

#[test]
fn a_key_that_is_only_named_must_be_known() {
    let mut story = story();
    let id = |story: &Story| {
        let settings = verifier::key_id(
            crate::x509::Certificate::from_der(&story.certificate).unwrap().public_key().spki(),
        );
        json!({"typ": "x509", "alg": "ES256", "kid": settings})
    };
    story.header = id(&story);
    assert!(story.judge().is_ok());
    // Authorities vouch for certificates, not for key ids.
    story.settings.ca_certificates = std::mem::take(&mut story.settings.certificates);
    assert_eq!(story.code(), Code::UntrustedKey);

    let mut expired = Story::new(|p| p.not_after = rcgen::date_time_ymd(2027, 1, 1));
    expired.header = id(&expired);
    assert_eq!(expired.code(), Code::CertificateExpired);
}

#[test]
fn a_key_that_is_not_there_yet_is_told_apart() {
    let story = story();
    std::fs::remove_file(story.folder.path().join("anchor.der")).unwrap();
    let rejection = story.judge().unwrap_err();
    assert_eq!(rejection.code(), Code::KeyNotAcquired);
    assert!(rejection.to_string().contains(&story.folder.path().display().to_string()), "{rejection}");
}

/// A leaf under an authority, in the settings' `ca_certificates`.
fn issued(authority: impl FnOnce(&mut CertificateParams)) -> Story {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.distinguished_name.push(rcgen::DnType::CommonName, "root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority(&mut root);
    let root_der = root.self_signed(&root_key).unwrap().der().to_vec();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "leaf");
    let leaf = params.signed_by(&key, &issuer).unwrap().der().to_vec();
    Story::with(key, vec![leaf], &root_der, |place| Settings {
        ca_certificates: vec![place],
        ..Settings::default()
    })
}

#[test]
fn authorities_vouch_for_leaves() {
    assert!(issued(|_| {}).judge().is_ok());
    assert_eq!(issued(|p| p.is_ca = IsCa::ExplicitNoCa).code(), Code::CertificateInvalid);
    assert_eq!(issued(|p| p.key_usages = vec![KeyUsagePurpose::CrlSign]).code(), Code::CertificateInvalid);
    let expired = issued(|p| p.not_after = rcgen::date_time_ymd(2027, 1, 1));
    assert_eq!(expired.code(), Code::CertificateExpired);
    let mut stranger = issued(|_| {});
    stranger.settings = issued(|_| {}).settings;
    // The other story's folder is gone with it: an absent folder is a key not yet acquired.
    assert_eq!(stranger.code(), Code::KeyNotAcquired);
    let other = story();
    stranger.settings = other.settings.clone();
    assert_eq!(stranger.code(), Code::UntrustedKey);
    assert_eq!(stranger.chain.len(), 1);
}

#[test]
fn names_bind_a_signer_of_an_authority() {
    let mut story = issued(|_| {});
    let verifier_of = |s: &Story| verifier(&SignerName("wabbit".into()), &s.settings).unwrap();
    assert!(verifier_of(&story).limitation().is_some());
    let open = verifier_of(&story).revision();
    story.settings.names = Some(vec![HOST.to_owned()]);
    assert!(story.judge().is_ok());
    assert!(verifier_of(&story).limitation().is_none());
    assert_ne!(verifier_of(&story).revision(), open);
    story.settings.names = Some(vec!["other.example.test".to_owned()]);
    assert_eq!(story.code(), Code::IdentityMismatch);

    let mut wide = Story::new(|p| {
        p.subject_alt_names = vec![rcgen::SanType::DnsName("*.example.test".try_into().unwrap())];
    });
    wide.settings.names = Some(vec!["cdn.example.test".to_owned()]);
    assert_eq!(wide.code(), Code::NameMismatch);
}

#[test]
fn settings_that_trust_nobody_are_refused() {
    let fault = |s: Settings| verifier(&SignerName("w".into()), &s).err().unwrap().path;
    assert_eq!(fault(Settings::default()), ["certificates"]);
    let named = |names: &[&str]| Settings {
        certificates: vec!["absent".into()],
        names: Some(names.iter().map(|n| (*n).to_owned()).collect()),
        ..Settings::default()
    };
    assert_eq!(fault(named(&[])), ["names"]);
    assert_eq!(fault(named(&["a.test", "https://b.test"])), ["names", "1"]);
}

#[test]
fn layouts() {
    let subject = Digest::sha256(b"subject");
    let carrier = |text: String| {
        let manifest = crate::oci::Manifest::parse(text.into(), crate::oci::Algorithm::Sha256).unwrap();
        layout::carrier(&manifest, &subject)
    };
    let blob = |kind: &str, content: &[u8]| json!({"mediaType": kind, "digest": Digest::sha256(content), "size": content.len()});
    let image = |layers: Value| {
        json!({"schemaVersion": 2, "config": blob(media_type::NV2_CONFIG_JWT, b"x"), "layers": layers})
            .to_string()
    };
    assert!(carrier(image(json!([]))).unwrap().pure);
    assert!(carrier(image(json!([blob(media_type::EMPTY, b"{}")]))).unwrap().pure);
    assert!(!carrier(image(json!([blob("application/x", b"{}")]))).unwrap().pure);
    let index = |about: &Digest| {
        let listed = json!([{"mediaType": media_type::OCI_MANIFEST, "digest": about, "size": 7}]);
        let config = blob(media_type::NV2_INDEX_CONFIG_JWT, b"x");
        json!({"schemaVersion": 2, "config": config, "manifests": listed}).to_string()
    };
    assert!(carrier(index(&subject)).unwrap().pure);
    assert!(carrier(index(&Digest::sha256(b"other"))).is_none());
}
