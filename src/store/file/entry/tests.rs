//! What becomes of operations whose commit is on its way, lands or fails.

use std::time::Duration;

use super::*;
use crate::{
    model::{Arrival, EndReason, Limit, Token, UserId},
    store::{
        Authenticated, Create, Created, List, Which,
        file::log::{Value, What},
    },
};

const KEPT: Duration = Duration::from_secs(60);

fn tag() -> Tag {
    Tag::from_bytes([3; 12])
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000)
}

fn sign_in(entry: &mut Entry) -> (SessionId, oneshot::Receiver<Landing>, bool) {
    let token = Token::random(tag()).unwrap();
    let proof = Authenticated::On(Arrival::now());
    let create = Create::new(&token, UserId::new("alice").ok(), proof);
    match entry.change(|set| set.create(&create, now(), KEPT)) {
        Step::Changed(Created::Created(_), done, queue) => (create.id, done, queue),
        Step::Changed(..) | Step::Same(_) => panic!("it was refused"),
    }
}

fn live(entry: &Entry) -> Vec<SessionId> {
    let mut set = entry.set.clone();
    let listed = set.list(&List::new(tag()), now());
    listed.iter().map(|record| record.id).collect()
}

fn take_off(entry: &mut Entry) -> Group {
    let mut group = Group::new(1);
    entry.take_off(tag(), &mut group);
    group
}

/// How many sessions a commit writes.
fn written(entry: &mut Entry) -> usize {
    let group = take_off(entry);
    let mut value = Value::read(&group.values()[0]).unwrap();
    let What::Head(head) = value.next().unwrap().unwrap().what else {
        panic!("the set is gone");
    };
    let mut set = SessionSet::decode(head).unwrap();
    set.list(&List::new(tag()), now()).len()
}

#[test]
fn operations_during_a_commit_are_all_in_the_next_one() {
    let mut entry = Entry::default();
    let (first, mut done, queue) = sign_in(&mut entry);
    assert!(queue);
    assert_eq!(written(&mut entry), 1);

    let (second, mut behind, queue) = sign_in(&mut entry);
    assert!(queue);
    let (third, _, queue) = sign_in(&mut entry);

    assert!(!queue, "the set is queued already");
    assert_eq!(live(&entry), []);
    let landed = entry.land(true, false, now());
    assert_eq!((landed.waiting.len(), landed.behind.len()), (1, 0));
    assert_eq!(live(&entry), [first]);
    assert_eq!(written(&mut entry), 3);
    assert!(done.try_recv().is_err() && behind.try_recv().is_err());
    assert_eq!(entry.land(true, false, now()).waiting.len(), 2);
    assert_eq!(live(&entry), [first, second, third]);
    assert!(entry.is_idle());
}

#[test]
fn operations_behind_a_commit_that_failed_run_again() {
    let mut entry = Entry::default();
    let _first = sign_in(&mut entry);
    take_off(&mut entry);
    let _behind = sign_in(&mut entry);

    let landed = entry.land(false, false, now());

    assert_eq!((landed.waiting.len(), landed.behind.len()), (1, 1));
    assert_eq!(live(&entry), []);
    assert!(entry.is_idle());
}

#[test]
fn an_end_names_what_a_sign_in_on_its_way_evicts_and_what_that_made() {
    for which in [0, 1] {
        let mut entry = Entry::default();
        let (first, ..) = sign_in(&mut entry);
        entry.take_off(tag(), &mut Group::new(0));
        entry.land(true, false, now());
        let token = Token::random(tag()).unwrap();
        let proof = Authenticated::On(Arrival::now());
        let mut create = Create::new(&token, UserId::new("alice").ok(), proof);
        create.limit = Limit::at_most(1);
        entry.change(|set| set.create(&create, now(), KEPT));
        entry.take_off(tag(), &mut Group::new(0));

        let (which, mut ended) = match which {
            0 => (Which::One(first), vec![first]),
            _ => (Which::All, vec![first, create.id]),
        };
        let end = End::new(tag(), which, EndReason::Administrator);
        let (_, all) = entry.end(&end, |set, end| set.end(end, now(), KEPT));

        ended.sort_unstable_by_key(|id| *id.as_bytes());
        assert_eq!(all, ended);
    }
}

#[test]
fn an_end_during_a_commit_is_in_effect_before_it_and_after_it() {
    for written in [true, false] {
        let mut entry = Entry::default();
        let (first, ..) = sign_in(&mut entry);
        take_off(&mut entry);
        entry.land(true, false, now());
        let (second, ..) = sign_in(&mut entry);
        take_off(&mut entry);
        let (third, ..) = sign_in(&mut entry);

        let end = End::new(tag(), Which::All, EndReason::Administrator);
        let (step, _) = entry.end(&end, |set, end| set.end(end, now(), KEPT));

        let Step::Changed(Ended::Ended { ids, .. }, ..) = step else {
            panic!("nothing ended");
        };
        assert!(ids.contains(&first) && ids.contains(&second) && ids.contains(&third));
        assert_eq!(live(&entry), []);
        entry.land(written, false, now());
        assert_eq!(live(&entry), []);
    }
}

#[test]
fn a_copy_that_is_written_has_the_activity_of_requests_since_it_was_made() {
    let mut entry = Entry::default();
    let (first, ..) = sign_in(&mut entry);
    take_off(&mut entry);
    entry.land(true, false, now());
    let _second = sign_in(&mut entry);
    let later = now().plus(KEPT);
    entry.set.saw(|id| (id == first).then_some(later));

    let group = take_off(&mut entry);

    let mut value = Value::read(&group.values()[0]).unwrap();
    let What::Head(head) = value.next().unwrap().unwrap().what else {
        panic!("the set is gone");
    };
    let set = SessionSet::decode(head).unwrap();
    assert_eq!(set.last_activity(first), Some(later));
}
