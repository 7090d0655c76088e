//! What is kept, for how long, and when servers are asked again.

use super::super::asking::{Asking, Freshness, Wanted};
use super::*;

#[tokio::test]
async fn a_young_answer_is_used_without_asking_and_an_older_one_asked_for_again() {
    let site = Site::new().await;
    let need = site.by_ocsp();
    site.answers(&need, Says::Good, DAY);
    assert_good(&site.status(&need).await, *NOW + DAY);
    site.clock.advance(59 * MINUTE);
    assert_good(&site.status(&need).await, *NOW + DAY);
    assert_eq!(site.server.count("ocsp"), 1);
    site.clock.advance(MINUTE);
    site.answers(&need, Says::Good, DAY);
    assert_good(&site.status(&need).await, *NOW + HOUR + DAY);
    assert_eq!(site.server.count("ocsp"), 2);
    assert!(site.metric("portcullis_revocation_requests_total{kind=\"ocsp\",result=\"ok\"} 2"));
    assert!(site.metric("portcullis_revocation_status_total{status=\"good\"} 3"));
    let ends = unix(*NOW + HOUR + DAY);
    assert!(site.metric(&format!("portcullis_revocation_data_expiry_timestamp_seconds {ends}")));
}

#[tokio::test]
async fn where_nobody_answers_the_kept_one_counts_until_its_end() {
    let site = Site::new().await;
    let need = site.by_ocsp();
    site.answers(&need, Says::Good, 3 * HOUR);
    site.status(&need).await;
    site.server.refuse("ocsp", 503);
    site.clock.advance(2 * HOUR);
    assert_good(&site.status(&need).await, *NOW + 3 * HOUR);
    assert_eq!(site.server.count("ocsp"), 2);
    site.clock.advance(HOUR + MINUTE);
    let status = site.status(&need).await;
    assert_unknown(&status, "it answered 503");
    assert_unknown(&status, &site.server.url("ocsp"));
    let ends = unix(*NOW + 3 * HOUR);
    let alarm = format!("portcullis_revocation_data_expiry_timestamp_seconds {ends}");
    assert!(site.metric(&alarm), "an end that has passed stays to be seen");
    let grace = Settings { dangerous_revocation_grace: HOUR, ..Settings::default() };
    assert!(matches!(site.status_by(&need, &site.sources_with(grace)).await, Status::Good { .. }));
}

#[tokio::test]
async fn an_answer_that_has_ended_is_asked_for_again_however_young_it_is() {
    let site = Site::new().await;
    let need = site.by_ocsp();
    site.answers(&need, Says::Good, 20 * MINUTE);
    site.status(&need).await;
    site.clock.advance(20 * MINUTE);
    site.answers(&need, Says::Good, DAY);
    assert_good(&site.status(&need).await, *NOW + 20 * MINUTE + DAY);
}

#[tokio::test]
async fn who_comes_just_after_another_has_asked_does_not_ask() {
    let site = Site::new().await;
    let (need, listed, sources) = (site.by_ocsp(), site.by_crl(), site.sources());
    site.answers(&need, Says::Good, DAY);
    site.server.give("a.crl", site.authority.crl(List::new(1)));
    site.status(&need).await;
    site.status(&listed).await;
    let url = |path: &str| url::Url::parse(&site.server.url(path)).unwrap();
    let asking = |key| Asking {
        all: Arc::clone(&site.revocations().0),
        respondent: sources.respondent().unwrap().clone(),
        key,
        freshness: Freshness { ttl: HOUR, ahead: false },
    };
    let (issuer, crl) = (listed.issuer.clone(), url("a.crl"));
    let certificate = listed.certificate.clone();
    let wanted = Wanted { certificate, issuer: issuer.clone(), url: crl.clone(), delta: false };
    assert!(asking(Key::ocsp(need.id())).ocsp(need.clone(), vec![url("ocsp")]).await.is_empty());
    assert!(asking(Key::crl(&issuer, &crl)).crl(wanted).await.is_empty());
    assert_eq!((site.server.count("ocsp"), site.server.count("a.crl")), (1, 1));
}

#[tokio::test]
async fn an_answer_without_an_end_counts_for_a_day() {
    let site = Site::new().await;
    let need = site.by_ocsp();
    site.server.give("ocsp", site.authority.ocsp(&need, Says::Good, *NOW, None));
    assert_good(&site.status(&need).await, *NOW + DAY);
    site.server.refuse("ocsp", 503);
    site.clock.advance(DAY + MINUTE);
    assert_unknown(&site.status(&need).await, "503");
}

