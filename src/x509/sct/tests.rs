#![allow(clippy::indexing_slicing)]

use std::time::UNIX_EPOCH;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as lc, KeyPair as _, RsaKeyPair};
use proptest::prelude::*;
use rcgen::{
    CertificateParams, CustomExtension, DnType, Issuer, KeyPair, PublicKeyData as _, SigningKey as _,
};

use super::*;

/// A genuine certificate, its issuer and its log's key.
struct Genuine {
    leaf: Certificate,
    issuer: Certificate,
    log: PublicKey,
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/x509/sct/{name}.der", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn genuine(whose: &str, issuer: &str) -> Genuine {
    let certificate = |name: &str| Certificate::from_der(&fixture(name)).unwrap();
    let (instance, _) = issuer.split_once('-').unwrap();
    let log = PublicKey::from_spki_der(&fixture(&format!("{instance}-log"))).unwrap();
    Genuine { leaf: certificate(&format!("{whose}-leaf")), issuer: certificate(issuer), log }
}

/// Of two instances, one after the other.
fn all_genuine() -> [Genuine; 4] {
    let [workflow, email] = ["workflow", "email"].map(|whose| genuine(whose, "sigstore-intermediate"));
    [workflow, made(), email, made()]
}

fn made() -> Genuine {
    genuine("made", "made-root")
}

#[test]
fn genuine_timestamps_verify() {
    for Genuine { leaf, issuer, log } in all_genuine() {
        let all = embedded(&leaf).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(*all[0].log_id(), log.fingerprint());
        assert_eq!(all[0].verify(&leaf, &issuer, &log), Ok(()), "{issuer:?}");
        let within = leaf.not_before()..leaf.not_after();
        assert!(within.contains(&all[0].at()), "{issuer:?}");
    }
    let millis = embedded(&made().leaf).unwrap()[0].millis;
    assert_eq!(embedded(&made().leaf).unwrap()[0].at(), UNIX_EPOCH + Duration::from_millis(millis));
}

#[test]
fn a_timestamp_is_of_one_log_for_one_certificate_of_one_issuer() {
    let all = all_genuine();
    for (at, Genuine { leaf, issuer, log }) in all.iter().enumerate() {
        let sct = &embedded(leaf).unwrap()[0];
        let other = &all[(at + 1) % all.len()];
        let bad = |result| assert!(matches!(result, Err(Error::BadSignature { .. })), "{result:?}");
        bad(sct.verify(&other.leaf, issuer, log));
        bad(sct.verify(leaf, &other.issuer, log));
        bad(sct.verify(leaf, leaf, log));
        let result = sct.verify(leaf, issuer, &other.log);
        assert!(matches!(result, Err(Error::WrongIssuer { .. })), "{result:?}");
        // The same with a log that lies about who it is.
        let claimed = Sct { log_id: other.log.fingerprint(), ..sct.clone() };
        bad(claimed.verify(leaf, issuer, &other.log));
    }
}

#[test]
fn no_field_may_change() {
    for Genuine { leaf, issuer, log } in all_genuine() {
        let sct = &embedded(&leaf).unwrap()[0];
        let why = |changed: Sct| changed.verify(&leaf, &issuer, &log).unwrap_err();
        let bad = |changed| assert!(matches!(why(changed), Error::BadSignature { .. }));
        bad(Sct { millis: sct.millis ^ 1, ..sct.clone() });
        bad(Sct { extensions: [&sct.extensions[..], &[0]].concat(), ..sct.clone() });
        bad(Sct { extensions: vec![0], ..sct.clone() });
        bad(Sct { signature: sct.signature[1..].to_vec(), ..sct.clone() });
        bad(Sct { algorithm: [4, 1], ..sct.clone() });
        let mut log_id = sct.log_id;
        log_id[31] ^= 1;
        assert!(matches!(why(Sct { log_id, ..sct.clone() }), Error::WrongIssuer { .. }));
        for algorithm in [[2, 3], [5, 3], [6, 3], [4, 0], [4, 2], [0, 0], [8, 7]] {
            assert!(matches!(why(Sct { algorithm, ..sct.clone() }), Error::Unsupported { .. }));
        }
    }
}

/// What is made for a test: the same certificate without and with a list of timestamps.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    authority: Issuer<'static, KeyPair>,
    issuer: Certificate,
}

impl Made {
    fn new() -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "authority");
        let issuer = Certificate::from_der(authority.self_signed(&authority_key).unwrap().der()).unwrap();
        let mut params = CertificateParams::new(["example.test".to_owned()]).unwrap();
        params.serial_number = Some(7u64.into());
        let authority = Issuer::new(authority, authority_key);
        Self { params, key: KeyPair::generate().unwrap(), authority, issuer }
    }

    fn with(&self, extensions: Vec<CustomExtension>) -> Certificate {
        let mut params = self.params.clone();
        params.custom_extensions = extensions;
        Certificate::from_der(params.signed_by(&self.key, &self.authority).unwrap().der()).unwrap()
    }

    /// With this timestamp.
    fn with_sct(&self, sct: &[u8]) -> Certificate {
        self.with(vec![list_extension(&[sct])])
    }

    /// What the log signs at millisecond 1000, by the standard and not by what is tested.
    fn signed(&self, precertificate: &Certificate, extensions: &[u8]) -> Vec<u8> {
        let mut out = vec![0, 0, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 1];
        out.extend(super::super::key::sha256(self.issuer.public_key().spki()));
        out.extend(&(precertificate.signed().len() as u32).to_be_bytes()[1..]);
        out.extend(precertificate.signed());
        out.extend(vector(extensions));
        out
    }
}

fn vector(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes(), content].concat()
}

