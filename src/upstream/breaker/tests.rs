use super::*;

const OUTAGES: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);

fn fail(pass: Pass<'_>) -> bool {
    pass.failed(false, Duration::ZERO, "it answered 503")
}

/// An open breaker, and the first moment at which it lets one try.
fn opened() -> (Breaker, Instant) {
    let breaker = Breaker::after(OUTAGES);
    for _ in 1..OUTAGES {
        assert!(!fail(breaker.enter().unwrap()));
    }
    let [last, late] = [breaker.enter().unwrap(), breaker.enter().unwrap()];
    assert!(fail(last) && !fail(late), "that it is left alone is said once");
    assert_eq!(breaker.enter().unwrap_err(), Shut::LeftAlone("it answered 503".to_owned()));
    (breaker, Instant::now() + OPEN)
}

#[test]
fn it_opens_lets_one_try_and_closes_when_that_succeeds() {
    let (breaker, later) = opened();
    assert!(breaker.is_suspect() && breaker.is_open());
    let probe = breaker.enter_at(later).unwrap();
    assert!(breaker.enter_at(later).is_err(), "one at a time");
    assert!(breaker.is_open(), "nobody knows yet");
    probe.answered();
    assert!(!breaker.is_suspect() && !breaker.is_open());
    fail(breaker.enter().unwrap());
    assert!(breaker.enter().is_ok(), "the count began anew");
}

#[test]
fn a_failed_try_opens_it_again_and_one_given_up_does_not_block() {
    let (breaker, later) = opened();
    drop(breaker.enter_at(later).unwrap());
    fail(breaker.enter_at(later).unwrap());
    assert!(breaker.enter().is_err());
}

#[test]
fn only_outages_in_a_row_count() {
    let breaker = Breaker::after(OUTAGES);
    for _ in 0..3 {
        for _ in 1..OUTAGES {
            fail(breaker.enter().unwrap());
        }
        breaker.enter().unwrap().answered();
    }
}

#[test]
fn outages_that_it_tells_of_count_once_a_repository_and_silence_always() {
    let tell = |pass: Pass<'_>| pass.failed(false, MINUTE, "it answered 503");
    let breaker = Breaker::after(2);
    for _ in 0..3 {
        assert!(!tell(breaker.enter().unwrap().about("a")));
    }
    assert!(!breaker.is_suspect());
    assert!(tell(breaker.enter().unwrap().about("b")));
    let later = Instant::now() + 2 * MINUTE;
    tell(breaker.enter_at(later).unwrap().about("a"));
    assert!(breaker.enter_at(later).is_ok(), "another may try at once");
    breaker.enter_at(later).unwrap().answered();
    tell(breaker.enter().unwrap().about("a"));
    assert!(tell(breaker.enter().unwrap().about("b")), "the row began anew");

    let silent = Breaker::after(2);
    silent.enter().unwrap().about("a").failed(true, Duration::ZERO, "no answer");
    assert!(silent.enter().unwrap().about("a").failed(true, Duration::ZERO, "no answer"));
    let of_a_mirror = Breaker::after(1);
    tell(of_a_mirror.enter().unwrap().about("a"));
    tell(of_a_mirror.enter_at(later).unwrap().about("a"));
    assert_eq!(of_a_mirror.state().outages, 2, "a mirror is left alone again");
}

#[test]
fn an_outage_that_names_its_length_is_believed_within_bounds() {
    let breaker = Breaker::after(1);
    let now = Instant::now();
    breaker.enter().unwrap().failed(false, Duration::from_secs(3600), "it answered 503");
    assert!(breaker.enter_at(now + LONGEST_OPEN / 2).is_err());
    assert!(breaker.enter_at(now + LONGEST_OPEN + OPEN).is_ok());
}