#[tokio::test]
async fn crls_are_asked_for_only_where_ocsp_gives_no_answer() {
    let site = Site::new().await;
    let need = site.by_both();
    site.answers(&need, Says::Good, DAY);
    site.server.give("a.crl", site.authority.crl(List::new(1)));
    assert!(matches!(site.status(&need).await, Status::Good { by: Source::Ocsp, .. }));
    assert_eq!(site.server.count("a.crl"), 0);
    let other = site.by_both();
    site.answers(&other, Says::Unknown, DAY);
    assert!(matches!(site.status(&other).await, Status::Good { by: Source::Crl, .. }));
    assert_eq!(site.server.count("a.crl"), 1);
    assert!(
        site.metric("portcullis_revocation_requests_total{kind=\"ocsp\",result=\"unknown_certificate\"} 1")
    );
}

#[tokio::test]
async fn each_server_is_asked_in_order_and_all_failures_are_named() {
    let site = Site::new().await;
    let urls = |paths: &[&str]| paths.iter().map(|path| site.server.url(path)).collect::<Vec<_>>();
    let need = site.authority.issue(&urls(&["o1", "o2"]), &urls(&["c1", "c2"]));
    site.server.refuse("o1", 500);
    site.server.give("o2", "no answer at all");
    site.server.refuse("c1", 404);
    site.server.give("c2", Authority::new("acme CA").crl(List::new(1)));
    let status = site.status(&need).await;
    for why in
        ["/o1: it answered 500", "/o2: its answer does not hold", "/c1: it answered 404", "/c2: its answer"]
    {
        assert_unknown(&status, why);
    }
    site.clock.advance(MINUTE);
    site.server.give("c2", site.authority.crl(List::new(1)));
    assert_good(&site.status(&need).await, *NOW + DAY);
    assert_eq!(site.server.count("c1"), 2);
    site.clock.advance(2 * HOUR);
    site.server.give("c1", site.authority.crl(List::new(2)));
    site.status(&need).await;
    assert_eq!((site.server.count("c1"), site.server.count("c2")), (3, 2), "the first one sufficed");
}

#[tokio::test]
async fn an_older_crl_never_takes_the_place_of_a_newer_one() {
    let mut site = Site::new().await;
    let need = site.by_crl();
    site.server.give("a.crl", site.authority.crl(List::new(5).made(*NOW, *NOW + 2 * DAY)));
    assert_good(&site.status(&need).await, *NOW + 2 * DAY);
    site.clock.advance(2 * HOUR);
    let lower = List::new(4).made(*NOW + HOUR, *NOW + 9 * DAY);
    site.server.give("a.crl", site.authority.crl(lower));
    assert_good(&site.status(&need).await, *NOW + 2 * DAY);
    assert!(site.metric("portcullis_revocation_requests_total{kind=\"crl\",result=\"outdated\"} 1"));
    site.clock.advance(MINUTE);
    let earlier = List::new(5).made(*NOW - HOUR, *NOW + 9 * DAY);
    site.server.give("a.crl", site.authority.crl(earlier));
    assert_good(&site.status(&need).await, *NOW + 2 * DAY);
    // Not even where the newer one's bytes are lost: its record is not.
    spoil_blobs(&mut site);
    site.clock.advance(MINUTE);
    assert_unknown(&site.status(&need).await, "older than the one kept");
    site.clock.advance(MINUTE);
    site.server.give("a.crl", site.authority.crl(List::new(6).made(*NOW, *NOW + 3 * DAY)));
    assert_good(&site.status(&need).await, *NOW + 3 * DAY);
}

#[tokio::test]
async fn an_older_ocsp_answer_never_takes_the_place_of_a_newer_one() {
    let site = Site::new().await;
    let need = site.by_ocsp();
    site.answers(&need, Says::Good, 2 * DAY);
    site.status(&need).await;
    site.clock.advance(2 * HOUR);
    site.server.give("ocsp", site.authority.ocsp(&need, Says::Good, *NOW - HOUR, Some(*NOW + 9 * DAY)));
    assert_good(&site.status(&need).await, *NOW + 2 * DAY);
    assert_eq!(site.server.count("ocsp"), 2);
}

