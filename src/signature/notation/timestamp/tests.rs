use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyUsagePurpose};

use super::*;
use crate::oci::Digest;
use crate::oci::media_type::{NOTATION_COSE, NOTATION_JWS};
use crate::signature::notation::envelope::Envelope;
use crate::signature::{Format, Signature};
use crate::x509::timestamp::testing::{Authority, Role, SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2, ess_v1};

const SIGNATURE: &[u8] = b"an envelope's signature";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn judge(authority: &Authority) -> Result<Timestamp, Rejection> {
    verify(&authority.stamp(SIGNATURE, now()), SIGNATURE, std::slice::from_ref(&authority.root))
}

/// What comes of an authority one of whose certificates is changed.
fn with(role: Role, change: impl Fn(&mut CertificateParams)) -> Result<Timestamp, Rejection> {
    judge(&Authority::with(|which, params| {
        if which == role {
            change(params);
        }
    }))
}

/// Which rule of the profile such an authority breaks.
fn broken(role: Role, change: impl Fn(&mut CertificateParams)) -> String {
    match with(role, change).unwrap_err() {
        Rejection::Certificate { why, .. } => why.to_string(),
        other => panic!("{other}"),
    }
}

fn unproven(result: Result<Timestamp, Rejection>) -> String {
    match result.unwrap_err() {
        Rejection::Timestamp { found } => found.to_string(),
        other => panic!("{other}"),
    }
}

/// The extension `keyUsage` as rcgen never makes it: not critical.
fn mild_key_usage(bits: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(&[2, 5, 29, 15], [&[0x03, 0x02], bits].concat())
}

fn made(file: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/notation/made");
    std::fs::read(format!("{folder}/{file}")).unwrap()
}

fn envelope(file: &str) -> Envelope {
    let payload = made(&format!("envelopes/{file}"));
    Envelope::parse(&Signature {
        format: Format::Notation,
        digest: Digest::sha256(&payload),
        media_type: if file.ends_with("jws") { NOTATION_JWS } else { NOTATION_COSE }.into(),
        payload: payload.into(),
        annotations: BTreeMap::new(),
    })
    .unwrap()
}

fn anchors() -> Vec<Certificate> {
    Certificate::all_from(&made("pki/tsa-root.pem")).unwrap()
}

fn judge_envelope(file: &str) -> Result<Timestamp, Rejection> {
    let envelope = envelope(file);
    verify(&envelope.timestamp.unwrap(), &envelope.signature, &anchors())
}

#[test]
fn timestamps_that_notation_asked_for_are_believed() {
    for (name, accuracy) in
        [("stamped-rsa", 1500), ("stamped-ec", 0), ("stamped-listed", 0), ("brief-stamped", 0)]
    {
        for kind in ["jws", "cose"] {
            let timestamp =
                judge_envelope(&format!("{name}.{kind}")).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(timestamp.accuracy(), Duration::from_millis(accuracy), "{name}.{kind}");
            assert!(timestamp.chain().last().unwrap().is_self_signed());
        }
    }
}

#[test]
fn the_newer_attribute_must_be_there() {
    assert!(unproven(judge_envelope("stamped-v1.jws")).contains("signing-certificate-v2"));
    let authority = Authority::new();
    let mut draft = authority.draft(SIGNATURE, now());
    draft.stating(SIGNING_CERTIFICATE, ess_v1(&authority.leaf));
    let anchors = [authority.root.clone()];
    assert!(verify(&draft.token(), SIGNATURE, &anchors).is_ok());
    draft.without(SIGNING_CERTIFICATE_V2);
    assert!(unproven(verify(&draft.token(), SIGNATURE, &anchors)).contains("signing-certificate-v2"));
}

#[test]
fn a_timestamp_of_another_signature_or_authority_proves_nothing() {
    let (rsa, ec) = (envelope("stamped-rsa.jws"), envelope("stamped-ec.jws"));
    let swapped = verify(&ec.timestamp.clone().unwrap(), &rsa.signature, &anchors());
    assert!(unproven(swapped).contains("another message"));
    let elsewhere = Authority::new().root;
    assert!(
        unproven(verify(&ec.timestamp.unwrap(), &ec.signature, &[elsewhere]))
            .contains("no trusted certificate")
    );
    assert!(unproven(verify(b"", SIGNATURE, &anchors())).contains("not a timestamp token"));
}

