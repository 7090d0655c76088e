//! Who is served what, in the plain case.

use super::*;
use crate::oci::{Digest, Target};

#[tokio::test]
async fn what_is_signed_is_served_and_what_is_not_is_denied() {
    let stand = Stand::new("require: acme").await;
    let (good, evil) = (Package::image("good"), Package::image("evil"));
    stand.push_signed("good", &good);
    stand.push("evil", &evil);
    stand.sign(&stand.rival, &evil);
    for target in [":good".to_owned(), format!("@{}", good.digest())] {
        let admitted = stand.pull(&target).await.unwrap();
        assert_eq!(admitted.content().bytes(), good.bytes());
        assert_eq!(admitted.decision().verdict(), Verdict::Allow);
    }
    for target in [":evil".to_owned(), format!("@{}", evil.digest())] {
        let denial = denial(stand.pull(&target).await);
        assert_eq!(denial.signatures().len(), 1, "the rival's signature is reported");
    }
    assert!(stand.blob(&evil.layer()).await.is_err());
    assert!(is_unknown(stand.pull(":gone").await));
}

#[tokio::test]
async fn a_decision_is_made_once_and_recorded_once() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    for _ in 0..3 {
        stand.pull(":v1").await.unwrap();
        stand.pull_digest(&image.digest()).await.unwrap();
    }
    assert_eq!(stand.decisions(), 1);
    assert_eq!(stand.registry.count("/referrers/"), 1);
}

#[tokio::test]
async fn blobs_are_served_where_an_admitted_manifest_names_them_and_in_that_role_only() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    assert!(is_unknown(stand.blob(&image.layer()).await), "nothing was admitted yet");
    stand.pull(":v1").await.unwrap();
    let config = Digest::sha256(&image.blobs()[0]);
    for blob in [config, image.layer()] {
        assert_eq!(stand.blob(&blob).await.unwrap().content().digest(), &blob);
        assert!(is_unknown(stand.pull_digest(&blob).await), "a blob is no manifest");
    }
    assert!(is_unknown(stand.blob(&image.digest()).await), "a manifest is no blob");
}

#[tokio::test]
async fn what_one_repository_admits_opens_nothing_in_another() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    stand.registry.push("other", "v1", &image);
    stand.pull(":v1").await.unwrap();
    let other = Repository::parse("reg.test/other").unwrap();
    let blob = stand.gate().blob(&other, &image.layer(), &Principal::Anonymous).await;
    assert!(is_unknown(blob));
    let manifest = Reference::parse(&format!("reg.test/other@{}", image.digest())).unwrap();
    denial(stand.gate().manifest(&manifest, &Principal::Anonymous).await);
}

#[tokio::test]
async fn audit_serves_what_enforce_would_not_and_nothing_of_it_stays_when_the_mode_changes() {
    let mut stand = Stand::new("mode: audit, require: acme").await;
    let image = Package::image("app");
    stand.push("v1", &image);
    let admitted = stand.pull(":v1").await.unwrap();
    assert!(admitted.decision().would_deny());
    stand.blob(&image.layer()).await.unwrap();
    stand.reload(&["require: acme"], "");
    denial(stand.pull_digest(&image.digest()).await);
    denial(stand.pull(":v1").await);
    denial(stand.blob(&image.layer()).await);
}

#[tokio::test]
async fn an_exception_beats_enforce_and_a_missing_policy_but_not_deny() {
    let image = Package::image("app");
    let exception = format!(
        "exceptions: [{{ repository: reg.test/app, digest: \"{}\", reason: audited by hand, expires: 2099-01-01T00:00:00Z }}]",
        image.digest()
    );
    for (policies, served) in [(&["require: acme"][..], true), (&[], true), (&["mode: deny"], false)] {
        let stand = Stand::with(policies, &exception).await;
        stand.push("v1", &image);
        let outcome = stand.pull(":v1").await;
        assert_eq!(outcome.is_ok(), served, "{policies:?}");
        assert_eq!(stand.blob(&image.layer()).await.is_ok(), served, "an exception covers its links");
    }
}

#[tokio::test]
async fn a_new_engine_keeps_decisions_under_equal_policies_and_no_others() {
    let mut stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    let first = stand.pull(":v1").await.unwrap().decision().id();
    stand.reload(&["require: acme"], "");
    assert_eq!(stand.pull(":v1").await.unwrap().decision().id(), first);
    stand.reload(&["require: rival"], "");
    denial(stand.pull_digest(&image.digest()).await);
    denial(stand.pull(":v1").await);
    denial(stand.blob(&image.layer()).await);
}

#[tokio::test]
async fn an_allow_that_cannot_be_recorded_is_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand = Stand::logging_in(folder.path()).await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    take_log_away(folder.path());
    for _ in 0..2 {
        let refused = stand.pull(":v1").await;
        let Err(refusal @ Refusal::Upstream(Trouble::Unrecorded { .. })) = refused else {
            panic!("it is served")
        };
        assert_eq!(refusal.code(), Code::AuditUnavailable);
    }
    let counted = |result: &str, reason: &str| {
        let text = stand.state.metrics().render();
        let (result, reason) = (format!("result=\"{result}\""), format!("reason=\"{reason}\""));
        let is_it = |line: &&str| {
            line.starts_with("portcullis_verifications_total")
                && line.contains(&result)
                && line.contains(&reason)
        };
        text.lines().find(is_it).map(|line| line.rsplit(' ').next().unwrap().to_owned())
    };
    assert_eq!(counted("indeterminate", "audit_unavailable").as_deref(), Some("2"));
    assert_eq!(counted("allow", "satisfied"), None);
    stand.reload(&["require: acme"], "dangerous_skip_audit: true");
    stand.pull(":v1").await.unwrap();
    let text = stand.state.metrics().render();
    assert!(text.contains("result=\"allow\""), "it is given: {text}");
}

/// A layer that has to be fetched is asked for in memory first, and then again.
#[tokio::test]
async fn a_request_is_counted_as_a_hit_once() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("1", &image);
    stand.pull(":1").await.unwrap();
    let hits = || stand.state.metrics().decision_cache_hits.get();
    let before = hits();
    let who = Principal::Anonymous;
    assert!(stand.gate().blob_at_hand(&repository(), &image.layer(), &who).is_none());
    stand.blob(&image.layer()).await.unwrap();
    assert_eq!(hits() - before, 1);
    let target = Target::Digest(image.digest());
    stand.gate().manifest_at_hand(&repository(), &target, &who).unwrap();
    stand.gate().blob_descriptor_at_hand(&repository(), &image.layer(), &who).unwrap();
    assert_eq!(hits() - before, 3);
}
