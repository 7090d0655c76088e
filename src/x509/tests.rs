#![allow(clippy::indexing_slicing)]

mod fulcio;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use rcgen::{
    BasicConstraints as Basic, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SignatureAlgorithm,
};

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/x509/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn one(name: &str) -> Certificate {
    Certificate::all_from(&fixture(name)).unwrap().remove(0)
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A certificate, what issues with it, and its key's owner.
struct Link {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn link(name: &str, by: Option<&Link>, change: impl FnOnce(&mut CertificateParams)) -> Link {
    link_with(name, by, &rcgen::PKCS_ECDSA_P256_SHA256, change)
}

fn link_with(
    name: &str,
    by: Option<&Link>,
    algorithm: &'static SignatureAlgorithm,
    change: impl FnOnce(&mut CertificateParams),
) -> Link {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(Basic::Unconstrained);
    change(&mut params);
    let made = match by {
        Some(by) => params.signed_by(&key, &by.issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    Link { certificate: Certificate::from_der(made.der()).unwrap(), issuer: Issuer::new(params, key) }
}

fn chain_of(links: &[&Link]) -> Vec<Certificate> {
    links.iter().map(|l| l.certificate.clone()).collect()
}

/// root → middle → leaf, with `middle` changed.
fn three(change: impl FnOnce(&mut CertificateParams)) -> (Link, Link, Link) {
    let root = link("root", None, |_| {});
    let middle = link("middle", Some(&root), change);
    let leaf = link("leaf", Some(&middle), |p| p.is_ca = IsCa::NoCa);
    (root, middle, leaf)
}

fn rule(error: &chain::Error) -> &str {
    match error {
        chain::Error::Invalid { rule, .. } => rule,
        other => panic!("{other}"),
    }
}

#[test]
fn every_algorithm_that_certificates_are_signed_with() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ECDSA_P521_SHA256,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let root = link_with("root", None, algorithm, |_| {});
        let leaf = link("leaf", Some(&root), |_| {});
        assert!(root.certificate.is_self_signed(), "{algorithm:?}");
        assert_eq!(root.certificate.issued(&leaf.certificate), Ok(()), "{algorithm:?}");
        assert!(!leaf.certificate.is_self_signed());
    }
    let (root, leaf) = (one("pss-root.pem"), one("pss-leaf.pem"));
    assert_eq!(root.signature_algorithm(), Some(Algorithm::RsaPssSalt(Hash::Sha256, 20)));
    assert!(root.is_self_signed() && root.issued(&leaf).is_ok());
    let sha1 = one("sha1.pem");
    assert!(matches!(sha1.issued(&sha1), Err(Error::Unsupported { .. })));
}

/// What is known of one key says nothing of another's, whichever is asked first.
#[test]
fn a_certificate_is_of_one_key_however_often_it_is_asked() {
    let (root, namesake) = (link("root", None, |_| {}), link("root", None, |_| {}));
    let leaf = link("leaf", Some(&root), |_| {});
    let bad = |issuer: &Link| {
        matches!(issuer.certificate.issued(&leaf.certificate), Err(Error::BadSignature { .. }))
    };
    for _ in 0..2 {
        assert!(bad(&namesake));
        assert_eq!(root.certificate.issued(&leaf.certificate), Ok(()));
        assert!(bad(&namesake));
        let renamed = link("other", None, |_| {}).certificate.issued(&leaf.certificate);
        assert!(matches!(renamed, Err(Error::WrongIssuer { .. })));
    }
}

#[test]
fn a_changed_byte_breaks_the_signature_or_the_certificate() {
    let (root, middle, _) = three(|_| {});
    let der = middle.certificate.der().to_vec();
    for (at, bit) in (0..der.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = der.clone();
        changed[at] ^= 1 << bit;
        if let Ok(certificate) = Certificate::from_der(&changed) {
            let issued = root.certificate.issued(&certificate);
            assert!(issued.is_err(), "bit {bit} of byte {at} of {}", hex::encode(&der));
        }
    }
}

#[test]
fn a_certificate_has_one_encoding() {
    let der = one("names.pem").der().to_vec();
    assert_eq!(der[..2], [0x30, 0x82]);
    let longer = [&[0x30, 0x83, 0], &der[2..]].concat();
    assert!(Certificate::from_der(&longer).is_err());
}

#[test]
fn bytes_after_a_certificate_are_refused() {
    let mut der = link("a", None, |_| {}).certificate.der().to_vec();
    der.push(0);
    assert!(matches!(Certificate::from_der(&der), Err(Error::Malformed { .. })));
    assert!(Certificate::all_from(b"").is_err());
    assert!(matches!(Certificate::all_from(&fixture("rsa.pub")), Err(Error::Malformed { .. })));
}

#[test]
fn an_extension_is_found_by_its_identifier() {
    let with =
        |arcs: &[u64], content: &[u8]| rcgen::CustomExtension::from_oid_content(arcs, content.to_vec());
    let issuer = with(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], b"\x0c\x02id");
    let empty = with(&[1, 3, 6, 1, 4, 1, 57264, 1, 80], b"");
    let certificate = link("a", None, |p| p.custom_extensions = vec![empty, issuer]).certificate;
    assert_eq!(certificate.extension("1.3.6.1.4.1.57264.1.8"), Some(&b"\x0c\x02id"[..]));
    assert_eq!(certificate.extension("1.3.6.1.4.1.57264.1.80"), Some(&[][..]));
    assert_eq!(certificate.extension("2.5.29.19"), Some(&[0x30, 3, 1, 1, 0xff][..]));
    assert_eq!(certificate.extension("1.3.6.1.4.1.57264.1"), None);
    assert!(certificate.extensions().contains(&("2.5.29.19".to_owned(), true)));
}

#[test]
fn chains_reach_their_anchor_in_order_and_out_of_order() {
    let (root, middle, leaf) = three(|_| {});
    let anchors = chain_of(&[&root]);
    for given in [chain_of(&[&leaf, &middle, &root]), chain_of(&[&leaf, &middle])] {
        let path = chain::ordered(&given, &anchors, now()).unwrap();
        assert_eq!(path.certificates(), chain_of(&[&leaf, &middle, &root]));
        assert_eq!(path.anchor(), Some(&root.certificate));
    }
    let path = chain::ordered(&chain_of(&[&leaf, &middle]), &chain_of(&[&middle]), now()).unwrap();
    assert_eq!(path.certificates().len(), 2, "an intermediate may be the anchor");
    let path = chain::ordered(&chain_of(&[&leaf]), &chain_of(&[&leaf]), now()).unwrap();
    assert_eq!(path.certificates().len(), 1, "and so may the leaf");

    let stranger = link("stranger", None, |_| {});
    let others = chain_of(&[&stranger, &root, &middle]);
    let path = chain::find(&leaf.certificate, &others, &anchors, now()).unwrap();
    assert_eq!(path.certificates().len(), 3);
    assert_eq!(path.not_after(), Some(leaf.certificate.not_after()));
}

#[test]
fn chains_that_lead_nowhere_are_untrusted() {
    let (root, middle, leaf) = three(|_| {});
    let impostor = link("root", None, |_| {});
    let untrusted = |result: Result<chain::Path, chain::Error>| {
        assert!(matches!(result, Err(chain::Error::Untrusted { .. })), "{result:?}");
    };
    for anchors in [chain_of(&[&impostor]), Vec::new()] {
        untrusted(chain::ordered(&chain_of(&[&leaf, &middle, &root]), &anchors, now()));
        untrusted(chain::find(&leaf.certificate, &chain_of(&[&middle, &root]), &anchors, now()));
    }
    assert!(chain::ordered(&[], &chain_of(&[&root]), now()).is_err());
}

#[test]
fn certificates_out_of_order_are_refused_where_order_is_given() {
    let (root, middle, leaf) = three(|_| {});
    let given = chain_of(&[&leaf, &root, &middle]);
    let error = chain::ordered(&given, &chain_of(&[&root]), now()).unwrap_err();
    assert!(rule(&error).contains("issuer"), "{error}");
}

#[test]
fn only_authorities_issue() {
    let fault = |change: fn(&mut CertificateParams)| {
        let (root, middle, leaf) = three(change);
        let (anchors, others) = (chain_of(&[&root]), chain_of(&[&middle]));
        let ordered = chain::ordered(&chain_of(&[&leaf, &middle]), &anchors, now()).unwrap_err();
        assert_eq!(chain::find(&leaf.certificate, &others, &anchors, now()).unwrap_err(), ordered);
        ordered
    };
    assert!(rule(&fault(|p| p.is_ca = IsCa::NoCa)).contains("no CA"));
    assert!(rule(&fault(|p| p.is_ca = IsCa::ExplicitNoCa)).contains("no CA"));
    assert!(rule(&fault(|p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature])).contains("keyCertSign"));
    assert!(
        rule(&fault(|p| {
            let mut unknown =
                rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999], vec![5, 0]);
            unknown.set_criticality(true);
            p.custom_extensions.push(unknown);
        }))
        .contains("critical")
    );
    let permitted = rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.test".to_owned())],
        excluded_subtrees: Vec::new(),
    };
    let (root, middle, leaf) = three(|p| p.name_constraints = Some(permitted));
    let error = chain::ordered(&chain_of(&[&leaf, &middle]), &chain_of(&[&root]), now()).unwrap_err();
    assert!(rule(&error).contains("name constraints"));

    let expired = fault(|p| p.not_after = rcgen::date_time_ymd(2027, 1, 1));
    assert!(matches!(expired, chain::Error::Expired { .. }));
    let early = fault(|p| p.not_before = rcgen::date_time_ymd(2028, 1, 1));
    assert!(matches!(early, chain::Error::NotYetValid { .. }));
}

