//! notation and we judge the same images by the same trust policies.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::pki::{AUTHORITY, Pki, Publisher, SIGNER};
use super::policies::{self, Expected};
use super::tool::{THUMBPRINTS, simple};
use crate::content;
use crate::process::run;
use crate::stand::Stand;
use crate::upstream::Kind;

/// How long the certificate lasts that has ended when images are judged.
const BRIEF: Duration = Duration::from_secs(20);

/// The images by which stores, identities and scopes are told apart.
const SOME: [&str; 7] =
    ["p256-jws", "rsa2048-cose", "self-signed", "stranger", "several", "expired", "unsigned"];

/// A PKI with a timestamp authority, known to notation as signer and as verifier.
fn pki(stand: &Stand) -> Pki<'_> {
    let pki = Pki::new(stand);
    for root in ["other", "tsa-root"] {
        pki.root(root);
    }
    pki.issue("tsa-root", "tsa", "rsa2048", AUTHORITY, None);
    pki.issue("other", "stranger", "P-256", SIGNER, None);
    for (name, kind) in [("p256", "P-256"), ("p521", "P-521"), ("rsa2048", "rsa2048"), ("rsa3072", "rsa3072")]
    {
        pki.issue("middle", name, kind, SIGNER, None);
        stand.add_key(&pki, name, &["middle", "root"]);
    }
    stand.add_key(&pki, "stranger", &["other"]);
    for (store, certificate) in [
        ("ca/acme", "root"),
        ("ca/middle", "middle"),
        ("ca/other", "other"),
        ("signingAuthority/acme", "root"),
        ("tsa/acme", "tsa-root"),
        ("tsa/other", "other"),
    ] {
        stand.trust(&pki, store, certificate);
    }
    let stores = stand.notation_folder().join("truststore/x509/ca");
    std::fs::create_dir_all(stores.join("empty")).unwrap();
    std::fs::rename(stores.join("acme-rockets.io"), stores.join("self-signed")).unwrap();
    pki
}

/// The arguments that have notation ask the timestamp authority.
fn stamped(pki: &Pki<'_>, publisher: &Publisher) -> [String; 4] {
    [
        "--timestamp-url".to_owned(),
        format!("http://127.0.0.1:{}/tsa/tsa", publisher.port),
        "--timestamp-root-cert".to_owned(),
        pki.path("tsa-root.pem").display().to_string(),
    ]
}

/// Images by name, each signed in another way: their references.
fn images(stand: &Stand, pki: &Pki<'_>, publisher: &Publisher) -> BTreeMap<&'static str, String> {
    let mut images = BTreeMap::new();
    let stamp = stamped(pki, publisher);
    let stamp: Vec<&str> = stamp.iter().map(String::as_str).collect();
    let repository = |name: &str| format!("notary/{name}");
    pki.issue("middle", "brief", "P-256", SIGNER, Some(BRIEF));
    let end = Instant::now() + BRIEF;
    stand.add_key(pki, "brief", &["middle", "root"]);
    let mut sign = |name: &'static str, key: &str, arguments: &[&str]| {
        images.insert(name, stand.signed(&repository(name), key, arguments));
    };
    sign("ended", "brief", &[]);
    sign("ended-stamped", "brief", &stamp);
    sign("ended-stamped-cose", "brief", &[&["--signature-format", "cose"], &stamp[..]].concat());
    sign("expired", "p256", &["--expiry", "1s"]);
    sign("expired-cose", "rsa3072", &["--expiry", "1s", "--signature-format", "cose"]);
    sign("p256-jws", "p256", &[]);
    sign("p521-cose", "p521", &["--signature-format", "cose"]);
    sign("rsa2048-cose", "rsa2048", &["--signature-format", "cose"]);
    sign("annotated", "rsa3072", &["-m", "build=42", "-m", "branch=main"]);
    sign("stamped", "p256", &stamp);
    sign("self-signed", "acme-rockets.io", &[]);
    sign("stranger", "stranger", &[]);
    let several = stand.signed(&repository("several"), "stranger", &[]);
    stand.sign_with(&several, "p256", &["--expiry", "1s"]);
    stand.sign_with(&several, "rsa2048", &["--signature-format", "cose"]);
    images.insert("several", several);
    let unsigned = stand.push(&repository("unsigned"), content::image);
    images.insert("unsigned", stand.reference(&repository("unsigned"), &unsigned));
    images.insert("copied", copied(stand, &images["p256-jws"]));
    std::thread::sleep(end.saturating_duration_since(Instant::now()) + Duration::from_secs(1));
    images
}

