//! Signatures that somebody with the registry in hand has changed or moved: never served, and told as what they are.

use serde_json::Value;

use super::gate::{Gate, everybody};
use super::services::Sigstore;
use super::ways::{Form, Seen, Way, Who};
use crate::process::run;
use crate::stand::Stand;
use crate::upstream::Kind;
use crate::{content, tampering};

const BUNDLED: Way = Way(Who::Email, Form::Bundle, Seen::Rekor1);
const TAGGED: Way = Way(Who::Email, Form::Tag, Seen::Rekor1);

/// What `crane manifest` says of a name in the upstream.
fn manifest(stand: &Stand, repository: &str, reference: &str) -> Value {
    let name = format!("{}/{repository}{reference}", stand.upstream.address());
    let text = run(stand.command("crane").args(["--insecure", "manifest", &name])).passed().stdout;
    serde_json::from_str(&text).unwrap()
}

fn digest_in(manifest: &Value, list: &str) -> String {
    manifest[list][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs cosign, cosign2, sigstore-stand, docker-registry, skopeo, crane, curl"]
fn needs_sigstore_a_byte_changed_in_the_registry_s_storage_is_no_signature() {
    let stand = Stand::new(Kind::TagSchema);
    let sigstore = Sigstore::start(&stand);
    for way in [BUNDLED, TAGGED] {
        let repository = way.repository();
        let tag = sigstore.signed(way).replace(':', "-");
        let signature = match way {
            BUNDLED => {
                let list = manifest(&stand, &repository, &format!(":{tag}"));
                manifest(&stand, &repository, &format!("@{}", digest_in(&list, "manifests")))
            }
            _ => manifest(&stand, &repository, &format!(":{tag}.sig")),
        };
        tampering::tamper(&stand, &digest_in(&signature, "layers"));
        let gate = Gate::open(&stand, &everybody(&stand));
        // What was signed cannot be told any more: neither yes nor "unsigned".
        let (status, body) = gate.answer("email", &repository);
        assert!(status == 503 && body.contains("is something else"), "{status}: {body}");
        gate.copy("email", &repository).failed();
    }
}

/// Changes one character near the end of a text in base64: of signatures and hashes a number in them.
fn changed(value: &mut Value, path: &str) {
    let text = value.pointer(path).and_then(Value::as_str).unwrap().to_owned();
    let at = text.len() - 12;
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    *value.pointer_mut(path).unwrap() = format!("{}{other}{}", &text[..at], &text[at + 1..]).into();
}

#[test]
#[ignore = "needs cosign, sigstore-stand, skopeo, python3, curl"]
fn needs_sigstore_a_bundle_that_was_written_anew_is_refused_for_what_was_changed() {
    let stand = Stand::new(Kind::Referrers);
    let sigstore = Sigstore::start(&stand);
    let gate = Gate::open(&stand, &everybody(&stand));
    let entry = "/verificationMaterial/tlogEntries/0";
    for (number, (path, words)) in [
        ("/dsseEnvelope/signatures/0/sig".to_owned(), "the signature does not match the signed content"),
        (
            "/verificationMaterial/certificate/rawBytes".to_owned(),
            "it is about a signature by another certificate",
        ),
        (format!("{entry}/inclusionPromise/signedEntryTimestamp"), "its inclusion promise was not signed"),
        (format!("{entry}/inclusionProof/rootHash"), "its rootHash is not its checkpoint's"),
        (format!("{entry}/canonicalizedBody"), "a transparency-log entry is required"),
    ]
    .into_iter()
    .enumerate()
    {
        let repository = format!("sigstore/changed-{number}");
        let digest = stand.push(&repository, content::image);
        sigstore.sign(BUNDLED, &repository, &digest);
        let mut bundle = stand.bundle(&repository, &digest);
        changed(&mut bundle, &path);
        stand.replace_bundle(&repository, &digest, &bundle);
        assert_eq!(gate.answer("email", &repository).0, 403, "{path}");
        gate.refuses("email", &repository, &[words]);
    }
}

#[test]
#[ignore = "needs cosign, sigstore-stand, skopeo, python3, curl"]
fn needs_sigstore_another_image_s_bundle_is_told_as_such() {
    let stand = Stand::new(Kind::Referrers);
    let sigstore = Sigstore::start(&stand);
    let (repository, signed) = (BUNDLED.repository(), sigstore.signed(BUNDLED));
    let bundle = stand.bundle(&repository, &signed);
    let other = stand.push(&repository, content::image);
    stand.attach_bundle(&repository, &other, &bundle);
    let gate = Gate::open(&stand, &everybody(&stand));
    assert_eq!(gate.answer("email", &repository).0, 403);
    gate.refuses("email", &repository, &[&signed, &other]);
    gate.refuses("eve", &repository, &[&signed, &other]);
}

#[test]
#[ignore = "needs cosign2, sigstore-stand, docker-registry, skopeo, curl"]
fn needs_sigstore_another_image_s_tag_is_told_as_such() {
    for kind in Kind::ALL {
        let stand = Stand::new(kind);
        let sigstore = Sigstore::start(&stand);
        let (repository, signed) = (TAGGED.repository(), sigstore.signed(TAGGED));
        let other = stand.push(&repository, content::image);
        let tag = |digest: &str| {
            format!("docker://{}/{repository}:{}.sig", stand.upstream.address(), digest.replace(':', "-"))
        };
        let mut copy = stand.command("skopeo");
        copy.args(["copy", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        run(copy.args([tag(&signed), tag(&other)])).passed();
        let gate = Gate::open(&stand, &everybody(&stand));
        assert_eq!(gate.answer("email", &repository).0, 403);
        gate.refuses("email", &repository, &[&signed, &other]);
    }
}