#[test]
fn path_lengths_count_authorities_below() {
    let root = link("root", None, |p| p.is_ca = IsCa::Ca(Basic::Constrained(1)));
    let outer = link("outer", Some(&root), |p| p.is_ca = IsCa::Ca(Basic::Constrained(0)));
    let leaf = link("leaf", Some(&outer), |p| p.is_ca = IsCa::NoCa);
    let anchors = chain_of(&[&root]);
    assert!(chain::ordered(&chain_of(&[&leaf, &outer]), &anchors, now()).is_ok());
    let inner = link("inner", Some(&outer), |_| {});
    let deep = link("deep", Some(&inner), |p| p.is_ca = IsCa::NoCa);
    let error = chain::ordered(&chain_of(&[&deep, &inner, &outer]), &anchors, now()).unwrap_err();
    assert!(rule(&error).contains("path length"), "{error}");
}

#[test]
fn the_anchor_must_be_valid_too() {
    let root = link("root", None, |p| p.not_after = rcgen::date_time_ymd(2027, 1, 1));
    let leaf = link("leaf", Some(&root), |_| {});
    let result = chain::ordered(&chain_of(&[&leaf]), &chain_of(&[&root]), now());
    assert!(matches!(result, Err(chain::Error::Expired { .. })), "{result:?}");
    let end = root.certificate.not_after();
    assert!(chain::check_validity(&chain_of(&[&root]), end).is_ok());
    assert!(chain::check_validity(&chain_of(&[&root]), end + Duration::from_secs(1)).is_err());
}

