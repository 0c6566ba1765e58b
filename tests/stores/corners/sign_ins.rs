//! Sign-ins that replace a session, come with a ticket, or come late.

use std::time::Duration;

use tower_user_sessions::{
    Limit,
    store::{
        Authenticated, Create, Created, ManualClock, Offer, Redeem, Resolved, SessionStore,
        Ticketed,
    },
};

use super::{MINUTE, MS, SECOND, asks, makes, on_each_store, reads, uses};
use crate::common::people::{is_live, ticket, token};

#[tokio::test]
async fn a_browser_whose_session_was_evicted_does_not_end_the_one_that_evicted_it() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let evicted = uses(store, "alice", clock).await;
        clock.advance(SECOND);
        let other = token(store, "alice");
        let mut create = asks("alice", &other, clock);
        create.limit = Limit::at_most(1);
        let made = makes(store, &create).await;
        assert_eq!(made.evicted[0].id, evicted.session_id());
        assert!(is_live(store, &other).await);
        clock.advance(SECOND);
        let mut create = asks("alice", &token(store, "alice"), clock);
        create.replaces = Some(evicted.session_id());

        let made = makes(store, &create).await;

        assert_eq!(made.replaced, None);
        assert!(is_live(store, &other).await);
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn two_sign_ins_with_the_cookie_of_an_expired_session_leave_one() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let expired = uses(store, "alice", clock).await;
        clock.advance(30 * MINUTE);
        let [first, second] = [(); 2].map(|()| token(store, "alice"));
        for (token, replaced) in [(&first, None), (&second, Some(first.session_id()))] {
            let mut create = asks("alice", token, clock);
            create.replaces = Some(expired.session_id());

            assert_eq!(makes(store, &create).await.replaced, replaced);
        }
        assert!(!is_live(store, &first).await);
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_session_that_a_ticket_names_and_the_browser_has_ends_once() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let own = uses(store, "alice", clock).await;
        let (left, mut create) = offers(store, clock);
        refuses(store, &create).await;
        create.offer = None;
        create.replaces = Some(own.session_id());
        create.redeem = Some(Redeem {
            ticket: left,
            ends: Some(own.session_id()),
        });

        let made = makes(store, &create).await;

        assert_eq!(
            (made.replaced, made.evicted),
            (Some(own.session_id()), Vec::new())
        );
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_sign_in_by_ticket_was_never_authenticated_in_the_future() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        uses(store, "alice", clock).await;
        let (left, mut create) = offers(store, clock);
        refuses(store, &create).await;
        let now = clock.now();
        clock.set(now.minus(SECOND));
        (create.offer, create.limit) = (None, Limit::at_most(2));
        create.redeem = Some(Redeem {
            ticket: left,
            ends: None,
        });

        let made = makes(store, &create).await;

        assert_eq!(made.record.authenticated_at, clock.now());
    }
    on_each_store!(rule);
}

/// A ticket, and a sign-in that leaves it if it is refused at a limit of one.
fn offers<St: SessionStore>(store: &St, clock: &ManualClock) -> (Ticketed, Create) {
    let left = ticket(&token(store, "alice"));
    let mut create = asks("alice", &token(store, "alice"), clock);
    create.limit = Limit::at_most(1).refuse();
    create.offer = Some(Offer {
        ticket: left,
        terms: Vec::new(),
    });
    (left, create)
}

async fn refuses<St: SessionStore>(store: &St, create: &Create) {
    let refused = store.create(create).await.unwrap();
    assert!(matches!(refused, Created::LimitReached(_)), "{refused:?}");
}

#[tokio::test]
async fn a_ticket_works_for_five_minutes_and_not_longer() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        uses(store, "alice", clock).await;
        for (passed, works) in [(5 * MINUTE - MS, true), (5 * MINUTE, false)] {
            let (ticket, mut create) = offers(store, clock);
            refuses(store, &create).await;
            clock.advance(passed);
            assert_eq!(
                store.ticket(create.tag, &ticket).await.unwrap().is_some(),
                works
            );
            (create.offer, create.limit) = (None, Limit::at_most(9));
            create.redeem = Some(Redeem { ticket, ends: None });

            let created = store.create(&create).await.unwrap();

            assert_eq!(!matches!(created, Created::NoTicket), works, "{created:?}");
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_refused_sign_in_that_is_sent_again_takes_no_place_of_another_ticket() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        uses(store, "alice", clock).await;
        let mut tickets = Vec::new();
        for _ in 0..4 {
            clock.advance(MS);
            let (ticket, create) = offers(store, clock);
            refuses(store, &create).await;
            refuses(store, &create).await;
            tickets.push(ticket);
        }
        for ticket in &tickets {
            let tag = store.tag(&"alice".parse().unwrap());
            assert!(store.ticket(tag, ticket).await.unwrap().is_some());
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn the_first_sign_in_of_a_user_is_too_old_a_day_after_it_was_authenticated() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let day = Duration::from_secs(24 * 60 * 60);
        for (age, is_too_old) in [(day - MS, false), (day, true)] {
            let user = format!("{age:?}");
            let new = token(store, &user);
            let mut create = asks(&user, &new, clock);
            create.authenticated = Authenticated::At(clock.now().minus(age));

            let created = store.create(&create).await.unwrap();

            assert_eq!(
                matches!(created, Created::TooOld),
                is_too_old,
                "{created:?}"
            );
            let found = reads(store, &new).await;
            assert_eq!(matches!(found, Resolved::Live(_)), !is_too_old, "{found:?}");
        }
    }
    on_each_store!(rule);
}
