//! What requests do while a commit is on its way is not undone by it.

use std::time::Duration;

use super::*;
use crate::{
    model::{EndReason, Lifetime, Salt, Token, UserId},
    store::{
        Authenticated, Changes, Create, List, Renewal, Resolve, Resolved, Rotate, Save, Which,
    },
};

const KEPT: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn tag() -> Tag {
    Tag::from_bytes([3; 12])
}

fn after(time: Duration) -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000).plus(time)
}

/// A session on the disk, which expires an hour after its last request.
fn begins(entry: &mut Entry, user: Option<&str>) -> Token {
    let token = Token::random(tag()).unwrap();
    let user = user.map(|user| UserId::new(user).unwrap());
    let mut create = Create::new(&token, user, Authenticated::At(after(Duration::ZERO)));
    create.lifetime = Lifetime::new(HOUR, HOUR * 24);
    entry.change(|set| set.create(&create, after(Duration::ZERO), KEPT));
    lands(entry, Duration::ZERO);
    sends(entry, &token, Duration::ZERO);
    token
}

fn lands(entry: &mut Entry, at: Duration) {
    takes_off(entry);
    entry.land(true, false, after(at));
}

fn takes_off(entry: &mut Entry) {
    entry.take_off(tag(), &mut Group::new(1));
}

fn sends(entry: &mut Entry, token: &Token, at: Duration) -> Resolved {
    let resolve = Resolve::new(token.clone());
    entry.set.resolve(&resolve, after(at), KEPT)
}

/// A change of the session is on its way to the disk.
fn saves(entry: &mut Entry, token: &Token, at: Duration) {
    let mut changes = Changes::default();
    changes.set("cart", "apple");
    let save = Save::new(tag(), token.session_id(), changes);
    entry.change(|set| set.save(&save, after(at)));
    takes_off(entry);
}

#[test]
fn a_session_that_a_request_found_expired_is_reported_once() {
    let mut entry = Entry::default();
    let token = begins(&mut entry, Some("alice"));
    saves(&mut entry, &token, HOUR / 2);
    let first = sends(&mut entry, &token, HOUR);
    assert!(matches!(first, Resolved::Expired(record) if !record.was_found_expired()));

    entry.land(true, false, after(HOUR));

    let again = sends(&mut entry, &token, HOUR + SECOND);
    assert!(
        matches!(&again, Resolved::Expired(record) if record.was_found_expired()),
        "{again:?}"
    );
    assert_eq!(entry.set.parts().count(), 0, "its data are gone too");
}

#[test]
fn a_guest_session_that_a_request_found_expired_is_reported_once() {
    let mut entry = Entry::default();
    let token = begins(&mut entry, None);
    saves(&mut entry, &token, HOUR / 2);
    let first = sends(&mut entry, &token, HOUR);
    assert!(matches!(first, Resolved::Expired(_)), "{first:?}");

    entry.land(true, false, after(HOUR));

    let again = sends(&mut entry, &token, HOUR + SECOND);
    assert!(matches!(again, Resolved::Unknown), "{again:?}");
}

#[test]
fn an_expired_session_that_a_list_dropped_does_not_come_back() {
    let mut entry = Entry::default();
    let token = begins(&mut entry, Some("alice"));
    saves(&mut entry, &token, HOUR / 2);
    entry.set.list(&List::new(tag()), after(HOUR));

    entry.land(true, false, after(HOUR));

    let again = sends(&mut entry, &token, HOUR + SECOND);
    assert!(matches!(again, Resolved::Unknown), "{again:?}");
}

#[test]
fn a_session_that_the_commit_makes_or_renews_is_not_taken_for_an_expired_one() {
    let mut entry = Entry::default();
    let token = begins(&mut entry, Some("alice"));
    let next = token.renewed().unwrap();
    let renewal = Renewal::Proven {
        authenticated: Authenticated::At(after(HOUR / 2)),
        lifetime: Lifetime::new(HOUR, HOUR * 24),
    };
    let rotate = Rotate::new(&token, &next, renewal);
    entry.change(|set| set.rotate(&rotate, after(HOUR / 2), KEPT));
    let other = Token::random(tag()).unwrap();
    let proof = Authenticated::At(after(HOUR / 2));
    let create = Create::new(&other, UserId::new("alice").ok(), proof);
    entry.change(|set| set.create(&create, after(HOUR / 2), KEPT));
    takes_off(&mut entry);
    // With the old token it is over for requests.
    let old = sends(&mut entry, &token, HOUR);
    assert!(matches!(old, Resolved::Expired(_)), "{old:?}");

    entry.land(true, false, after(HOUR));

    for token in [next, other] {
        let found = sends(&mut entry, &token, HOUR);
        assert!(matches!(found, Resolved::Live(_)), "{found:?}");
    }
}

