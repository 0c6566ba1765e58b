//! Ends, and what is read of sessions without a token.

use tower_user_sessions::{
    Client, EndReason, Lifetime,
    store::{
        Authenticated, Create, End, Ended, LastSeen, Look, ManualClock, NoteClient, Presence,
        Renewal, Resolved, Rotate, Salt, Save, Saved, SessionStore, Token, Which,
    },
};

use super::{MINUTE, asks, makes, on_each_store, reads, signs_in, uses};
use crate::common::people::{guest, is_live, set, token};

#[tokio::test]
async fn a_session_can_be_ended_by_one_that_has_ended_itself() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let by = token(store, "alice");
        let mut create = asks("alice", &by, clock);
        create.client = Client::new().with_user_agent(Some(b"A browser with a long name/1.0"));
        makes(store, &create).await;
        let first = signs_in(store, "alice", clock).await;
        let mut end = End::new(by.tag(), Which::One(by.session_id()), EndReason::Revoked);
        end.by = Some(by.session_id());
        store.end(&end).await.unwrap();
        let mut end = End::new(by.tag(), Which::One(first.session_id()), EndReason::Revoked);
        end.by = Some(by.session_id());

        store.end(&end).await.unwrap();

        match reads(store, &first).await {
            Resolved::Ended(notice) => {
                assert_eq!(notice.by, Some(by.session_id()));
                assert_eq!(notice.by_client(), None);
            }
            other => panic!("{other:?}"),
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_notice_names_the_client_of_a_session_that_was_shortened_and_used_by_another_client() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let by = token(store, "alice");
        let client = Client::new().with_user_agent(Some(b"Browser/1.0"));
        let mut create = asks("alice", &by, clock);
        create.client = client.clone();
        let made = makes(store, &create).await;
        let other = Client::new().with_user_agent(Some(b"Other/1.0"));
        let seen = LastSeen::new(other, clock.now());
        let note = NoteClient::new(by.tag(), made.record, seen);
        assert!(store.note_client(&note).await.unwrap());
        let mut save = Save::new(by.tag(), by.session_id(), Default::default());
        save.shorten = Some(Lifetime::new(5 * MINUTE, 5 * MINUTE));
        store.save(&save).await.unwrap();
        let ended = signs_in(store, "alice", clock).await;
        let mut end = End::new(by.tag(), Which::One(ended.session_id()), EndReason::Revoked);
        end.by = Some(by.session_id());

        store.end(&end).await.unwrap();

        match reads(store, &ended).await {
            Resolved::Ended(notice) => assert_eq!(notice.by_client(), Some(&client)),
            other => panic!("{other:?}"),
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn an_end_that_is_sent_again_says_the_same_of_a_session_with_a_token_that_nobody_used() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let old = uses(store, "alice", clock).await;
        let salt = Salt::from_bytes([7; 16]);
        let rotate = Rotate::new(&old, &old.successor(&salt), Renewal::Derived(salt));
        store.rotate(&rotate).await.unwrap();
        for which in [Which::One(old.session_id()), Which::All] {
            let end = End::new(old.tag(), which, EndReason::Revoked);

            let answers = [
                store.end(&end).await.unwrap(),
                store.end(&end).await.unwrap(),
            ];

            for answer in answers {
                let Ended::Ended { ids, .. } = answer else {
                    panic!("{answer:?}");
                };
                let is_first = matches!(which, Which::One(_));
                assert_eq!(ids.len(), usize::from(is_first), "{which:?}");
            }
        }
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_guest_who_comes_back_within_the_idle_time_can_still_save() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let token = guest();
        let now = Authenticated::At(clock.now());
        let mut create = Create::new(&token, None, now);
        create.lifetime = Lifetime::new(60 * MINUTE, 60 * MINUTE);
        makes(store, &create).await;
        assert!(is_live(store, &token).await);
        clock.advance(20 * MINUTE);

        let saved = store
            .save(&Save::new(token.tag(), token.session_id(), set("a", "b")))
            .await
            .unwrap();

        assert!(matches!(saved, Saved::Saved { .. }), "{saved:?}");
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn a_look_says_when_a_session_really_expires() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let [unused, used] = [(); 2].map(|()| guest());
        for token in [&unused, &used] {
            let now = Authenticated::At(clock.now());
            let mut create = Create::new(token, None, now);
            create.lifetime = Lifetime::new(60 * MINUTE, 70 * MINUTE);
            makes(store, &create).await;
        }
        let start = clock.now();
        assert!(is_live(store, &used).await);
        let idle = async |token: &Token| {
            let look = Look::new(token.tag(), vec![token.session_id()]);
            match store.look(&look).await.unwrap().sessions[..] {
                [Presence::Live(deadlines)] => deadlines.expires_at(),
                ref other => panic!("{other:?}"),
            }
        };

        assert_eq!(idle(&unused).await, start.plus(15 * MINUTE));
        assert_eq!(idle(&used).await, start.plus(60 * MINUTE));
        clock.advance(20 * MINUTE);
        assert!(is_live(store, &used).await);
        assert_eq!(idle(&used).await, start.plus(70 * MINUTE));
    }
    on_each_store!(rule);
}

#[tokio::test]
async fn each_request_after_a_session_expired_gets_the_moment_at_which_it_did() {
    async fn rule<St: SessionStore>(store: &St, clock: &ManualClock) {
        let token = uses(store, "alice", clock).await;
        let expired_at = clock.now().plus(10 * MINUTE);
        clock.advance(20 * MINUTE);
        for number in 0..4 {
            let answer = reads(store, &token).await;
            let Resolved::Expired(record) = answer else {
                panic!("{number}: {answer:?}");
            };
            let at = record.idle_expires_at().min(record.deadline);
            assert_eq!(
                if number == 0 { at } else { record.deadline },
                expired_at,
                "{number}"
            );
        }
    }
    on_each_store!(rule);
}
