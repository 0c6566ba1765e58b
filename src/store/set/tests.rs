//! What only the store of PostgreSQL sets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    future::{pending, ready},
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use bytes::Bytes;

use super::*;
use crate::{
    model::{EndReason, SessionId, Tag, Timestamp, Token, UserId},
    store::{
        Authenticated, Create, Created, End, EndEveryone, Ended, Renewal, Resolve, Rotate, Salt,
        SessionStore, StoreErrorKind, Which, together::after,
    },
};

struct Silent;

impl SetStorage for Silent {
    async fn read(&self, _: Tag, _: Option<SessionId>) -> Result<Stored, StoreError> {
        pending().await
    }

    async fn write(&self, _: Tag, _: &Write) -> Result<Written, StoreError> {
        pending().await
    }
}

#[test]
fn late_in_a_commit_a_sign_in_is_written_in_half_of_what_is_left_or_not_at_all() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let store = SetStore::builder(Silent).shares(2 * HOUR).build();
    let left_after = |spent| tokio_test::block_on(after(spent, async { store.patience() }));

    let (half, nothing) = (left_after(HOUR), left_after(2 * HOUR));

    assert!(HOUR / 3 < half && half <= HOUR / 2, "{half:?}");
    assert_eq!((nothing, store.patience()), (Duration::ZERO, HOUR));
}

/// A storage of sets without data, of which the test asks what was confirmed.
#[derive(Clone, Default)]
struct Confirmed(Arc<Inner>);

#[derive(Default)]
struct Inner {
    sets: Mutex<HashMap<Tag, (Version, Bytes)>>,
    /// Whether the next answer of a write is lost.
    loses_answer: AtomicBool,
    written: Mutex<Vec<Urgency>>,
    confirmed: Mutex<Vec<Urgency>>,
    confirms: AtomicBool,
}

impl Confirmed {
    fn store(&self) -> SetStore<Self> {
        self.0.confirms.store(true, Relaxed);
        SetStore::builder(self.clone())
            .confirms(|storage, urgency| Box::pin(ready(storage.confirm(urgency))))
            .build()
    }

    fn confirm(&self, urgency: Urgency) -> Result<(), StoreError> {
        self.0.confirmed.lock().unwrap().push(urgency);
        if self.0.confirms.load(Relaxed) {
            return Ok(());
        }
        Err(StoreError::new(StoreErrorKind::Timeout))
    }

    fn confirmed(&self) -> Vec<Urgency> {
        mem::take(&mut *self.0.confirmed.lock().unwrap())
    }
}

impl SetStorage for Confirmed {
    async fn read(&self, tag: Tag, _: Option<SessionId>) -> Result<Stored, StoreError> {
        let sets = self.0.sets.lock().unwrap();
        let found = sets.get(&tag).cloned();
        Ok(found.map_or_else(Stored::absent, |(version, head)| {
            Stored::new(version, head, None)
        }))
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        self.0.written.lock().unwrap().push(write.urgency);
        let mut sets = self.0.sets.lock().unwrap();
        if sets.get(&tag).map(|(version, _)| *version) != write.expect {
            return Ok(Written::Lost);
        }
        let head = write.head.clone().unwrap();
        sets.insert(tag, (write.version, head));
        if self.0.loses_answer.swap(false, Relaxed) {
            return Err(StoreError::new(StoreErrorKind::Timeout));
        }
        Ok(Written::Written { when: None })
    }
}

fn sign_in(storage: &Confirmed) -> (Token, Create) {
    let user = UserId::new("alice").unwrap();
    let token = Token::random(Tag::of(&user)).unwrap();
    let now = Authenticated::At(storage.now());
    let create = Create::new(&token, Some(user), now);
    (token, create)
}

/// A storage that has more to do than it can must not leave it for the end of its load: nobody has that session.
#[tokio::test]
async fn the_end_of_a_sign_in_that_was_given_up_is_as_urgent_as_the_sign_in() {
    let storage = Confirmed::default();
    let store = storage.store();
    let (token, create) = sign_in(&storage);
    store.create(&create).await.unwrap();

    store.end_undelivered(token.tag(), token.session_id());
    let (stranger, _) = sign_in(&storage);
    store.resolve(&Resolve::new(stranger)).await.unwrap();

    let written = storage.0.written.lock().unwrap();
    assert_eq!(*written, [Urgency::SignIn, Urgency::SignIn]);
}

// T71
#[tokio::test]
async fn what_a_sign_in_and_an_end_find_done_is_confirmed_and_nothing_that_is_acknowledged() {
    let storage = Confirmed::default();
    let store = storage.store();
    let (token, create) = sign_in(&storage);
    let which = Which::One(token.session_id());
    let end = End::new(token.tag(), which, EndReason::Administrator);
    let resolve = Resolve::new(token.clone());
    let creates = async || {
        let created = store.create(&create).await.unwrap();
        assert!(matches!(created, Created::Created(_)), "{created:?}");
        storage.confirmed()
    };
    let ends = async || {
        let ended = store.end(&end).await.unwrap();
        assert!(matches!(ended, Ended::Ended { .. }), "{ended:?}");
        storage.confirmed()
    };
    let ends_all = async |end| {
        store.end_everyone(end).await.unwrap();
        storage.confirmed()
    };

    assert_eq!(
        (creates().await, creates().await),
        (vec![], vec![Urgency::SignIn])
    );
    store.resolve(&resolve).await.unwrap();
    store.resolve(&resolve).await.unwrap();
    assert_eq!(storage.confirmed(), []);
    assert_eq!((ends().await, ends().await), (vec![], vec![Urgency::End]));
    let refused = store.create(&create).await.unwrap();
    assert!(!matches!(refused, Created::Created(_)), "{refused:?}");
    assert_eq!(storage.confirmed(), []);
    let before = EndEveryone::Before(Timestamp::from_millis(1));
    assert_eq!(ends_all(EndEveryone::Now).await, []);
    assert_eq!(ends_all(before).await, [Urgency::End]);
}

// T71
#[tokio::test]
async fn a_change_whose_answer_was_lost_is_confirmed_or_may_be_undone() {
    let storage = Confirmed::default();
    let store = storage.store();
    let (token, create) = sign_in(&storage);
    store.create(&create).await.unwrap();
    let salt = Salt::from_bytes([7; 16]);
    let rotate = Rotate::new(&token, &token.successor(&salt), Renewal::Derived(salt));
    let end = End::new(token.tag(), Which::All, EndReason::Administrator);

    storage.0.confirms.store(false, Relaxed);
    storage.0.loses_answer.store(true, Relaxed);
    let rotated = store.rotate(&rotate).await.unwrap_err();
    storage.0.loses_answer.store(true, Relaxed);
    let ended = store.end(&end).await.unwrap_err();

    assert_eq!(rotated.kind(), StoreErrorKind::Uncertain);
    assert_eq!(ended.kind(), StoreErrorKind::Timeout);
    assert!(!ended.is_known_not_run());
    assert_eq!(storage.confirmed(), [Urgency::Other, Urgency::End]);
}
