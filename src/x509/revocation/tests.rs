#![allow(clippy::indexing_slicing)]

mod genuine;

use super::testing::{Answer, List, Party, custom, hours, leaf, now, ocsp_at, point, points};
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

struct Setting {
    ca: Party,
    leaf: Party,
}

impl Setting {
    /// Someone whose certificate names a responder and a list.
    fn new() -> Self {
        let ca = Party::root("ca");
        let leaf = ca.issue("leaf", |params| {
            leaf(params);
            params.crl_distribution_points = vec![point("http://pki.example/crl")];
            params.custom_extensions = vec![ocsp_at("http://pki.example/ocsp")];
        });
        Self { ca, leaf }
    }

    fn question(&self) -> Question<'_> {
        Question {
            certificate: &self.leaf.certificate,
            issuer: &self.ca.certificate,
            now: now(),
            signed_at: None,
            grace: Duration::ZERO,
        }
    }

    fn status(&self, known: &Known) -> Status {
        status(&self.question(), known)
    }

    fn signed(&self, at: i64, known: &Known) -> Status {
        status(&Question { signed_at: Some(hours(at)), ..self.question() }, known)
    }

    fn list(&self, number: u8) -> List<'_> {
        List::new(&self.ca, number)
    }

    /// Listing the leaf.
    fn listing(&self, number: u8, reason: u8, at: i64) -> List<'_> {
        self.list(number).listing(&self.leaf.certificate, reason, at)
    }

    fn delta(&self, number: u8, base: u8) -> List<'_> {
        List::delta(&self.ca, number, base)
    }

    fn answer(&self) -> Answer<'_> {
        Answer::new(&self.ca, &self.leaf, &self.ca)
    }
}

