//! What openssl's CRLs and OCSP responses say of the real chains, beside what notation made of them.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};

use super::made::{Configuration, NOW, file, signature, subject, time, verify};
use super::mutations::chain;
use crate::signature::{Code, Verifier as _};
use crate::trust::{Need, RevocationData};
use crate::x509::revocation::{Known, Question, Source, Status, status};
use crate::x509::{Certificate, crl::Crl, ocsp};

/// A verdict of notation's.
#[derive(Deserialize)]
struct Verdict {
    envelope: String,
    verification: Value,
    stores: Vec<String>,
    /// `KIND/NAME=FILE`: the file was had where certificates name it.
    served: Vec<String>,
    code: i32,
}

/// Where we differ, by the file that makes the difference, and why.
const DIFFERENT: [(&str, &str); 5] = [
    (
        "ocsp/good-with-issuer.ocsp",
        "an issuer may put its certificate into its own response (RFC 6960, 4.2.1)",
    ),
    ("ocsp/good-stranger.ocsp", "a responder needs the usage OCSPSigning (RFC 6960, 4.2.2.2)"),
    ("ocsp/good-checked.ocsp", "a responder that can be revoked is asked after (RFC 6960, 4.2.2.2.1)"),
    ("crl/delta-released-at-once.crl", "a removal counts that is not older than the hold"),
    ("ocsp/good.ocsp crl/revoked.crl", "a revocation that is proven counts, whatever else says good"),
];

fn certificate(name: &str) -> Certificate {
    Certificate::all_from(&file(&format!("pki/{name}.pem"))).unwrap().remove(0)
}

/// The certificates to ask about, each with its issuer and the names of what is served about it.
fn asked(envelope: &str) -> Vec<(Certificate, Certificate, [&'static str; 3])> {
    let ders = if envelope.starts_with("crl-only") { chain("crl-only.jws") } else { chain("listed.jws") };
    let [leaf, middle, root] =
        ders.iter().map(|der| Certificate::from_der(der).unwrap()).collect::<Vec<_>>().try_into().unwrap();
    match envelope.split_once('.').unwrap().0 {
        "stamped-listed" => vec![(certificate("tsa-listed"), certificate("tsa-root"), ["crl/tsa"; 3])],
        _ => vec![
            (leaf, middle.clone(), ["ocsp/leaf", "crl/middle", "crl/delta"]),
            (middle, root, ["ocsp/middle", "crl/root", "crl/root"]),
        ],
    }
}

/// The files of those that are served under one of the names.
fn files<'a>(verdict: &'a Verdict, names: &[&str]) -> Vec<&'a str> {
    let served = verdict.served.iter().filter_map(|served| served.split_once('='));
    served.filter(|(at, _)| names.contains(at)).map(|(_, file)| file).collect()
}

fn differs(verdict: &Verdict) -> bool {
    let served: Vec<_> = verdict.served.iter().filter_map(|s| Some(s.split_once('=')?.1)).collect();
    DIFFERENT.iter().any(|(files, _)| served.join(" ").ends_with(files))
}

fn verdicts() -> Vec<Verdict> {
    serde_json::from_slice(&file("verdicts.json")).unwrap()
}

fn known(files: &[&str]) -> Known {
    let mut known = Known::default();
    for name in files {
        let bytes = file(name);
        match name.split_once('/').unwrap().0 {
            "ocsp" => known.ocsp.push(ocsp::Response::parse(&bytes).unwrap()),
            _ => known.crls.push(Crl::parse(&bytes).unwrap()),
        }
    }
    known
}

fn ask(
    certificate: &Certificate,
    issuer: &Certificate,
    files: &[&str],
    signed_at: Option<SystemTime>,
) -> Status {
    let question = Question { certificate, issuer, now: time(NOW), signed_at, grace: Duration::ZERO };
    status(&question, &known(files))
}

/// Asks about `listed`.
fn listed(files: &[&str]) -> Status {
    ask(&certificate("listed"), &certificate("middle"), files, None)
}

#[test]
fn statuses_are_what_notation_made_of_the_same_answers() {
    let about = ["listed", "crl-only", "stamped-listed"];
    let mut judged = 0;
    for verdict in verdicts() {
        let name = verdict.envelope.split_once('.').unwrap().0;
        if !about.contains(&name) || verdict.verification["level"] != "strict" {
            continue;
        }
        let good = asked(&verdict.envelope).iter().all(|(certificate, issuer, names)| {
            let files = files(&verdict, names);
            matches!(ask(certificate, issuer, &files, None), Status::Good { .. } | Status::NotRevocable)
        });
        let different = differs(&verdict);
        assert_eq!(
            good == (verdict.code == 0),
            !different,
            "{}: {:?}: ours {good}",
            verdict.envelope,
            verdict.served
        );
        judged += 1;
    }
    assert!(judged > 30, "{judged}");
}

