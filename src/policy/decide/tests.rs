use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::oci::{Descriptor, Digest, Repository};
use crate::policy::{Belief, DecisionRecord, Exception, Judged, Settings, Signer, Trouble};
use crate::signature::testing::Doubter;
use crate::signature::{Evidence, Fingerprint, Format, Rejected, Rejection, Signature, Strength};
use crate::telemetry::Untrusted;

mod attested;

const REPOSITORY: &str = "docker.io/wabbit-networks/net-monitor";

/// One policy over `docker.io/**`, as JSON written into its settings, with signers a, b and c, and
/// `lax` and `blind` that enforce nothing.
struct Case {
    settings: Vec<Settings>,
    exceptions: Vec<Exception>,
    findings: Findings,
    limits: Limits,
    tag: Option<Tag>,
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn subject() -> Subject {
    let descriptor =
        Descriptor::new("application/vnd.oci.image.manifest.v1+json", Digest::sha256(b"subject"), 7);
    Subject { repository: Repository::parse(REPOSITORY).unwrap(), descriptor }
}

fn proof(signer: &str, key: u8) -> Evidence {
    Evidence::made_up(signer, &subject().descriptor.digest, key)
}

fn signer(name: &str, strength: Strength) -> (SignerName, Signer) {
    let name = SignerName(name.into());
    let acquire = Some(format!("https://keys.example/{name}"));
    (
        name.clone(),
        Signer {
            verifier: Arc::new(Doubter { name, format: Format::Cosign, strength, revision: [7; 32] }),
            acquire,
        },
    )
}

impl Case {
    fn new(policy: &str) -> Self {
        let text = format!(r#"{{"name":"acme-prod","scopes":["docker.io/**"],{policy}}}"#);
        Self {
            settings: vec![serde_json::from_str(&text).unwrap()],
            exceptions: Vec::new(),
            findings: Findings::default(),
            limits: Limits::default(),
            tag: None,
        }
    }

    fn without_policy() -> Self {
        Self { settings: Vec::new(), ..Self::new(r#""require":"a""#) }
    }

    fn found(self, proof: Evidence) -> Self {
        let (format, digest) = (proof.format(), *proof.signature());
        self.judged(format, digest, vec![(proof.signer().clone(), Ok(proof))])
    }

    fn rejected(self, signer: &str, rejection: Rejection) -> Self {
        let results = vec![(SignerName(signer.into()), Err(rejection.into()))];
        self.judged(Format::Nv2, Digest::sha256(b"bad"), results)
    }

    fn judged(
        mut self,
        format: Format,
        digest: Digest,
        results: Vec<(SignerName, Result<Evidence, Rejected>)>,
    ) -> Self {
        let (payload, annotations) = (bytes::Bytes::new(), BTreeMap::new());
        let signature = Signature { format, digest, media_type: "a/b".into(), payload, annotations };
        if let Some(policy) = self.policies().matching(&subject().repository) {
            self.findings.signatures.push(Judged::new(policy, &subject().repository, &signature, results));
        }
        self
    }

    fn trouble(mut self) -> Self {
        let message = "the referrers of docker.io did not answer".to_owned();
        self.findings.troubles.push(Trouble { code: Code::SourceUnavailable, message });
        self
    }

    fn excepted(mut self, expires: SystemTime) -> Self {
        let digest = subject().descriptor.digest;
        let repository = subject().repository;
        self.exceptions.push(Exception {
            repository,
            digest,
            reason: "until the vendor signs".to_owned(),
            expires,
        });
        self
    }

    fn tag(mut self, tag: &str) -> Self {
        self.tag = Some(Tag::parse(tag).unwrap());
        self
    }

    fn policies(&self) -> Policies {
        let signers = ["a", "b", "c"].map(|name| signer(name, Strength::Enforced)).into_iter();
        let signers = signers.chain([signer("lax", Strength::Logged), signer("blind", Strength::Skipped)]);
        Policies::build(&self.settings, &self.exceptions, &signers.collect::<BTreeMap<_, _>>()).unwrap()
    }

    fn decide(&self) -> Decision {
        decide(&subject(), self.tag.as_ref(), &self.policies(), &self.findings, &self.limits, now())
    }

    fn decide_index(&self, children: &[Decision]) -> Decision {
        let children: Vec<_> = children.iter().cloned().map(Arc::new).collect();
        decide_index(&subject(), None, &self.policies(), &self.findings, &children, &self.limits, now())
    }

    fn verdict(&self) -> (Verdict, bool, Code) {
        let decision = self.decide();
        (decision.verdict(), decision.serve(), decision.reasons()[0].code)
    }
}

fn untrusted() -> Rejection {
    Rejection::UntrustedKey {
        expected: Untrusted::new("trust store ca:acme"),
        found: Untrusted::new("CN=registry.wabbit-networks.io"),
        key: Fingerprint([0xab; 32]),
    }
}

#[test]
fn what_the_policy_needs_is_allowed_and_nothing_else() {
    let policy = r#""require":{"all":["a","b"]}"#;
    let both = Case::new(policy).found(proof("a", 1)).found(proof("b", 2));
    assert_eq!(both.verdict(), (Verdict::Allow, true, Code::Satisfied));
    let half = Case::new(policy).found(proof("a", 1));
    assert_eq!(half.verdict(), (Verdict::Deny, false, Code::Incomplete));
    let none = Case::new(policy).rejected("a", untrusted());
    assert_eq!(none.verdict(), (Verdict::Deny, false, Code::NoTrustedSignature));
    assert_eq!(Case::new(policy).verdict(), (Verdict::Deny, false, Code::Unsigned));
}

#[test]
fn a_repository_without_a_policy_is_denied_with_the_lines_that_would_admit_it() {
    let case = Case::without_policy().found(proof("a", 1));
    assert_eq!(case.verdict(), (Verdict::Deny, false, Code::NoPolicy));
    let decision = case.decide();
    assert_eq!(decision.policy(), None);
    assert!(decision.message().contains(
        r#"- { name: wabbit-networks-net-monitor, scopes: ["docker.io/wabbit-networks/net-monitor"], require: SIGNER }"#
    ));
    assert!(!decision.message().contains('\n'));
    #[derive(serde::Deserialize)]
    struct File {
        policies: Vec<Settings>,
    }
    let file: File = serde_saphyr::from_str(decision.help().unwrap()).unwrap();
    assert!(file.policies[0].scopes[0].matches(&subject().repository));
}

#[test]
fn without_a_policy_auditing_everything_serves_and_says_what_would_be() {
    let case = Case::without_policy();
    let policies = case.policies().audit_everything();
    let decision = decide(&subject(), None, &policies, &case.findings, &case.limits, now());
    assert_eq!((decision.verdict(), decision.mode(), decision.serve()), (Verdict::Deny, Mode::Audit, true));
    assert!(decision.would_deny());
    assert_ne!(decision.revision(), case.decide().revision());
    let enforced = Case::new(r#""require":"a""#);
    let policies = enforced.policies().audit_everything();
    assert!(!decide(&subject(), None, &policies, &case.findings, &case.limits, now()).serve());
}

#[test]
fn modes_make_of_a_verdict_what_they_say() {
    let in_mode = |mode: &str| Case::new(&format!(r#""require":"a","mode":"{mode}""#));
    assert_eq!(in_mode("audit").verdict(), (Verdict::Deny, true, Code::Unsigned));
    assert!(in_mode("audit").decide().would_deny());
    assert_eq!(in_mode("audit").trouble().verdict(), (Verdict::Indeterminate, true, Code::SourceUnavailable));
    assert_eq!(in_mode("allow").verdict(), (Verdict::Allow, true, Code::ModeAllow));
    assert_eq!(in_mode("deny").found(proof("a", 1)).verdict(), (Verdict::Deny, false, Code::ModeDeny));
}

#[test]
fn trouble_is_not_reported_as_unsigned_and_does_not_undo_an_allow() {
    let case = Case::new(r#""require":"a""#).trouble();
    assert_eq!(case.verdict(), (Verdict::Indeterminate, false, Code::SourceUnavailable));
    assert!(
        case.decide().message().contains("cannot be judged now: the referrers of docker.io did not answer")
    );
    assert_eq!(case.found(proof("a", 1)).verdict(), (Verdict::Allow, true, Code::Satisfied));
}

#[test]
fn evidence_counts_only_for_its_own_subject_signer_and_time() {
    let policy = r#""require":"a""#;
    let code = |case: Case| {
        let decision = case.decide();
        assert_eq!(decision.verdict(), Verdict::Deny);
        assert_eq!(decision.signatures()[0].result, Belief::Rejected);
        decision.signatures()[0].code
    };
    let moved = Evidence::made_up("a", &Digest::sha256(b"another"), 1);
    assert_eq!(code(Case::new(policy).found(moved)), Code::DigestMismatch);
    assert_eq!(code(Case::new(policy).found(proof("b", 1))), Code::IdentityMismatch);
    assert_eq!(code(Case::new(policy).found(proof("a", 1).ending(now()))), Code::SignatureExpired);
    let mut mislabelled = Case::new(policy).found(proof("b", 1));
    mislabelled.findings.signatures[0].results[0].0 = SignerName("a".into());
    assert_eq!(code(mislabelled), Code::IdentityMismatch);
}

#[test]
fn a_signer_that_enforces_nothing_stands_alone_and_weakens_the_mode() {
    let lax = Case::new(r#""require":"lax""#);
    assert_eq!(lax.verdict(), (Verdict::Deny, true, Code::Unsigned));
    assert_eq!(lax.decide().mode(), Mode::Audit);
    let blind = Case::new(r#""require":"blind""#);
    assert_eq!(blind.verdict(), (Verdict::Allow, true, Code::ModeAllow));
    assert_eq!(blind.decide().mode(), Mode::Allow);
    let denied = Case::new(r#""require":"blind","mode":"deny""#);
    assert_eq!(denied.verdict(), (Verdict::Deny, false, Code::ModeDeny));
}

#[test]
fn an_exception_beats_enforce_and_a_missing_policy_until_it_ends() {
    let soon = now() + Duration::from_secs(60);
    for case in
        [Case::new(r#""require":"a""#), Case::without_policy(), Case::new(r#""require":"a""#).trouble()]
    {
        let case = case.excepted(soon);
        assert_eq!(case.verdict(), (Verdict::Allow, true, Code::Exception));
        assert_eq!(case.decide().expires(), soon);
    }
    let over = Case::new(r#""require":"a""#).excepted(now());
    assert_eq!(over.verdict(), (Verdict::Deny, false, Code::Unsigned));
    let denied = Case::new(r#""mode":"deny""#).excepted(soon);
    assert_eq!(denied.verdict(), (Verdict::Deny, false, Code::ModeDeny));
    let signed = Case::new(r#""require":"a""#).excepted(soon).found(proof("a", 1));
    assert_eq!(signed.verdict(), (Verdict::Allow, true, Code::Satisfied), "an exception that is not needed");
    let mut elsewhere = Case::new(r#""require":"a""#).excepted(soon);
    elsewhere.exceptions[0].digest = Digest::sha256(b"another");
    assert_eq!(elsewhere.verdict().0, Verdict::Deny);
    let mut elsewhere = Case::new(r#""require":"a""#).excepted(soon);
    elsewhere.exceptions[0].repository = Repository::parse("docker.io/wabbit-networks/other").unwrap();
    assert_eq!(elsewhere.verdict().0, Verdict::Deny);
}

#[test]
fn a_decision_ends_with_the_first_thing_that_it_rests_on() {
    let policy = r#""require":{"all":["a","b"]}"#;
    let soon = now() + Duration::from_secs(60);
    let case = Case::new(policy).found(proof("a", 1).ending(soon)).found(proof("b", 2));
    assert_eq!(case.decide().expires(), soon);
    let far = now() + Duration::from_secs(10_000_000);
    let case = Case::new(policy).found(proof("a", 1).ending(far)).found(proof("b", 2));
    assert_eq!(case.decide().expires(), now() + case.limits.allow_max_age);
    let case = Case::new(policy);
    assert_eq!(case.decide().expires(), now() + case.limits.deny_ttl);
    let mut case = case.trouble();
    assert_eq!(case.decide().expires(), now() + case.limits.indeterminate_ttl);
    case.limits.indeterminate_ttl = Duration::MAX;
    assert_eq!(case.decide().expires(), now());
}

#[test]
fn the_signed_name_binds_where_the_policy_asks() {
    let tree = |extra: &str| format!(r#""require":"a",{extra}"#);
    let verdict = |extra: &str, tag: Option<&str>, names: &[&str]| {
        let case = Case::new(&tree(extra)).found(proof("a", 1).named(names));
        let case = if let Some(tag) = tag { case.tag(tag) } else { case };
        case.verdict().0
    };
    let by_repository = r#""signed_name":"repository""#;
    assert_eq!(verdict(by_repository, None, &["docker.io/wabbit-networks/net-monitor"]), Verdict::Allow);
    assert_eq!(verdict(by_repository, None, &["wabbit-networks/net-monitor:v9"]), Verdict::Allow);
    assert_eq!(verdict(by_repository, None, &["docker.io/wabbit-networks/other"]), Verdict::Deny);
    assert_eq!(verdict(by_repository, None, &["ghcr.io/wabbit-networks/net-monitor"]), Verdict::Deny);
    assert_eq!(verdict(by_repository, None, &[]), Verdict::Deny, "no name at all");
    assert_eq!(verdict(by_repository, None, &["not a name"]), Verdict::Deny);
    let other = format!("{REPOSITORY}@{}", Digest::sha256(b"another"));
    assert_eq!(verdict(by_repository, None, &[&other]), Verdict::Deny, "the name is about another digest");

    let renamed = r#""signed_name":"repository","renamed_from":["dev.example/net-monitor"]"#;
    assert_eq!(verdict(renamed, None, &["dev.example/net-monitor:v1"]), Verdict::Allow);
    assert_eq!(verdict(renamed, None, &["staging.example/net-monitor:v1"]), Verdict::Deny);

    let exact = r#""signed_name":"exact""#;
    let v1 = format!("{REPOSITORY}:v1");
    assert_eq!(verdict(exact, Some("v1"), &[&v1]), Verdict::Allow);
    assert_eq!(verdict(exact, Some("v2"), &[&v1]), Verdict::Deny);
    assert_eq!(verdict(exact, Some("v2"), &[&v1, &format!("{REPOSITORY}:v2")]), Verdict::Allow);
    assert_eq!(verdict(exact, Some("latest"), &[REPOSITORY]), Verdict::Deny, "an absent tag is not latest");
    assert_eq!(verdict(exact, None, &[&v1]), Verdict::Allow, "by digest the repository is compared");
    let pinned = format!("{REPOSITORY}@{}", subject().descriptor.digest);
    assert_eq!(verdict(exact, None, &[&pinned]), Verdict::Allow);
    assert_eq!(verdict(exact, None, &[&other]), Verdict::Deny);
}

#[test]
fn a_decision_keeps_the_tag_only_where_tags_are_compared() {
    let exact = Case::new(r#""require":"a","signed_name":"exact""#).tag("v1").decide();
    assert_eq!(exact.tag().map(Tag::as_str), Some("v1"));
    assert!(exact.message().contains("none found"));
    assert_eq!(Case::new(r#""require":"a""#).tag("v1").decide().tag(), None);
    let unnamed = Case::new(r#""require":"a","signed_name":"exact""#).tag("v1").found(proof("a", 1)).decide();
    assert!(unnamed.message().contains("carries no name"), "{}", unnamed.message());
}

#[test]
fn a_refusal_says_what_was_found_and_both_ways_out() {
    let mut case = Case::new(r#""require":{"all":["a","b"]},"acquire":"https://acme.example/keys""#)
        .found(proof("a", 1))
        .rejected("b", untrusted());
    case.settings[0].acquire.push("https://keys.example/b".to_owned());
    let decision = case.decide();
    let digest = subject().descriptor.digest;
    let key = "ab".repeat(32);
    assert_eq!(
        decision.message(),
        format!(
            "policy acme-prod: {REPOSITORY}@{digest} lacks signatures that it needs: 2 found, a vouched, needs \
             all of (a, b); not believed: signed by CN=registry.wabbit-networks.io (SHA-256 {key}), not in trust \
             store ca:acme; acquire the key at https://acme.example/keys or https://keys.example/b; decision {}",
            decision.id()
        )
    );
    assert_eq!(
        decision.acquire(),
        ["https://acme.example/keys", "https://keys.example/b"],
        "a vouched already"
    );
}

#[test]
fn of_many_rejections_the_furthest_of_each_signature_is_told_and_three_in_all() {
    let mut case = Case::new(r#""require":"a""#).rejected("a", untrusted());
    let mismatch = Rejection::Malformed { what: "token", why: Untrusted::new("cut off") };
    case.findings.signatures[0].results.push((SignerName("b".into()), Err(mismatch.into())));
    assert_eq!(case.decide().signatures()[0].code, Code::Malformed, "it came further");
    for n in 0..5 {
        let why = Untrusted::new(format!("fault {n}"));
        case = case.rejected("a", Rejection::Malformed { what: "token", why });
    }
    let message = case.decide().message();
    assert!(message.contains("6 found") && message.contains("; and 3 more;"), "{message}");
    assert!(!message.contains("fault 4"));
}

#[test]
fn a_signature_that_no_signer_reads_is_reported() {
    let case = Case::new(r#""require":"a""#);
    let decision = case.judged(Format::Cosign, Digest::sha256(b"foreign"), Vec::new()).decide();
    assert_eq!(decision.signatures()[0].code, Code::Unsupported);
    assert_eq!(decision.reasons()[0].code, Code::NoTrustedSignature);
}

#[test]
fn an_index_under_the_childrens_rule_needs_a_child_that_is_allowed() {
    let policy = |rule: &str| Case::new(&format!(r#""require":"a","index":"{rule}""#));
    let child = policy("children").found(proof("a", 1)).decide();
    let unsigned = policy("children").decide();
    let verdict = |case: Case, children: &[Decision]| {
        let decision = case.decide_index(children);
        (decision.verdict(), decision.reasons()[0].code)
    };
    assert_eq!(
        verdict(policy("children"), &[unsigned.clone(), child.clone()]),
        (Verdict::Allow, Code::Satisfied)
    );
    assert_eq!(
        verdict(policy("children"), std::slice::from_ref(&unsigned)),
        (Verdict::Deny, Code::ChildDenied)
    );
    let signed = || policy("children").found(proof("a", 1));
    assert_eq!(verdict(signed(), &[]), (Verdict::Deny, Code::ChildDenied), "an empty index");
    let mut late = child.clone();
    late.expires = now();
    assert_eq!(verdict(signed(), &[late]), (Verdict::Deny, Code::ChildDenied));
    let mut elsewhere = child.clone();
    elsewhere.repository = Repository::parse("docker.io/other/app").unwrap();
    assert_eq!(verdict(signed(), &[elsewhere]), (Verdict::Deny, Code::ChildDenied));
    // Decisions under another revision of the policy are no word on this one.
    assert_eq!(
        verdict(policy("both").found(proof("a", 1)), std::slice::from_ref(&child)),
        (Verdict::Deny, Code::ChildDenied)
    );
    let undecided = policy("children").trouble().decide();
    assert_eq!(verdict(policy("children"), &[undecided]), (Verdict::Indeterminate, Code::SourceUnavailable));

    let child = policy("both").found(proof("a", 1).ending(now() + Duration::from_secs(9))).decide();
    let both = policy("both").found(proof("a", 1)).decide_index(std::slice::from_ref(&child));
    assert_eq!((both.verdict(), both.expires()), (Verdict::Allow, now() + Duration::from_secs(9)));
    assert_eq!(verdict(policy("both"), std::slice::from_ref(&child)), (Verdict::Deny, Code::Unsigned));
    assert_eq!(verdict(policy("index"), &[child]), (Verdict::Deny, Code::Unsigned));
}

#[test]
fn a_revocation_that_nobody_could_tell_is_trouble_and_no_refusal() {
    let unknown = || Rejection::RevocationUnknown {
        subject: Untrusted::new("CN=acme"),
        why: Untrusted::new("http://ocsp.example did not answer"),
    };
    let case = || Case::new(r#""require":{"any":["a","b"]}"#);
    let decision = case().rejected("a", unknown()).decide();
    assert_eq!((decision.verdict(), decision.serve()), (Verdict::Indeterminate, false));
    assert_eq!(decision.reasons()[0].code, Code::RevocationUnknown);
    assert!(decision.message().contains("http://ocsp.example did not answer"), "{}", decision.message());
    assert_eq!(decision.expires(), now() + Limits::default().indeterminate_ttl);
    // Other proof suffices, and other trouble is told beside it.
    assert_eq!(case().rejected("a", unknown()).found(proof("b", 1)).decide().verdict(), Verdict::Allow);
    assert_eq!(case().trouble().rejected("a", unknown()).decide().reasons().len(), 2);
    // Another signer's rejection of the same signature does not hide it.
    let mut both = case().rejected("a", untrusted());
    both.findings.signatures[0].results.push((SignerName("b".into()), Err(unknown().into())));
    assert_eq!(both.decide().verdict(), Verdict::Indeterminate);
    // A signer whom the policy does not name can cause no trouble, and a revoked one is refused.
    assert_eq!(case().rejected("c", unknown()).decide().verdict(), Verdict::Deny);
    let subject = Untrusted::new("CN=acme");
    let revoked = Rejection::Revoked { subject, at: now(), reason: "keyCompromise", by: "CRL" };
    let decision = case().rejected("a", revoked).decide();
    assert_eq!((decision.verdict(), decision.signatures()[0].code), (Verdict::Deny, Code::Revoked));
    assert!(decision.message().contains("revoked at 2027-01-15T08:00:00Z (keyCompromise)"));
}

#[test]
fn trust_material_is_part_of_the_revision() {
    let policies = |material| Case::new(r#""require":"a""#).policies().resting_on(&material);
    let repository = subject().repository;
    let first = policies([1; 32]).revision(&repository);
    assert_eq!(first, policies([1; 32]).revision(&repository));
    assert_ne!(first, policies([2; 32]).revision(&repository));
    assert_ne!(first, Case::new(r#""require":"a""#).policies().revision(&repository));
}

#[test]
fn a_refusal_for_the_manifests_sake_is_not_served_in_audit_mode() {
    let case = Case::new(r#""require":"a","mode":"audit""#).excepted(now() + Duration::from_secs(60));
    let reason = Reason { code: Code::ManifestInvalid, message: "is a schema 1 manifest".to_owned() };
    let decision = refuse(&subject(), &case.policies(), reason, &case.limits, now());
    assert_eq!((decision.verdict(), decision.mode(), decision.serve()), (Verdict::Deny, Mode::Audit, false));
}

#[test]
fn a_report_has_the_documented_fields_in_their_order() {
    let at = now() + Duration::from_secs(60);
    let proof = proof("a", 1).identified("CN=acme", "CN=ca").named(&["dev.example/app:v1"]).ending(at);
    let report = Case::new(r#""require":"a""#).found(proof).decide().report("wabbit-networks/net-monitor:v1");
    let json = serde_json::to_string(&report).unwrap();
    let subject = subject().descriptor.digest;
    let signature = Digest::sha256(&[1]);
    assert_eq!(
        json,
        format!(
            r#"{{"reference":"wabbit-networks/net-monitor:v1","repository":"{REPOSITORY}","digest":"{subject}","#
        ) + r#""outcome":"allow","mode":"enforce","policy":"acme-prod","#
            + r#""reasons":[{"code":"satisfied","message":"is vouched for by a"}],"#
            + &format!(r#""signatures":[{{"format":"nv2","digest":"{signature}","#)
            + r#""result":"trusted","code":"trusted","message":"proven, signed by a","signer":"a","#
            + r#""identity":"CN=acme","issuer":"CN=ca","signed_at":null,"time_source":null,"#
            + r#""not_after":"2027-01-15T08:01:00Z","origin":["dev.example/app:v1"],"#
            + r#""media_type":"a/b"}],"#
            + r#""acquire":[],"expires":"2027-01-15T08:01:00Z"}"#
    );
}

#[test]
fn a_record_keeps_the_inputs() {
    let decision = Case::new(r#""require":"a""#).found(proof("a", 1)).decide();
    let record = decision.record();
    assert_eq!(record.signatures, [Digest::sha256(&[1])]);
    assert_eq!((record.subject, record.revision), (subject().descriptor.digest, decision.revision()));
    let kept: DecisionRecord = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
    assert_eq!(kept, record);
}
