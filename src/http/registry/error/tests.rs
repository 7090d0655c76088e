//! Each thing that can go wrong, as clients get it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::*;
use crate::oci::digest::DigestError;
use crate::oci::media_type::OCI_MANIFEST;
use crate::oci::repository::NameError;
use crate::oci::{Descriptor, Digest, Registry, Repository};
use crate::policy::{Findings, Limits, Policies, decide};
use crate::signature::Subject;
use crate::telemetry::Untrusted;

pub(in crate::http) fn denial() -> Arc<Decision> {
    let repository = Repository::parse("docker.io/wabbit-networks/net-monitor").unwrap();
    let subject = Subject { repository, descriptor: Descriptor::new(OCI_MANIFEST, Digest::sha256(b"x"), 1) };
    let policies = Policies::build(&[], &[], &BTreeMap::new()).unwrap();
    let now = SystemTime::UNIX_EPOCH;
    Arc::new(decide(&subject, None, &policies, &Findings::default(), &Limits::default(), now))
}

fn of(refusal: &Refusal) -> (u16, &'static str, Option<u64>) {
    let problem = Problem::of_refusal(refusal, None);
    (problem.status.as_u16(), problem.code, problem.retry_after.map(|wait| wait.as_secs()))
}

#[test]
fn refusals() {
    let decision = denial();
    let wait = Duration::from_secs(7);
    for (refusal, expected) in [
        (Refusal::Denied(decision.clone()), (403, "DENIED", None)),
        (Refusal::Undecided { decision: decision.clone(), retry_after: wait }, (503, "UNAVAILABLE", Some(7))),
        (
            Refusal::Closed {
                policy: None,
                repository: decision.repository().clone(),
                reason: decision.reasons()[0].clone(),
            },
            (403, "DENIED", None),
        ),
        (Refusal::Unknown(Unknown::Registry), (404, "NAME_UNKNOWN", None)),
        (Refusal::Unknown(Unknown::Repository), (404, "NAME_UNKNOWN", None)),
        (Refusal::Unknown(Unknown::Manifest), (404, "MANIFEST_UNKNOWN", None)),
        (Refusal::Unknown(Unknown::Blob), (404, "BLOB_UNKNOWN", None)),
        (
            Refusal::Upstream(Trouble::Throttled { retry_after: Some(wait) }),
            (429, "TOOMANYREQUESTS", Some(7)),
        ),
        (Refusal::Upstream(Trouble::Throttled { retry_after: None }), (429, "TOOMANYREQUESTS", Some(5))),
        (
            Refusal::Upstream(Trouble::Unavailable { message: Untrusted::new("down"), retry_after: wait }),
            (503, "UNAVAILABLE", Some(7)),
        ),
        (
            Refusal::Upstream(Trouble::Refused { status: 401, message: Untrusted::new("no") }),
            (403, "DENIED", None),
        ),
        (Refusal::Upstream(Trouble::Internal { message: "disk".to_owned() }), (503, "UNAVAILABLE", Some(5))),
        (
            Refusal::Upstream(Trouble::Unrecorded { message: "disk".to_owned() }),
            (503, "UNAVAILABLE", Some(5)),
        ),
    ] {
        assert_eq!(of(&refusal), expected, "{refusal:?}");
    }
}

#[test]
fn a_denial_says_why_and_links_to_its_decision() {
    let decision = denial();
    let refusal = Refusal::Denied(decision.clone());
    let problem = Problem::of_refusal(&refusal, Some("https://proxy/decisions/"));
    assert_eq!(problem.message, decision.message());
    assert!(problem.message.contains("docker.io/wabbit-networks/net-monitor"));
    assert_eq!(problem.detail, Some(format!("https://proxy/decisions/{}", decision.id())));
    assert_eq!(Problem::of_refusal(&refusal, None).detail, Some(decision.id().to_string()));
}

#[test]
fn requests_that_lead_nowhere() {
    let registry = |name: &str| Registry::parse(name).unwrap();
    for (error, status, code) in [
        (RouteError::NoEndpoint, 404, "UNSUPPORTED"),
        (RouteError::Method, 405, "UNSUPPORTED"),
        (RouteError::Encoding, 400, "NAME_INVALID"),
        (RouteError::Name(NameError::Path), 400, "NAME_INVALID"),
        (RouteError::Tag(NameError::Tag), 404, "MANIFEST_UNKNOWN"),
        (RouteError::Digest(DigestError::Character), 400, "DIGEST_INVALID"),
        (RouteError::UnknownRegistry(Untrusted::new("evil.example")), 404, "NAME_UNKNOWN"),
        (RouteError::NoDefault, 404, "NAME_UNKNOWN"),
        (RouteError::TwoRegistries(registry("a.io"), registry("b.io")), 400, "NAME_INVALID"),
        (RouteError::Repeated("ns"), 400, "NAME_INVALID"),
        (RouteError::Page, 400, "PAGINATION_NUMBER_INVALID"),
    ] {
        let problem = Problem::of_route(&error);
        assert_eq!((problem.status.as_u16(), problem.code), (status, code), "{error:?}");
        assert_eq!(problem.message, error.to_string());
    }
}
