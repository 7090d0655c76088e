//! Clocks that jump, by minutes, hours and years, in both directions.

use std::time::Duration;

use portcullis::demo::{Fault, Package};

use crate::test_proxy::{TestProxy, policy, refused, served, signed};

const HOUR: Duration = Duration::from_secs(3600);
const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What a wrong clock wrote makes nothing fresh and nothing missing once the clock is right.
#[tokio::test]
async fn tags_and_missing_ones_are_asked_for_again_after_a_jump() {
    let image = Package::image("app");
    let proxy =
        TestProxy::new().with("policies", &policy("mode: allow")).upstream(signed("app")).start().await;
    let right = proxy.clock.now();
    served(&proxy.get("app:1").await, image.bytes());
    for wrong in [right + YEARS, right - YEARS, right + HOUR, right - HOUR] {
        let newer = Package::image("newer");
        proxy.clock.set(wrong);
        served(&proxy.get("app:1").await, image.bytes());
        refused(&proxy.get("app:2").await, 404, "MANIFEST_UNKNOWN", "");
        proxy.clock.set(right);
        proxy.upstream().push("app", "2", &newer);
        served(&proxy.get("app:2").await, newer.bytes());
        let asked = proxy.upstream().count("/manifests/1");
        served(&proxy.get("app:1").await, image.bytes());
        if wrong > right {
            assert!(proxy.upstream().count("/manifests/1") > asked, "{wrong:?} makes nothing fresh");
        }
        proxy.upstream().delete("app", &newer.digest());
        proxy.pass(HOUR / 4);
        refused(&proxy.get("app:2").await, 404, "MANIFEST_UNKNOWN", "");
        proxy.clock.set(right + HOUR / 2);
        served(&proxy.get("app:1").await, image.bytes());
        proxy.clock.set(right);
    }
}

/// Of a tag whose age nobody can tell, the last good answer serves while the upstream is silent.
#[tokio::test]
async fn a_silent_upstream_and_a_clock_that_went_back_leave_the_last_answer() {
    let image = Package::image("app");
    let proxy =
        TestProxy::new().with("policies", &policy("mode: allow")).upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    proxy.upstream().fault("", Fault::Drop);
    proxy.clock.set(proxy.clock.now() - YEARS);
    for _ in 0..3 {
        let got = proxy.get("app:1").await;
        served(&got, image.bytes());
        assert!(got.header("warning").starts_with("299 - \"stale: "), "{:?}", got.headers);
    }
}

/// A clock that is behind a time it showed before decides nothing new, and a small step is no jump.
#[tokio::test]
async fn decisions_stand_small_steps_and_end_with_large_ones() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(signed("app")).upstream(signed("other")).start().await;
    let right = proxy.clock.now();
    served(&proxy.get("app:1").await, image.bytes());
    proxy.clock.set(right - Duration::from_secs(60));
    served(&proxy.get("app:1").await, image.bytes());
    proxy.clock.set(right - HOUR);
    refused(&proxy.get("other:1").await, 503, "UNAVAILABLE", "the clock is");
    proxy.clock.set(right);
    proxy.pass(HOUR);
    served(&proxy.get("app:1").await, image.bytes());
    served(&proxy.get("other:1").await, Package::image("other").bytes());
    // Years ahead, the signer's certificate has ended.
    proxy.pass(YEARS * 10);
    let got = proxy.get("app:1").await;
    refused(&got, 403, "DENIED", "");
}
