//! Revocations that were seen stand, and are learned without anyone asking.

use rcgen::RevocationReason;

use super::*;

#[tokio::test]
async fn a_revocation_stands_whatever_a_server_says_later() {
    let mut site = Site::new().await;
    let need = site.by_ocsp();
    site.answers(&need, Says::Revoked, DAY);
    assert_eq!(site.revocations().epoch(), 0);
    assert_revoked(&site.status(&need).await);
    assert_eq!(site.revocations().epoch(), 1);
    assert!(site.metric("portcullis_revocations_noted 1"));
    site.clock.advance(2 * HOUR);
    site.answers(&need, Says::Good, 9 * DAY);
    assert_revoked(&site.status(&need).await);
    assert_eq!(site.server.count("ocsp"), 2, "the later answer came");
    assert_eq!(site.revocations().epoch(), 1, "and changed nothing");
    site.restart();
    assert_revoked(&site.status_by(&need, &RevocationSources::local()).await);
    site.revocations().refresh(&RevocationSources::local()).await;
    assert!(site.metric("portcullis_revocations_noted 1"));
}

#[tokio::test]
async fn a_hold_is_undone_by_the_issuer_alone() {
    let site = Site::new().await;
    let need = site.by_both();
    site.server.refuse("ocsp", 503);
    let hold = List::new(1).with(&need, *NOW, Some(RevocationReason::CertificateHold));
    site.server.give("a.crl", site.authority.crl(hold));
    assert_revoked(&site.status(&need).await);
    site.clock.advance(2 * HOUR);
    let now = site.clock.now();
    site.answers(&need, Says::Good, DAY);
    site.server.give("a.crl", site.authority.crl(List::new(2).made(now, now + DAY)));
    assert_revoked(&site.status(&need).await);
    assert_eq!(site.revocations().epoch(), 1);
    site.clock.advance(2 * HOUR);
    let now = site.clock.now();
    let removed = List::new(3).made(now, now + DAY).with(&need, now, Some(RevocationReason::RemoveFromCrl));
    site.server.give("a.crl", site.authority.crl(removed));
    let status = site.status(&need).await;
    assert!(matches!(status, Status::Good { .. }), "{status:?}");
    assert_eq!(site.revocations().epoch(), 2);
    assert!(site.metric("portcullis_revocations_noted 0"));
}

#[tokio::test]
async fn a_hold_that_was_undone_is_not_learned_again_from_a_responder_who_lags() {
    let site = Site::new().await;
    let need = site.by_both();
    site.answers(&need, Says::RevokedFor(6), DAY);
    let hold = List::new(1).with(&need, *NOW, Some(RevocationReason::CertificateHold));
    site.server.give("a.crl", site.authority.crl(hold));
    assert_revoked(&site.status(&need).await);
    site.clock.advance(2 * HOUR);
    let now = site.clock.now();
    let removed = List::new(2).made(now, now + DAY).with(&need, now, Some(RevocationReason::RemoveFromCrl));
    site.server.give("a.crl", site.authority.crl(removed));
    for _ in 0..3 {
        let status = site.status(&need).await;
        assert!(matches!(status, Status::Good { by: Source::Crl, .. }), "{status:?}");
        assert_eq!(site.revocations().epoch(), 2, "learned and undone once");
    }
}

#[tokio::test]
async fn a_responder_that_says_revoked_removes_nothing() {
    let site = Site::new().await;
    let need = site.by_ocsp();
    site.answers(&need, Says::RevokedFor(8), DAY);
    assert_revoked(&site.status(&need).await);
}

#[tokio::test]
async fn against_a_revocation_by_a_responder_of_unknown_standing_nothing_good_counts() {
    let site = Site::new().await;
    let need = site.by_both();
    let own = site.server.url("a.crl");
    site.server.give("a.crl", site.authority.of_place(List::new(1), &own));
    let elsewhere = [site.server.url("r.crl")];
    let (answer, _) = site.authority.delegated(&need, Says::Good, &elsewhere);
    site.server.give("ocsp", answer);
    assert!(matches!(site.status(&need).await, Status::Good { by: Source::Crl, .. }));
    site.clock.advance(2 * HOUR);
    let (answer, _) = site.authority.delegated(&need, Says::Revoked, &elsewhere);
    site.server.give("ocsp", answer);
    assert_unknown(&site.status(&need).await, "it says that the certificate is revoked");
    assert_eq!(site.revocations().epoch(), 0, "nor is it noted for good");
}

#[tokio::test]
async fn where_it_cannot_be_read_what_stood_nothing_is_good() {
    let site = Site::new().await;
    let need = site.by_ocsp();
    site.answers(&need, Says::Good, DAY);
    site.store().records().table("revoked").put(need.id().0, *b"no entry");
    assert_unknown(&site.status(&need).await, "cannot be read");
    assert_eq!(site.revocations().epoch(), 0);
    site.clock.advance(2 * HOUR);
    site.answers(&need, Says::Revoked, DAY);
    assert_revoked(&site.status(&need).await);
    assert_eq!(site.revocations().epoch(), 1);
}

