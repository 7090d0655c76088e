//! The certificate profile and the order of the chain: one valid chain with each rule broken once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Purpose, IsCa};
use rcgen::{KeyPair, KeyUsagePurpose as Usage};
use serde_json::json;

use super::signer::{Pki, Signer, Trust, jws_signature, params, payload, refused};
use crate::signature::Code::{BadSignature, CertificateInvalid, Unsupported, UntrustedKey};
use crate::signature::{Code, Evidence, Rejected};

const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const KEY_USAGE: &[u64] = &[2, 5, 29, 15];

/// Verifies a valid signature of this chain's key, its last certificate being trusted.
fn verify(signer: &Signer) -> Result<Evidence, Rejected> {
    verify_by(signer, signer.chain.last().unwrap())
}

fn verify_by(signer: &Signer, root: &[u8]) -> Result<Evidence, Rejected> {
    let envelope = signer.jws(&signer.protected().to_string(), &payload().to_string());
    Trust::in_root(root).verify(&jws_signature(envelope.to_string()))
}

fn broken(what: &str, change: impl FnOnce(&mut Pki), why: &str) {
    let mut pki = Pki::new();
    change(&mut pki);
    refused(what, verify(&pki.issue("ES256")), CertificateInvalid, why);
}

fn accepted(what: &str, change: impl FnOnce(&mut Pki)) {
    let mut pki = Pki::new();
    change(&mut pki);
    let result = verify(&pki.issue("ES256"));
    assert!(result.is_ok(), "{what}: {result:?}");
}

fn extension(oid: &[u64], content: &[u8], critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
    extension.set_criticality(critical);
    extension
}

#[test]
fn a_signer_is_for_signing_alone() {
    broken("no key usage", |p| p.leaf.key_usages.clear(), "it has no key usage");
    broken("other usage", |p| p.leaf.key_usages = vec![Usage::ContentCommitment], "lacks digitalSignature");
    for usage in [
        Usage::KeyEncipherment,
        Usage::DataEncipherment,
        Usage::KeyAgreement,
        Usage::KeyCertSign,
        Usage::CrlSign,
        Usage::EncipherOnly,
        Usage::DecipherOnly,
    ] {
        broken("more", |p| p.leaf.key_usages.push(usage), "more than digitalSignature");
    }
    broken(
        "not critical",
        |p| {
            p.leaf.key_usages.clear();
            p.leaf.custom_extensions = vec![extension(KEY_USAGE, &[3, 2, 7, 0x80], false)];
        },
        "its key usage is not critical",
    );
    accepted("contentCommitment too", |p| p.leaf.key_usages.push(Usage::ContentCommitment));
    for purpose in [
        Purpose::Any,
        Purpose::ServerAuth,
        Purpose::ClientAuth,
        Purpose::EmailProtection,
        Purpose::TimeStamping,
        Purpose::OcspSigning,
    ] {
        broken(
            "purpose",
            |p| p.leaf.extended_key_usages = vec![Purpose::CodeSigning, purpose],
            "extended key usage",
        );
    }
    accepted("codeSigning", |p| p.leaf.extended_key_usages = vec![Purpose::CodeSigning]);
    accepted("other", |p| p.leaf.extended_key_usages = vec![Purpose::Other(vec![1, 3, 6, 1, 4, 1, 9])]);
}

#[test]
fn a_signer_is_no_ca() {
    let ca = IsCa::Ca(BasicConstraints::Unconstrained);
    broken("ca", |p| p.leaf.is_ca = ca, "must not be a CA's");
    accepted("explicitly none", |p| p.leaf.is_ca = IsCa::ExplicitNoCa);
}

#[test]
fn an_issuer_is_a_ca_that_says_so() {
    broken("no constraints", |p| p.intermediate.is_ca = IsCa::NoCa, "has no basic constraints");
    broken("no ca", |p| p.intermediate.is_ca = IsCa::ExplicitNoCa, "it is no CA's");
    broken(
        "not critical",
        |p| {
            p.intermediate.is_ca = IsCa::NoCa;
            p.intermediate.custom_extensions =
                vec![extension(BASIC_CONSTRAINTS, &[0x30, 3, 1, 1, 0xff], false)];
        },
        "basic constraints are not critical",
    );
    broken("no key usage", |p| p.intermediate.key_usages.clear(), "it has no key usage");
    broken("key usage", |p| p.intermediate.key_usages = vec![Usage::CrlSign], "lacks keyCertSign");
    broken("root's key usage", |p| p.root.key_usages = vec![Usage::CrlSign], "lacks keyCertSign");
    broken("root is no ca", |p| p.root.is_ca = IsCa::NoCa, "has no basic constraints");
    let length = |n| IsCa::Ca(BasicConstraints::Constrained(n));
    broken("path length", |p| p.root.is_ca = length(0), "its path length forbids 1 CAs");
    accepted("path length", |p| {
        p.root.is_ca = length(1);
        p.intermediate.is_ca = length(0);
    });
}

