//! Certificates of Fulcio's: each by one rule less than it needs, all else genuine, logged and in time.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use serde_json::json;
use time::OffsetDateTime;

use super::super::*;
use super::judge;
use super::stand::{
    self, By, HASHED, Leaf, Stand, Work, after, before, claim, encoded, entry_with, image, keyless, later,
    legacy, pem, trusting,
};
use super::tree::with;
use crate::signature::{Code, Evidence, Rejected, SignerName};
use crate::x509::Certificate;

fn verdict(stand: &Stand, settings: &Settings, leaf: &Leaf) -> Result<Evidence, Rejected> {
    judge(&stand.verifier(settings), &image(), &claim(&stand.bundle(leaf)), later())
}

fn refused(stand: &Stand, leaf: &Leaf, code: Code, words: &str) {
    let rejected = verdict(stand, &keyless(), leaf).unwrap_err();
    assert_eq!(rejected.code(), code, "{words}: {rejected}");
    assert!(rejected.to_string().contains(words), "{words}: {rejected}");
}

#[test]
fn one_by_the_rules_is_believed_and_named() {
    let stand = Stand::new();
    let evidence = verdict(&stand, &keyless(), &stand.certificate(|_| {})).unwrap();
    assert_eq!(evidence.identity().unwrap().to_string(), stand::IDENTITY);
    assert_eq!(evidence.issuer().unwrap().to_string(), stand::ISSUER);
    assert_eq!(evidence.signed_at().unwrap().0, after(0));
}

#[test]
fn the_key_signs_code_and_issues_nothing() {
    let stand = Stand::new();
    let refused = |change: fn(&mut CertificateParams), words| {
        refused(&stand, &stand.certificate(change), Code::CertificateInvalid, words);
    };
    refused(|p| p.extended_key_usages = vec![], "codeSigning");
    refused(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth], "codeSigning");
    refused(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any], "codeSigning");
    refused(|p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment], "digitalSignature");
    refused(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), "authority's");
}

#[test]
fn it_is_for_one_name() {
    let stand = Stand::new();
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    for names in
        [vec![], vec![uri(stand::IDENTITY), uri("https://eve.example.test")], vec![uri(stand::IDENTITY); 2]]
    {
        let words = format!("expected one subject alternative name, found {}", names.len());
        let leaf = stand.certificate(|p| p.subject_alt_names = names);
        refused(&stand, &leaf, Code::CertificateInvalid, &words);
    }
    // The subject is nobody's word: Fulcio leaves it empty.
    let leaf = stand.certificate(|p| {
        p.subject_alt_names = vec![uri("https://eve.example.test")];
        p.distinguished_name.push(rcgen::DnType::CommonName, stand::IDENTITY);
    });
    refused(&stand, &leaf, Code::IdentityMismatch, "https://eve.example.test");
}

#[test]
fn it_holds_when_the_log_took_the_entry() {
    let stand = Stand::new();
    let at = |time| OffsetDateTime::from(time);
    let ended = stand.certificate(|p| p.not_after = at(before(1)));
    refused(&stand, &ended, Code::CertificateExpired, "ended at");
    let to_come = stand.certificate(|p| p.not_before = at(after(1)));
    refused(&stand, &to_come, Code::NotYetValid, "begins at");
    for edge in [
        stand.certificate(|p| p.not_after = at(after(0))),
        stand.certificate(|p| p.not_before = at(after(0))),
    ] {
        assert!(verdict(&stand, &keyless(), &edge).is_ok());
    }
}

#[test]
fn the_trusted_authority_issued_it() {
    let (stand, other) = (Stand::new(), Stand::new());
    // Even where its transparency log is the trusted one.
    let leaf = other.certificate_seen_by(&[&stand.ct[0]], |_| {});
    refused(&stand, &leaf, Code::UntrustedKey, "certificate authorities of the trusted root");
}

#[test]
fn a_transparency_log_has_seen_it() {
    let stand = Stand::new();
    let unknown = KeyPair::generate().unwrap();
    let words = "no signed certificate timestamp (SCT) of a trusted log";
    refused(&stand, &stand.certificate_seen_by(&[], |_| {}), Code::CertificateInvalid, words);
    refused(&stand, &stand.certificate_seen_by(&[&unknown], |_| {}), Code::CertificateInvalid, words);
    let beside = stand.certificate_seen_by(&[&unknown, &stand.ct[1]], |_| {});
    assert!(verdict(&stand, &keyless(), &beside).is_ok());

    let skipped = Settings { dangerous_skip_sct: true, ..keyless() };
    assert!(verdict(&stand, &skipped, &stand.certificate_seen_by(&[], |_| {})).is_ok());
}

/// The list is taken from another certificate of the same key.
#[test]
fn the_log_has_seen_this_very_certificate() {
    let stand = Stand::new();
    let seen = stand.certificate(|_| {});
    let list = seen.certificate.extension("1.3.6.1.4.1.11129.2.4.2").unwrap().to_vec();
    let certificate = stand.certified(&seen.key, &[], |params| {
        params.serial_number = Some(8_u64.into());
        let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
        params.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&oid, list));
    });
    let leaf = Leaf { certificate, key: seen.key.clone() };
    refused(&stand, &leaf, Code::CertificateInvalid, "signed certificate timestamp does not hold");
}

