//! What asking may cost, and whom it may reach.

use super::*;

#[tokio::test]
async fn many_callers_ask_once() {
    let site = Site::new().await;
    let (need, sources) = (site.by_both(), site.sources());
    site.server.give_late("ocsp", "nonsense", Duration::from_millis(100));
    site.server.give_late("a.crl", site.authority.crl(List::new(1)), Duration::from_millis(100));
    let all = join_all((0..32).map(|_| site.status_by(&need, &sources))).await;
    for status in &all {
        assert_good(status, *NOW + DAY);
    }
    assert_eq!((site.server.count("ocsp"), site.server.count("a.crl")), (1, 1));
}

#[tokio::test]
async fn answers_that_are_too_long_are_not_read() {
    let site = Site::new().await;
    let need = site.by_ocsp();
    site.server.give("ocsp", vec![0x30; 20 * 1024 + 1]);
    assert_unknown(&site.status(&need).await, "larger than 20480 bytes");
    assert!(site.metric("portcullis_revocation_requests_total{kind=\"ocsp\",result=\"too_large\"} 1"));
}

#[tokio::test]
async fn a_crl_that_is_too_long_is_not_read() {
    let site = Site::new().await;
    let need = site.by_crl();
    site.server.give("a.crl", vec![0x30; (32 << 20) + 1]);
    assert_unknown(&site.status(&need).await, "larger than 33554432 bytes");
}

#[tokio::test]
async fn a_slow_server_is_waited_for_once_and_then_left_alone() {
    let site = Site::new().await;
    let need = site.by_ocsp();
    site.server.give_late("ocsp", "", Duration::from_secs(60));
    let started = Instant::now();
    assert_unknown(&site.status(&need).await, "no answer within 2s");
    assert!(started.elapsed() < Duration::from_secs(4));
    // Another certificate of the same server: it is the server that hangs.
    let (other, started) = (site.by_ocsp(), Instant::now());
    assert_unknown(&site.status(&other).await, "a moment ago");
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(site.server.count("ocsp"), 1);
    site.answers(&other, Says::Good, DAY);
    site.clock.advance(MINUTE / 2);
    assert_good(&site.status(&other).await, *NOW + DAY);
}

#[tokio::test]
async fn a_crl_is_waited_for_longer_but_not_for_ever() {
    let site = Site::new().await;
    let need = site.by_crl();
    site.server.give_late("a.crl", site.authority.crl(List::new(1)), Duration::from_secs(60));
    assert_unknown(&site.status(&need).await, "no answer within 5s");
}

#[tokio::test]
async fn whoever_has_no_more_time_goes_by_what_is_kept() {
    let site = Site::new().await;
    let (need, sources) = (site.by_ocsp(), site.sources());
    site.answers(&need, Says::Good, DAY);
    site.status(&need).await;
    site.clock.advance(2 * HOUR);
    site.server.give_late("ocsp", "", Duration::from_secs(1));
    let (started, soon) = (Instant::now(), Instant::now() + Duration::from_millis(100));
    let found = Lookup::new(&site.revocations().0, &need, &sources, Patience::until(soon, true)).run().await;
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(found.failures, ["not every server answered in time"]);
    let data = RevocationData::new([(need.id(), found)].into(), &sources);
    assert_good(&data.status(&need.certificate, &need.issuer, site.clock.now(), None), *NOW + DAY);
}

#[tokio::test]
async fn a_server_that_hangs_on_ocsp_is_asked_for_its_crl() {
    let site = Site::new().await;
    let need = site.by_both();
    site.server.give_late("ocsp", "", Duration::from_secs(60));
    site.server.give("a.crl", site.authority.crl(List::new(1)));
    assert_good(&site.status(&need).await, *NOW + DAY);
}

#[tokio::test]
async fn one_certificate_that_a_server_does_not_know_shuts_no_other_out() {
    let site = Site::new().await;
    let (unknown, known) = (site.by_ocsp(), site.by_ocsp());
    site.answers(&unknown, Says::Unknown, DAY);
    assert_unknown(&site.status(&unknown).await, "does not know the certificate");
    site.status(&unknown).await;
    assert_eq!(site.server.count("ocsp"), 1);
    site.answers(&known, Says::Good, DAY);
    assert_good(&site.status(&known).await, *NOW + DAY);
}

