//! Who goes at the limit, and which notices stay.

use tower_user_sessions::{
    ClientClass, EndReason, Lifetime, Limit,
    store::{Created, End, ManualClock, Resolved, SeenDevice, SessionStore, Token, Which},
};

use super::{MINUTE, MS, SECOND, asks, makes, on_each_store, reads, signs_in, uses};
use crate::common::people::{ids, is_live, listed, token};

const PHONE: ClientClass = ClientClass::new(1);

/// The least of these by the text of its id comes first.
fn sorted(mut tokens: [Token; 2]) -> [Token; 2] {
    tokens.sort_by_key(|token| token.session_id().to_string());
    tokens
}

// T28
#[tokio::test]
async fn a_session_is_no_rival_from_its_deadline_on() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let over = token(store, "alice");
        let mut create = asks("alice", &over, clock);
        create.lifetime = Lifetime::new(MINUTE, MINUTE);
        makes(store, &create).await;
        clock.advance(MINUTE - MS);
        assert!(is_live(store, &over).await, "its idle time begins again");
        let other = token(store, "alice");
        let mut create = asks("alice", &other, clock);
        create.limit = Limit::at_most(1).refuse();
        let refused = store.create(&create).await.unwrap();
        assert!(matches!(refused, Created::LimitReached(_)), "{refused:?}");

        clock.advance(MS);

        makes(store, &create).await;
    }
    on_each_store!(rule);
}

// T26
#[tokio::test]
async fn of_sessions_that_were_active_at_the_same_time_the_older_one_goes() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        for at in 0..8 {
            let user = format!("user {at}");
            let older = uses(store, &user, clock).await;
            clock.advance(SECOND);
            let newer = uses(store, &user, clock).await;
            assert!(is_live(store, &older).await);
            let mut create = asks(&user, &token(store, &user), clock);
            create.limit = Limit::at_most(2);

            let made = makes(store, &create).await;

            let evicted: Vec<_> = made.evicted.iter().map(|record| record.id).collect();
            assert_eq!(evicted, ids(&[&older]), "not {newer:?}");
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_refusing_limit_of_a_class_offers_the_sessions_of_that_class_alone() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let limit = Limit::at_most(3).of_class(PHONE, 1).refuse();
        let [desktop, phone, second_desktop, other_phone] = [(); 4].map(|()| token(store, "alice"));
        let of = |class, token: &Token| {
            let mut create = asks("alice", token, clock);
            (create.class, create.limit) = (class, limit);
            create
        };
        for (class, token) in [(ClientClass::default(), &desktop), (PHONE, &phone)] {
            makes(store, &of(class, token)).await;
            assert!(is_live(store, token).await);
        }
        match store.create(&of(PHONE, &other_phone)).await.unwrap() {
            Created::LimitReached(offered) => {
                let offered: Vec<_> = offered.iter().map(|record| record.id).collect();
                assert_eq!(offered, ids(&[&phone]));
            }
            other => panic!("{other:?}"),
        }
        // The class has no place left, and the user has one.
        makes(store, &of(ClientClass::default(), &second_desktop)).await;
        // The class has a place, and so has the user.
        let tablet = ClientClass::new(2);
        let mut create = asks("bob", &token(store, "bob"), clock);
        let first = token(store, "bob");
        makes(store, &asks("bob", &first, clock)).await;
        assert!(is_live(store, &first).await);
        create.class = tablet;
        create.limit = Limit::at_most(3).of_class(tablet, 1).refuse();
        makes(store, &create).await;
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn all_sessions_that_ended_for_one_sign_in_leave_notices_though_the_limit_is_smaller_now() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let mut tokens = Vec::new();
        for _ in 0..4 {
            tokens.push(uses(store, "alice", clock).await);
            clock.advance(MS);
        }
        let mut create = asks("alice", &token(store, "alice"), clock);
        create.limit = Limit::at_most(1);

        makes(store, &create).await;

        for token in &tokens {
            let answer = reads(store, token).await;
            assert!(matches!(answer, Resolved::Ended(_)), "{answer:?}");
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn of_many_notices_the_newest_stay() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let mut tokens = Vec::new();
        for _ in 0..6 {
            let token = signs_in(store, "alice", clock).await;
            let which = Which::One(token.session_id());
            store
                .end(&End::new(token.tag(), which, EndReason::Revoked))
                .await
                .unwrap();
            clock.advance(MS);
            tokens.push(token);
        }
        let mut create = asks("alice", &token(store, "alice"), clock);
        create.limit = Limit::at_most(2);

        makes(store, &create).await;

        for (at, token) in tokens.iter().enumerate() {
            let is_kept = matches!(reads(store, token).await, Resolved::Ended(_));
            assert_eq!(is_kept, at >= 4, "{at}");
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn of_notices_of_one_moment_that_of_the_replaced_session_stays() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let [replaced, ended] = sorted([(); 2].map(|()| token(store, "alice")));
        for token in [&replaced, &ended] {
            makes(store, &asks("alice", token, clock)).await;
            assert!(is_live(store, token).await);
        }
        let end = End::new(
            ended.tag(),
            Which::One(ended.session_id()),
            EndReason::Revoked,
        );
        store.end(&end).await.unwrap();
        let mut create = asks("alice", &token(store, "alice"), clock);
        create.limit = Limit::at_most(1);
        create.replaces = Some(replaced.session_id());

        makes(store, &create).await;

        let answer = reads(store, &replaced).await;
        assert!(matches!(answer, Resolved::Ended(_)), "{answer:?}");
        let answer = reads(store, &ended).await;
        assert!(matches!(answer, Resolved::Unknown), "{answer:?}");
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_device_is_new_at_the_end_of_its_time_and_in_the_answer_to_the_same_call() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let mut create = asks("alice", &token(store, "alice"), clock);
        let device = SeenDevice {
            digest: [7; 12],
            kept: MINUTE,
        };
        create.device = Some(device);

        assert!(makes(store, &create).await.new_device);
        assert!(makes(store, &create).await.new_device, "sent again");

        for (passed, is_new) in [(MINUTE - MS, false), (MINUTE, true)] {
            clock.advance(passed);
            let mut create = asks("alice", &token(store, "alice"), clock);
            create.device = Some(device);
            assert_eq!(makes(store, &create).await.new_device, is_new);
        }
        assert_eq!(
            listed(store, store.tag(&"alice".parse().unwrap()))
                .await
                .len(),
            3
        );
    }
    on_each_store!(rule);
}
