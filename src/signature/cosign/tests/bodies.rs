//! Each kind of log entry is about one signature, by one key, over one content. The log itself is honest here
//! about what it was given: proof and promise hold, and what was logged is about something else.

use serde_json::{Value, json};

use super::super::*;
use super::judge;
use super::stand::{
    self, By, Leaf, Stand, Work, bundle, claim, encoded, entry_with, image, later, legacy, sha256,
};
use super::tree::with;
use crate::signature::{Code, Evidence, Rejected};

/// How the log keeps the parts, and how it says them wrongly.
struct Form {
    kind: (&'static str, &'static str),
    /// Whether it is kept as a layer of the older layout.
    older: bool,
    /// Whether what is signed is an envelope.
    enveloped: bool,
    /// Where the log keeps the signature, the key and the digests of the content.
    signature: &'static [&'static str],
    key: &'static str,
    digests: &'static [&'static str],
}

const FIRST: Form = Form {
    kind: ("hashedrekord", "0.0.1"),
    older: false,
    enveloped: true,
    signature: &["/spec/signature/content"],
    key: "/spec/signature/publicKey/content",
    digests: &["/spec/data/hash/value"],
};
const SECOND: Form = Form {
    kind: ("hashedrekord", "0.0.2"),
    signature: &["/spec/hashedRekordV002/signature/content"],
    key: "/spec/hashedRekordV002/signature/verifier",
    digests: &["/spec/hashedRekordV002/data/digest"],
    ..FIRST
};
const INTOTO: Form = Form {
    kind: ("intoto", "0.0.2"),
    signature: &["/spec/content/envelope/signatures/0/sig"],
    key: "/spec/content/envelope/signatures/0/publicKey",
    digests: &["/spec/content/payloadHash/value"],
    ..FIRST
};

const FORMS: [Form; 8] = [
    FIRST,
    SECOND,
    Form { older: true, enveloped: false, ..FIRST },
    Form {
        kind: ("dsse", "0.0.1"),
        signature: &["/spec/signatures/0/signature"],
        key: "/spec/signatures/0/verifier",
        digests: &["/spec/payloadHash/value"],
        ..FIRST
    },
    Form {
        kind: ("dsse", "0.0.2"),
        signature: &["/spec/dsseV002/signatures/0/content"],
        key: "/spec/dsseV002/signatures/0/verifier",
        digests: &["/spec/dsseV002/payloadHash/digest"],
        ..FIRST
    },
    INTOTO,
    Form { older: true, ..INTOTO },
    Form {
        kind: ("intoto", "0.0.1"),
        older: true,
        signature: &[],
        key: "/spec/publicKey",
        digests: &["/spec/content/hash/value", "/spec/content/payloadHash/value"],
        ..FIRST
    },
];

impl Form {
    fn work<'a>(&self, by: By<'a>) -> Work<'a> {
        let digest = image().descriptor.digest;
        if self.enveloped { Work::statement(by, &digest) } else { Work::payload(by, &digest) }
    }

    /// The claim with an entry whose body is changed.
    fn claim(&self, stand: &Stand, work: &Work<'_>, change: impl FnOnce(&mut Value)) -> Signature {
        let second = matches!(self.kind, ("hashedrekord" | "dsse", "0.0.2"));
        let log = if second { &stand.rekor2[0] } else { &stand.rekor[0] };
        let entry = entry_with(log, work, self.kind, change);
        let stamp = stand.stamp(0, &work.signature, stand::after(1));
        if self.older { legacy(work, Some(&entry), None) } else { claim(&bundle(work, &[entry], &[stamp])) }
    }

    /// As the log keeps whose signature it is.
    fn verifier(&self, by: &By<'_>) -> Value {
        if self.kind.1 == "0.0.2" && self.kind.0 != "intoto" {
            by.verifier()
        } else {
            json!(encoded(by.pem()))
        }
    }
}

/// Another value of the same form.
fn other(value: &Value) -> Value {
    let text = value.as_str().unwrap();
    let hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if hex { json!("00".repeat(32)) } else { json!(encoded(sha256(text.as_bytes()))) }
}

fn why(result: Result<Evidence, Rejected>) -> String {
    let rejected = result.unwrap_err();
    assert_eq!(rejected.code(), Code::LogEntryMissing, "{rejected}");
    rejected.to_string()
}

/// An entry of this form is about what was signed, and about nothing that one of the others signed.
fn check(form: &Form, stand: &Stand, verifier: &Cosign, work: &Work<'_>, others: &[By<'_>]) {
    let judge = |claim: &Signature| judge(verifier, &image(), claim, later());
    judge(&form.claim(stand, work, |_| {})).unwrap_or_else(|e| panic!("{:?}: {e}", form.kind));
    let swapped = |pointer: &str, value: Value| {
        why(judge(&form.claim(stand, work, |body| *body = with(body, pointer, value))))
    };
    let good = work.body(form.kind.0, form.kind.1);
    for pointer in form.signature {
        let why = swapped(pointer, other(good.pointer(pointer).unwrap()));
        assert!(why.contains("another signature") || why.contains("other signatures"), "{pointer}: {why}");
    }
    for pointer in form.digests {
        let why = swapped(pointer, other(good.pointer(pointer).unwrap()));
        assert!(why.contains("the digest differs"), "{pointer}: {why}");
    }
    for by in others {
        let why = swapped(form.key, form.verifier(by));
        let words = ["by another key", "by another certificate", "by a key without the certificate"];
        assert!(words.iter().any(|words| why.contains(words)), "{why}");
    }
}

