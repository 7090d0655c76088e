//! Certificates read, faulted and replaced.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::*;

fn write(files: &TlsFiles, name: &str) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(&files.certificate, cert.pem()).unwrap();
    std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
}

fn files(folder: &tempfile::TempDir) -> TlsFiles {
    let path = |name: &str| folder.path().join(name);
    let files = TlsFiles { certificate: path("crt"), key: path("key"), client_ca: None };
    write(&files, "one.example");
    files
}

#[test]
fn a_new_certificate_is_taken_and_an_old_one_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let tls = Tls::load(files.clone()).unwrap();
    let before = tls.config.load_full();
    assert!(!tls.reload().unwrap());
    assert!(Arc::ptr_eq(&before, &tls.config.load_full()));
    write(&files, "two.example");
    assert!(tls.reload().unwrap());
    assert!(!Arc::ptr_eq(&before, &tls.config.load_full()));
    assert_eq!(tls.config.load().alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
}

#[test]
fn a_bad_file_is_told_once_and_the_old_certificate_stays() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let tls = Tls::load(files.clone()).unwrap();
    let before = tls.config.load_full();
    std::fs::write(&files.key, "no key").unwrap();
    assert_eq!(tls.reload().unwrap_err().path, files.key);
    assert!(!tls.reload().unwrap());
    assert!(Arc::ptr_eq(&before, &tls.config.load_full()));
}

#[test]
fn faults_name_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = files(&folder);
    let absent = TlsFiles { certificate: folder.path().join("none"), ..good.clone() };
    assert_eq!(Tls::load(absent.clone()).unwrap_err().path, absent.certificate);
    let no_ca = TlsFiles { client_ca: Some(good.key.clone()), ..good.clone() };
    assert_eq!(Tls::load(no_ca).unwrap_err().path, good.key);
    let other = tempfile::tempdir().unwrap();
    let mixed = TlsFiles { key: files(&other).key, ..good.clone() };
    assert_eq!(Tls::load(mixed).unwrap_err().path, good.certificate);
    let ours = TlsFiles { client_ca: Some(good.certificate.clone()), ..good };
    assert!(Tls::load(ours).is_ok());
}
