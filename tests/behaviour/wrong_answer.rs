//! A store that returns another session than the one that was asked for: nobody sees it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::StatusCode;
use tower_user_sessions::{
    MemoryStore, SessionId, SessionLayer, SessionStore,
    store::{
        Create, Created, End, Ended, Forget, List, Look, Looked, NoteClient, Record, Resolve,
        Resolved, Rotate, Rotated, Save, Saved, StoreError, Tag, TagKey, Ticketed, Token, Touch,
    },
};

use crate::common::{
    book::Book,
    http::{Client, DAY, HOUR, store, user},
};

/// The part of a reply that stands for another one.
#[derive(Clone, Copy)]
enum Wrong {
    Id,
    Token,
    User,
}

/// `MemoryStore` behind something that answers each question with the answer to another one.
#[derive(Clone)]
struct Shifted {
    store: MemoryStore,
    /// Whose session is returned instead.
    other: Arc<Mutex<Option<Token>>>,
    /// What of a new session is another one's.
    wrong: Arc<Mutex<Wrong>>,
    at_once: bool,
    key: Option<TagKey>,
}

impl Shifted {
    fn new(store: &MemoryStore, at_once: bool) -> Self {
        Self {
            store: store.clone(),
            other: Arc::default(),
            wrong: Arc::new(Mutex::new(Wrong::User)),
            at_once,
            key: None,
        }
    }

    fn shift(&self, to: &Client) {
        *self.other.lock().unwrap() = Some(to.token().parse().unwrap());
    }

    fn asked(&self, resolve: &Resolve) -> Resolve {
        match &*self.other.lock().unwrap() {
            Some(other) => Resolve::new(other.clone()),
            None => resolve.clone(),
        }
    }
}

impl SessionStore for Shifted {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        self.store.resolve(&self.asked(resolve)).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let mut create = create.clone();
        if let Some(other) = &*self.other.lock().unwrap() {
            match *self.wrong.lock().unwrap() {
                Wrong::Id => create.id = SessionId::from_bytes([7; 12]),
                Wrong::Token => create.digest = other.digest(),
                Wrong::User => create.user = Some(user("mallory")),
            }
        }
        self.store.create(&create).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.ticket(tag, ticket).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.store.save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let mut rotate = rotate.clone();
        if let Some(other) = &*self.other.lock().unwrap() {
            rotate.digest = other.digest();
        }
        self.store.rotate(&rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.store.list(list).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.store.end(end).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.store.forget(forget).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.store.note_client(note).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        let mut looked = self.store.look(look).await?;
        let other = self.other.lock().unwrap().clone();
        if let Some(other) = other {
            // The reply to a question about one session more.
            let more = Look::new(other.tag(), [other.session_id()]);
            let more = self.store.look(&more).await?;
            looked.sessions.splice(..0, more.sessions);
        }
        Ok(looked)
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.store.touch(touch).await
    }

    fn tag_key(&self) -> Option<&TagKey> {
        self.key.as_ref()
    }

    fn resolve_now(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        self.at_once
            .then(|| self.store.resolve_now(&self.asked(resolve)))?
    }

    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.store.end_undelivered(tag, id);
    }
}

fn world(at_once: bool) -> (SessionLayer, Shifted) {
    let (store, _clock) = store();
    let shifted = Shifted::new(&store, at_once);
    (SessionLayer::new(shifted.clone()), shifted)
}

// T49
#[tokio::test]
async fn the_session_of_another_user_is_503_and_reaches_no_handler() {
    for at_once in [true, false] {
        let (layer, store) = world(at_once);
        let mut alice = Client::signed_in(&layer, "alice").await;
        let bob = Client::signed_in(&layer, "bob").await;
        assert_eq!(alice.user().await.as_deref(), Some("alice"));
        store.shift(&bob);

        let answer = alice
            .request(|session| async move { session.user_id() })
            .await;

        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!answer.reached());
        assert!(answer.sets_no_cookie());
    }
}

