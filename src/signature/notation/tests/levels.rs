//! Levels, identities, times and trust stores: what each enforces, logs and proves.

use std::sync::LazyLock;

use serde_json::json;

use super::signer::{NOW, SIGNED, Signer, Trust, at, jws_signature, logged, payload, refused, subject};
use crate::oci::Repository;
use crate::signature::Code::*;
use crate::signature::notation::{
    Action, Level, OneOrMore, Validation, VerifyTimestamp, from_config_dir, verifier,
};
use crate::signature::{Signature, SignerName, Strength, Subject, TimeSource, Verifier};
use crate::trust::RevocationData;

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new("ES256"));

/// 2031-01-01, the leaf's last second.
const LEAF_ENDS: u64 = 1_924_992_000;

fn trust() -> Trust {
    Trust::in_root(&SIGNER.chain[2])
}

fn valid() -> Signature {
    jws_signature(SIGNER.jws(&SIGNER.protected().to_string(), &payload().to_string()).to_string())
}

fn expired() -> Signature {
    let mut protected = SIGNER.protected();
    protected["crit"] = json!(["io.cncf.notary.signingScheme", "io.cncf.notary.expiry"]);
    protected["io.cncf.notary.expiry"] = json!("2029-12-31T12:00:00Z");
    jws_signature(SIGNER.jws(&protected.to_string(), &payload().to_string()).to_string())
}

fn by_authority(time: &str) -> Signature {
    const TIME: &str = "io.cncf.notary.authenticSigningTime";
    let mut protected = SIGNER.protected();
    protected.as_object_mut().unwrap().remove("io.cncf.notary.signingTime");
    protected["io.cncf.notary.signingScheme"] = json!("notary.x509.signingAuthority");
    protected["crit"] = json!(["io.cncf.notary.signingScheme", TIME]);
    protected[TIME] = json!(time);
    jws_signature(SIGNER.jws(&protected.to_string(), &payload().to_string()).to_string())
}

fn identities(list: &[&str]) -> Vec<String> {
    list.iter().map(|i| (*i).to_owned()).collect()
}

fn strength(trust: &Trust) -> Strength {
    let verifier = verifier(&SignerName("acme".into()), &trust.settings).unwrap();
    verifier.strength(&Repository::parse("acme.io/x").unwrap())
}

#[test]
fn without_a_timestamp_the_chain_must_be_valid_now() {
    let mut trust = trust();
    trust.now = at(LEAF_ENDS);
    assert!(trust.verify(&valid()).is_ok());
    trust.now = at(LEAF_ENDS + 1);
    refused("after", trust.verify(&valid()), CertificateExpired, "ended at 2031-01-01T00:00:00Z");
    trust.now = at(SIGNED - 366 * 86_400);
    refused("before", trust.verify(&valid()), NotYetValid, "begins at 2029-01-01T00:00:00Z");
    // Permissive only logs it, and then no certificate bounds the evidence.
    trust.settings.level = Level::Permissive;
    trust.now = at(LEAF_ENDS + 1);
    let evidence = trust.verify(&valid()).unwrap();
    assert_eq!(evidence.not_after(), None);
    assert!(logged(&evidence, "authenticTimestamp"), "{evidence:?}");
    assert_eq!(strength(&trust), Strength::Enforced);
}

#[test]
fn an_expired_signature_is_refused_or_noted() {
    let mut trust = trust();
    refused("strict", trust.verify(&expired()), SignatureExpired, "2029-12-31T12:00:00Z");
    trust.settings.overrides.insert(Validation::Expiry, Action::Log);
    let evidence = trust.verify(&expired()).unwrap();
    assert!(logged(&evidence, "expiry"), "{evidence:?}");
    assert_eq!(evidence.not_after(), Some(at(LEAF_ENDS)));
    trust.settings.level = Level::Permissive;
    trust.settings.overrides.insert(Validation::Expiry, Action::Enforce);
    refused("overridden", trust.verify(&expired()), SignatureExpired, "2029-12-31T12:00:00Z");
}