/// The extension's value with these timestamps, each as its bytes.
fn value(all: &[&[u8]]) -> Vec<u8> {
    octet_string(&vector(&all.iter().flat_map(|sct| vector(sct)).collect::<Vec<_>>()))
}

fn octet_string(content: &[u8]) -> Vec<u8> {
    encode(tag::OCTET_STRING, content)
}

fn list_extension(all: &[&[u8]]) -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], value(all))
}

/// A timestamp's bytes, at millisecond 1000.
fn bytes(log: &PublicKey, extensions: &[u8], algorithm: [u8; 2], signature: &[u8]) -> Vec<u8> {
    let time = 1000u64.to_be_bytes();
    [&[0], &log.fingerprint()[..], &time, &vector(extensions), &algorithm, &vector(signature)].concat()
}

#[test]
fn logs_with_rsa_keys_verify() {
    let (made, pair) = (Made::new(), RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    let log = PublicKey::from_spki_der(pair.public_key().as_der().unwrap().as_ref()).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    let signed = made.signed(&made.with(vec![]), b"ext");
    pair.sign(&lc::RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature).unwrap();
    let verify = |algorithm| {
        let leaf = made.with_sct(&bytes(&log, b"ext", algorithm, &signature));
        embedded(&leaf).unwrap()[0].verify(&leaf, &made.issuer, &log)
    };
    assert_eq!(verify([4, 1]), Ok(()));
    let leaf = made.with_sct(&bytes(&log, b"ext", [4, 1], &signature));
    assert_eq!(embedded(&leaf).unwrap()[0].extensions, b"ext");
    assert!(matches!(verify([4, 3]), Err(Error::BadSignature { .. })), "not what the key is for");
}

#[test]
fn the_list_is_cut_out_wherever_it_stands() {
    let (made, key) = (Made::new(), KeyPair::generate().unwrap());
    let log = PublicKey::from_spki_der(&key.subject_public_key_info()).unwrap();
    let note = |last| CustomExtension::from_oid_content(&[1, 2, 3, last], vec![5; 200]);
    let signed = made.signed(&made.with(vec![note(1), note(2)]), b"");
    let sct = bytes(&log, b"", [4, 3], &key.sign(&signed).unwrap());
    let verify = |extensions| {
        let leaf = made.with(extensions);
        embedded(&leaf).unwrap()[0].verify(&leaf, &made.issuer, &log)
    };
    let list = || list_extension(&[&sct]);
    assert_eq!(verify(vec![list(), note(1), note(2)]), Ok(()));
    assert_eq!(verify(vec![note(1), list(), note(2)]), Ok(()));
    assert_eq!(verify(vec![note(1), note(2), list()]), Ok(()));
    for changed in
        [vec![note(1), list()], vec![note(2), note(1), list()], vec![note(1), note(2), note(3), list()]]
    {
        assert!(matches!(verify(changed), Err(Error::BadSignature { .. })));
    }
}

#[test]
fn several_stand_in_order_within_bounds() {
    let log = made().log;
    let of = |count: u8| {
        let all: Vec<_> = (0..count).map(|last| bytes(&log, &[last], [4, 3], b"signature")).collect();
        list(&value(&all.iter().map(Vec::as_slice).collect::<Vec<_>>()))
    };
    let read: Vec<_> = of(16).unwrap().into_iter().map(|sct| sct.extensions).collect();
    assert_eq!(read, (0..16).map(|last| vec![last]).collect::<Vec<_>>());
    assert!(matches!(of(17), Err(Error::TooMany { limit: 16, .. })));
    assert_eq!(embedded(&Made::new().with(vec![])), Ok(vec![]), "no list is no error");
}

#[test]
fn malformed_lists_are_refused() {
    let sct = bytes(&made().log, b"ext", [4, 3], b"signature");
    let why = |value: &[u8]| list(value).unwrap_err().to_string();
    assert!(list(&value(&[&sct])).is_ok());
    for end in 0..sct.len() {
        assert!(why(&value(&[&sct[..end]])).contains("it ends"), "{end}");
    }
    assert!(why(&value(&[&[&sct[..], &[0]].concat()])).contains("bytes follow it"));
    let whole = vector(&vector(&sct));
    for end in 0..whole.len() {
        assert!(why(&octet_string(&whole[..end])).contains("it ends"), "{end}");
    }
    assert!(why(&octet_string(&[&whole[..], &[0]].concat())).contains("bytes follow it"));
    assert!(why(&value(&[])).contains("empty"));
    assert!(why(&value(&[&sct, &[1]])).contains("version"));
    let mut later = sct;
    later[0] = 1;
    assert!(why(&value(&[&later])).contains("version"));
}

#[test]
fn the_list_is_one_octet_string() {
    let sct = bytes(&made().log, b"", [4, 3], b"signature");
    let whole = vector(&vector(&sct));
    assert_eq!(list(&octet_string(&whole)).unwrap().len(), 1);
    assert!(list(&whole).is_err());
    assert!(list(&encode(tag::BIT_STRING, &whole)).unwrap_err().to_string().contains("octet string"));
    assert!(list(&[octet_string(&whole), vec![5, 0]].concat()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..140) {
        let Genuine { leaf, issuer, log } = made();
        let _ = Sct::parse(&bytes);
        let mut spliced = leaf.extension(SCT_LIST).unwrap()[6..].to_vec();
        let at = at.min(spliced.len());
        spliced.splice(at.., bytes);
        if let Ok(sct) = Sct::parse(&spliced) {
            let genuine = sct == embedded(&leaf).unwrap()[0];
            prop_assert_eq!(sct.verify(&leaf, &issuer, &log).is_ok(), genuine);
        }
    }
}
