use std::{future::ready, time::Duration};

use super::*;

const FIRST: Timestamp = Timestamp::from_millis(1_764_000_000_000);
const SECOND: Timestamp = Timestamp::from_millis(1_764_000_000_001);

fn now() -> i64 {
    Monotonic::now().as_millis()
}

/// An arrival in a later nanosecond than what came before.
fn arrival() -> Arrival {
    std::thread::sleep(Duration::from_micros(1));
    Arrival::now()
}

fn fails(kind: StoreErrorKind) -> Result<Option<Timestamp>, StoreError> {
    Err(StoreError::new(kind))
}

// T74
#[test]
fn what_is_known_is_young_for_two_seconds_and_believed_for_five() {
    let horizon = Horizon::shared();
    assert_eq!(horizon.age(), Age::Old, "nothing is known yet");
    let now = Monotonic::now();
    let ages = [0, 1_999, 2_000, 5_000, 5_001].map(|age| {
        horizon
            .asked
            .store(now.as_millis() - age, Ordering::Release);
        horizon.age_at(now)
    });

    assert_eq!(ages, [Age::Young, Age::Young, Age::Due, Age::Due, Age::Old]);
    assert_eq!(Horizon::of_process().age_at(now), Age::Young);
}

// T74
#[test]
fn a_message_makes_it_due_after_200_ms_until_an_answer_to_a_later_question() {
    let horizon = Horizon::shared();
    let now = Monotonic::now();
    let age = |asked: i64, reported: i64| {
        horizon
            .asked
            .store(now.as_millis() - asked, Ordering::Release);
        horizon
            .reported
            .store(now.as_millis() - reported, Ordering::Release);
        horizon.age_at(now)
    };

    assert_eq!(age(199, 0), Age::Young);
    assert_eq!(age(200, 0), Age::Due);
    assert_eq!(age(200, 200), Age::Due, "in the same millisecond");
    assert_eq!(age(200, 201), Age::Young);
    // Without an answer it counts for as long as what is known.
    age(6_000, 5_000);
    assert!(horizon.is_reported_at(now.as_millis()));
    age(6_000, 5_001);
    assert!(!horizon.is_reported_at(now.as_millis()));
}

// T74
#[test]
fn only_a_message_of_a_later_moment_counts_and_only_where_others_can_end_sessions() {
    let hears = |horizon: &Horizon, moment| {
        horizon.reported.store(NEVER, Ordering::Release);
        horizon.hear(moment);
        horizon.is_reported_at(now())
    };
    let shared = Horizon::shared();

    assert!(hears(&shared, FIRST));
    shared.note(FIRST);

    assert!(!hears(&shared, FIRST));
    assert!(!hears(&shared, FIRST.minus(Duration::from_millis(1))));
    assert!(hears(&shared, SECOND));
    assert!(!hears(&Horizon::of_process(), FIRST));
}

// T74
#[test]
fn only_a_request_that_came_after_a_moment_was_learned_knew_it() {
    let horizon = Horizon::shared();
    let before = arrival();
    horizon.note(SECOND);
    let after = arrival();

    // Neither is new.
    horizon.note(SECOND);
    horizon.note(FIRST);

    assert_eq!(horizon.moment(), Some(SECOND));
    assert_eq!(horizon.known_before(before), None);
    assert_eq!(horizon.known_before(after), Some(SECOND));
    horizon.learned.store(after.as_nanos(), Ordering::Release);
    assert_eq!(horizon.known_before(after), None, "at the same time");
}

// T74
#[test]
fn the_age_counts_from_the_question_and_one_is_asked_in_the_background_at_a_time() {
    let horizon = Horizon::shared();
    let mut began = 0;
    assert!(horizon.begins() && !horizon.begins());

    let answer = tokio_test::block_on(horizon.ask(|knows| {
        assert_eq!(knows, None);
        began = now();
        std::thread::sleep(Duration::from_millis(20));
        ready(Ok(Some(FIRST)))
    }));

    answer.unwrap();
    assert!(horizon.asked.load(Ordering::Acquire) <= began);
    assert_eq!(horizon.moment(), Some(FIRST));
    assert!(horizon.begins() && !horizon.begins());
    // The runtime of that one may have stopped.
    horizon.asking.store(now() - ASKED, Ordering::Release);
    assert!(horizon.begins());
}

// T74
#[test]
fn a_question_without_an_answer_makes_nothing_younger() {
    let horizon = Horizon::shared();

    let answer = tokio_test::block_on(horizon.ask(|_| ready(fails(StoreErrorKind::Timeout))));

    assert!(answer.is_err());
    assert_eq!(horizon.age(), Age::Old);
    assert!(horizon.begins());
}

#[test]
fn what_is_believed_is_not_asked_before_a_request_goes_on() {
    let horizon = Horizon::shared();
    horizon.asked.store(now() - DUE, Ordering::Release);
    let asks = |_| ready(Err(StoreError::new(StoreErrorKind::Corrupt)));

    tokio_test::block_on(horizon.catch_up(asks)).unwrap();
}

/// Whether a request that came at this moment asks now; or the kind of the failure that it shares.
fn asks(horizon: &Horizon, came: i64) -> Result<bool, StoreErrorKind> {
    let asks = horizon.asks(came).map_err(|error| error.kind())?;
    Ok(asks.is_some())
}

// T74
#[test]
fn one_of_those_that_wait_asks_and_the_next_one_if_it_is_dropped_or_silent() {
    let horizon = Horizon::shared();
    let first = horizon.asks(now()).unwrap();
    assert_eq!(asks(&horizon, now()), Ok(false));
    drop(first);

    let silent = horizon.asks(now()).unwrap().unwrap();
    let since = |ago| horizon.turn().asking = Some((silent.number, now() - ago));
    since(ASKED);
    let second = horizon.asks(now()).unwrap().unwrap();
    assert_ne!(second.number, silent.number);
    drop(silent);

    assert_eq!(asks(&horizon, now()), Ok(false), "the second one asks");
}

// T74
#[test]
fn those_that_wait_share_a_failure_and_a_request_that_comes_later_asks() {
    for kind in [StoreErrorKind::Unavailable, StoreErrorKind::Timeout] {
        let horizon = Horizon::shared();
        let came = now();
        let first = horizon.asks(came).unwrap().unwrap();
        let answer = horizon.ask_for_all(first.number, |_| ready(fails(kind)));

        assert!(tokio_test::block_on(answer).is_err());

        assert_eq!(asks(&horizon, came), Err(kind));
        let (at, _) = horizon.turn().failed.unwrap();
        assert_eq!(asks(&horizon, at), Err(kind), "it came meanwhile");
        // For as long as the store finds out whether its server is silent.
        let silent = kind == StoreErrorKind::Timeout;
        let later = [1, UNANSWERED - 1, UNANSWERED].map(|after| asks(&horizon, at + after));
        let shares = if silent { Err(kind) } else { Ok(true) };
        assert_eq!(later, [shares, shares, Ok(true)]);

        let next = horizon.asks(at + UNANSWERED).unwrap().unwrap();
        let answer = horizon.ask_for_all(next.number, |_| ready(Ok(None)));
        tokio_test::block_on(answer).unwrap();
        assert_eq!(asks(&horizon, came), Ok(true), "that failure is over");
    }
}