#[test]
fn chains_are_bounded() {
    let mut links = vec![link("0", None, |_| {})];
    for at in 1..=chain::MAX_LENGTH {
        let next = link(&at.to_string(), links.last(), |_| {});
        links.push(next);
    }
    let all: Vec<Certificate> = links.iter().rev().map(|l| l.certificate.clone()).collect();
    let anchors = chain_of(&[&links[0]]);
    let error = chain::ordered(&all, &anchors, now()).unwrap_err();
    assert!(rule(&error).contains("more than"), "{error}");
    assert!(chain::find(&all[0], &all[1..], &anchors, now()).is_err());
    assert!(chain::find(&all[1], &all[2..], &anchors, now()).is_ok());
}

#[test]
fn a_search_among_namesakes_ends() {
    // Certificates that all issue each other by name: the search is bounded by its signature checks.
    let links: Vec<Link> = (0..12).map(|_| link("same", None, |_| {})).collect();
    let root = link("root", None, |_| {});
    let all: Vec<Certificate> = links.iter().map(|l| l.certificate.clone()).collect();
    assert!(chain::find(&all[0], &all, &chain_of(&[&root]), now()).is_err());
}

#[test]
fn names_are_shown_by_rfc_4514() {
    let certificate = one("names.pem");
    let shown = certificate.subject().to_string();
    assert!(shown.ends_with(r#",O=acme\, \"rockets\" \+ co,ST=WA,C=US"#), "{shown}");
    let rdns = certificate.subject().rdns();
    assert_eq!(rdns.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 2]);
    assert!(shown.contains(r"CN=sé #1\ "), "{shown}");
    assert_eq!(certificate.common_name(), Some("sé #1 "));
    assert_eq!(certificate.subject(), certificate.issuer());
}

#[test]
fn keys_are_read_by_kind_and_size() {
    let key = PublicKey::from_pem(&fixture("rsa.pub")).unwrap();
    assert_eq!(key.kind(), KeyKind::Rsa { bits: 2048 });
    assert_eq!(PublicKey::from_pem(&fixture("rsa-pkcs1.pub")).unwrap(), key);
    for weak in ["rsa-1024.pub", "secp256k1.pub"] {
        assert!(matches!(PublicKey::from_pem(&fixture(weak)), Err(Error::Unsupported { .. })), "{weak}");
    }
    let twice = [fixture("rsa.pub"), fixture("rsa.pub")].concat();
    assert!(PublicKey::from_pem(&twice).is_err());
    assert!(PublicKey::from_pem(&fixture("names.pem")).is_err());
    assert!(PublicKey::from_spki_der(&[key.spki(), &[0]].concat()).is_err());
}

#[test]
fn an_algorithm_must_fit_the_key() {
    let key = PublicKey::from_pem(&fixture("rsa.pub")).unwrap();
    for algorithm in [
        Algorithm::Ed25519,
        Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1),
        Algorithm::RsaPkcs1(Hash::Sha256),
        Algorithm::RsaPss(Hash::Sha256),
    ] {
        assert_eq!(key.verify(algorithm, b"", &[0; 256]), Err(BadSignature), "{algorithm:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..600) {
        let _ = Certificate::all_from(&bytes);
        let _ = PublicKey::from_spki_der(&bytes);
        let mut spliced = one("names.pem").der().to_vec();
        let at = at.min(spliced.len());
        spliced.splice(at.., bytes);
        let _ = Certificate::from_der(&spliced);
    }
}