#[test]
fn audit_notes_an_untrusted_signer_and_refuses_broken_integrity() {
    let mut trust = Trust::in_root(&Signer::new("ES256").chain[2]);
    trust.settings.level = Level::Audit;
    assert_eq!(strength(&trust), Strength::Logged);
    let evidence = trust.verify(&valid()).unwrap();
    assert!(logged(&evidence, "authenticity"), "{evidence:?}");
    let mut target = payload();
    target["targetArtifact"]["size"] = json!(1);
    let other = SIGNER.jws(&SIGNER.protected().to_string(), &target.to_string());
    refused("size", trust.verify(&jws_signature(other.to_string())), SizeMismatch, "");
    trust.settings.overrides.insert(Validation::Authenticity, Action::Enforce);
    assert_eq!(strength(&trust), Strength::Enforced);
    refused("enforced", trust.verify(&valid()), UntrustedKey, "not in trust store ca:acme");
}

#[test]
fn skip_proves_nothing() {
    let mut trust = trust();
    trust.settings.level = Level::Skip;
    let name = SignerName("acme".into());
    assert_eq!(verifier(&name, &trust.settings).err().unwrap().path, ["level"]);
    trust.settings.trust_store = None;
    trust.settings.trusted_identities.clear();
    assert_eq!(strength(&trust), Strength::Skipped);
    refused("skip", trust.verify(&valid()), Unsupported, "nothing is verified");
}

#[test]
fn the_signer_must_be_a_trusted_identity() {
    let mut trust = trust();
    for (list, admitted) in [
        (&["x509.subject: C=US, ST=WA, O=acme"][..], true),
        (&["x509.subject: CN=builder, C=US, S=WA, O=acme"], true),
        (&["x509.subject: C=US, ST=WA, O=evil", "x509.subject: C=US, ST=WA, O=acme"], true),
        (&["x509.subject: C=US, ST=WA, O=evil"], false),
        (&["x509.subject: C=US, ST=WA, O=Acme"], false),
        (&["x509.subject: C=US, ST=WA, O=acm"], false),
        (&["x509.subject: C=US, ST=WA, O=acme, CN=intermediate"], false),
        (&["x509.subject: C=US, ST=WA, O=acme, OU=x"], false),
    ] {
        trust.settings.trusted_identities = identities(list);
        let result = trust.verify(&valid());
        match admitted {
            true => assert!(result.is_ok(), "{list:?}: {result:?}"),
            false => refused(&format!("{list:?}"), result, IdentityMismatch, "CN=builder,O=acme,ST=WA,C=US"),
        }
    }
}

#[test]
fn a_subject_that_repeats_an_attribute_is_nobodys() {
    let mut pki = super::signer::Pki::new();
    let mut twice = rcgen::DistinguishedName::new();
    twice.push(rcgen::DnType::CountryName, "US");
    twice.push(rcgen::DnType::StateOrProvinceName, "WA");
    twice.push(rcgen::DnType::OrganizationName, "acme");
    twice.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 10]), "evil");
    pki.leaf.distinguished_name = twice;
    let signer = pki.issue("ES256");
    let envelope = signer.jws(&signer.protected().to_string(), &payload().to_string()).to_string();
    let mut trust = Trust::in_root(&signer.chain[2]);
    assert!(trust.verify(&jws_signature(envelope.clone())).is_ok());
    trust.settings.trusted_identities = identities(&["x509.subject: C=US, ST=WA, O=acme"]);
    refused("twice", trust.verify(&jws_signature(envelope)), IdentityMismatch, "O=evil,O=acme");
}

