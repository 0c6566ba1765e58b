//! Sessions for unit tests of handlers (feature `test`).

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{Current, Live, Rules, Sender, Sent, Session};
use crate::{
    model::{Arrival, IntoUserId, Token, UserId},
    request::Way,
    store::{Authenticated, Create, Created, Found, MemoryStore, SharedStore},
};

impl Session {
    /// A live session of this user in a store of its own, for unit tests of handlers (feature `test`).
    ///
    /// Pass it to a handler as an argument. It works as in a request: `insert`, `log_in`, `log_out`, `commit`,
    /// `user_sessions`. There is no layer, so nothing is stored without [`commit`](Self::commit), and no cookie is
    /// set. For tests through a router see [`test::signed_in_as`](crate::test::signed_in_as).
    ///
    /// ```
    /// use tower_user_sessions::{Session, SessionError};
    ///
    /// async fn add_to_cart(session: Session) -> Result<(), SessionError> {
    ///     session.insert("cart", "apple")
    /// }
    ///
    /// # tokio_test::block_on(async {
    /// let session = Session::for_test("alice");
    /// add_to_cart(session.clone()).await?;
    /// assert_eq!(session.get("cart")?, Some("apple".to_owned()));
    /// # Ok::<_, SessionError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// If the text is no user id.
    #[must_use]
    pub fn for_test(user: impl IntoUserId) -> Self {
        let store = SharedStore::from(MemoryStore::new());
        let found = sign_in(&store, user);
        of(store, sent(), Some(found))
    }

    /// A guest session that has nothing stored, for unit tests of handlers (feature `test`).
    ///
    /// ```
    /// use tower_user_sessions::Session;
    ///
    /// let session = Session::for_test_guest();
    /// assert_eq!(session.user_id(), None);
    /// session.log_in("alice")?;
    /// assert_eq!(session.user_id().unwrap().as_str(), "alice");
    /// # Ok::<_, tower_user_sessions::SessionError>(())
    /// ```
    #[must_use]
    pub fn for_test_guest() -> Self {
        let store = SharedStore::from(MemoryStore::new());
        of(store, Sent::new(None, true, false), None)
    }
}

/// The session that this token opens in a store, as a request would see it.
pub(crate) fn opened(store: SharedStore, token: Token) -> Session {
    let mut session = of(store, sent(), None);
    let rules = &session.0.rules;
    let mut resolve = rules.resolve(token.clone(), false);
    let answer = rules.store.resolve_now(&mut resolve).and_then(Result::ok);
    let found = answer.map(|answer| session.opened_by(&token, answer));
    match (found, session.own_state()) {
        (Some(Ok(found)), Some(state)) => {
            state.current = Current::Live(Live::new(token.tag(), found));
            state.token = Some(token);
        }
        (Some(Err(dead)), Some(state)) => state.sent.is_dead(*dead),
        _ => {}
    }
    session
}

/// A new session of this user.
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub(crate) fn sign_in(store: &SharedStore, user: impl IntoUserId) -> (Token, Live) {
    let user: UserId = user
        .into_user_id()
        .unwrap_or_else(|error| panic!("no session for a test: {error}"));
    let token = Token::random(store.tag(&user))
        .unwrap_or_else(|error| panic!("no session for a test: {error}"));
    let create = Create::new(&token, Some(user), Authenticated::On(Arrival::now()));
    match at_once(store.create(create)) {
        Some(Ok(Created::Created(new))) => {
            let found = Found::new(new.record, new.data, new.now);
            let live = Live::new(token.tag(), found);
            (token, live)
        }
        other => panic!("no session for a test: {other:?}"),
    }
}

/// A request with a token and an unsafe method.
fn sent() -> Sent {
    Sent::new(Some(Way::Cookie), true, false)
}

fn of(store: SharedStore, sent: Sent, found: Option<(Token, Live)>) -> Session {
    let rules = Arc::new(Rules::new(store));
    let mut session = Session::new(rules, Arrival::now(), Sender::default(), sent);
    if let (Some((token, live)), Some(state)) = (found, session.own_state()) {
        state.current = Current::Live(live);
        state.token = Some(token);
    }
    session
}

/// What a future of the memory store gives, which never waits.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
