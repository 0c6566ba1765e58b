//! Attempts of which nobody knows at first whether they ran.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tower_user_sessions::{
    EndReason, Lifetime, Limit, SessionId, SessionStore,
    store::{
        Authenticated, Create, Created, End, Ended, List, Offer, Renewal, Resolve, Resolved,
        Rotate, Salt, Save, Saved, SetStorage, SetStore, StoreError, StoreErrorKind, Stored, Tag,
        Ticketed, Token, Which, Write, Written,
    },
};

use super::{end_all, is_live, of, pauses, setup, sign_in, signed_in, tag};
use crate::common::{people::set, shelf::Fault};

const MINUTE: Duration = Duration::from_secs(60);

/// A storage whose server is away.
#[derive(Clone, Default)]
struct Away {
    reads: Arc<AtomicU64>,
}

impl SetStorage for Away {
    async fn read(&self, _: Tag, _: Option<SessionId>) -> Result<Stored, StoreError> {
        self.reads.fetch_add(1, Relaxed);
        Err(StoreError::new(StoreErrorKind::Unavailable))
    }

    async fn write(&self, _: Tag, _: &Write) -> Result<Written, StoreError> {
        panic!("nothing was read");
    }
}

// T19
#[tokio::test]
async fn an_end_asks_a_server_that_is_away_twelve_times_within_the_patience_and_a_save_once() {
    for (patience, tries) in [(MINUTE, 12), (Duration::ZERO, 1)] {
        let storage = Away::default();
        let store = SetStore::builder(storage.clone())
            .patience(patience)
            .build();
        let id = SessionId::from_bytes([7; 12]);

        let saved = store.save(&Save::new(tag(), id, set("n", "1"))).await;
        let of_save = storage.reads.swap(0, Relaxed);
        let ended = store.end(&end_all()).await;

        assert_eq!(saved.unwrap_err().kind(), StoreErrorKind::Unavailable);
        assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::Unavailable);
        assert_eq!((of_save, storage.reads.load(Relaxed)), (1, tries));
    }
}

// T19
#[tokio::test]
async fn an_end_is_written_twelve_times_at_most() {
    let (clock, shelf, store) = setup();
    signed_in(&store, &clock).await;
    let before = of(&shelf.counts().writes);
    shelf.fail([Fault::Vanishes; 12]);

    let ended = store.end(&end_all()).await;

    assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert_eq!(of(&shelf.counts().writes) - before, 12);
}

#[tokio::test]
async fn a_save_that_ran_is_found_although_a_read_fails_meanwhile() {
    let (clock, shelf, store) = setup();
    let token = signed_in(&store, &clock).await;
    let save = Save::new(tag(), token.session_id(), set("n", "1"));
    shelf.fail([Fault::AnswerLost]);
    let mut saves = pin!(store.save(&save));
    pauses(&mut saves).await;

    shelf.set_down(true);
    pauses(&mut saves).await;
    shelf.set_down(false);

    assert_eq!(saves.await.unwrap(), Saved::Saved { revision: 1 });
}

/// It ran, and another write follows. What a second attempt finds would be a conflict.
#[tokio::test]
async fn a_conditional_save_before_another_write_is_uncertain() {
    let (clock, shelf, store) = setup();
    let token = signed_in(&store, &clock).await;
    let mut save = Save::new(tag(), token.session_id(), set("n", "1"));
    save.expect = Some(0);
    shelf.fail([Fault::AnswerLost]);
    let mut saves = pin!(store.save(&save));
    pauses(&mut saves).await;

    signed_in(&shelf.store(), &clock).await;

    let saved = saves.await;
    assert_eq!(saved.unwrap_err().kind(), StoreErrorKind::Uncertain);
}

/// The first look found the session live, and only its activity was not written. The second one found it expired.
// T14
#[tokio::test]
async fn a_request_does_not_answer_what_it_found_before_its_newest_look() {
    let (clock, shelf, store) = setup();
    let (token, mut create) = sign_in(&clock);
    create.lifetime = Lifetime::new(Duration::from_secs(17), Duration::from_secs(3_600));
    store.create(&create).await.unwrap();
    assert!(is_live(&store, &token).await);
    clock.advance(Duration::from_secs(10));
    shelf.lose_activity(1);
    let resolve = Resolve::new(token);
    let mut resolves = pin!(store.resolve(&resolve));
    pauses(&mut resolves).await;

    clock.advance(Duration::from_secs(17));
    shelf.fail([Fault::Vanishes]);
    pauses(&mut resolves).await;
    shelf.set_down(true);

    let answer = resolves.await;
    assert!(answer.is_err(), "{answer:?}");
}

// T57
#[tokio::test]
async fn a_sign_in_that_is_found_written_after_the_patience_is_late() {
    let (clock, shelf, _) = setup();
    let patience = Duration::from_secs(1);
    let store = SetStore::builder(shelf.clone()).patience(patience).build();
    let (_, create) = sign_in(&clock);
    shelf.fail([Fault::AnswerLost]);
    let mut creates = pin!(store.create(&create));
    pauses(&mut creates).await;

    tokio::time::sleep(patience + Duration::from_millis(10)).await;

    let created = creates.await;
    assert_eq!(created.unwrap_err().kind(), StoreErrorKind::Timeout);
}