#[test]
fn a_signing_authority_has_its_own_store_and_its_time_counts() {
    let mut trust = trust();
    let signed = by_authority("2029-12-31T00:00:00Z");
    refused("no store", trust.verify(&signed), UntrustedKey, "none of type signingAuthority");
    trust.settings.trust_store = Some(OneOrMore::More(identities(&["ca:acme", "signingAuthority:acme"])));
    refused("empty", trust.verify(&signed), KeyNotAcquired, "signingAuthority/acme is empty");
    trust.put("signingAuthority/acme", &SIGNER.chain[2]);
    // The leaf has ended since, which a time that is authentic makes good.
    trust.now = at(LEAF_ENDS + 1);
    let evidence = trust.verify(&signed).unwrap();
    assert_eq!(evidence.signed_at(), Some((at(SIGNED), TimeSource::SigningAuthority)));
    assert_eq!(evidence.not_after(), None);
    refused("valid", trust.verify(&valid()), CertificateExpired, "");
    let late = by_authority("2031-01-01T00:00:01Z");
    refused("late", trust.verify(&late), CertificateExpired, "judged is 2031-01-01T00:00:01Z");
    let early = by_authority("2028-12-31T00:00:00Z");
    refused("early", trust.verify(&early), NotYetValid, "judged is 2028-12-31T00:00:00Z");
}

#[test]
fn a_signing_authoritys_store_is_none_for_plain_signatures() {
    let mut trust = trust();
    trust.put("signingAuthority/acme", &SIGNER.chain[2]);
    trust.settings.trust_store = Some(OneOrMore::One("signingAuthority:acme".to_owned()));
    refused("ca", trust.verify(&valid()), UntrustedKey, "none of type ca");
}

#[test]
fn what_needs_a_timestamp_is_refused() {
    let mut trust = trust();
    trust.settings.trust_store = Some(OneOrMore::More(identities(&["ca:acme", "tsa:acme"])));
    refused("always", trust.verify(&valid()), TimestampInvalid, "there is none");
    trust.settings.verify_timestamp = Some(VerifyTimestamp::AfterCertExpiry);
    assert!(trust.verify(&valid()).is_ok());
    trust.now = at(LEAF_ENDS + 1);
    refused("expired", trust.verify(&valid()), TimestampInvalid, "there is none");
    let mut envelope: serde_json::Value = serde_json::from_slice(&valid().payload).unwrap();
    envelope["header"]["io.cncf.notary.timestampSignature"] = json!("AAAA");
    let stamped = jws_signature(envelope.to_string());
    refused("unverified", trust.verify(&stamped), TimestampInvalid, "the one that is there is not valid");
}

#[test]
fn a_store_that_is_not_there_yet_says_where_it_belongs() {
    let trust = trust();
    trust.clear();
    refused("absent", trust.verify(&valid()), KeyNotAcquired, "truststore/x509/ca/acme is empty");
}

#[test]
fn a_repository_that_no_statement_covers_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let policy = json!({ "version": "1.0", "trustPolicies": [{
        "name": "p", "registryScopes": ["acme.io/other"], "signatureVerification": { "level": "audit" },
        "trustStores": ["ca:acme"], "trustedIdentities": ["*"],
    }] });
    std::fs::write(dir.path().join("trustpolicy.json"), policy.to_string()).unwrap();
    let verifier = from_config_dir(&SignerName("acme".into()), dir.path()).unwrap();
    let mut subject = subject();
    let verify = |subject: &Subject| verifier.verify(subject, &valid(), &RevocationData::default(), at(NOW));
    refused("uncovered", verify(&subject), NoPolicy, "trustpolicy.json covers acme.io/net-monitor");
    assert_eq!(verifier.strength(&subject.repository), Strength::Enforced);
    subject.repository = Repository::parse("acme.io/other").unwrap();
    assert_eq!(verifier.strength(&subject.repository), Strength::Logged);
    assert!(verify(&subject).is_ok());
}

#[test]
fn the_revision_follows_settings_and_certificates() {
    let revision = |trust: &Trust| verifier(&SignerName("acme".into()), &trust.settings).unwrap().revision();
    let mut trust = trust();
    let first = revision(&trust);
    assert_eq!(first, revision(&trust));
    trust.put("ca/acme", &Signer::new("ES256").chain[2]);
    let second = revision(&trust);
    assert_ne!(first, second);
    trust.settings.level = Level::Permissive;
    let third = revision(&trust);
    assert_ne!(second, third);
    trust.settings.trusted_identities = identities(&["x509.subject: C=US, ST=WA, O=acme"]);
    assert_ne!(third, revision(&trust));
    assert_eq!(trust.now, at(NOW));
}