// T49
#[tokio::test]
async fn the_end_notice_of_another_user_is_503() {
    let (layer, store) = world(true);
    let alice = Client::signed_in(&layer, "alice").await;
    let mut bob = Client::signed_in(&layer, "bob").await;
    let ended = bob.clone();
    bob.send(|session| async move { session.log_out().unwrap() })
        .await;
    store.shift(&ended);

    let answer = alice
        .request(|session| async move { session.ended() })
        .await;

    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

// T49
#[tokio::test]
async fn a_previous_token_in_its_grace_is_the_same_session() {
    let (layer, _store) = world(true);
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut previous = client.clone();
    client
        .send(|session| async move { session.rotate().unwrap() })
        .await;
    client.user().await;

    assert_eq!(previous.user().await.as_deref(), Some("alice"));
}

// T49
#[tokio::test]
async fn a_new_session_of_another_user_and_another_token_are_503_and_set_no_cookie() {
    let (layer, store) = world(true);
    let bob = Client::signed_in(&layer, "bob").await;
    let alice = Client::signed_in(&layer, "alice").await;
    let rotates = alice.request({
        let (store, bob) = (store.clone(), bob.clone());
        move |session| {
            store.shift(&bob);
            async move { session.rotate().unwrap() }
        }
    });
    let rotated = rotates.await;
    assert_eq!(rotated.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(rotated.sets_no_cookie());

    for wrong in [Wrong::Id, Wrong::Token, Wrong::User] {
        *store.wrong.lock().unwrap() = wrong;
        let signs_in = Client::new(&layer).request(|session| async move {
            session.log_in(user("alice")).unwrap();
        });
        let signed_in = signs_in.await;

        assert_eq!(signed_in.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(signed_in.sets_no_cookie());
    }
}

// T49
#[tokio::test]
async fn an_expired_session_and_a_reused_token_of_another_user_are_503_and_raise_no_event() {
    let ((store, clock), book) = (store(), Book::default());
    let shifted = Shifted::new(&store, true);
    let layer = SessionLayer::new(shifted.clone()).events(book.sink());
    let expired = Client::signed_in(&layer, "bob").await;
    clock.advance(2 * DAY);
    let mut carol = Client::signed_in(&layer, "carol").await;
    let reused = carol.clone();
    carol
        .send(|session| async move { session.rotate().unwrap() })
        .await;
    carol.user().await;
    clock.advance(HOUR);
    let alice = Client::signed_in(&layer, "alice").await;
    book.news();

    for other in [&reused, &expired] {
        shifted.shift(other);
        let answer = alice.request(|session| async move { session.ended() });
        let answer = answer.await;

        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!answer.reached() && answer.sets_no_cookie());
        assert_eq!(book.news(), []);
    }
}

// T49
#[tokio::test(start_paused = true)]
async fn the_end_of_another_session_closes_no_stream() {
    let (layer, store) = world(true);
    let mut bob = Client::signed_in(&layer, "bob").await;
    let ended = bob.clone();
    bob.send(|session| async move { session.log_out().unwrap() })
        .await;
    let alice = Client::signed_in(&layer, "alice").await;
    let live = alice.request({
        let (store, ended) = (store.clone(), ended.clone());
        move |session| {
            store.shift(&ended);
            async move { session.live().unwrap() }
        }
    });
    let live = live.await.value();

    let closed = tokio::time::timeout(Duration::from_secs(5), live.ended());

    assert!(closed.await.is_err());
}

// Lists, limits and ends of the user would not find it.
#[tokio::test]
async fn a_session_of_another_tag_key_is_unknown_and_guests_go_on() {
    for at_once in [true, false] {
        let (none, store) = world(at_once);
        let under = |key: &str| {
            let key = Some(TagKey::new(key).unwrap());
            SessionLayer::new(Shifted {
                key,
                ..store.clone()
            })
        };
        let mut guest = Client::new(&none);
        guest.insert("cart", "tea").await;

        let (first, second) = (
            under("a secret of the app's"),
            under("another secret of it"),
        );
        for (before, after) in [(&none, &first), (&first, &second)] {
            let mut alice = Client::signed_in(before, "alice").await;
            assert_eq!(alice.user().await.as_deref(), Some("alice"));

            assert_eq!(alice.before(after).user().await, None);
            let cart = guest.before(after).get("cart").await;
            assert_eq!(cart.as_deref(), Some("tea"));
            let mut again = Client::signed_in(after, "alice").await;
            assert_eq!(again.user().await.as_deref(), Some("alice"));
        }
    }
}
