//! What policies may say beside a requirement: modes, exceptions, names; and that a change counts at
//! once.

use std::time::{Duration, SystemTime};

use portcullis::demo::Package;

use crate::test_proxy::{TestProxy, policy, push_signed, refused, served, signed, unsigned};

#[tokio::test]
async fn what_no_policy_covers_is_refused_with_the_lines_that_would_admit_it() {
    let proxy = TestProxy::new()
        .with("policies", "[{ name: other, scopes: [\"registry.test/other/**\"], require: wabbit }]")
        .upstream(signed("app"))
        .start()
        .await;
    let got = proxy.get("app:1").await;
    refused(&got, 403, "DENIED", "is covered by no policy");
    refused(&got, 403, "DENIED", "scopes: [\"registry.test/app\"]");
}

#[tokio::test]
async fn the_most_specific_scope_decides() {
    let proxy = TestProxy::new()
        .with(
            "policies",
            "[{ name: all, scopes: [\"registry.test/**\"], mode: deny }, \
              { name: one, scopes: [\"registry.test/team/*\"], require: wabbit }]",
        )
        .upstream(signed("team/app"))
        .upstream(signed("team/deep/app"))
        .start()
        .await;
    assert_eq!(proxy.get("team/app:1").await.status, 200);
    refused(&proxy.get("team/deep/app:1").await, 403, "DENIED", "policy all");
}

#[tokio::test]
async fn allow_serves_what_nobody_signed_and_deny_refuses_what_is_signed() {
    let proxy = TestProxy::new()
        .with(
            "policies",
            "[{ name: open, scopes: [\"registry.test/open\"], mode: allow }, \
              { name: shut, scopes: [\"registry.test/shut\"], mode: deny }]",
        )
        .upstream(unsigned("open"))
        .upstream(signed("shut"))
        .start()
        .await;
    assert_eq!(proxy.get("open:1").await.status, 200);
    refused(&proxy.get("shut:1").await, 403, "DENIED", "policy shut");
}

#[tokio::test]
async fn audit_serves_with_a_warning_and_counts_what_would_be_refused() {
    let image = Package::image("app");
    let proxy = TestProxy::new()
        .policy("require: wabbit, mode: audit")
        .upstream(unsigned("app"))
        .upstream(signed("good"))
        .start()
        .await;
    let got = proxy.get("app:1").await;
    served(&got, image.bytes());
    assert!(got.header("warning").starts_with("299"), "{:?}", got.headers);
    served(&proxy.blob("app", &image.layer()).await, image.blobs().last().unwrap());
    assert!(proxy.metric("portcullis_would_deny_total{").await >= 1.0);
    let good = proxy.get("good:1").await;
    assert_eq!(good.header("warning"), "", "what would pass needs no warning");
}

#[tokio::test]
async fn an_exception_admits_one_digest_until_it_ends() {
    let image = Package::image("app");
    let now = SystemTime::now();
    let ends = humantime::format_rfc3339_seconds(now + Duration::from_secs(3600));
    let exceptions = format!(
        "[{{ repository: registry.test/app, digest: \"{}\", reason: \"ticket 7\", expires: \"{ends}\" }}]",
        image.digest()
    );
    let proxy = TestProxy::new()
        .with("exceptions", &exceptions)
        .upstream(unsigned("app"))
        .upstream(|registry| {
            registry.push("app", "2", &Package::image("other"));
            registry.push("elsewhere", "1", &Package::image("app"));
        })
        .start()
        .await;
    served(&proxy.get("app:1").await, image.bytes());
    assert_eq!(proxy.blob("app", &image.layer()).await.status, 200);
    refused(&proxy.get("app:2").await, 403, "DENIED", "none found");
    refused(&proxy.get("elsewhere:1").await, 403, "DENIED", "none found");
    proxy.pass(Duration::from_secs(3700));
    refused(&proxy.get("app:1").await, 403, "DENIED", "none found");
}

/// Where manifests of an index are judged themselves, an exception for it still covers what it lists.
#[tokio::test]
async fn an_exception_for_an_index_covers_what_it_lists() {
    let (signed, other) = (Package::image_for("app", "amd64"), Package::image_for("app", "arm64"));
    let index = Package::index([signed.clone(), other.clone()]);
    let ends = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(3600));
    let exception = format!(
        "[{{ repository: registry.test/app, digest: \"{}\", reason: r, expires: \"{ends}\" }}]",
        index.digest()
    );
    for (exceptions, status) in [(&*exception, 200), ("[]", 403)] {
        let (listed, vouched) = (index.clone(), signed.clone());
        let proxy = TestProxy::new()
            .policy("require: wabbit, index: children")
            .with("exceptions", exceptions)
            .upstream(move |registry| {
                registry.push("app", "1", &listed);
                push_signed(registry, "app", "2", &vouched);
            })
            .start()
            .await;
        served(&proxy.get("app:1").await, index.bytes());
        served(&proxy.get(&format!("app@{}", signed.digest())).await, signed.bytes());
        assert_eq!(proxy.get(&format!("app@{}", other.digest())).await.status, status);
    }
}