#[tokio::test]
async fn this_machine_is_asked_only_where_the_operator_says_so() {
    let site = Site::new().await;
    let need = site.by_both();
    site.answers(&need, Says::Good, DAY);
    let build = |egress| RevocationSources::build_in(&|_| None, &Settings::default(), &egress).unwrap();
    let status = site.status_by(&need, &build(egress::Settings::default())).await;
    assert_unknown(&status, "this machine");
    assert!(site.metric("portcullis_revocation_requests_total{kind=\"crl\",result=\"forbidden\"} 1"));
    assert_eq!(site.server.methods().len(), 0);
    let everywhere = egress::Settings { revocation_everywhere: true, ..egress::Settings::default() };
    site.clock.advance(MINUTE);
    assert_good(&site.status_by(&need, &build(everywhere)).await, *NOW + DAY);
}

#[tokio::test]
async fn local_sources_ask_nobody() {
    let site = Site::new().await;
    let need = site.by_both();
    site.answers(&need, Says::Good, DAY);
    let egress = egress::Settings {
        allow: vec![site.server.host()],
        revocation: egress::Revocation::Local,
        ..egress::Settings::default()
    };
    let local = RevocationSources::build_in(&|_| None, &Settings::default(), &egress).unwrap();
    assert_unknown(&site.status_by(&need, &local).await, "egress.revocation is local");
    assert_eq!(site.server.methods().len(), 0);
}

#[tokio::test]
async fn no_more_than_two_chains_certificates_and_four_urls_are_asked_about() {
    let site = Site::new().await;
    let urls = |kind: &str| (0..9).map(|i| site.server.url(&format!("{kind}{i}"))).collect::<Vec<_>>();
    let need = site.authority.issue(&urls("o"), &urls("c"));
    let status = site.status(&need).await;
    assert_unknown(&status, "more than 4 are named");
    assert_eq!((site.server.count("o"), site.server.count("c")), (4, 4));
    let many: Vec<Need> =
        (0..22).map(|i| site.authority.issue(&[site.server.url(&format!("n{i}-"))], &[])).collect();
    let data = site.revocations().gather(&many, &site.sources()).await;
    assert_eq!(site.server.count("n"), 20);
    let last = &many[21];
    let status = data.status(&last.certificate, &last.issuer, *NOW, None);
    assert_unknown(&status, "about so many certificates");
}

#[tokio::test]
async fn short_questions_go_by_get_and_long_ones_by_post() {
    let site = Site::new().await;
    let short = site.by_ocsp();
    site.answers(&short, Says::Good, DAY);
    assert_good(&site.status(&short).await, *NOW + DAY);
    let long = site.authority.issue(&[site.server.url(&format!("ocsp/{}", "x".repeat(250)))], &[]);
    site.answers(&long, Says::Good, DAY);
    assert_good(&site.status(&long).await, *NOW + DAY);
    assert_eq!(site.server.methods(), [http::Method::GET, http::Method::POST]);
}

#[tokio::test]
async fn a_certificate_that_names_nobody_is_not_revocable() {
    let site = Site::new().await;
    let need = site.authority.issue(&[], &[]);
    assert_eq!(site.status(&need).await, Status::NotRevocable);
    assert_eq!(
        RevocationData::default().status(&need.certificate, &need.issuer, *NOW, None),
        Status::NotRevocable
    );
    let asked = site.by_ocsp();
    assert_unknown(&RevocationData::default().status(&asked.certificate, &asked.issuer, *NOW, None), "");
}

/// What is not held any more may go; that it was newer is known on.
#[tokio::test]
async fn answers_hold_an_eighth_of_the_store_at_most() {
    let site = Site::new().await;
    let [older, newer] = ["a.crl", "b.crl"].map(|path| site.authority.issue(&[], &[site.server.url(path)]));
    for (path, need) in [("a.crl", &older), ("b.crl", &newer)] {
        site.server.give(path, site.authority.crl(List::new(1).with(need, *NOW, None)));
        site.status(need).await;
        site.clock.advance(MINUTE);
    }
    let local = RevocationSources::local();
    let revocations = site.revocations();
    let both = site.store().sizes().held;
    assert_eq!(revocations.held_now().unwrap(), both);
    site.store().set_max_size(8 * both);
    revocations.refresh(&local).await;
    assert_eq!(site.store().sizes().held, both, "both fit");
    site.store().set_max_size(8 * both - 8);
    site.clock.advance(HOUR);
    revocations.refresh(&local).await;
    let held = site.store().records().table("blob_holds").scan(&[], 9).await.unwrap().len();
    assert_eq!((held, site.store().sizes().held), (1, revocations.held_now().unwrap()));
    assert_eq!(site.store().records().table("revocation").scan(&[], 9).await.unwrap().len(), 2);
    let url = url::Url::parse(&site.server.url("b.crl")).unwrap();
    let owner = format!("revocation:{}", Key::crl(&newer.issuer, &url));
    assert_eq!(site.store().holdings_now(&owner).unwrap().len(), 1, "the newer one stays");
}