fn lists(lists: &[&List<'_>]) -> Known {
    Known { crls: lists.iter().map(|list| list.crl()).collect(), ..Known::default() }
}

fn answers(answers: &[&Answer<'_>]) -> Known {
    Known { ocsp: answers.iter().map(|answer| answer.response()).collect(), ..Known::default() }
}

fn both(answer: &Answer<'_>, list: &List<'_>) -> Known {
    Known { ocsp: vec![answer.response()], ..lists(&[list]) }
}

fn noted(reason: Reason, at: i64) -> Entry {
    Entry { revoked_at: hours(at), reason, invalid_since: None }
}

fn good(until: i64, by: Source) -> Status {
    Status::Good { until: hours(until), by }
}

fn why(status: Status) -> String {
    match status {
        Status::Unknown { why } => why,
        other => panic!("expected unknown, found {other:?}"),
    }
}

fn revoked(status: Status) -> (Reason, Source) {
    match status {
        Status::Revoked { entry, by } => (entry.reason, by),
        other => panic!("expected revoked, found {other:?}"),
    }
}

#[test]
fn nobody_to_ask_is_not_revocable() {
    let ca = Party::root("ca");
    let on = Setting { leaf: ca.issue("leaf", leaf), ca };
    assert_eq!(on.status(&Known::default()), Status::NotRevocable);
    // A list that was carried in by hand counts all the same, to its end and beyond.
    assert_eq!(on.status(&lists(&[&on.list(1)])), good(1, Source::Crl));
    assert_eq!(revoked(on.status(&lists(&[&on.listing(1, 1, -5)]))), (Reason::KeyCompromise, Source::Crl));
    assert!(why(on.status(&lists(&[&on.list(1).lasting(-3, -2)]))).contains("it ended at"));
    let stranger = Party::root("other");
    assert_eq!(on.status(&lists(&[&List::new(&stranger, 1)])), Status::NotRevocable);
}

#[test]
fn nothing_at_hand_is_unknown() {
    let on = Setting::new();
    assert_eq!(why(on.status(&Known::default())), "no OCSP answer and no CRL is at hand");
}

#[test]
fn ocsp_comes_first_and_a_list_where_it_does_not_answer() {
    let on = Setting::new();
    let list = on.list(1).lasting(-1, 5);
    assert_eq!(on.status(&both(&on.answer(), &list)), good(1, Source::Ocsp));
    assert_eq!(on.status(&both(&on.answer().unknown(), &list)), good(5, Source::Crl));
    assert_eq!(on.status(&both(&on.answer().lasting(-3, -2), &list)), good(5, Source::Crl));
    let other = Party::root("ca");
    assert_eq!(on.status(&both(&Answer::new(&other, &on.leaf, &on.ca), &list)), good(5, Source::Crl));
    let unknown = why(on.status(&answers(&[&on.answer().unknown()])));
    assert!(unknown.contains("does not know the certificate"), "{unknown}");
}

#[test]
fn the_latest_answer_counts() {
    let on = Setting::new();
    let later = on.answer().unknown().lasting(0, 2);
    for pair in [[&on.answer(), &later], [&later, &on.answer()]] {
        assert!(why(on.status(&answers(&pair))).contains("does not know"));
    }
}

#[test]
fn a_revocation_anywhere_wins() {
    let on = Setting::new();
    let (bad_list, bad_answer) = (on.listing(1, 4, -5), on.answer().revoked(1, -5));
    assert_eq!(revoked(on.status(&both(&on.answer(), &bad_list))), (Reason::Superseded, Source::Crl));
    assert_eq!(revoked(on.status(&both(&bad_answer, &on.list(1)))), (Reason::KeyCompromise, Source::Ocsp));
    // In an older list, in one that has ended, in an answer that has.
    let older = on.listing(1, 4, -5).lasting(-9, -3);
    assert!(matches!(on.status(&lists(&[&on.list(2), &older])), Status::Revoked { .. }));
    assert!(matches!(on.status(&lists(&[&older])), Status::Revoked { .. }));
    let ended = on.answer().revoked(1, -5).lasting(-4, -3);
    assert!(matches!(on.status(&answers(&[&on.answer(), &ended])), Status::Revoked { .. }));
    // Noted, whatever is said since.
    let known = Known { noted: Some(noted(Reason::Unspecified, -9)), ..both(&on.answer(), &on.list(1)) };
    assert_eq!(revoked(on.status(&known)), (Reason::Unspecified, Source::Noted));
    let removed = Known { noted: known.noted, ..lists(&[&on.listing(1, 8, -1)]) };
    assert_eq!(revoked(on.status(&removed)), (Reason::Unspecified, Source::Noted));
}

#[test]
fn what_is_not_proven_revokes_nothing() {
    let on = Setting::new();
    let impostor = on.ca.impostor("ca");
    let forged = List::new(&impostor, 2).listing(&on.leaf.certificate, 1, -5);
    let known = lists(&[&on.list(1), &forged]);
    assert_eq!(on.status(&known), good(1, Source::Crl));
    assert_eq!(revocation_in(&on.question(), &known), None);
    let early = on.listing(2, 1, -5).lasting(1, 3);
    assert_eq!(on.status(&lists(&[&on.list(1), &early])), good(1, Source::Crl));
    let elsewhere = on.listing(2, 1, -5).scoped(&[0x82, 1, 0xff]);
    assert_eq!(on.status(&lists(&[&on.list(1), &elsewhere])), good(1, Source::Crl));
}

#[test]
fn a_hold_lasts_until_it_is_undone() {
    let on = Setting::new();
    let base = on.listing(1, 6, -5).freshest();
    let delta = |removed_at| on.delta(2, 1).listing(&on.leaf.certificate, 8, removed_at);
    let hold = (Reason::CertificateHold, Source::Crl);
    assert_eq!(revoked(on.status(&lists(&[&base, &on.delta(2, 1)]))), hold);
    assert_eq!(on.status(&lists(&[&base, &delta(-3)])), good(1, Source::Crl));
    assert_eq!(on.status(&lists(&[&base, &delta(-5)])), good(1, Source::Crl));
    // A removal that is older than the hold was of another one.
    assert_eq!(revoked(on.status(&lists(&[&base, &delta(-6)]))), hold);
    // A noted hold is not undone by lists and answers that do not tell of it.
    let since = Some(noted(Reason::CertificateHold, -5));
    let known = Known { noted: since.clone(), ..both(&on.answer(), &on.list(3)) };
    assert_eq!(revoked(on.status(&known)), (Reason::CertificateHold, Source::Noted));
    let known = Known { noted: since, ..lists(&[&on.list(1).freshest(), &delta(-3)]) };
    assert_eq!(on.status(&known), good(1, Source::Crl));
    assert_eq!(revocation_in(&on.question(), &known), None);
    // A hold that OCSP tells of and a list has undone.
    let held = on.answer().revoked(6, -5);
    assert_eq!(revoked(on.status(&both(&held, &on.list(1)))), (Reason::CertificateHold, Source::Ocsp));
    let known = Known { ocsp: vec![held.response()], ..lists(&[&on.list(1).freshest(), &delta(-3)]) };
    assert_eq!(on.status(&known), good(1, Source::Crl));
}

#[test]
fn a_list_that_has_ended_answers_only_for_good() {
    let on = Setting::new();
    let ended = |list: List<'_>| on.status(&lists(&[&list.lasting(-3, -2)]));
    assert!(why(ended(on.list(1))).contains("ended at"));
    assert!(why(ended(on.listing(1, 6, -5))).contains("ended at"));
    assert!(matches!(ended(on.listing(1, 1, -5)), Status::Revoked { .. }));
    assert_eq!(revocation_in(&on.question(), &lists(&[&on.listing(1, 6, -5).lasting(-3, -2)])), None);
    let mut open = on.list(1);
    open.next_update = None;
    assert_eq!(on.status(&lists(&[&open])), good(23, Source::Crl));
    open.this_update = hours(-25);
    assert!(why(on.status(&lists(&[&open]))).contains("ended at"));
}

#[test]
fn an_answer_without_end_ends_after_a_day() {
    let on = Setting::new();
    let mut open = on.answer();
    open.next_update = None;
    assert_eq!(on.status(&answers(&[&open])), good(23, Source::Ocsp));
    open.this_update = hours(-25);
    assert!(why(on.status(&answers(&[&open]))).contains("ended at"));
}

#[test]
fn grace_lengthens_what_is_good() {
    let on = Setting::new();
    let asked = Question { grace: HOUR * 3, ..on.question() };
    let ended = lists(&[&on.list(1).lasting(-3, -2)]);
    assert_eq!(status(&asked, &ended), good(1, Source::Crl));
    assert_eq!(status(&asked, &answers(&[&on.answer().lasting(-3, -2)])), good(1, Source::Ocsp));
    assert!(why(status(&Question { grace: HOUR, ..asked }, &ended)).contains("ended at"));
    // Not a hold.
    let hold = lists(&[&on.listing(1, 6, -5).lasting(-3, -2)]);
    assert_eq!(revocation_in(&asked, &hold), None);
}

#[test]
fn a_key_that_became_invalid_later_had_signed_well() {
    let on = Setting::new();
    let list = lists(&[&on.list(1).invalid(&on.leaf.certificate, -2, -4)]);
    let answer = answers(&[&on.answer().revoked(1, -2).invalid_since(-4)]);
    for (known, by) in [(&list, Source::Crl), (&answer, Source::Ocsp)] {
        assert_eq!(on.signed(-5, known), good(1, by));
        assert!(matches!(on.signed(-4, known), Status::Revoked { .. }), "at that very moment");
        assert!(matches!(on.signed(-3, known), Status::Revoked { .. }));
        assert!(matches!(on.status(known), Status::Revoked { .. }), "signed nobody knows when");
        // It is noted, whenever this signature was made.
        let asked = Question { signed_at: Some(hours(-5)), ..on.question() };
        assert_eq!(revocation_in(&asked, known).unwrap().invalid_since, Some(hours(-4)));
    }
    // Revoked elsewhere without such a date.
    let known = Known { ocsp: vec![on.answer().revoked(1, -2).response()], ..list.clone() };
    assert!(matches!(on.signed(-5, &known), Status::Revoked { .. }));
    assert_eq!(revocation_in(&on.question(), &known).unwrap().invalid_since, None);
    // What has ended does not say that it was good.
    let ended = lists(&[&on.list(1).invalid(&on.leaf.certificate, -5, -6).lasting(-4, -3)]);
    assert!(why(on.signed(-9, &ended)).contains("ended at"));
    let ended = answers(&[&on.answer().revoked(1, -5).invalid_since(-6).lasting(-4, -3)]);
    assert!(why(on.signed(-9, &ended)).contains("ended at"));
    let note = Entry { invalid_since: Some(hours(-4)), ..noted(Reason::KeyCompromise, -2) };
    assert!(why(on.signed(-9, &Known { noted: Some(note), ..Known::default() })).contains("at hand"));
}

#[test]
fn a_base_that_has_a_delta_needs_it() {
    let on = Setting::new();
    let base = on.list(5).freshest().lasting(-1, 9);
    let with = |delta: &List<'_>| on.status(&lists(&[&base, delta]));
    assert!(why(on.status(&lists(&[&base]))).contains("there is a delta CRL, and it is not at hand"));
    assert_eq!(with(&on.delta(6, 5)), good(1, Source::Crl));
    assert_eq!(with(&on.delta(6, 4)), good(1, Source::Crl));
    assert_eq!(with(&on.delta(5, 4)), good(1, Source::Crl), "made together with the base");
    assert!(why(with(&on.delta(7, 6))).contains("adds to number 0x06 or later, found 0x05"));
    assert!(why(with(&on.delta(4, 3))).contains("number 0x04, before its base's 0x05"));
    assert!(why(with(&on.delta(6, 5).lasting(-3, -2))).contains("delta: it ended at"));
    assert!(why(with(&on.delta(6, 5).scoped(&[0x81, 1, 0xff]))).contains("another scope"));
    let stranger = Party::root("ca");
    assert!(why(with(&List::delta(&stranger, 6, 5))).contains("not made by the key of CN=ca"));
    assert_eq!(revoked(with(&on.delta(6, 5).listing(&on.leaf.certificate, 1, -2))).0, Reason::KeyCompromise);
    // The later of two.
    let both = lists(&[&base, &on.delta(6, 5).lasting(-3, -2), &on.delta(7, 5).lasting(-1, 3)]);
    assert_eq!(on.status(&both), good(3, Source::Crl));
    // A delta alone says nothing good.
    assert!(why(on.status(&lists(&[&on.delta(6, 5)]))).contains("at hand"));
}

#[test]
fn a_certificate_that_names_a_delta_needs_it() {
    let ca = Party::root("ca");
    let leaf = ca.issue("leaf", |params| {
        leaf(params);
        params.custom_extensions = vec![custom("2.5.29.46", &points("http://pki.example/delta"))];
        params.crl_distribution_points = vec![point("http://pki.example/crl")];
    });
    let on = Setting { ca, leaf };
    assert!(why(on.status(&lists(&[&on.list(5)]))).contains("there is a delta CRL"));
    assert_eq!(on.status(&lists(&[&on.list(5), &on.delta(6, 5)])), good(1, Source::Crl));
}

#[test]
fn the_latest_list_counts() {
    let on = Setting::new();
    let (old, new) = (on.list(1).lasting(-3, 9), on.list(2).lasting(-2, -1));
    for pair in [[&old, &new], [&new, &old]] {
        assert!(why(on.status(&lists(&pair))).contains("ended at"));
    }
}

#[test]
fn why_lists_are_not_used_is_told() {
    let on = Setting::new();
    let known = both(&on.answer().lasting(-3, -2), &List::new(&Party::root("other"), 1));
    let why = why(on.status(&known));
    assert!(why.contains("OCSP: the answer ended at 2027-01-15T06:00:00Z"), "{why}");
    assert!(why.contains("CRL: its issuer is CN=ca, not CN=other"), "{why}");
}

mod responders {
    use super::*;

    fn known(on: &Setting, responder: &Party, lists: &[&List<'_>]) -> Known {
        let answer = Answer::delegated(responder, &on.leaf, &on.ca).lasting(-1, 9);
        Known { ocsp: vec![answer.response()], ..super::lists(lists) }
    }

    /// Who names a list and may be asked about.
    fn checked(on: &Setting) -> Party {
        on.ca.responder(false, |params| {
            params.crl_distribution_points = vec![point("http://pki.example/crl")];
        })
    }

    #[test]
    fn need_no_check_where_they_say_so() {
        let on = Setting::new();
        let responder = on.ca.responder(true, |params| {
            params.crl_distribution_points = vec![point("http://pki.example/crl")];
        });
        assert_eq!(on.status(&known(&on, &responder, &[])), good(9, Source::Ocsp));
        // Without either there is nobody to ask.
        let silent = on.ca.responder(false, |_| {});
        assert_eq!(on.status(&known(&on, &silent, &[])), good(9, Source::Ocsp));
    }

    #[test]
    fn are_checked_by_list() {
        let on = Setting::new();
        let responder = checked(&on);
        let unknown = why(on.status(&known(&on, &responder, &[])));
        assert!(unknown.contains("whether its certificate is revoked is unknown"), "{unknown}");
        // No longer than that list says.
        assert_eq!(on.status(&known(&on, &responder, &[&on.list(1)])), good(1, Source::Ocsp));
        let listed = on.list(1).listing(&responder.certificate, 1, -2).lasting(-1, 3);
        assert_eq!(on.status(&known(&on, &responder, &[&listed])), good(3, Source::Crl));
        let revoked = listed.lasting(-3, -2);
        let why = why(on.status(&known(&on, &responder, &[&revoked])));
        assert!(why.contains("its certificate is revoked since") && why.contains("keyCompromise"), "{why}");
    }

    #[test]
    fn that_are_not_believed_revoke_nothing() {
        let on = Setting::new();
        let responder = checked(&on);
        let answer = Answer::delegated(&responder, &on.leaf, &on.ca).revoked(1, -2);
        let known = Known { ocsp: vec![answer.response()], ..Known::default() };
        assert_eq!(revocation_in(&on.question(), &known), None);
        assert!(matches!(on.status(&known), Status::Unknown { .. }));
    }

    #[test]
    fn answer_no_longer_than_their_certificates_live() {
        let on = Setting::new();
        let responder = on.ca.responder(true, |params| params.not_after = hours(2).into());
        assert_eq!(on.status(&known(&on, &responder, &[])), good(2, Source::Ocsp));
    }
}
