//! After the sessions of all users have ended, and in an era that this began.

use tower_user_sessions::{
    Client, EndReason, Lifetime, Limit,
    store::{
        Arrival, Authenticated, Create, Created, Deadlines, End, List, Look, ManualClock, Presence,
        Redeem, Renewal, Resolved, Rotate, Rotated, Save, Saved, SessionStore, Timestamp, Token,
        Which,
    },
};

use super::{MINUTE, MS, SECOND, after, asks, makes, on_each_store, signs_in, uses};
use crate::common::people::{ids, is_live, leaves, set, ticket, token};

/// The moment at which an era begins now.
fn next_era(clock: &ManualClock) -> Timestamp {
    Timestamp::from_millis((1 << 46) + clock.now().as_millis())
}

/// A sign-in on a node that knows the moment.
fn asks_after(moment: Timestamp, token: &Token, clock: &ManualClock) -> Create {
    let mut create = asks("alice", token, clock);
    (create.not_before, create.arrived_after) = (Some(moment), Some(moment));
    create.authenticated = Authenticated::On(Arrival::now());
    create
}

/// A session that was created 2 ms after its user authenticated, and used.
async fn proven_earlier<St: SessionStore>(store: &St, clock: &ManualClock) -> Token {
    let token = token(store, "alice");
    let create = asks("alice", &token, clock);
    clock.advance(2 * MS);
    makes(store, &create).await;
    assert!(is_live(store, &token).await);
    token
}