#[tokio::test]
async fn one_revocation_told_in_two_ways_is_learned_once() {
    let site = Site::new().await;
    let need = site.by_both();
    site.answers(&need, Says::Revoked, DAY);
    let listed = List::new(1).with(&need, *NOW - DAY, Some(RevocationReason::KeyCompromise));
    site.server.give("a.crl", site.authority.crl(listed));
    for _ in 0..3 {
        assert_revoked(&site.status(&need).await);
        site.clock.advance(2 * HOUR);
    }
    assert!(site.server.count("a.crl") > 0, "both told it");
    assert_eq!(site.revocations().epoch(), 1);
}

#[tokio::test]
async fn a_revocation_in_an_ended_crl_is_one() {
    let site = Site::new().await;
    let need = site.by_crl();
    let ended = List::new(1).made(*NOW - 3 * DAY, *NOW - DAY);
    let listed = ended.with(&need, *NOW - 4 * DAY, Some(RevocationReason::KeyCompromise));
    site.server.give("a.crl", site.authority.crl(listed));
    assert_revoked(&site.status(&need).await);
}

#[tokio::test]
async fn refreshing_learns_of_a_revocation_that_nobody_asked_for() {
    let site = Site::new().await;
    let (need, sources) = (site.by_ocsp(), site.sources());
    site.answers(&need, Says::Good, DAY);
    site.status(&need).await;
    site.clock.advance(30 * MINUTE);
    site.revocations().refresh(&sources).await;
    assert_eq!(site.server.count("ocsp"), 1, "it is young still");
    site.clock.advance(HOUR);
    site.answers(&need, Says::Revoked, DAY);
    site.revocations().refresh(&sources).await;
    assert_eq!((site.server.count("ocsp"), site.revocations().epoch()), (2, 1));
    assert!(site.metric("portcullis_revocation_data_expiry_timestamp_seconds 0"));
    assert!(
        site.metric("portcullis_revocation_status_total{status=\"good\"} 1"),
        "refreshing decides nothing"
    );
}

#[tokio::test]
async fn refreshing_asks_ahead_of_an_end_but_not_all_the_time() {
    let site = Site::new().await;
    let (need, sources) = (site.by_ocsp(), site.sources());
    site.answers(&need, Says::Good, 20 * MINUTE);
    site.status(&need).await;
    for (minutes, asked) in [(9, 1), (2, 2), (0, 2), (1, 3)] {
        site.clock.advance(minutes * MINUTE);
        site.revocations().refresh(&sources).await;
        assert_eq!(site.server.count("ocsp"), asked, "after {minutes} minutes more");
    }
}

#[tokio::test]
async fn a_responder_that_was_revoked_tells_nothing() {
    let site = Site::new().await;
    let (first, second) = (site.by_ocsp(), site.by_ocsp());
    let (answer, _) = site.authority.delegated(&first, Says::Good, &[site.server.url("r.crl")]);
    site.server.give("ocsp", answer);
    site.server.give("r.crl", site.authority.crl(List::new(1)));
    assert!(matches!(site.status(&first).await, Status::Good { by: Source::Ocsp, .. }));
    assert_eq!(site.server.count("r.crl"), 1);
    let (answer, responder) = site.authority.delegated(&second, Says::Good, &[site.server.url("s.crl")]);
    site.server.give("ocsp", answer);
    let delegate = Need { certificate: responder, issuer: site.authority.certificate.clone() };
    site.server.give("s.crl", site.authority.crl(List::new(2).with(&delegate, *NOW, None)));
    // That list is about everything that the issuer issued, so it answers in the responder's place.
    assert!(matches!(site.status(&second).await, Status::Good { by: Source::Crl, .. }));
}

#[tokio::test]
async fn what_a_delta_crl_adds_counts() {
    let site = Site::new().await;
    let need = site.by_crl();
    let delta_url = site.server.url("delta.crl");
    site.server.give("a.crl", site.authority.base(List::new(1), &delta_url));
    assert_unknown(&site.status(&need).await, "delta.crl: it answered 404");
    site.clock.advance(MINUTE);
    site.server.give("delta.crl", site.authority.delta(1, List::new(2)));
    assert!(matches!(site.status(&need).await, Status::Good { .. }));
    site.clock.advance(2 * HOUR);
    site.server.give("delta.crl", site.authority.delta(1, List::new(3).with(&need, *NOW, None)));
    assert_revoked(&site.status(&need).await);
}

#[tokio::test]
async fn a_base_that_is_too_old_for_its_delta_is_asked_for_again() {
    let site = Site::new().await;
    let need = site.by_crl();
    let delta_url = site.server.url("delta.crl");
    site.server.give("a.crl", site.authority.base(List::new(1), &delta_url));
    let short = List::new(2).made(*NOW, *NOW + 20 * MINUTE);
    site.server.give("delta.crl", site.authority.delta(1, short));
    assert_good(&site.status(&need).await, *NOW + 20 * MINUTE);
    site.clock.advance(30 * MINUTE);
    site.server.give("a.crl", site.authority.base(List::new(3), &delta_url));
    site.server.give("delta.crl", site.authority.delta(3, List::new(4)));
    assert_good(&site.status(&need).await, *NOW + DAY);
    assert_eq!(site.server.count("a.crl"), 2, "though it was young");
}