#[test]
fn a_token_from_before_a_reauthentication_is_reported_once() {
    let mut entry = Entry::default();
    let old = begins(&mut entry, Some("alice"));
    let token = old.renewed().unwrap();
    let renewal = Renewal::Proven {
        authenticated: Authenticated::At(after(SECOND)),
        lifetime: Lifetime::new(HOUR, HOUR * 24),
    };
    let mut rotate = Rotate::new(&old, &token, renewal);
    rotate.grace = SECOND;
    entry.change(|set| set.rotate(&rotate, after(SECOND), KEPT));
    lands(&mut entry, SECOND);
    sends(&mut entry, &token, SECOND);
    // The next rotation keeps the old token as the second one.
    let salt = Salt::from_bytes([1; 16]);
    let rotate = Rotate::new(&token, &token.successor(&salt), Renewal::Derived(salt));
    entry.change(|set| set.rotate(&rotate, after(SECOND * 3), KEPT));
    takes_off(&mut entry);
    let first = sends(&mut entry, &old, SECOND * 4);
    assert!(
        matches!(&first, Resolved::Reused(reused) if !reused.ended),
        "{first:?}"
    );

    entry.land(true, false, after(SECOND * 4));

    let again = sends(&mut entry, &old, SECOND * 5);
    assert!(matches!(again, Resolved::Unknown), "{again:?}");
    let current = sends(&mut entry, &token, SECOND * 5);
    assert!(matches!(current, Resolved::Live(_)), "{current:?}");
}

#[test]
fn a_new_token_that_is_sent_to_be_renewed_counts_as_sent_although_it_is_too_early_for_that() {
    let mut entry = Entry::default();
    let old = begins(&mut entry, Some("alice"));
    let rotates = |entry: &mut Entry, token: &Token, at| {
        let salt = Salt::from_bytes([1; 16]);
        let next = token.successor(&salt);
        let mut rotate = Rotate::new(token, &next, Renewal::Derived(salt));
        rotate.grace = SECOND;
        entry.change(|set| set.rotate(&rotate, after(at), KEPT));
        lands(entry, at);
        next
    };
    let token = rotates(&mut entry, &old, SECOND);

    rotates(&mut entry, &token, SECOND * 2);

    let current = sends(&mut entry, &token, SECOND * 3);
    assert!(matches!(current, Resolved::Live(_)), "{current:?}");
    let reused = sends(&mut entry, &old, SECOND * 3);
    assert!(matches!(reused, Resolved::Reused(_)), "{reused:?}");
}

/// The user enters the password again.
fn proves(entry: &mut Entry, token: &Token) -> Token {
    let next = token.renewed().unwrap();
    let renewal = Renewal::Proven {
        authenticated: Authenticated::At(after(SECOND)),
        lifetime: Lifetime::new(HOUR, HOUR),
    };
    let mut rotate = Rotate::new(token, &next, renewal);
    rotate.grace = SECOND * 2;
    entry.change(|set| set.rotate(&rotate, after(SECOND), KEPT));
    lands(entry, SECOND);
    next
}

#[test]
fn of_two_tokens_of_re_authentications_the_one_that_is_sent_stays_the_current_one() {
    let mut entry = Entry::default();
    let old = begins(&mut entry, Some("alice"));
    let [first, second] = [(); 2].map(|()| proves(&mut entry, &old));
    saves(&mut entry, &second, SECOND);
    let kept = sends(&mut entry, &first, SECOND * 2);
    assert!(matches!(kept, Resolved::Live(_)), "{kept:?}");

    entry.land(true, false, after(SECOND * 2));

    let current = sends(&mut entry, &first, SECOND * 4);
    assert!(matches!(current, Resolved::Live(_)), "{current:?}");
    let other = sends(&mut entry, &second, SECOND * 4);
    assert!(matches!(other, Resolved::Reused(_)), "{other:?}");
}

#[test]
fn a_session_does_not_end_without_the_data_that_is_on_its_way_to_the_disk() {
    for lands_before in [true, false] {
        let mut entry = Entry::default();
        let token = begins(&mut entry, None);
        let id = token.session_id();
        let live = |set: &SessionSet| {
            let sessions = set.clone().list(&List::new(tag()), after(SECOND));
            sessions.first().map(|record| record.revision)
        };
        let ends = |entry: &mut Entry, read_at| {
            let mut end = End::new(tag(), Which::One(id), EndReason::Replaced);
            end.read_at = read_at;
            entry
                .end(&end, |set, end| set.end(end, after(SECOND), KEPT))
                .0
        };
        let read_at = live(&entry.set);
        saves(&mut entry, &token, SECOND);
        let newest = entry.pending.as_deref().and_then(Pending::newest);
        let newest = newest.and_then(live);
        if lands_before {
            entry.land(true, false, after(SECOND));
        }

        let Step::Same(Ended::Ended { ids, data, .. }) = ends(&mut entry, read_at) else {
            panic!("it ended");
        };
        assert_eq!(ids, []);
        assert_eq!(data.unwrap().get("cart").as_deref(), Some(&b"apple"[..]));
        assert!(live(&entry.set).is_some());

        let step = ends(&mut entry, newest);
        assert!(matches!(step, Step::Changed(Ended::Ended { ids, .. }, ..) if ids == [id]));
        assert_eq!(live(&entry.set), None);
        entry.land(true, false, after(SECOND));
        assert_eq!(live(&entry.set), None);
    }
}

#[test]
fn the_token_that_a_request_sent_is_written_after_a_commit_that_does_not_have_it() {
    for is_first in [true, false] {
        let mut entry = Entry::default();
        let old = begins(&mut entry, Some("alice"));
        let [first, second] = [(); 2].map(|()| proves(&mut entry, &old));
        let mut changes = Changes::default();
        changes.set("cart", "apple");
        let save = Save::new(tag(), old.session_id(), changes);
        entry.change(|set| set.save(&save, after(SECOND)));
        // Both are in one commit, so what the request did is not queued any more.
        sends(
            &mut entry,
            if is_first { &first } else { &second },
            SECOND * 2,
        );
        takes_off(&mut entry);

        let landed = entry.land(true, false, after(SECOND * 2));

        assert_eq!(landed.again, is_first);
    }
}