/// Nobody learns through the proxy's credentials what is in a repository of which nothing may be pulled.
#[tokio::test]
async fn of_what_nothing_can_be_admitted_the_upstream_is_not_asked() {
    let proxy = TestProxy::new()
        .with("policies", "[{ name: shut, scopes: [\"registry.test/shut\"], mode: deny }]")
        .upstream(signed("shut"))
        .upstream(signed("uncovered"))
        .start()
        .await;
    let digest = Package::image("app").digest();
    let why = [("shut", "policy shut", "mode_deny"), ("uncovered", "covered by no policy", "no_policy")];
    for (name, message, reason) in why {
        let path = format!("/v2/registry.test/{name}");
        for what in
            ["manifests/1", &format!("manifests/{digest}"), "tags/list", &format!("referrers/{digest}")]
        {
            let got = proxy.path(&format!("{path}/{what}")).await;
            refused(&got, 403, "DENIED", message);
            assert_eq!(got.header("portcullis-reason"), reason, "{what}");
        }
        assert_eq!(proxy.upstream().count(name), 0);
    }
    let counted = |mode, policy, reason| {
        format!(
            "portcullis_verifications_total{{format=\"none\",mode=\"{mode}\",policy=\"{policy}\",reason=\"{reason}\""
        )
    };
    assert_eq!(proxy.metric(&counted("deny", "shut", "mode_deny")).await, 4.0);
    assert_eq!(proxy.metric(&counted("enforce", "none", "no_policy")).await, 4.0);
}

#[tokio::test]
async fn an_exception_does_not_open_what_is_denied_outright() {
    let image = Package::image("app");
    let ends = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(3600));
    let exceptions = format!(
        "[{{ repository: registry.test/app, digest: \"{}\", reason: r, expires: \"{ends}\" }}]",
        image.digest()
    );
    let proxy = TestProxy::new()
        .policy("mode: deny")
        .with("exceptions", &exceptions)
        .upstream(unsigned("app"))
        .start()
        .await;
    refused(&proxy.get("app:1").await, 403, "DENIED", "policy strict");
}

#[tokio::test]
async fn a_changed_policy_counts_at_once() {
    let image = Package::image("app");
    let mut proxy = TestProxy::new().upstream(signed("app")).start().await;
    for _ in 0..3 {
        served(&proxy.get("app:1").await, image.bytes());
    }
    assert!(proxy.change("policies", &policy("mode: deny")));
    refused(&proxy.get("app:1").await, 403, "DENIED", "");
    refused(&proxy.get(&format!("app@{}", image.digest())).await, 403, "DENIED", "");
    assert_ne!(proxy.blob("app", &image.layer()).await.status, 200);
    assert!(proxy.change("policies", &policy("require: wabbit")));
    served(&proxy.get("app:1").await, image.bytes());
}

#[tokio::test]
async fn changed_trust_counts_at_once() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    let certificate = proxy.folder.path().join("trust/wabbit/wabbit.crt");
    std::fs::remove_file(&certificate).unwrap();
    assert!(proxy.reload());
    refused(&proxy.get("app:1").await, 403, "DENIED", "https://wabbit.test/keys");
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing() {
    let mut proxy = TestProxy::new().upstream(signed("app")).start().await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    assert!(!proxy.change("policies", "[{ name: strict, scopes: [\"registry.test/**\"], require: nobody }]"));
    assert_eq!(proxy.get("app:1").await.status, 200);
    assert!(!proxy.change("policies", "["));
    assert_eq!(proxy.get("app:1").await.status, 200);
    assert_eq!(proxy.metric("portcullis_config_reloads_total{result=\"error\"}").await, 2.0);
}

#[tokio::test]
async fn signed_names_bind_where_the_policy_says_so() {
    // The signature is for registry.test/app:1.
    for (rule, app, copy, tag) in
        [("any", 200, 200, 200), ("repository", 200, 403, 200), ("exact", 200, 403, 403)]
    {
        let proxy = TestProxy::new()
            .policy(&format!("require: wabbit, signed_name: {rule}"))
            .upstream(|registry| {
                push_signed(registry, "app", "1", &Package::image("app"));
                registry.tag("app", "2", &Package::image("app").digest());
                push_signed(registry, "copy", "1", &Package::image("app"));
            })
            .start()
            .await;
        let statuses = [
            proxy.get("app:1").await.status.as_u16(),
            proxy.get("copy:1").await.status.as_u16(),
            proxy.get("app:2").await.status.as_u16(),
        ];
        assert_eq!(statuses, [app, copy, tag], "{rule}");
    }
}

#[tokio::test]
async fn requirements_of_several_signers_need_them_all() {
    let signers = "{ wabbit: { nv2: { certificates: [trust/wabbit] } }, \
                     acme: { nv2: { certificates: [trust/acme] }, acquire: \"https://acme.test/keys\" } }";
    for (require, status) in [
        ("{ any: [wabbit, acme] }", 200),
        ("{ all: [wabbit, acme] }", 403),
        ("{ at_least: { count: 2, of: [wabbit, acme] } }", 403),
    ] {
        let proxy = TestProxy::new()
            .with("signers", signers)
            .policy(&format!("require: {require}"))
            .upstream(signed("app"))
            .start()
            .await;
        let got = proxy.get("app:1").await;
        assert_eq!(got.status, status, "{require}: {:?}", got.error_message());
    }
}
