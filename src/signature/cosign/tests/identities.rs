//! Whom a certificate is for: issuer, identity and each extension are what the settings say, or nobody is believed.

use super::super::*;
use super::judge;
use super::recorded::{Recorded, WORKFLOW, identity};
use super::stand::{self, Stand, claim, extension, image, later, text};
use crate::signature::{Code, Evidence, Rejected};

/// What the fixtures' workflow certificates say, by the names that settings use.
const SAID: [(&str, &str); 20] = [
    ("github_workflow_trigger", "push"),
    ("github_workflow_sha", "0123456789012345678901234567890123456789"),
    ("github_workflow_name", "release"),
    ("github_workflow_repository", "acme/app"),
    ("github_workflow_ref", "refs/heads/main"),
    ("build_signer_uri", WORKFLOW.0),
    ("build_signer_digest", "0123456789012345678901234567890123456789"),
    ("runner_environment", "github-hosted"),
    ("source_repository_uri", "https://github.com/acme/app"),
    ("source_repository_digest", "0123456789012345678901234567890123456789"),
    ("source_repository_ref", "refs/heads/main"),
    ("source_repository_identifier", "1001"),
    ("source_repository_owner_uri", "https://github.com/acme"),
    ("source_repository_owner_identifier", "2002"),
    ("build_config_uri", WORKFLOW.0),
    ("build_config_digest", "0123456789012345678901234567890123456789"),
    ("build_trigger", "push"),
    ("run_invocation_uri", "https://github.com/acme/app/actions/runs/3003/attempts/1"),
    ("source_repository_visibility_at_signing", "public"),
    ("deployment_environment", "production"),
];

fn with(change: impl FnOnce(&mut Keyless)) -> Settings {
    let mut settings = identity(WORKFLOW);
    change(settings.keyless.as_mut().unwrap());
    settings
}

fn verdict(settings: &Settings) -> Result<Evidence, Rejected> {
    Recorded::read("keyless-workflow-legacy").verify(&super::built(settings))
}

#[test]
fn issuer_and_identity_are_both_asked() {
    assert!(verdict(&identity(WORKFLOW)).is_ok());
    let pattern = |k: &mut Keyless, issuer: &str, identity: &str| {
        (k.issuer, k.identity) = (None, None);
        (k.issuer_regexp, k.identity_regexp) = (Some(issuer.to_owned()), Some(identity.to_owned()));
    };
    let ours = (r"https://token\.actions\..*", r"https://github\.com/acme/.*");
    assert!(verdict(&with(|k| pattern(k, ours.0, ours.1))).is_ok());
    for settings in [
        with(|k| k.issuer = Some(format!("{}/", WORKFLOW.1))),
        with(|k| k.issuer = Some(WORKFLOW.0.to_owned())),
        with(|k| k.identity = Some(WORKFLOW.0.to_uppercase())),
        with(|k| k.identity = Some(WORKFLOW.1.to_owned())),
        with(|k| pattern(k, ours.0, r"https://github\.com/acme/")),
        with(|k| pattern(k, "https", ours.1)),
    ] {
        let rejected = verdict(&settings).unwrap_err();
        assert_eq!(rejected.code(), Code::IdentityMismatch, "{rejected}");
        assert!(rejected.to_string().contains(WORKFLOW.0), "{rejected}");
    }
}

#[test]
fn each_extension_is_asked_as_it_stands() {
    let asking =
        |name: &str, value: &str| with(|k| drop(k.extensions.insert(name.to_owned(), value.to_owned())));
    for (name, value) in SAID {
        let absent = name == "deployment_environment";
        assert_eq!(verdict(&asking(name, value)).is_ok(), !absent, "{name}");
        for other in [&value[1..], &format!("{value}x"), "x"] {
            let rejected = verdict(&asking(name, other)).unwrap_err();
            assert_eq!(rejected.code(), Code::IdentityMismatch, "{name}: {rejected}");
            assert!(rejected.to_string().contains(name), "{name}: {rejected}");
        }
    }
    let all = with(|k| {
        k.extensions =
            SAID[..19].iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    });
    assert!(verdict(&all).is_ok());
}