#[test]
fn a_pause_that_was_asked_for_is_kept_whatever_older_questions_bring() {
    let breaker = Breaker::after(OUTAGES);
    let older = breaker.enter().unwrap();
    breaker.enter().unwrap().throttled(Some(MINUTE));
    older.answered();
    let Err(Shut::Throttled(left)) = breaker.enter() else { panic!("no pause") };
    assert!(left <= MINUTE && left > MINUTE / 2 && breaker.is_suspect());
    let probe = breaker.enter_at(Instant::now() + MINUTE).unwrap();
    assert!(breaker.enter_at(Instant::now() + MINUTE).is_err(), "one at a time");
    drop(probe);
}

#[test]
fn an_upstream_that_does_not_answer_is_suspect_until_it_does() {
    let breaker = Breaker::after(OUTAGES);
    fail(breaker.enter().unwrap());
    assert!(!breaker.is_suspect(), "it answered, if only that it is out");
    breaker.enter().unwrap().failed(true, Duration::ZERO, "no answer");
    assert!(breaker.is_suspect());
    breaker.enter().unwrap().answered();
    assert!(!breaker.is_suspect());
    breaker.doubt();
    assert!(breaker.is_suspect());
    breaker.enter().unwrap().answered();
    breaker.enter().unwrap().throttled(None);
    assert!(breaker.is_suspect() && breaker.enter().is_ok());
}

#[test]
fn late_answers_and_long_waits_are_no_sign_of_health() {
    let breaker = Breaker::after(OUTAGES);
    let long_ago = Instant::now() - 2 * PATIENCE;
    drop(breaker.enter_at(long_ago).unwrap());
    assert!(breaker.is_suspect(), "given up after a long wait");
    assert!(breaker.is_silent());
    breaker.enter_at(long_ago).unwrap().answered();
    assert!(breaker.is_suspect() && !breaker.is_silent(), "an answer, but late");
    breaker.enter().unwrap().answered();
    drop(breaker.enter().unwrap());
    assert!(!breaker.is_suspect(), "given up at once");
}

#[test]
fn what_is_given_up_tells_nothing_unless_a_head_of_the_registry_is_missing() {
    let breaker = Breaker::after(OUTAGES);
    let long_ago = || breaker.enter_at(Instant::now() - 2 * PATIENCE).unwrap();
    let mut with_a_slow_body = long_ago();
    with_a_slow_body.heard();
    drop(with_a_slow_body);
    let mut in_its_second_attempt = long_ago();
    in_its_second_attempt.asks();
    drop(in_its_second_attempt);
    let mut of_a_blob = long_ago();
    of_a_blob.may_lead_elsewhere();
    drop(of_a_blob);
    assert!(!breaker.is_suspect());
}

#[test]
fn an_answer_is_late_by_its_own_attempt_alone() {
    let breaker = Breaker::after(OUTAGES);
    breaker.doubt();
    let mut pass = breaker.enter_at(Instant::now() - 2 * PATIENCE).unwrap();
    pass.asks();
    pass.answered();
    assert!(!breaker.is_suspect());
}

#[test]
fn a_question_that_our_rules_forbid_tells_nothing() {
    let (breaker, later) = opened();
    breaker.enter_at(later).unwrap().unasked();
    assert!(breaker.is_suspect() && breaker.is_silent() && breaker.enter().is_err());
    let healthy = Breaker::after(OUTAGES);
    healthy.enter_at(Instant::now() - 2 * PATIENCE).unwrap().unasked();
    assert!(!healthy.is_suspect());
}

#[test]
fn a_pause_of_a_day_lets_one_try_after_a_quarter_of_an_hour() {
    let breaker = Breaker::after(OUTAGES);
    breaker.enter().unwrap().throttled(Some(24 * 60 * MINUTE));
    let now = Instant::now();
    assert!(matches!(breaker.enter_at(now + 14 * MINUTE), Err(Shut::Throttled(_))));
    let probe = breaker.enter_at(now + 15 * MINUTE).unwrap();
    assert!(breaker.enter_at(now + 15 * MINUTE).is_err(), "one at a time");
    drop(probe);
}
