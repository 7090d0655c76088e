//! Whom a certificate is for: issuer, identity and each extension are what the settings say, or nobody is believed.

use super::super::*;
use super::judge;
use super::recorded::{self, Recorded, workflow};
use super::stand::{self, Stand, claim, extension, image, later, text};
use crate::signature::{Code, Evidence, Rejected};

/// What the fixtures' workflow certificates say, by the names that settings use.
const SAID: [(&str, &str); 20] = [
    ("github_workflow_trigger", "push"),
    ("github_workflow_sha", "0123456789012345678901234567890123456789"),
    ("github_workflow_name", "release"),
    ("github_workflow_repository", "acme/app"),
    ("github_workflow_ref", "refs/heads/main"),
    ("build_signer_uri", recorded::WORKFLOW),
    ("build_signer_digest", "0123456789012345678901234567890123456789"),
    ("runner_environment", "github-hosted"),
    ("source_repository_uri", "https://github.com/acme/app"),
    ("source_repository_digest", "0123456789012345678901234567890123456789"),
    ("source_repository_ref", "refs/heads/main"),
    ("source_repository_identifier", "1001"),
    ("source_repository_owner_uri", "https://github.com/acme"),
    ("source_repository_owner_identifier", "2002"),
    ("build_config_uri", recorded::WORKFLOW),
    ("build_config_digest", "0123456789012345678901234567890123456789"),
    ("build_trigger", "push"),
    ("run_invocation_uri", "https://github.com/acme/app/actions/runs/3003/attempts/1"),
    ("source_repository_visibility_at_signing", "public"),
    ("deployment_environment", "production"),
];

fn with(change: impl FnOnce(&mut Keyless)) -> Settings {
    let mut settings = workflow();
    change(settings.keyless.as_mut().unwrap());
    settings
}

fn verdict(settings: &Settings) -> Result<Evidence, Rejected> {
    Recorded::read("keyless-workflow-legacy").verify(&super::built(settings))
}

#[test]
fn issuer_and_identity_are_both_asked() {
    assert!(verdict(&workflow()).is_ok());
    let pattern = |k: &mut Keyless, issuer: &str, identity: &str| {
        (k.issuer, k.identity) = (None, None);
        (k.issuer_regexp, k.identity_regexp) = (Some(issuer.to_owned()), Some(identity.to_owned()));
    };
    let ours = (r"https://token\.actions\..*", r"https://github\.com/acme/.*");
    assert!(verdict(&with(|k| pattern(k, ours.0, ours.1))).is_ok());
    for settings in [
        with(|k| k.issuer = Some(format!("{}/", recorded::GITHUB))),
        with(|k| k.issuer = Some(recorded::WORKFLOW.to_owned())),
        with(|k| k.identity = Some(recorded::WORKFLOW.to_uppercase())),
        with(|k| k.identity = Some(recorded::GITHUB.to_owned())),
        with(|k| pattern(k, ours.0, r"https://github\.com/acme/")),
        with(|k| pattern(k, "https", ours.1)),
    ] {
        let rejected = verdict(&settings).unwrap_err();
        assert_eq!(rejected.code(), Code::IdentityMismatch, "{rejected}");
        assert!(rejected.to_string().contains(recorded::WORKFLOW), "{rejected}");
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