/// Fulcio writes the issuer twice: bare, and later as DER text.
#[test]
fn the_issuer_says_one_thing() {
    let stand = Stand::new();
    let verifier = stand.verifier(&stand::keyless());
    let judge = |extensions: Vec<rcgen::CustomExtension>| {
        let leaf = stand.certificate(|params| params.custom_extensions = extensions);
        judge(&verifier, &image(), &claim(&stand.bundle(&leaf)), later()).map(drop)
    };
    let (new, old) = (extension(8, &text(stand::ISSUER)), extension(1, stand::ISSUER.as_bytes()));
    for extensions in [vec![new.clone()], vec![old.clone()], vec![old.clone(), new.clone()]] {
        assert_eq!(judge(extensions), Ok(()));
    }
    for extensions in [
        vec![],
        vec![extension(1, b"https://eve.example.test"), new],
        vec![old.clone(), extension(8, &text("https://eve.example.test"))],
        // Bare where text belongs, and text where it is bare.
        vec![old, extension(8, stand::ISSUER.as_bytes())],
        vec![extension(8, stand::ISSUER.as_bytes())],
        vec![extension(1, &text(stand::ISSUER))],
    ] {
        assert_eq!(judge(extensions).unwrap_err().code(), Code::IdentityMismatch);
    }
}

/// An empty issuer is what a private authority's certificates have; who asks for any issuer asks for that too.
#[test]
fn no_issuer_is_an_empty_one() {
    let stand = Stand::new();
    let mut settings = stand::keyless();
    let keyless = settings.keyless.as_mut().unwrap();
    (keyless.issuer, keyless.issuer_regexp) = (None, Some(".*".to_owned()));
    let judge = |extensions: Vec<rcgen::CustomExtension>| {
        let leaf = stand.certificate(|params| params.custom_extensions = extensions);
        judge(&stand.verifier(&settings), &image(), &claim(&stand.bundle(&leaf)), later())
    };
    assert!(judge(vec![]).unwrap().issuer().is_none());
    for extensions in [
        vec![extension(1, b"https://eve.example.test"), extension(8, &text(stand::ISSUER))],
        vec![extension(8, b"no text")],
    ] {
        assert_eq!(judge(extensions).unwrap_err().code(), Code::IdentityMismatch);
    }
}

/// A private authority's: the issuer and further fields are asked where the settings name them.
#[test]
fn a_private_authoritys_certificates_are_asked_the_same() {
    let stand = Stand::new();
    let leaf = stand.certificate(|params| params.custom_extensions.push(extension(20, &text("push"))));
    let judge = |change: fn(&mut Pki)| {
        let mut pki = Pki {
            roots: vec![Pem(stand::pem(&stand.root))],
            identity: Some(stand::IDENTITY.to_owned()),
            ..Pki::default()
        };
        change(&mut pki);
        let settings = Settings { pki: Some(pki), ..Settings::default() };
        judge(&stand.verifier(&settings), &image(), &claim(&stand.bundle(&leaf)), later())
    };
    for accepted in [
        (|_| {}) as fn(&mut Pki),
        |pki| pki.issuer = Some(stand::ISSUER.to_owned()),
        |pki| pki.issuer_regexp = Some("https://issuer.*".to_owned()),
        |pki| pki.extensions = [("build_trigger".to_owned(), "push".to_owned())].into(),
    ] {
        assert!(judge(accepted).is_ok());
    }
    for refused in [
        (|pki| pki.identity = Some("https://eve.example.test".to_owned())) as fn(&mut Pki),
        |pki| pki.issuer = Some("https://eve.example.test".to_owned()),
        |pki| pki.issuer_regexp = Some("issuer".to_owned()),
        |pki| pki.extensions = [("build_trigger".to_owned(), "schedule".to_owned())].into(),
        |pki| pki.extensions = [("runner_environment".to_owned(), "push".to_owned())].into(),
    ] {
        assert_eq!(judge(refused).unwrap_err().code(), Code::IdentityMismatch);
    }
}