#[test]
fn trust_rests_on_roots() {
    let authority = Authority::new();
    let token = authority.stamp(SIGNATURE, now());
    for anchor in [&authority.leaf, &authority.middle] {
        let refused = verify(&token, SIGNATURE, std::slice::from_ref(anchor));
        assert!(unproven(refused).contains("no trusted certificate"), "{anchor:?}");
    }
    let both = [authority.middle.clone(), authority.root.clone()];
    assert_eq!(verify(&token, SIGNATURE, &both).unwrap().chain().len(), 3);
}

#[test]
fn the_leaf_stamps_and_does_nothing_else() {
    use KeyUsagePurpose::{ContentCommitment, DigitalSignature, KeyAgreement, KeyEncipherment};
    use KeyUsagePurpose::{CrlSign, DataEncipherment, DecipherOnly, EncipherOnly, KeyCertSign};
    assert!(
        broken(Role::Leaf, |p| p.key_usages = vec![ContentCommitment]).contains("lacks digitalSignature")
    );
    assert!(broken(Role::Leaf, |p| p.key_usages.clear()).contains("no key usage"));
    for other in
        [KeyEncipherment, DataEncipherment, KeyAgreement, KeyCertSign, CrlSign, EncipherOnly, DecipherOnly]
    {
        let why = broken(Role::Leaf, |p| p.key_usages.push(other));
        assert!(why.contains("more than digitalSignature"), "{other:?}: {why}");
    }
    assert!(with(Role::Leaf, |p| p.key_usages.push(ContentCommitment)).is_ok());
    assert!(with(Role::Leaf, |p| p.is_ca = IsCa::ExplicitNoCa).is_ok());
    let authority = with(Role::Leaf, |p| {
        p.key_usages = vec![DigitalSignature];
        p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    assert!(authority.unwrap_err().to_string().contains("must not be a CA's"));
}

#[test]
fn key_usage_should_be_critical_and_must_be_there() {
    let mild = |bits: &'static [u8]| {
        move |p: &mut CertificateParams| {
            p.key_usages.clear();
            p.custom_extensions.push(mild_key_usage(bits));
        }
    };
    assert!(with(Role::Leaf, mild(&[0x07, 0x80])).is_ok());
    assert!(with(Role::Middle, mild(&[0x01, 0x06])).is_ok());
    assert!(broken(Role::Leaf, mild(&[0x05, 0xa0])).contains("more than digitalSignature"));
    for role in [Role::Middle, Role::Root] {
        assert!(broken(role, |p| p.key_usages.clear()).contains("no key usage"), "{role:?}");
    }
}

#[test]
fn authorities_above_are_authorities() {
    for role in [Role::Middle, Role::Root] {
        // The path search asks for a CA that may sign certificates, the profile for a critical extension.
        let unmarked = |p: &mut CertificateParams| {
            p.is_ca = IsCa::NoCa;
            let ca = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 0x03, 0x01, 0x01, 0xff]);
            p.custom_extensions.push(ca);
        };
        assert!(broken(role, unmarked).contains("not critical"), "{role:?}");
        assert!(unproven(with(role, |p| p.is_ca = IsCa::NoCa)).contains("no CA"), "{role:?}");
        let usage = |p: &mut CertificateParams| p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        assert!(unproven(with(role, usage)).contains("keyCertSign"), "{role:?}");
    }
    let short = |p: &mut CertificateParams| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    assert!(with(Role::Middle, short).is_ok());
    assert!(unproven(with(Role::Root, short)).contains("path length"));
}

#[test]
fn a_weakly_signed_root_is_none() {
    // Its key signed the chain; what is weak is its own signature, which the profile asks for too.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/x509");
    let read = |name: &str| std::fs::read(format!("{folder}/{name}")).unwrap();
    let roots = Certificate::all_from(&read("timestamp/weak-root.pem")).unwrap();
    let refused = verify(&read("timestamp/rsa-sha256.der"), &read("timestamp/message"), &roots);
    assert!(matches!(refused, Err(Rejection::Certificate { .. })), "{refused:?}");
}

#[test]
fn authorities_stamp_with_the_keys_that_envelopes_are_signed_with() {
    let why = |algorithm| {
        let mut params = CertificateParams::default();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let leaf = Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
        profile::check(&[leaf], Purpose::Timestamping).map_err(|rejection| rejection.to_string())
    };
    assert_eq!(why(&rcgen::PKCS_ECDSA_P256_SHA256), Ok(()));
    let refused = why(&rcgen::PKCS_ED25519).unwrap_err();
    assert!(refused.contains("kind Ed25519"), "{refused}");
}
