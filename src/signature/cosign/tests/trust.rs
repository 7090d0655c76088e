//! Trusted roots with something else in them: the recorded claims are believed by none.

use serde_json::{Value, json};

use super::super::*;
use super::recorded::{Recorded, WORKFLOW, file, identity, later, root, stamped};
use super::stand::trusting;
use super::tree::with;
use super::{built, judge};
use crate::signature::Code;

const FIRST: &str = "keyless-workflow-bundle-rekor1";
const SECOND: &str = "keyless-workflow-bundle-rekor2";
const LEGACY: &str = "keyless-workflow-legacy";
const STAMPED: &str = "keyless-workflow-legacy-tsa";

fn settings(case: &str) -> Settings {
    if case == STAMPED { stamped(identity(WORKFLOW)) } else { identity(WORKFLOW) }
}

fn refused(case: &str, root: &Value, code: Code, words: &str) {
    let rejected = Recorded::read(case).verify(&trusting(&settings(case), root)).unwrap_err();
    assert_eq!(rejected.code(), code, "{case}: {words}: {rejected}");
    assert!(rejected.to_string().contains(words), "{case}: {words}: {rejected}");
}

/// What the public instance has of this kind.
fn public(pointer: &str) -> Value {
    let document = include_bytes!("../../../../config/sigstore/public-good/trusted_root.json");
    let document: Value = serde_json::from_slice(document).unwrap();
    document.pointer(pointer).unwrap().clone()
}

#[test]
fn the_genuine_root_believes_them() {
    for case in [FIRST, SECOND, LEGACY, STAMPED] {
        Recorded::read(case).verify(&trusting(&settings(case), &root())).unwrap();
        // The public instance knows nothing of them.
        let rejected =
            Recorded::read(case).verify(&built(&Settings { trusted_root: None, ..settings(case) }));
        assert!(rejected.is_err(), "{case}");
    }
}

#[test]
fn nothing_of_it_may_be_missing() {
    let without = |key: &str| with(&root(), &format!("/{key}"), json!([]));
    for case in [FIRST, SECOND, LEGACY] {
        refused(case, &without("tlogs"), Code::LogEntryMissing, "the trusted root knows no log");
    }
    for case in [FIRST, SECOND, LEGACY, STAMPED] {
        refused(case, &without("ctlogs"), Code::CertificateInvalid, "SCT");
        refused(case, &without("certificateAuthorities"), Code::UntrustedKey, "certificate authorities");
    }
    for case in [SECOND, STAMPED] {
        refused(
            case,
            &without("timestampAuthorities"),
            Code::TimestampInvalid,
            "knows no timestamp authority",
        );
    }
    // Those that are not needed are not missed.
    assert!(Recorded::read(STAMPED).verify(&trusting(&settings(STAMPED), &without("tlogs"))).is_ok());
    for case in [FIRST, LEGACY] {
        assert!(
            Recorded::read(case)
                .verify(&trusting(&identity(WORKFLOW), &without("timestampAuthorities")))
                .is_ok()
        );
    }
}

#[test]
fn other_authorities_vouch_for_others() {
    let chain = |of: &str| format!("/{of}/0/certChain/certificates");
    let (fulcio, tsa) = (chain("certificateAuthorities"), chain("timestampAuthorities"));
    for case in [FIRST, SECOND, LEGACY, STAMPED] {
        let other = with(&root(), &fulcio, public("/certificateAuthorities/1/certChain/certificates"));
        refused(case, &other, Code::UntrustedKey, "certificate authorities");
        let stamping = with(&root(), &fulcio, root().pointer(&tsa).unwrap().clone());
        refused(case, &stamping, Code::UntrustedKey, "certificate authorities");
    }
    for case in [SECOND, STAMPED] {
        let other = with(&root(), &tsa, public("/timestampAuthorities/0/certChain/certificates"));
        refused(case, &other, Code::TimestampInvalid, "a timestamp");
        let certifying = with(&root(), &tsa, root().pointer(&fulcio).unwrap().clone());
        refused(case, &certifying, Code::TimestampInvalid, "a timestamp");
    }
}