#[test]
fn other_extensions_are_not_evaluated() {
    accepted("unknown critical", |p| {
        p.leaf.custom_extensions = vec![extension(&[1, 3, 6, 1, 4, 1, 9, 9], &[5, 0], true)];
        p.intermediate.custom_extensions = vec![extension(&[1, 3, 6, 1, 4, 1, 9, 9], &[5, 0], true)];
    });
}

#[test]
fn a_chain_is_whole_ordered_and_has_one_root() {
    let whole = || Pki::new().issue("ES256");
    let stranger = || Pki::new().issue("ES256").chain;
    for (what, change, code, why) in [
        (
            "no root",
            (|c, _| drop(c.pop())) as fn(&mut Vec<Vec<u8>>, Vec<Vec<u8>>),
            CertificateInvalid,
            "root",
        ),
        ("leaf alone", |c, _| c.truncate(1), CertificateInvalid, "self-signed root"),
        ("no intermediate", |c, _| drop(c.remove(1)), CertificateInvalid, "its issuer is"),
        ("order", |c, _| c.swap(1, 2), CertificateInvalid, "its issuer is"),
        ("other leaf", |c, s| c[0] = s[0].clone(), BadSignature, "does not match"),
        ("other intermediate", |c, s| c[1] = s[1].clone(), CertificateInvalid, "not made by the key"),
        ("other root", |c, s| c[2] = s[2].clone(), CertificateInvalid, "not made by the key"),
        ("two roots", |c, s| c.push(s[2].clone()), CertificateInvalid, "self-signed, but the chain goes on"),
        ("root twice", |c, _| c.push(c[2].clone()), CertificateInvalid, "self-signed, but the chain goes on"),
    ] {
        let mut signer = whole();
        let root = signer.chain[2].clone();
        change(&mut signer.chain, stranger());
        refused(what, verify_by(&signer, &root), code, why);
    }
}

#[test]
fn a_self_signed_signer_is_its_own_chain() {
    let self_signed = |change: fn(&mut CertificateParams)| {
        let mut params = params("self", 2029, 2031);
        params.key_usages = vec![Usage::DigitalSignature];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let chain = vec![params.self_signed(&key).unwrap().der().to_vec()];
        verify(&Signer { algorithm: "ES256", key, chain })
    };
    assert!(self_signed(|_| {}).is_ok());
    refused("no usage", self_signed(|p| p.key_usages.clear()), CertificateInvalid, "no key usage");
    let as_ca = self_signed(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    refused("a CA", as_ca, CertificateInvalid, "must not be a CA's");
}

#[test]
fn keys_of_other_kinds_and_sizes_do_not_sign() {
    let mut signer = Pki::new().issue("ES256");
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = params("self", 2029, 2031);
    params.key_usages = vec![Usage::DigitalSignature];
    signer.chain = vec![params.self_signed(&key).unwrap().der().to_vec()];
    refused("Ed25519", verify(&signer), Unsupported, "ES256 with a key of kind Ed25519");
}

#[test]
fn trust_may_rest_on_any_certificate_of_the_chain() {
    let signer = Pki::new().issue("ES256");
    let envelope = signer.jws(&signer.protected().to_string(), &payload().to_string()).to_string();
    for trusted in [1, 2] {
        let result = Trust::in_root(&signer.chain[trusted]).verify(&jws_signature(envelope.clone()));
        assert!(result.is_ok(), "{trusted}: {result:?}");
    }
    let stranger = Pki::new().issue("ES256");
    let result = Trust::in_root(&stranger.chain[2]).verify(&jws_signature(envelope));
    let fingerprint = hex::encode(crate::oci::Digest::sha256(&signer.chain[0]).as_bytes());
    refused(
        "stranger",
        result,
        UntrustedKey,
        &format!("CN=builder,O=acme,ST=WA,C=US (SHA-256 {fingerprint})"),
    );
}

#[test]
fn a_certificate_with_a_changed_byte_is_refused() {
    let signer = Pki::new().issue("ES256");
    let envelope = signer.jws(&signer.protected().to_string(), &payload().to_string());
    let trust = Trust::in_root(&signer.chain[2]);
    for certificate in 0..2 {
        // The last bytes are the issuer's signature.
        let mut der = signer.chain[certificate].clone();
        let last = der.len() - 1;
        der[last] ^= 1;
        let mut envelope = envelope.clone();
        envelope["header"]["x5c"][certificate] = json!(STANDARD.encode(der));
        let result = trust.verify(&jws_signature(envelope.to_string()));
        assert_eq!(result.unwrap_err().code(), Code::CertificateInvalid, "{certificate}");
    }
}