#[tokio::test]
async fn only_what_is_well_signed_and_not_from_the_future_is_kept() {
    let site = Site::new().await;
    let (need, listed) = (site.by_ocsp(), site.by_crl());
    let stranger = Authority::new("acme CA");
    site.server.give("ocsp", stranger.ocsp(&need, Says::Good, *NOW, Some(*NOW + DAY)));
    site.server.give("a.crl", stranger.crl(List::new(1)));
    assert_unknown(&site.status(&need).await, "does not hold");
    assert_unknown(&site.status(&listed).await, "does not hold");
    site.clock.advance(MINUTE);
    let tomorrow = *NOW + DAY;
    site.server.give("ocsp", site.authority.ocsp(&need, Says::Good, tomorrow, Some(tomorrow + DAY)));
    site.server.give("a.crl", site.authority.crl(List::new(1).made(tomorrow, tomorrow + DAY)));
    assert_unknown(&site.status(&need).await, "does not hold");
    assert_unknown(&site.status(&listed).await, "from the future");
    assert!(site.store().records().table("revocation").scan(&[], 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_delta_crl_is_no_base_and_a_base_no_delta() {
    let site = Site::new().await;
    let need = site.by_crl();
    site.server.give("a.crl", site.authority.delta(1, List::new(2)));
    assert_unknown(&site.status(&need).await, "its CRL is only a delta CRL");
    site.clock.advance(MINUTE);
    site.server.give("a.crl", site.authority.base(List::new(1), &site.server.url("delta.crl")));
    site.server.give("delta.crl", site.authority.crl(List::new(2)));
    assert_unknown(&site.status(&need).await, "its CRL is no delta CRL");
}

#[tokio::test]
async fn an_answer_about_another_certificate_is_none() {
    let site = Site::new().await;
    let (need, other) = (site.by_ocsp(), site.by_ocsp());
    site.answers(&other, Says::Good, DAY);
    assert_unknown(&site.status(&need).await, "does not hold");
}

#[tokio::test]
async fn answers_outlive_the_process_and_replaced_ones_leave_the_store() {
    let mut site = Site::new().await;
    let (need, listed) = (site.by_ocsp(), site.by_crl());
    site.answers(&need, Says::Good, DAY);
    site.server.give("a.crl", site.authority.crl(List::new(1)));
    site.status(&need).await;
    site.status(&listed).await;
    site.restart();
    let local = RevocationSources::local();
    assert_good(&site.status_by(&need, &local).await, *NOW + DAY);
    assert_good(&site.status_by(&listed, &local).await, *NOW + DAY);
    let held = site.store().records().table("blob_holds").scan(&[], 99).await.unwrap().len();
    assert_eq!(held, 2, "what is kept is held");
    site.clock.advance(2 * HOUR);
    site.answers(&need, Says::Good, DAY);
    site.server.give("a.crl", site.authority.crl(List::new(2)));
    site.status(&need).await;
    site.status(&listed).await;
    let held = site.store().records().table("blob_holds").scan(&[], 99).await.unwrap().len();
    assert_eq!(held, 2, "what was replaced is released");
}

#[tokio::test]
async fn a_damaged_answer_is_asked_for_again() {
    let mut site = Site::new().await;
    let need = site.by_ocsp();
    site.answers(&need, Says::Good, DAY);
    site.status(&need).await;
    spoil_blobs(&mut site);
    assert_unknown(&site.status_by(&need, &RevocationSources::local()).await, "");
    assert_good(&site.status(&need).await, *NOW + DAY);
    assert_eq!(site.server.count("ocsp"), 2);
    site.store().records().table("revocation").put(Key::ocsp(need.id()).0, *b"no record");
    assert_good(&site.status(&need).await, *NOW + DAY);
    assert_eq!(site.server.count("ocsp"), 3);
}

#[tokio::test]
async fn what_ended_long_ago_is_dropped() {
    let site = Site::new().await;
    let need = site.by_ocsp();
    site.answers(&need, Says::Good, DAY);
    site.status(&need).await;
    let local = RevocationSources::local();
    let kept = async || site.store().records().table("revocation").scan(&[], 9).await.unwrap().len();
    site.clock.advance(30 * DAY);
    site.revocations().refresh(&local).await;
    assert_eq!(kept().await, 1);
    site.clock.advance(2 * DAY);
    site.revocations().refresh(&local).await;
    assert_eq!(kept().await, 0);
    assert!(site.store().records().table("blob_holds").scan(&[], 9).await.unwrap().is_empty());
}

/// Ends the process, flips a byte in every blob of the store, and starts anew.
fn spoil_blobs(site: &mut Site) {
    site.revocations = None;
    site.store = None;
    let mut folders = vec![site.folder.path().join("blobs")];
    let mut spoilt = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let mut bytes = std::fs::read(&path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                std::fs::remove_file(&path).unwrap();
                std::fs::write(&path, bytes).unwrap();
                spoilt += 1;
            }
        }
    }
    assert!(spoilt > 0);
    site.restart();
}

#[tokio::test]
async fn a_list_of_another_scope_takes_nothings_place() {
    let site = Site::new().await;
    let need = site.by_crl();
    site.server.give("a.crl", site.authority.crl(List::new(1)));
    assert_good(&site.status(&need).await, *NOW + DAY);
    site.clock.advance(2 * HOUR);
    site.server.give("a.crl", site.authority.of_authorities(List::new(9)));
    assert_good(&site.status(&need).await, *NOW + DAY);
    site.clock.advance(2 * HOUR);
    site.server.give("a.crl", site.authority.crl(List::new(2).with(&need, *NOW, None)));
    assert_revoked(&site.status(&need).await);
}
