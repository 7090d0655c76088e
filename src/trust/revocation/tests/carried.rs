//! CRLs that were carried in by hand.

use std::fs;

use super::*;

fn local(folder: &Path) -> Result<RevocationSources, crate::setting::SettingError> {
    let egress = egress::Settings { revocation: egress::Revocation::Local, ..egress::Settings::default() };
    RevocationSources::build_in(&|_| None, &in_folder(folder), &egress)
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", lines.join("\n"))
}

#[tokio::test]
async fn what_was_carried_in_counts_for_all_that_its_issuer_issued() {
    let site = Site::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (good, bad, plain) = (site.by_ocsp(), site.by_crl(), site.authority.issue(&[], &[]));
    let list = List::new(1).with(&bad, *NOW, None).with(&plain, *NOW, None);
    let other = Authority::new("other CA").crl(List::new(1));
    fs::write(folder.path().join("acme.crl"), site.authority.crl(list)).unwrap();
    fs::write(folder.path().join("more.pem"), pem(&other) + &pem(&other)).unwrap();
    let sources = local(folder.path()).unwrap();
    assert_good(&site.status_by(&good, &sources).await, *NOW + DAY);
    assert_revoked(&site.status_by(&bad, &sources).await);
    assert_revoked(&site.status_by(&plain, &sources).await);
    assert_eq!(site.revocations().epoch(), 2);
    let stranger = Authority::new("acme CA").issue(&[], &[site.server.url("a.crl")]);
    assert_unknown(&site.status_by(&stranger, &sources).await, "");
    assert!(sources.warnings(*NOW).is_empty());
}

#[tokio::test]
async fn a_list_that_may_not_be_used_leaves_unknown_who_is_on_it() {
    let site = Site::new().await;
    let plain = site.authority.issue(&[], &[]);
    let status = |crl: Vec<u8>| {
        let data = RevocationData::carried(vec![crate::x509::crl::Crl::parse(&crl).unwrap()]);
        data.status(&plain.certificate, &plain.issuer, *NOW, None)
    };
    let early = List::new(1).made(*NOW + DAY, *NOW + 2 * DAY);
    assert_unknown(&status(site.authority.crl(early)), "from the future");
    let of_others = Authority::new("acme CA").crl(List::new(1));
    assert_eq!(status(of_others), Status::NotRevocable, "another key under the same name");
    assert_eq!(status(site.authority.of_authorities(List::new(1))), Status::NotRevocable);
}

#[test]
fn broken_files_are_named_and_others_passed_over() {
    let authority = Authority::new("acme CA");
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    assert!(local(&folder.path().join("absent")).unwrap().warnings(*NOW).is_empty());
    put("a.der", &authority.crl(List::new(1)));
    put("..data.crl", b"Kubernetes keeps its own so");
    put("README.md", b"CRLs lie here");
    fs::create_dir(folder.path().join("old.crl")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("a.der"), folder.path().join("linked.crl")).unwrap();
    let warnings = local(folder.path()).unwrap().warnings(*NOW);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let certificate = pem(b"x").replace("X509 CRL", "CERTIFICATE");
    for (content, why) in [
        (&b"\x30\x03\x02\x01\x01"[..], "CRL"),
        (b"", "neither DER nor PEM"),
        (certificate.as_bytes(), "CERTIFICATE"),
    ] {
        put("b.crl", content);
        let Err(fault) = local(folder.path()) else { panic!("{why}: accepted") };
        assert_eq!(fault.path, ["trust", "crls"]);
        assert!(fault.message.contains("b.crl") && fault.message.contains(why), "{fault}");
    }
    let long = fs::File::create(folder.path().join("b.crl")).unwrap();
    long.set_len((32 << 20) + 1).unwrap();
    assert!(local(folder.path()).err().unwrap().message.contains("more than 32 MiB"));
}

#[test]
fn crls_that_have_ended_are_warned_about() {
    let authority = Authority::new("acme CA");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.crl"), authority.crl(List::new(1))).unwrap();
    let sources = local(folder.path()).unwrap();
    assert!(sources.warnings(*NOW + DAY - MINUTE).is_empty());
    let warnings = sources.warnings(*NOW + DAY);
    assert!(warnings[0].contains("CN=acme CA ended at 2030-01-02T00:00:00Z"), "{warnings:?}");
}

#[test]
fn the_revision_tells_of_what_was_given_and_not_of_names() {
    let authority = Authority::new("acme CA");
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let crl = authority.crl(List::new(1));
    fs::write(one.path().join("a.crl"), &crl).unwrap();
    fs::write(two.path().join("b.pem"), pem(&crl)).unwrap();
    let revision = |folder: &Path| local(folder).unwrap().revision();
    assert_eq!(revision(one.path()), revision(two.path()));
    assert_ne!(revision(one.path()), RevocationSources::local().revision());
    fs::write(one.path().join("c.crl"), authority.crl(List::new(2))).unwrap();
    assert_ne!(revision(one.path()), revision(two.path()));
    let build = |grace| {
        let trust = Settings { dangerous_revocation_grace: grace, ..Settings::default() };
        RevocationSources::build_in(&|_| None, &trust, &egress::Settings::default()).unwrap().revision()
    };
    assert_ne!(build(HOUR), build(Duration::ZERO));
}

#[test]
fn a_host_that_is_none_is_a_fault_with_its_key() {
    let egress = egress::Settings { allow: vec!["http://x".into()], ..egress::Settings::default() };
    let fault = RevocationSources::build_in(&|_| None, &Settings::default(), &egress).err().unwrap();
    assert_eq!(fault.path, ["egress", "allow", "0"]);
}
