//! What is signed here is verified by `signature::nv2`, which the prototype's own verdicts hold.

use bytes::Bytes;
use futures_util::FutureExt as _;
use serde_json::Value;

use super::*;
use crate::demo::signing::{Authority, Identity, KeyKind as Kind, Profile};
use crate::oci::{Repository, media_type};
use crate::signature::Code;
use crate::signature::nv2::{Settings, verifier};
use crate::signature::{Evidence, Format, Rejected, Signature, SignerName, Subject, Verifier as _};
use crate::signing::Key;
use crate::trust::RevocationData;

const HOST: &str = "registry.wabbit-networks.io";
const HOUR: Duration = Duration::from_secs(3600);

struct Stand {
    identity: Identity,
    key: SigningKey,
    chain: Vec<Certificate>,
    folder: tempfile::TempDir,
    subject: Descriptor,
}

impl Stand {
    fn of(identity: Identity) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("root.crt"), identity.root_pem()).unwrap();
        let key = signing_key(&identity);
        let chain = identity.chain().iter().map(|der| Certificate::from_der(der).unwrap()).collect();
        let subject = Descriptor::new(media_type::DOCKER_MANIFEST, Digest::sha256(b"manifest"), 8);
        Self { identity, key, chain, folder, subject }
    }

    fn self_signed(kind: Kind) -> Self {
        Self::of(Identity::self_signed(&Profile { key: kind, ..Profile::of_host(HOST) }).unwrap())
    }

    fn claim<'a>(&'a self, references: &'a [String]) -> Claim<'a> {
        Claim { subject: &self.subject, references, issued: SystemTime::now(), lifetime: None }
    }

    fn verify(&self, text: &str, form: Form, now: SystemTime) -> Result<Evidence, Rejected> {
        let settings =
            Settings { certificates: vec![self.folder.path().join("root.crt")], ..Settings::default() };
        let media_type =
            if form == Form::Jwt { media_type::NV2_CONFIG_JWT } else { media_type::NV2_CONFIG_JSON };
        let signature = Signature {
            format: Format::Nv2,
            digest: Digest::sha256(b"artifact"),
            media_type: media_type.into(),
            payload: Bytes::from(text.to_owned()),
            annotations: Default::default(),
        };
        let repository = Repository::parse("docker.io/library/app").unwrap();
        let subject = Subject { repository, descriptor: self.subject.clone() };
        let verifier = verifier(&SignerName("wabbit".into()), &settings).unwrap();
        verifier.verify(&subject, &signature, &RevocationData::default(), now)
    }
}

fn signing_key(identity: &Identity) -> SigningKey {
    let pem = identity.key().private_pem();
    Key::from_pem(pem.as_bytes(), &|| panic!("nobody is asked")).unwrap().into()
}

fn sign(key: &SigningKey, chain: &[Certificate], claim: &Claim<'_>, form: Form) -> Result<String, Error> {
    super::sign(key, chain, claim, form).now_or_never().expect("a key from a file keeps nobody waiting")
}

fn references() -> Vec<String> {
    vec![format!("{HOST}/net-monitor:v1"), format!("{HOST}/net-monitor:latest")]
}

#[test]
fn every_kind_of_key_form_and_way_of_naming_the_key_verifies() {
    for kind in [Kind::P256, Kind::P384, Kind::P521, Kind::Rsa2048, Kind::Rsa3072, Kind::Rsa4096] {
        let stand = Stand::self_signed(kind);
        let references = references();
        for form in [Form::Jwt, Form::Json] {
            for chain in [&stand.chain[..], &[]] {
                let signed = sign(&stand.key, chain, &stand.claim(&references), form).unwrap();
                let evidence = stand.verify(&signed, form, SystemTime::now()).unwrap();
                assert_eq!(evidence.subject(), &stand.subject.digest, "{kind:?} {form:?}");
                let other = if form == Form::Jwt { Form::Json } else { Form::Jwt };
                assert!(stand.verify(&signed, other, SystemTime::now()).is_err());
            }
        }
    }
}

