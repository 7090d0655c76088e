//! What cosign signed is pulled by real clients: who signed and who saw it must be whom the policy asks for.

use super::gate::{Gate, everybody, signer};
use super::services::{EMAIL, Sigstore, WORKFLOW};
use super::ways::{Form, Seen, Way, Who};
use crate::stand::Stand;
use crate::upstream::Kind;
use crate::{content, docker};

/// What a refusal says of a signature whose log entry, or timestamp, is wanted and absent.
const NO_LOG: &str = "a transparency-log entry is required";
const NO_STAMP: &str = "a timestamp is required";

/// The policies that are asked about a signature, each with what it says where it refuses.
fn verdicts(Way(who, _, seen): Way) -> Vec<(&'static str, Option<Vec<&'static str>>)> {
    let logged = (!matches!(seen, Seen::Rekor1 | Seen::Rekor2)).then(|| vec![NO_LOG]);
    let stamped = (!matches!(seen, Seen::Rekor2 | Seen::Stamp)).then(|| vec![NO_STAMP]);
    let found = |(identity, issuer)| {
        Some(vec!["signed by", identity, issuer, "which is none of the trusted identities"])
    };
    // Who is asked for a witness that is not there gets no further than that.
    let others = |verdict| if seen == Seen::Stamp { logged.clone() } else { verdict };
    match who {
        Who::Key => {
            vec![
                ("key", logged),
                ("key-bare", None),
                ("key-stamped", stamped),
                ("key-of-another", Some(vec!["the signature does not match the signed content", "key "])),
            ]
        }
        Who::Email => vec![
            ("email", logged.clone()),
            ("email-stamped", stamped.clone()),
            ("email-by-another", others(found(EMAIL))),
            ("eve", others(found(EMAIL))),
            ("eve-stamped", stamped.or_else(|| found(EMAIL))),
        ],
        Who::Workflow => vec![
            ("workflow", logged.clone()),
            ("workflow-stamped", stamped),
            ("workflow-of-next", others(found(WORKFLOW))),
            (
                "workflow-at-next",
                others(Some(vec![
                    "source_repository_ref refs/heads/next",
                    "which is none of the trusted identities",
                ])),
            ),
        ],
    }
}

fn pull_all(kind: Kind) {
    let stand = Stand::new(kind);
    let sigstore = Sigstore::start(&stand);
    for way in Way::ALL {
        sigstore.signed(way);
    }
    let gate = Gate::open(&stand, &everybody(&stand));
    for way in Way::ALL {
        for (policy, refusal) in verdicts(way) {
            match refusal {
                None => drop(gate.copy(policy, &way.repository()).passed()),
                Some(words) => gate.refuses(policy, &way.repository(), &words),
            }
        }
    }
    stand.push("sigstore/unsigned", content::image);
    gate.copy("email", "sigstore/unsigned").failed().says("none found");
    gate.close();
}

#[test]
#[ignore = "needs cosign, cosign2, sigstore-stand, docker-registry, skopeo"]
fn needs_sigstore_what_is_signed_in_a_registry_of_tags_is_judged_by_who_signed_and_who_saw_it() {
    pull_all(Kind::TagSchema);
}

#[test]
#[ignore = "needs cosign, cosign2, sigstore-stand, skopeo"]
fn needs_sigstore_what_is_signed_in_a_registry_of_referrers_is_judged_by_who_signed_and_who_saw_it() {
    pull_all(Kind::Referrers);
}

#[test]
#[ignore = "needs cosign, cosign2, sigstore-stand, dockerd"]
fn needs_dockerd_keyless_images_are_judged_by_who_signed() {
    for (kind, form) in [(Kind::TagSchema, Form::Tag), (Kind::Referrers, Form::Bundle)] {
        let stand = Stand::apart(kind, &[]);
        let way = Way(Who::Email, form, Seen::Rekor1);
        Sigstore::start(&stand).signed(way);
        let gate = Gate::open(&stand, &everybody(&stand));
        let _dockerd = docker::start(&stand, &[], None);
        let pull = |policy| docker::pull(&stand, &gate.name(policy, &way.repository()));
        pull("eve").failed().says("policy eve: eve.example/").says(EMAIL.0).says(EMAIL.1);
        pull("email").passed();
    }
}

/// The public trusted root knows none of it, and parts of a trusted root do as the whole.
#[test]
#[ignore = "needs cosign, cosign2, sigstore-stand, skopeo"]
fn needs_sigstore_trust_is_what_the_signer_s_settings_name() {
    let stand = Stand::new(Kind::Referrers);
    let sigstore = Sigstore::start(&stand);
    let file = |name: &str| stand.services().join(name).display().to_string();
    let who = format!("keyless: {{ issuer: \"{}\", identity: \"{}\" }}", EMAIL.1, EMAIL.0);
    let parts = format!(
        "{who}, roots: {{ fulcio: [{}], rekor: [{}], ct_logs: [{}] }}",
        file("fulcio.pem"),
        file("rekor.pub"),
        file("ctfe.pub")
    );
    let gate = Gate::open(&stand, &[signer("public", &who), signer("parts", &parts)]);
    for form in [Form::Tag, Form::Bundle] {
        let way = Way(Who::Email, form, Seen::Rekor1);
        sigstore.signed(way);
        gate.copy("parts", &way.repository()).passed();
        gate.refuses("public", &way.repository(), &["the trusted root knows no log"]);
    }
}

#[test]
#[ignore = "needs cosign, sigstore-stand, skopeo, python3"]
fn needs_sigstore_a_witness_beside_the_log_takes_nothing_from_it() {
    let stand = Stand::new(Kind::Referrers);
    let sigstore = Sigstore::start(&stand);
    let way = Way(Who::Email, Form::Bundle, Seen::Rekor2);
    let digest = sigstore.signed(way);
    let bundle = stand.bundle(&way.repository(), &digest);
    let proof = &bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
    let checkpoint = proof["checkpoint"]["envelope"].as_str().unwrap();
    let signers: Vec<_> = checkpoint.lines().filter_map(|line| line.strip_prefix("\u{2014} ")).collect();
    let [log, witness] = signers[..] else { panic!("{checkpoint}") };
    assert!(log.starts_with("rekor2.") && witness.starts_with("witness."), "{checkpoint}");
    let gate = Gate::open(&stand, &everybody(&stand));
    gate.copy("email", &way.repository()).passed();

    // Without the log's own line the witness' is nothing.
    let alone = "sigstore/witness-alone";
    let digest = stand.push(alone, content::image);
    sigstore.sign(way, alone, &digest);
    let mut bundle = stand.bundle(alone, &digest);
    let envelope = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
    let envelope = bundle.pointer_mut(envelope).unwrap();
    let text = envelope.as_str().unwrap().to_owned();
    let is_log = |line: &&str| line.starts_with("\u{2014} rekor2.");
    let without: String = text.split_inclusive('\n').filter(|line| !is_log(line)).collect();
    assert_ne!(without, text);
    *envelope = without.into();
    stand.replace_bundle(alone, &digest, &bundle);
    gate.refuses("email", alone, &["a transparency-log entry is required", "checkpoint"]);
}