#[test]
fn entries_are_about_one_signature_by_one_key() {
    let stand = Stand::new();
    let (own, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let leaf = stand.certificate(|_| {});
    let verifier = stand.verifier(&stand::key(&own));
    for form in &FORMS {
        let others = [By::Key(&other), By::Leaf(&leaf)];
        check(form, &stand, &verifier, &form.work(By::Key(&own)), &others);
    }
}

/// A log that was shown the bare key has told nobody who watches it for an identity.
#[test]
fn entries_are_about_one_signature_by_one_certificate() {
    let stand = Stand::new();
    let (own, other) = (stand.certificate(|_| {}), stand.certificate(|_| {}));
    let again =
        stand.certified(&own.key, &[&stand.ct[0]], |params| params.serial_number = Some(8_u64.into()));
    let again = Leaf { certificate: again, key: own.key.clone() };
    let verifier = stand.verifier(&stand::keyless());
    for form in &FORMS {
        let others = [By::Key(&own.key), By::Leaf(&other), By::Leaf(&again)];
        check(form, &stand, &verifier, &form.work(By::Leaf(&own)), &others);
    }
}

#[test]
fn an_entry_is_what_it_is_called_and_what_is_read() {
    let (stand, key) = (Stand::new(), rcgen::KeyPair::generate().unwrap());
    let verifier = stand.verifier(&stand::key(&key));
    let judge = |claim: &Signature| why(judge(&verifier, &image(), claim, later()));
    for form in &FORMS {
        let work = form.work(By::Key(&key));
        let unknown = form.claim(&stand, &work, |body| body["apiVersion"] = json!("0.0.9"));
        assert!(judge(&unknown).contains("which is not read"), "{:?}", form.kind);
        let empty = form.claim(&stand, &work, |body| body["spec"] = json!({}));
        assert!(judge(&empty).contains("its body is no log entry"), "{:?}", form.kind);
    }
    let work = FIRST.work(By::Key(&key));
    let entry = |form: &Form, log: usize| {
        let log = if log == 1 { &stand.rekor[0] } else { &stand.rekor2[0] };
        entry_with(log, &work, form.kind, |_| {})
    };
    let bundled = |entry: Value| judge(&claim(&bundle(&work, &[entry], &[])));
    for (pointer, value) in [("/kindVersion/kind", "dsse"), ("/kindVersion/version", "0.0.2")] {
        let why = bundled(with(&entry(&FIRST, 1), pointer, json!(value)));
        assert!(why.contains("its kindVersion is"), "{why}");
    }
    // The second version promises nothing, and has one number for an entry.
    let other_number = with(&entry(&SECOND, 2), "/logIndex", json!("0"));
    assert!(bundled(other_number).contains("its logIndex is 0, its proof's 1"));
    let hash = |form: &Form, pointer: &str| {
        let why = judge(&form.claim(&stand, &work, |body| *body = with(body, pointer, json!("md5"))));
        assert!(why.contains("its hash is md5, which is not read"), "{why}");
    };
    hash(&FIRST, "/spec/data/hash/algorithm");
    hash(&SECOND, "/spec/hashedRekordV002/data/algorithm");
    hash(&INTOTO, "/spec/content/payloadHash/algorithm");
}

#[test]
fn the_second_version_is_proven_by_inclusion_alone() {
    let (stand, key) = (Stand::new(), rcgen::KeyPair::generate().unwrap());
    let verifier = stand.verifier(&stand::key(&key));
    let form = Form { older: true, ..SECOND };
    let work = form.work(By::Key(&key));
    // Even the key of the first version's log makes no promise of what it does not take.
    let entry = entry_with(&stand.rekor[0], &work, form.kind, |_| {});
    let why = why(judge(&verifier, &image(), &legacy(&work, Some(&entry), None), later()));
    assert!(why.contains("entries of Rekor v2 need an inclusion proof"), "{why}");
}

#[test]
fn a_bundle_keeps_no_envelope_that_the_oldest_entries_are_about() {
    let (stand, key) = (Stand::new(), rcgen::KeyPair::generate().unwrap());
    let verifier = stand.verifier(&stand::key(&key));
    let form = Form { kind: ("intoto", "0.0.1"), older: false, ..FIRST };
    let why =
        why(judge(&verifier, &image(), &form.claim(&stand, &form.work(By::Key(&key)), |_| {}), later()));
    assert!(why.contains("which a bundle does not keep"), "{why}");
}