#[test]
fn a_chain_goes_along_up_to_its_authority() {
    let authority = Authority::new("ACME").unwrap();
    let stand = Stand::of(authority.issue(&Profile::of_host(HOST)).unwrap());
    let signed = sign(&stand.key, &stand.chain, &stand.claim(&[]), Form::Jwt).unwrap();
    stand.verify(&signed, Form::Jwt, SystemTime::now()).unwrap();
    let alone = sign(&stand.key, &stand.chain[..1], &stand.claim(&[]), Form::Jwt).unwrap();
    stand.verify(&alone, Form::Jwt, SystemTime::now()).unwrap();
}

#[test]
fn a_lifetime_ends_the_signature_and_begins_it() {
    let stand = Stand::self_signed(Kind::P256);
    let claim = Claim { lifetime: Some(HOUR), ..stand.claim(&[]) };
    let signed = sign(&stand.key, &stand.chain, &claim, Form::Jwt).unwrap();
    stand.verify(&signed, Form::Jwt, claim.issued + HOUR - Duration::from_secs(2)).unwrap();
    let late = stand.verify(&signed, Form::Jwt, claim.issued + HOUR).unwrap_err();
    assert_eq!(late.code(), Code::SignatureExpired);
    let early = stand.verify(&signed, Form::Jwt, claim.issued - Duration::from_secs(2)).unwrap_err();
    assert_eq!(early.code(), Code::NotYetValid);
}

/// Field by field as the prototype writes them: it passes over what it does not know and wants what it knows.
#[test]
fn the_fields_are_those_of_the_prototype() {
    let stand = Stand::self_signed(Kind::P256);
    let part = |signed: &str, at: usize| -> String {
        let bytes = URL_SAFE_NO_PAD.decode(signed.split('.').nth(at).unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let issued = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let references = [format!("{HOST}/a:1")];
    let claim = Claim { issued, ..stand.claim(&references) };
    let digest = stand.subject.digest;
    let signed = sign(&stand.key, &[], &claim, Form::Jwt).unwrap();
    let id = stand.identity.key().libtrust_id();
    assert_eq!(part(&signed, 0), format!(r#"{{"typ":"x509","alg":"ES256","kid":"{id}"}}"#));
    let docker = media_type::DOCKER_MANIFEST;
    assert_eq!(
        part(&signed, 1),
        format!(
            r#"{{"mediaType":"{docker}","digest":"{digest}","size":8,"references":["{HOST}/a:1"],"iat":1700000000}}"#
        )
    );
    let claim = Claim { lifetime: Some(HOUR), references: &[], ..claim };
    let signed = sign(&stand.key, &stand.chain, &claim, Form::Json).unwrap();
    let signed: Value = serde_json::from_str(&signed).unwrap();
    let claims = serde_json::json!({
        "digest": digest, "size": 8, "exp": 1_700_003_600, "iat": 1_700_000_000, "nbf": 1_700_000_000,
    });
    assert_eq!(signed["signed"], claims);
    let header = signed["signature"].as_object().unwrap();
    assert_eq!(header.keys().collect::<Vec<_>>(), ["alg", "sig", "typ", "x5c"]);
}

#[test]
fn what_would_be_refused_is_not_signed() {
    let stand = Stand::self_signed(Kind::P256);
    let sign = |stand: &Stand, chain: &[Certificate], references: &[&str]| {
        let references: Vec<_> = references.iter().map(|r| (*r).to_owned()).collect();
        sign(&stand.key, chain, &stand.claim(&references), Form::Jwt).map_err(|e| e.to_string())
    };
    let refused = |result: Result<String, String>, words: &str| {
        let why = result.unwrap_err();
        assert!(why.contains(words), "{why}");
    };
    let other = Stand::self_signed(Kind::P256);
    refused(sign(&stand, &other.chain, &[]), "is of another key");
    refused(sign(&stand, &stand.chain, &["registry.acme-rockets.io/a:1"]), HOST);
    refused(sign(&stand, &stand.chain, &["net-monitor:v1"]), "host/path");
    assert!(sign(&stand, &[], &["registry.acme-rockets.io/a:1"]).is_ok(), "nobody knows the certificate yet");
    refused(sign(&Stand::self_signed(Kind::Ed25519), &[], &[]), "no signatures by Ed25519 keys");
    let unfit = Profile { usages: vec![rcgen::KeyUsagePurpose::KeyAgreement], ..Profile::of_host(HOST) };
    let unfit = Stand::of(Identity::self_signed(&unfit).unwrap());
    refused(sign(&unfit, &unfit.chain, &[]), "digitalSignature");
}