/// An image to which the signature of another is attached, as if it were its own: its reference.
fn copied(stand: &Stand, signed: &str) -> String {
    let oras = |arguments: &[&str]| run(stand.command("oras").args(arguments)).passed().stdout;
    let found = oras(&["discover", "--plain-http", "--format", "json", signed]);
    let found: Value = serde_json::from_str(&found).unwrap();
    let artifact = found["referrers"][0]["reference"].as_str().unwrap();
    let manifest = oras(&["manifest", "fetch", "--plain-http", artifact]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let layer = &manifest["layers"][0];
    let (name, _) = signed.split_once('@').unwrap();
    let envelope = format!("{name}@{}", layer["digest"].as_str().unwrap());
    oras(&["blob", "fetch", "--plain-http", "--output", "envelope", &envelope]);
    let envelope = std::fs::read(stand.home().join("envelope")).unwrap();
    let digest = stand.push("notary/copied", content::image);
    let subject = stand.descriptor("notary/copied", &digest);
    let chain = manifest["annotations"][THUMBPRINTS].as_str().unwrap();
    stand.attach("notary/copied", &subject, layer["mediaType"].as_str().unwrap(), &envelope, chain);
    stand.reference("notary/copied", &digest)
}

#[test]
#[ignore = "needs notation, oras, openssl, python3"]
fn needs_notation_verdicts_agree_by_every_trust_policy() {
    let stand = Stand::new(Kind::Referrers);
    let pki = pki(&stand);
    let publisher = pki.publisher();
    let images = images(&stand, &pki, &publisher);
    let levels = policies::levels();
    let others = policies::others(&stand.upstream.address());
    assert!(levels.len() + others.len() >= 40, "{} and {}", levels.len(), others.len());
    let mut differing = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    let some: BTreeMap<_, _> = SOME.iter().map(|name| (*name, images[name].clone())).collect();
    let with_images = levels.iter().map(|p| (p, &images)).chain(others.iter().map(|p| (p, &some)));
    for (policy, images) in with_images {
        stand.policy(&policy.text);
        for (image, reference) in images {
            let (theirs, ours) = (stand.notation_verify(reference), stand.portcullis_verify(reference));
            if (theirs.code == Some(0)) != (ours.code == Some(0)) {
                let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
                differing.push(format!(
                    "{} | {image} | notation {:?}: {:.300} | ours {:?}: {:.300}",
                    policy.name,
                    theirs.code,
                    last(&theirs.text),
                    ours.code,
                    last(&ours.text),
                ));
            }
            *if ours.code == Some(0) { &mut accepted } else { &mut refused } += 1;
        }
    }
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused: too alike to tell");
}

#[test]
#[ignore = "needs notation, openssl"]
fn needs_notation_verdicts_agree_that_a_broken_policy_accepts_nothing() {
    let stand = Stand::new(Kind::Referrers);
    let _pki = pki(&stand);
    let image = stand.signed("notary/p256-jws", "p256", &[]);
    stand.policy(&simple(json!({ "level": "strict" }), &["ca:acme"]));
    stand.agree(&image, true);
    let mut accepted = Vec::new();
    for policy in policies::broken() {
        stand.policy(&policy.text);
        let (theirs, ours) = (stand.notation_verify(&image), stand.portcullis_verify(&image));
        if ours.code == Some(0) || theirs.code == Some(0) {
            accepted.push(format!(
                "{} | notation {:?}: {:.200} | ours {:?}: {:.200}",
                policy.name,
                theirs.code,
                theirs.text.trim(),
                ours.code,
                ours.text.trim()
            ));
        }
    }
    assert!(accepted.is_empty(), "{}:\n{}", accepted.len(), accepted.join("\n"));
}

#[test]
#[ignore = "needs notation, openssl"]
fn needs_notation_verdicts_differ_where_we_say_so() {
    let stand = Stand::new(Kind::Referrers);
    let _pki = pki(&stand);
    let image = stand.signed("notary/p256-jws", "p256", &[]);
    for (policy, expected, why) in policies::differing(&stand.upstream.address()) {
        stand.policy(&policy.text);
        let (theirs, ours) = (stand.notation_verify(&image), stand.portcullis_verify(&image));
        let who = match (theirs.code == Some(0), ours.code == Some(0)) {
            (true, false) => Some(Expected::OnlyTheirs),
            (false, true) => Some(Expected::OnlyOurs),
            _ => None,
        };
        assert_eq!(
            who,
            Some(expected),
            "{} ({why})\nnotation {:?}: {}\nours {:?}: {}",
            policy.name,
            theirs.code,
            theirs.text,
            ours.code,
            ours.text
        );
    }
}

#[test]
#[ignore = "needs notation, openssl"]
fn needs_notation_verdicts_on_folders_and_links_are_those_we_list() {
    // What is put into a store, and whether notation and we accept what its root vouches for.
    type Change = fn(&Pki<'_>, &Path);
    let stand = Stand::new(Kind::Referrers);
    let pki = pki(&stand);
    let image = stand.signed("notary/p256-jws", "p256", &[]);
    let cases: [(&str, Change, (bool, bool)); 5] = [
        (
            "a certificate in DER",
            |pki, store| drop(std::fs::copy(pki.path("root.der"), store.join("root.cer"))),
            (true, true),
        ),
        (
            "another file ending",
            |pki, store| drop(std::fs::copy(pki.path("root.der"), store.join("root.der"))),
            (true, false),
        ),
        (
            "a folder in the store",
            |pki, store| {
                std::fs::copy(pki.path("root.pem"), store.join("root.pem")).unwrap();
                std::fs::create_dir(store.join("old")).unwrap();
            },
            (false, true),
        ),
        (
            "a link in the store",
            |pki, store| symlink(pki.path("root.pem"), store.join("root.pem")).unwrap(),
            (false, false),
        ),
        (
            "a signer in the store",
            |pki, store| drop(std::fs::copy(pki.path("p256.pem"), store.join("p256.pem"))),
            (false, false),
        ),
    ];
    run(stand
        .command("openssl")
        .current_dir(pki.path(""))
        .args(["x509", "-in", "root.pem", "-outform", "DER", "-out", "root.der"]))
    .passed();
    for (number, (what, change, expected)) in cases.into_iter().enumerate() {
        let name = format!("case-{number}");
        let store = stand.notation_folder().join("truststore/x509/ca").join(&name);
        std::fs::create_dir_all(&store).unwrap();
        change(&pki, &store);
        stand.policy(&simple(json!({ "level": "strict" }), &[&format!("ca:{name}")]));
        let (theirs, ours) = (stand.notation_verify(&image), stand.portcullis_verify(&image));
        let who = (theirs.code == Some(0), ours.code == Some(0));
        assert_eq!(who, expected, "{what}\nnotation: {}\nours: {}", theirs.text, ours.text);
    }
    stand.policy(&simple(json!({ "level": "strict" }), &["ca:acme"]));
    let file = stand.notation_folder().join("trustpolicy.json");
    std::fs::rename(&file, stand.home().join("elsewhere.json")).unwrap();
    symlink(stand.home().join("elsewhere.json"), file).unwrap();
    stand.notation_verify(&image).failed();
    stand.portcullis_verify(&image).passed();
}