#[test]
fn logs_are_known_by_key_and_id() {
    let log = |at: usize, part: &str| format!("/tlogs/{at}/{part}");
    let key = |at| root().pointer(&log(at, "publicKey")).unwrap().clone();
    let swapped = with(&with(&root(), &log(0, "publicKey"), key(1)), &log(1, "publicKey"), key(0));
    for case in [FIRST, LEGACY, SECOND] {
        refused(case, &swapped, Code::LogEntryMissing, "was not signed by the log");
    }
    for (case, at) in [(FIRST, 0), (LEGACY, 0), (SECOND, 1)] {
        let id = with(&root(), &log(at, "logId/keyId"), json!("AAAAAA=="));
        refused(case, &id, Code::LogEntryMissing, "the trusted root knows no log");
    }
    // The second version signs by its host; the first by a name of its own.
    let host = |at| with(&root(), &log(at, "baseUrl"), json!("https://rekor.other.test"));
    refused(SECOND, &host(1), Code::LogEntryMissing, "was not signed by the log https://rekor.other.test");
    assert!(Recorded::read(FIRST).verify(&trusting(&identity(WORKFLOW), &host(0))).is_ok());
    // Its checkpoints may bear another id than its entries.
    let mut other = root();
    other["tlogs"][1]["checkpointKeyId"] = json!({"keyId": "AAAAAA=="});
    refused(SECOND, &other, Code::LogEntryMissing, "was not signed by the log");

    let ct = with(&root(), "/ctlogs/0/publicKey", public("/ctlogs/1/publicKey"));
    for case in [FIRST, SECOND, LEGACY, STAMPED] {
        refused(case, &ct, Code::CertificateInvalid, "signed certificate timestamp does not hold");
    }
}

/// As cosign 2 is told: each by its own file.
#[test]
fn a_root_in_parts_is_the_same() {
    let pem = |name: &str| vec![Pem(file(&format!("pki/{name}")).display().to_string())];
    let roots = Roots {
        fulcio: pem("fulcio.pem"),
        rekor: [pem("rekor.pub"), pem("rekor2.pub")].concat(),
        ct_logs: pem("ctfe.pub"),
        timestamps: pem("tsa-chain.pem"),
    };
    let judged = |case: &str, roots: &Roots| {
        let settings = Settings { trusted_root: None, roots: Some(roots.clone()), ..settings(case) };
        let recorded = Recorded::read(case);
        judge(&built(&settings), &recorded.subject, recorded.claim(), later()).map_err(|e| e.code())
    };
    for case in [FIRST, SECOND, LEGACY, STAMPED] {
        judged(case, &roots).unwrap_or_else(|code| panic!("{case}: {code:?}"));
    }
    let none = Vec::new;
    let less = |change: fn(&mut Roots)| {
        let mut roots = roots.clone();
        change(&mut roots);
        roots
    };
    assert_eq!(judged(LEGACY, &less(|r| r.fulcio = r.timestamps.clone())).unwrap_err(), Code::UntrustedKey);
    assert_eq!(judged(LEGACY, &less(|r| r.rekor = r.ct_logs.clone())).unwrap_err(), Code::LogEntryMissing);
    assert_eq!(judged(LEGACY, &less(|r| r.ct_logs = r.rekor.clone())).unwrap_err(), Code::CertificateInvalid);
    assert_eq!(
        judged(STAMPED, &less(|r| r.timestamps = r.fulcio.clone())).unwrap_err(),
        Code::TimestampInvalid
    );
    let nothing = Roots { fulcio: none(), rekor: none(), ct_logs: none(), timestamps: none() };
    for case in [FIRST, SECOND, LEGACY, STAMPED] {
        assert!(judged(case, &nothing).is_err(), "{case}");
    }
}