#[tokio::test]
async fn a_rotation_is_uncertain_if_any_attempt_may_have_run() {
    let nothing_ran = Fault::NothingRan(StoreErrorKind::Unavailable);
    for (first, kind) in [
        (nothing_ran, StoreErrorKind::Unavailable),
        (Fault::Vanishes, StoreErrorKind::Uncertain),
    ] {
        let (clock, shelf, store) = setup();
        let token = signed_in(&store, &clock).await;
        let salt = Salt::from_bytes([7; 16]);
        let rotate = Rotate::new(&token, &token.successor(&salt), Renewal::Derived(salt));
        shelf.fail([first, nothing_ran, nothing_ran]);

        let rotated = store.rotate(&rotate).await;

        assert_eq!(rotated.unwrap_err().kind(), kind);
    }
}

// T19
#[tokio::test]
async fn an_end_that_deleted_the_set_is_answered_as_if_its_answer_was_not_lost() {
    let (clock, shelf, _) = setup();
    let store = SetStore::builder(shelf.clone())
        .notice_kept(Duration::ZERO)
        .build();
    let guest = Token::random(Tag::random().unwrap()).unwrap();
    let create = Create::new(&guest, None, Authenticated::At(clock.now()));
    store.create(&create).await.unwrap();
    shelf.fail([Fault::AnswerLost]);

    let which = Which::One(guest.session_id());
    let ended = store
        .end(&End::new(guest.tag(), which, EndReason::Revoked))
        .await;

    assert_eq!(shelf.sets(), 0);
    let Ok(Ended::Ended { ids, .. }) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(ids, [guest.session_id()]);
}

/// The first attempt may run yet, and the second one finds that the sign-in is too old.
// T57
#[tokio::test]
async fn a_refused_sign_in_of_which_an_attempt_may_run_yet_is_ended_now_or_when_the_storage_answers()
 {
    for storage_answers in [true, false] {
        let (clock, shelf, store) = setup();
        signed_in(&store, &clock).await;
        let (token, mut create) = sign_in(&clock);
        create.lifetime = Lifetime::new(100 * 24 * 60 * MINUTE, 100 * 24 * 60 * MINUTE);
        shelf.fail([Fault::RunsLater]);
        shelf.delay_later();
        let mut creates = pin!(store.create(&create));
        pauses(&mut creates).await;
        clock.advance(25 * 60 * MINUTE);
        if !storage_answers {
            // One more look, and not the end after it.
            shelf.set_reads(2);
        }

        let created = creates.await;
        shelf.set_reads(0);
        let waiting = store.drain(Duration::ZERO).await;
        let drained = store.drain(MINUTE).await;
        shelf.run_later();

        assert!(matches!(created, Ok(Created::TooOld)), "{created:?}");
        assert_eq!((waiting, drained), (usize::from(!storage_answers), 0));
        assert!(!is_live(&store, &token).await);
    }
}

// T57
#[tokio::test]
async fn a_refusal_that_is_written_late_is_a_refusal() {
    let (clock, shelf, store) = setup();
    signed_in(&store, &clock).await;
    let (_, mut create) = sign_in(&clock);
    create.limit = Limit::at_most(1).refuse();
    create.offer = Some(Offer {
        ticket: Ticketed {
            id: SessionId::from_bytes([7; 12]),
            digest: create.digest,
        },
        terms: Vec::new(),
    });
    shelf.fail([Fault::Slow(6_000)]);

    let created = store.create(&create).await;

    assert!(
        matches!(created, Ok(Created::LimitReached(_))),
        "{created:?}"
    );
}

#[tokio::test]
async fn a_full_storage_does_not_answer_that_a_reused_token_ended_the_session() {
    let (clock, shelf, store) = setup();
    let stolen = signed_in(&store, &clock).await;
    assert!(is_live(&store, &stolen).await);
    let salt = Salt::from_bytes([7; 16]);
    let next = stolen.successor(&salt);
    let mut rotate = Rotate::new(&stolen, &next, Renewal::Derived(salt));
    rotate.grace = Duration::from_secs(30);
    rotate.reuse_ends = true;
    store.rotate(&rotate).await.unwrap();
    assert!(is_live(&store, &next).await);
    clock.advance(MINUTE);
    shelf.fail([Fault::NothingRan(StoreErrorKind::Full)]);
    let resolve = Resolve::new(stolen);

    let full = store.resolve(&resolve).await;
    let again = store.resolve(&resolve).await;

    assert_eq!(full.unwrap_err().kind(), StoreErrorKind::Full);
    assert!(matches!(again, Ok(Resolved::Reused(_))), "{again:?}");
}

#[tokio::test]
async fn a_full_storage_lists_the_live_sessions_though_it_cannot_drop_the_expired_ones() {
    let (clock, shelf, store) = setup();
    let (_, mut create) = sign_in(&clock);
    create.lifetime = Lifetime::new(MINUTE, MINUTE);
    store.create(&create).await.unwrap();
    let phone = signed_in(&store, &clock).await;
    clock.advance(2 * MINUTE);
    let before = of(&shelf.counts().writes);
    shelf.fail([Fault::NothingRan(StoreErrorKind::Full)]);

    let listed = store.list(&List::new(tag())).await.unwrap();

    let ids: Vec<_> = listed.iter().map(|record| record.id).collect();
    assert_eq!(ids, [phone.session_id()]);
    assert_eq!(of(&shelf.counts().writes) - before, 1, "it was tried");
}
