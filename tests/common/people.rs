//! Users who sign in, for tests on the clock of a real server.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::time::Duration;

use tower_user_sessions::{
    Limit, SessionId, UserId,
    store::{
        Arrival, Authenticated, Changes, Create, Created, List, NewSession, Offer, Resolve,
        Resolved, SessionStore, Tag, Ticketed, Token,
    },
};

pub(crate) fn token<St: SessionStore>(store: &St, user: &str) -> Token {
    Token::random(store.tag(&UserId::new(user).unwrap())).unwrap()
}

pub(crate) fn guest() -> Token {
    Token::random(Tag::random().unwrap()).unwrap()
}

/// Asks for a session of this user, who may have three.
pub(crate) fn asks(user: &str, token: &Token) -> Create {
    let now = Authenticated::On(Arrival::now());
    let mut create = Create::new(token, Some(UserId::new(user).unwrap()), now);
    create.limit = Limit::at_most(3);
    create
}

pub(crate) async fn makes<St: SessionStore>(store: &St, create: &Create) -> NewSession {
    match store.create(create).await.unwrap() {
        Created::Created(made) => *made,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn signs_in<St: SessionStore>(store: &St, user: &str) -> Token {
    let token = token(store, user);
    makes(store, &asks(user, &token)).await;
    token
}

/// A ticket with this token.
pub(crate) fn ticket(token: &Token) -> Ticketed {
    Ticketed {
        id: token.session_id(),
        digest: token.digest(),
    }
}

/// A sign-in that is refused at a limit of one, and leaves this ticket.
pub(crate) async fn leaves<St: SessionStore>(store: &St, mut create: Create, ticket: Ticketed) {
    create.limit = Limit::at_most(1).refuse();
    create.offer = Some(Offer {
        ticket,
        terms: Vec::new(),
    });
    let refused = store.create(&create).await.unwrap();
    assert!(matches!(refused, Created::LimitReached(_)), "{refused:?}");
}

pub(crate) async fn is_live<St: SessionStore>(store: &St, token: &Token) -> bool {
    let resolve = Resolve::new(token.clone());
    matches!(store.resolve(&resolve).await.unwrap(), Resolved::Live(_))
}

/// The ids of the user's live sessions, sorted.
pub(crate) async fn listed<St: SessionStore>(store: &St, tag: Tag) -> Vec<SessionId> {
    let listed = store.list(&List::new(tag)).await.unwrap();
    let mut ids: Vec<SessionId> = listed.iter().map(|record| record.id).collect();
    ids.sort();
    ids
}

pub(crate) fn ids(tokens: &[&Token]) -> Vec<SessionId> {
    let mut ids: Vec<SessionId> = tokens.iter().map(|token| token.session_id()).collect();
    ids.sort();
    ids
}

pub(crate) fn set(key: &str, value: &'static str) -> Changes {
    let mut changes = Changes::default();
    changes.set(key, value);
    changes
}

/// Waits for something that happens in the background.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never came: {what}");
}