#[test]
fn as_many_transparency_logs_as_are_asked_have_seen_it() {
    let stand = Stand::new();
    let at_least = AtLeast { scts: 2, ..AtLeast::default() };
    let two = Settings { at_least, ..keyless() };
    let [first, second] = &stand.ct;
    assert!(verdict(&stand, &two, &stand.certificate_seen_by(&[first, second], |_| {})).is_ok());
    for logs in [&[first][..], &[first, first]] {
        let rejected = verdict(&stand, &two, &stand.certificate_seen_by(logs, |_| {})).unwrap_err();
        assert_eq!(rejected.code(), Code::CertificateInvalid);
        assert!(rejected.to_string().contains("1 certificate-transparency logs have seen it, 2 are needed"));
    }
}

/// A verifier of the stand's whose authority is this chain, and that asks for no transparency.
fn by_chain(stand: &Stand, settings: Settings, chain: &[&Certificate]) -> Cosign {
    let chain: Vec<_> = chain.iter().map(|c| json!({"rawBytes": encoded(c.der())})).collect();
    let root = with(&stand.trusted(), "/certificateAuthorities/0/certChain/certificates", json!(chain));
    trusting(&Settings { dangerous_skip_sct: settings.keyless.is_some(), ..settings }, &root)
}

/// An authority that was certified for web servers cannot lend its word to code.
#[test]
fn authorities_may_be_limited_to_other_purposes() {
    let stand = Stand::new();
    for (purposes, believed) in [
        (vec![], true),
        (vec![ExtendedKeyUsagePurpose::CodeSigning], true),
        (vec![ExtendedKeyUsagePurpose::ServerAuth], false),
    ] {
        let below = stand.below(|p| p.extended_key_usages = purposes);
        let bundle = claim(&stand.bundle(&below.certificate_seen_by(&[], |_| {})));
        let pki = Pki {
            roots: vec![Pem(pem(&stand.root))],
            intermediates: vec![Pem(pem(&below.root))],
            identity: Some(stand::IDENTITY.to_owned()),
            ..Pki::default()
        };
        for settings in [keyless(), Settings { pki: Some(pki), ..Settings::default() }] {
            let verifier = by_chain(&stand, settings, &[&below.root, &stand.root]);
            let result = judge(&verifier, &image(), &bundle, later());
            assert_eq!(result.is_ok(), believed, "{result:?}");
            if let Err(rejected) = result {
                assert_eq!(rejected.code(), Code::CertificateInvalid);
                assert!(rejected.to_string().contains("other things than codeSigning"), "{rejected}");
            }
        }
    }
}

/// Another authority below the same root is not the one that the trusted root names, though the signature brings it.
#[test]
fn where_the_root_names_whole_chains_signatures_bring_no_others() {
    let stand = Stand::new();
    let (named, other) = (stand.below(|_| {}), stand.below(|_| {}));
    let leaf = other.certificate_seen_by(&[], |_| {});
    let work = Work::payload(By::Leaf(&leaf), &image().descriptor.digest);
    let mut signature = legacy(&work, Some(&entry_with(&stand.rekor[0], &work, HASHED, |_| {})), None);
    signature.annotations.insert(layout::CHAIN.to_owned(), pem(&other.root));
    let verdict =
        |chain: &[&Certificate]| judge(&by_chain(&stand, keyless(), chain), &image(), &signature, later());
    let rejected = verdict(&[&named.root, &stand.root]).unwrap_err();
    assert_eq!(rejected.code(), Code::UntrustedKey, "{rejected}");
    assert!(verdict(&[&other.root, &stand.root]).is_ok());
    // A root alone leaves it to signatures to lead there.
    assert!(verdict(&[&stand.root]).is_ok());
}

/// What is below one root is nothing of another's, whatever else is configured.
#[test]
fn each_file_of_roots_is_an_authority_of_its_own() {
    let (stand, other) = (Stand::new(), Stand::new());
    let file = |chain: &[&Certificate]| Pem(chain.iter().map(|c| pem(c)).collect());
    let others_below = other.below(|_| {});
    let [own, second] = &stand.tsa;
    let roots = Roots {
        fulcio: vec![file(&[&others_below.root, &other.root]), file(&[&stand.root])],
        timestamps: vec![file(&[&own.leaf, &own.middle, &own.root]), file(&[&second.middle, &second.root])],
        ..Roots::default()
    };
    let settings = Settings {
        roots: Some(roots),
        transparency_log: Requirement::Ignore,
        timestamps: Requirement::Require,
        dangerous_skip_sct: true,
        ..keyless()
    };
    let believes = super::built(&settings);
    // Fulcio's root stands alone in its file: the signature brings what is between.
    let below = stand.below(|_| {});
    let leaf = below.certificate_seen_by(&[], |_| {});
    let work = Work::payload(By::Leaf(&leaf), &image().descriptor.digest);
    for authority in [0, 1] {
        let stamp = stand.stamp(authority, &work.signature, after(0));
        let mut signature = legacy(&work, None, Some(&stamp));
        signature.annotations.insert(layout::CHAIN.to_owned(), pem(&below.root));
        judge(&believes, &image(), &signature, later()).unwrap_or_else(|why| panic!("{authority}: {why}"));
    }
    let rootless = Roots { fulcio: vec![file(&[&stand.root]), file(&[&below.root])], ..Roots::default() };
    let settings = Settings { roots: Some(rootless), ..keyless() };
    let fault = verifier(&SignerName("acme".into()), &settings).err().unwrap();
    assert!(fault.message.contains("fulcio[1]: there is no root"), "{}", fault.message);
}
