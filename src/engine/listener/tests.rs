//! Certificates read, faulted and replaced.

use rcgen::{CertificateParams, CertifiedKey, KeyPair, generate_simple_self_signed};

use super::*;
use crate::config::Tls;

fn write(files: &Tls, name: &str) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(&files.certificate, cert.pem()).unwrap();
    std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
}

/// A certificate and its key in a folder.
pub(crate) fn files(folder: &tempfile::TempDir) -> Tls {
    let path = |name: &str| folder.path().join(name);
    let files = Tls { certificate: path("crt"), key: path("key"), client_ca: None };
    write(&files, "one.example");
    files
}

fn load(files: &Tls) -> Result<ListenerTls, SettingError> {
    ListenerTls::load(files.clone(), &Metrics::new())
}

#[test]
fn a_new_certificate_is_taken_and_an_old_one_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let tls = load(&files).unwrap();
    let before = tls.config();
    assert!(!tls.reload().unwrap());
    assert!(Arc::ptr_eq(&before, &tls.config()));
    write(&files, "two.example");
    assert!(tls.reload().unwrap());
    assert!(!Arc::ptr_eq(&before, &tls.config()));
    assert_eq!(tls.config().alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
}

#[test]
fn a_bad_file_is_told_and_counted_once_and_the_old_certificate_stays() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let tls = load(&files).unwrap();
    let before = tls.config();
    std::fs::write(&files.key, "no key").unwrap();
    assert_eq!(tls.reload().unwrap_err().path, ["listen", "tls", "key"]);
    assert!(!tls.reload().unwrap());
    std::fs::remove_file(&files.key).unwrap();
    assert_eq!(tls.reload().unwrap_err().path, ["listen", "tls", "key"]);
    assert!(!tls.reload().unwrap());
    assert_eq!(tls.metrics.listener_certificate_failures.get(), 2);
    assert!(Arc::ptr_eq(&before, &tls.config()));
}

#[test]
fn faults_name_their_key_and_file_and_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let good = files(&folder);
    let fault = |files: &Tls| {
        let told = load(files).unwrap_err();
        assert_eq!(check(files, SystemTime::now()).unwrap_err(), told);
        told.to_string().replace(folder.path().to_str().unwrap(), "")
    };
    let other = tempfile::tempdir().unwrap();
    let of = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let absent = Tls { certificate: folder.path().join("none"), ..good.clone() };
    assert!(fault(&absent).starts_with("listen.tls.certificate: /none: No such file"));
    let mixed = Tls { key: files(&other).key, ..good.clone() };
    assert!(fault(&mixed).ends_with(": it is not the private key of /crt"), "{}", fault(&mixed));
    assert!(fault(&mixed).starts_with("listen.tls.key: "));
    let swapped = Tls { certificate: good.key.clone(), key: good.certificate.clone(), client_ca: None };
    let told = "listen.tls.certificate: /key: expected certificates in PEM, found PEM of \"PRIVATE KEY\"";
    assert_eq!(fault(&swapped), told);
    let public = KeyPair::generate().unwrap().public_key_pem();
    let key = Tls { certificate: of("public", &public), ..good.clone() };
    assert!(fault(&key).ends_with("found PEM of \"PUBLIC KEY\""));
    let empty = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    let hollow = Tls { certificate: of("hollow", empty), ..good.clone() };
    assert!(fault(&hollow).starts_with("listen.tls.certificate: /hollow: "));
    let nothing = Tls { key: of("nothing", ""), ..good.clone() };
    let told = "listen.tls.key: /nothing: expected an unencrypted private key in PEM, found an empty file";
    assert_eq!(fault(&nothing), told);
    let no_ca = Tls { client_ca: Some(of("text", "authorities")), ..good.clone() };
    assert_eq!(fault(&no_ca), "listen.tls.client_ca: /text: expected certificates in PEM, found no PEM");
    let ours = Tls { client_ca: Some(good.certificate.clone()), ..good };
    assert!(load(&ours).is_ok());
    assert_eq!(check(&ours, SystemTime::now()), Ok(None));
}

#[test]
fn a_certificate_that_ended_or_soon_ends_is_told_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["proxy.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 4, 1);
    std::fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    let at = |when: &str| check(&files, time::parse(when).unwrap()).unwrap().unwrap_or_default();
    assert!(at("2025-12-31T00:00:00Z").contains("until it begins, at 2026-01-01"));
    assert_eq!(at("2026-03-15T00:00:00Z"), "");
    assert!(at("2026-03-19T00:00:00Z").contains("it ends at 2026-04-01T00:00:00Z"));
    assert!(at("2026-04-02T00:00:00Z").contains("it ended at 2026-04-01T00:00:00Z, and clients refuse it"));
    let tls = load(&files).unwrap();
    assert_eq!(tls.metrics.listener_certificate_expiry.get(), 1_775_001_600);
}

#[test]
fn a_certificate_that_lives_for_a_day_is_not_told_of_all_day() {
    let begins = UNIX_EPOCH + Duration::from_secs(1_775_001_600);
    let life = (begins, begins + Duration::from_secs(86_400));
    assert_eq!(standing(life, begins + Duration::from_secs(50_000)), None);
    assert!(standing(life, begins + Duration::from_secs(60_000)).is_some());
}
