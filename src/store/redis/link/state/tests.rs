//! What is known of an outage, and when a server counts as down.

use super::*;
use crate::store::StoreErrorKind;

#[test]
fn an_outage_is_known_though_no_call_has_met_it() {
    let mut state = State::new(0);

    state.still_down(Outage::new(StoreErrorKind::Unavailable, "refused"), 7);

    assert!(state.outage().is_some());
    assert!(matches!(state.find(8), Found::Soon(left) if left == Duration::from_millis(299)));
}

#[test]
fn an_outage_that_is_forgiven_is_the_same_outage() {
    let mut state = State::new(0);
    let refused = || Outage::new(StoreErrorKind::Unavailable, "refused");
    state.still_down(refused(), 7);
    assert!(matches!(state.find(400), Found::Down(_)));

    assert!(state.forgive(400));
    assert!(!state.forgive(401), "it is being tried");

    assert!(matches!(state.find(400), Found::Soon(Duration::MAX)));
    assert!(state.outage().is_some(), "not logged again");
    state.still_down(refused(), 410);
    assert!(matches!(state.find(410), Found::Soon(left) if left == Duration::from_millis(290)));
    assert!(matches!(state.find(700), Found::Down(_)));
    assert_eq!(state.down.map(|down| down.since), Some(7), "for the log");
}

#[test]
fn a_server_that_is_not_ready_now_and_then_is_not_down() {
    let mut state = State::new(0);
    for at in [0, UNREADY, 2 * UNREADY] {
        assert_eq!(state.not_ready(at), None, "nobody asked meanwhile");
    }
    assert_eq!(state.not_ready(3 * UNREADY - 1), None);
    assert_eq!(state.not_ready(3 * UNREADY), Some(2 * UNREADY));
}

#[test]
fn after_one_replacement_the_next_one_waits_two_seconds() {
    let mut state = State::new(0);
    assert!(state.may_replace(0));

    state.acquit(1_000);

    assert!(!state.may_replace(2_999));
    assert!(!state.ask(2_999));
    assert!(state.may_replace(3_000));
    assert!(state.ask(3_000), "the master of now");
    assert!(!state.may_replace(4_999));
}

#[test]
fn that_there_is_no_spare_is_news_once_it_is_so_twice_on_end() {
    let mut state = State::new(0);
    let refused = Outage::new(StoreErrorKind::Unavailable, "the certificate expired");
    let news = |state: &mut State, at| state.no_spare(&refused, at);

    assert!(!news(&mut state, 1_000), "the server may have just stopped");
    assert!(news(&mut state, 3_000));
    assert!(!news(&mut state, 5_000), "said once");
}

#[test]
fn a_refused_password_of_a_spare_is_news_at_once() {
    let mut state = State::new(0);
    let denied = Outage::new(StoreErrorKind::Denied, "WRONGPASS");

    assert!(state.no_spare(&denied, 1_000));
    assert!(!state.no_spare(&denied, 6_000), "said once");
}

#[test]
fn a_refused_password_is_shared_at_once_and_a_server_is_unready_for_five_seconds() {
    let mut state = State::new(0);
    state.still_down(Outage::new(StoreErrorKind::Denied, "refused"), 7);
    assert!(matches!(state.find(7), Found::Down(_)));

    assert!(!state.is_unready(0));
    state.not_ready(1_000);
    assert!(state.is_unready(5_999));
    assert!(!state.is_unready(6_000));
    state.ready();
    assert!(!state.is_unready(1_001));
}

#[test]
fn sentinels_are_asked_again_after_two_seconds_or_after_one_where_it_is_not_settled() {
    let mut state = State::new(0);
    assert!(state.ask(0));
    for (settled, due) in [(true, 7_000), (false, 6_000)] {
        state.asked(5_000, settled);
        assert_eq!((state.ask, state.ask_due), (false, due));
    }
}