#[test]
fn verdicts_are_notations_own() {
    let mut judged = 0;
    for verdict in verdicts() {
        let stores: Vec<_> = verdict.stores.iter().map(String::as_str).collect();
        let verifier = Configuration::new(&verdict.verification, &stores).verifier();
        let about = |(certificate, issuer, names): (Certificate, Certificate, [&str; 3])| {
            (Need { certificate, issuer }, known(&files(&verdict, &names)))
        };
        let data = RevocationData::of(asked(&verdict.envelope).into_iter().map(about));
        let envelope = file(&format!("envelopes/{}", verdict.envelope));
        let signature = signature(&verdict.envelope, envelope);
        let result = verifier.verify(&subject(), &signature, &data, time(NOW));
        let agree = result.is_ok() == (verdict.code == 0);
        // Where the level only logs revocation, nothing differs.
        let differs = differs(&verdict) && verdict.verification["level"] == "strict";
        assert_eq!(agree, !differs, "{} {:?} {stores:?}: {result:?}", verdict.envelope, verdict.served);
        judged += 1;
    }
    assert!(judged > 80, "{judged}");
}

#[test]
fn an_end_ends_what_is_good_and_no_revocation() {
    for (crl, revoked) in [("ended", false), ("ended-hold", false), ("ended-revoked", true)] {
        let status = listed(&[&format!("crl/{crl}.crl")]);
        assert_eq!(matches!(status, Status::Revoked { .. }), revoked, "{crl}: {status:?}");
        assert_eq!(matches!(status, Status::Unknown { .. }), !revoked, "{crl}: {status:?}");
    }
}

#[test]
fn a_key_that_was_stolen_later_than_it_signed_signed_well() {
    let (certificate, issuer) = (certificate("listed"), certificate("middle"));
    let at = |signed: Option<&str>| ask(&certificate, &issuer, &["crl/compromised.crl"], signed.map(time));
    assert!(matches!(at(Some("2026-02-14T23:59:59Z")), Status::Good { by: Source::Crl, .. }));
    for late in [None, Some("2026-02-15T00:00:00Z"), Some("2026-02-20T00:00:00Z")] {
        assert!(matches!(at(late), Status::Revoked { by: Source::Crl, .. }), "{late:?}");
    }
}

#[test]
fn a_responder_is_asked_after_where_it_can_be_revoked() {
    let by = |files: &[&str]| matches!(listed(files), Status::Good { by: Source::Ocsp, .. });
    assert!(by(&["ocsp/good-delegated.ocsp"]));
    assert!(!by(&["ocsp/good-checked.ocsp"]));
    assert!(by(&["ocsp/good-checked.ocsp", "crl/good.crl"]));
    let revoked = listed(&["ocsp/good-checked.ocsp", "crl/responder-revoked.crl"]);
    assert!(
        matches!(revoked, Status::Good { by: Source::Crl, .. }),
        "the list itself lists nobody else: {revoked:?}"
    );
}

#[test]
fn a_delta_counts_with_the_base_that_it_is_for() {
    let with = |delta: &str| listed(&["crl/base.crl", &format!("crl/delta-{delta}.crl")]);
    assert!(matches!(with("released"), Status::Good { by: Source::Crl, .. }));
    assert!(matches!(with("hold"), Status::Revoked { .. }));
    assert!(matches!(with("revoked"), Status::Revoked { .. }));
    for files in
        [&["crl/base.crl"][..], &["crl/delta-released.crl"], &["crl/base.crl", "crl/delta-too-new.crl"]]
    {
        assert!(!matches!(listed(files), Status::Good { .. }), "{files:?}");
    }
}

#[test]
fn an_untrusted_signer_is_the_reason_where_revocation_alone_is_enforced() {
    let verification = json!({ "level": "audit", "override": { "revocation": "enforce" } });
    let signature = signature("listed.jws", file("envelopes/listed.jws"));
    let code = |store: &str| {
        let verifier = Configuration::new(&verification, &[store]).verifier();
        verify(&verifier, &signature, time(NOW)).unwrap_err().code()
    };
    // Nobody was asked: about the one that may pass, about the other it never will.
    assert_eq!(code("ca:acme"), Code::RevocationUnknown);
    assert_eq!(code("ca:other"), Code::UntrustedKey);
}