#[tokio::test]
async fn a_session_in_use_is_over_if_it_was_proven_or_created_before_the_moment() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let proven = clock.now();
        let token = proven_earlier(store, clock).await;

        assert!(matches!(
            after(store, &token, proven).await,
            Resolved::Live(_)
        ));
        let over = after(store, &token, proven.plus(MS)).await;
        assert!(matches!(over, Resolved::Ended(_)), "{over:?}");

        let created = clock.now();
        let token = uses(store, "bob", clock).await;
        clock.advance(2 * MS);
        let next = token.renewed().unwrap();
        let renewal = Renewal::Proven {
            authenticated: Authenticated::At(clock.now()),
            lifetime: Lifetime::default(),
        };
        let rotated = store.rotate(&Rotate::new(&token, &next, renewal)).await;
        assert!(matches!(rotated, Ok(Rotated::Rotated(_))), "{rotated:?}");

        assert!(matches!(
            after(store, &next, created).await,
            Resolved::Live(_)
        ));
        let over = after(store, &next, created.plus(MS)).await;
        assert!(matches!(over, Resolved::Ended(_)), "{over:?}");
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_session_that_was_proven_before_the_moment_is_not_listed_saved_or_looked_at_as_live() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let moment = clock.now().plus(MS);
        let token = proven_earlier(store, clock).await;
        let mut list = List::new(token.tag());
        list.not_before = Some(moment);
        assert_eq!(store.list(&list).await.unwrap(), []);
        let mut save = Save::new(token.tag(), token.session_id(), set("a", "b"));
        save.not_before = Some(moment);
        assert_eq!(store.save(&save).await.unwrap(), Saved::Ended);
        let mut look = Look::new(token.tag(), vec![token.session_id()]);
        look.not_before = Some(moment);
        let looked = store.look(&look).await.unwrap().sessions;
        assert!(matches!(looked[..], [Presence::Ended(_)]), "{looked:?}");
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_session_that_was_proven_before_the_moment_takes_no_place_of_the_limit() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let moment = clock.now().plus(MS);
        proven_earlier(store, clock).await;
        clock.advance(MS);
        let other = token(store, "alice");
        let mut create = asks("alice", &other, clock);
        create.limit = Limit::at_most(1).refuse();
        create.not_before = Some(moment);

        makes(store, &create).await;
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn an_end_of_all_sessions_of_a_user_leaves_notices_of_those_from_before_the_moment() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let old = signs_in(store, "alice", clock).await;
        clock.advance(MS);
        let moment = clock.now();
        let new = signs_in(store, "alice", clock).await;
        let id = new.session_id();
        let mut end = End::new(new.tag(), Which::Others(id), EndReason::Revoked);
        (end.caller, end.not_before) = (Some(id), Some(moment));

        store.end(&end).await.unwrap();

        let answer = after(store, &old, moment).await;
        assert!(matches!(answer, Resolved::Ended(_)), "{answer:?}");
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_session_from_before_the_moment_does_not_end_for_a_ticket_that_names_it() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let old = signs_in(store, "alice", clock).await;
        clock.advance(MS);
        let (moment, left) = (clock.now(), ticket(&token(store, "alice")));
        let other = token(store, "alice");
        leaves(store, asks("alice", &other, clock), left).await;
        let mut create = asks("alice", &other, clock);
        create.not_before = Some(moment);
        create.redeem = Some(Redeem {
            ticket: left,
            ends: Some(old.session_id()),
        });

        let made = makes(store, &create).await;

        assert_eq!(made.evicted, []);
        match after(store, &old, moment).await {
            Resolved::Ended(notice) => assert_eq!(notice.reason, EndReason::Everyone),
            other => panic!("{other:?}"),
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn the_second_session_of_an_era_is_live_in_it() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let moment = next_era(clock);
        for _ in 0..2 {
            let token = token(store, "alice");
            makes(store, &asks_after(moment, &token, clock)).await;

            let answer = after(store, &token, moment).await;

            assert!(matches!(answer, Resolved::Live(_)), "{answer:?}");
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_look_says_of_which_era_a_session_is() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let moment = next_era(clock);
        let token = token(store, "alice");
        let made = makes(store, &asks_after(moment, &token, clock)).await;
        let mut look = Look::new(token.tag(), vec![token.session_id()]);
        look.not_before = Some(moment);

        let looked = store.look(&look).await.unwrap().sessions;

        assert_eq!(looked, [Presence::Live(Deadlines::of(&made.record))]);
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_ticket_of_an_era_works_in_it_and_not_on_a_node_that_does_not_know_it() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let (moment, left) = (next_era(clock), ticket(&token(store, "alice")));
        let [first, other] = [(); 2].map(|()| token(store, "alice"));
        makes(store, &asks_after(moment, &first, clock)).await;
        let create = asks_after(moment, &other, clock);
        leaves(store, create.clone(), left).await;
        let mut redeems = create;
        redeems.redeem = Some(Redeem {
            ticket: left,
            ends: Some(first.session_id()),
        });
        let mut elsewhere = redeems.clone();
        (elsewhere.not_before, elsewhere.arrived_after) = (None, None);

        let rejected = store.create(&elsewhere).await.unwrap();
        assert!(matches!(rejected, Created::Rejected), "{rejected:?}");
        let made = makes(store, &redeems).await;

        assert_eq!(made.evicted[0].id, first.session_id());
        assert!(matches!(
            after(store, &other, moment).await,
            Resolved::Live(_)
        ));
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_session_of_an_era_that_was_shortened_is_not_prolonged_by_a_proof() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let moment = next_era(clock);
        let token = token(store, "alice");
        makes(store, &asks_after(moment, &token, clock)).await;
        clock.advance(9 * MINUTE);
        assert!(is_live(store, &token).await);
        let mut save = Save::new(token.tag(), token.session_id(), Default::default());
        save.shorten = Some(Lifetime::new(5 * MINUTE, 5 * MINUTE));
        store.save(&save).await.unwrap();
        clock.advance(MINUTE);
        let next = token.renewed().unwrap();
        let renewal = Renewal::Proven {
            authenticated: Authenticated::At(clock.now()),
            lifetime: Lifetime::new(30 * MINUTE, 30 * MINUTE),
        };

        let rotated = store.rotate(&Rotate::new(&token, &next, renewal)).await;

        let Ok(Rotated::Rotated(record)) = rotated else {
            panic!("{rotated:?}");
        };
        assert_eq!(record.deadline, clock.now().plus(5 * MINUTE));
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_session_of_an_era_that_nobody_uses_goes_first() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let moment = next_era(clock);
        let [used, unused, new] = [(); 3].map(|()| token(store, "alice"));
        makes(store, &asks_after(moment, &used, clock)).await;
        assert!(is_live(store, &used).await);
        clock.advance(SECOND);
        let mut create = asks_after(moment, &unused, clock);
        create.client = Client::new().with_user_agent(Some(b"Another browser/1.0"));
        makes(store, &create).await;
        clock.advance(21 * SECOND);
        let mut create = asks_after(moment, &new, clock);
        create.limit = Limit::at_most(2);

        let made = makes(store, &create).await;

        let evicted: Vec<_> = made.evicted.iter().map(|record| record.id).collect();
        assert_eq!(evicted, ids(&[&unused]));
    }
    on_each_store!(rule);
}
