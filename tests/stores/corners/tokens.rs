//! New tokens and re-authentications.

use tower_user_sessions::{
    Lifetime,
    store::{
        Authenticated, ManualClock, Record, Renewal, Resolved, Rotate, Rotated, Salt, Save,
        SessionStore, Timestamp, Token,
    },
};

use super::{MINUTE, MS, SECOND, after, asks, makes, on_each_store, reads, signs_in, uses};
use crate::common::people::{is_live, token};

/// The session of this token has the next one, because its user authenticated at that moment.
async fn proves<St: SessionStore>(
    store: &St,
    token: &Token,
    at: Timestamp,
    lifetime: Lifetime,
) -> (Token, Record) {
    let next = token.renewed().unwrap();
    let renewal = Renewal::Proven {
        authenticated: Authenticated::At(at),
        lifetime,
    };
    match store.rotate(&Rotate::new(token, &next, renewal)).await {
        Ok(Rotated::Rotated(record)) => (next, *record),
        other => panic!("{other:?}"),
    }
}

fn derives(token: &Token, salt: u8) -> (Token, Rotate) {
    let salt = Salt::from_bytes([salt; 16]);
    let next = token.successor(&salt);
    let rotate = Rotate::new(token, &next, Renewal::Derived(salt));
    (next, rotate)
}

#[tokio::test]
async fn a_token_that_no_request_sent_before_gets_no_successor_while_the_previous_one_works() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let first = uses(store, "alice", clock).await;
        let (second, rotate) = derives(&first, 1);
        assert!(matches!(
            store.rotate(&rotate).await,
            Ok(Rotated::Rotated(_))
        ));

        let (_third, rotate) = derives(&second, 2);
        let rotated = store.rotate(&rotate).await;

        assert!(matches!(rotated, Ok(Rotated::Kept)), "{rotated:?}");
        clock.advance(29 * SECOND);
        assert!(matches!(reads(store, &first).await, Resolved::Live(_)));
        assert!(is_live(store, &second).await);
        clock.advance(SECOND);
        let answer = reads(store, &first).await;
        assert!(matches!(answer, Resolved::Reused(_)), "{answer:?}");
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_proof_sets_no_time_that_is_impossible() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let lifetime = Lifetime::new(10 * MINUTE, 30 * MINUTE);
        clock.advance(MINUTE);
        let created = clock.now();
        let token = uses(store, "alice", clock).await;

        // In the future, and before the session began.
        let (token, record) = proves(store, &token, created.plus(MINUTE), lifetime).await;
        assert_eq!(record.authenticated_at, created);
        let (token, record) = proves(store, &token, created.minus(SECOND), lifetime).await;
        assert_eq!(record.authenticated_at, created);
        assert_eq!(record.deadline, created.plus(30 * MINUTE));

        // The clock is set back, and the last activity stays.
        clock.set(created.minus(SECOND));
        let (_, record) = proves(store, &token, clock.now(), lifetime).await;
        assert_eq!(record.last_activity, created);
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn no_proof_prolongs_the_lifetime_of_a_session_that_began_with_an_older_proof() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let (created, longer) = (clock.now(), Lifetime::new(60 * MINUTE, 60 * MINUTE));
        let old = token(store, "alice");
        let create = asks("alice", &old, clock);
        clock.advance(5 * MINUTE);
        let made = makes(store, &create).await;
        assert_eq!(made.record.authenticated_at, created);
        // Proven between that moment and the sign-in.
        let between = created.plus(MINUTE);
        let (mut last, record) = proves(store, &old, between, longer).await;
        assert_eq!(record.deadline, clock.now().plus(30 * MINUTE));
        for _ in 0..3 {
            clock.advance(5 * MINUTE);
            let (next, record) = proves(store, &last, clock.now(), longer).await;

            assert_eq!(record.deadline, clock.now().plus(30 * MINUTE));
            assert_eq!(record.idle, 10 * MINUTE);
            last = next;
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_longer_lifetime_that_was_set_later_does_not_prolong_a_shortened_session() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let token = uses(store, "alice", clock).await;
        clock.advance(5 * MINUTE);
        for minutes in [8, 10] {
            let mut save = Save::new(token.tag(), token.session_id(), Default::default());
            save.shorten = Some(Lifetime::new(minutes * MINUTE, minutes * MINUTE));
            store.save(&save).await.unwrap();
        }

        let lifetime = Lifetime::new(30 * MINUTE, 30 * MINUTE);
        let (_, record) = proves(store, &token, clock.now(), lifetime).await;

        assert_eq!(record.deadline, clock.now().plus(8 * MINUTE));
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_proof_gives_a_token_whose_time_is_over_no_time_back() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let first = uses(store, "alice", clock).await;
        let (second, rotate) = derives(&first, 1);
        store.rotate(&rotate).await.unwrap();
        assert!(is_live(store, &second).await);
        clock.advance(20 * SECOND);
        let lifetime = Lifetime::new(10 * MINUTE, 30 * MINUTE);
        let (third, _) = proves(store, &second, clock.now(), lifetime).await;

        for token in [&first, &second] {
            let answer = reads(store, token).await;
            assert!(matches!(answer, Resolved::Ended(_)), "{answer:?}");
        }
        clock.advance(10 * SECOND);
        let answer = reads(store, &first).await;
        assert!(matches!(answer, Resolved::Reused(_)), "{answer:?}");
        let answer = reads(store, &second).await;
        assert!(matches!(answer, Resolved::Ended(_)), "{answer:?}");
        assert!(is_live(store, &third).await);
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_token_that_a_proof_stopped_opens_nothing_once_all_have_ended() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let old = uses(store, "alice", clock).await;
        let lifetime = Lifetime::new(10 * MINUTE, 30 * MINUTE);
        let (new, _) = proves(store, &old, clock.now(), lifetime).await;
        clock.advance(MS);

        let answer = after(store, &old, clock.now()).await;

        assert!(matches!(answer, Resolved::Unknown), "{answer:?}");
        let answer = after(store, &new, clock.now()).await;
        assert!(matches!(answer, Resolved::Ended(_)), "{answer:?}");
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn the_first_request_of_a_session_does_not_move_its_activity_back() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let began = clock.now();
        let token = signs_in(store, "alice", clock).await;
        clock.set(began.minus(SECOND));

        assert!(is_live(store, &token).await);

        match reads(store, &token).await {
            Resolved::Live(found) => assert_eq!(found.record.last_activity, began),
            other => panic!("{other:?}"),
        }
    }
    on_each_store!(rule);
}
