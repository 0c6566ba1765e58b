//! Rules that only a rare order of calls shows, in memory and in Redis.
//!
//! `lua/resolve.lua` and `lua/create.lua` have the usual call, and others the rest. A rule that both follow can be missing
//! in one of them.

mod all_users;
mod ends;
mod limits;
mod sign_ins;
mod tokens;

use std::time::Duration;

use tower_user_sessions::{
    Lifetime, UserId,
    store::{
        Authenticated, Create, ManualClock, Resolve, Resolved, SessionStore, Timestamp, Token,
    },
};

use crate::common::people::{is_live, makes, token};

/// Starts at a full second, minute and hour.
const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Runs a rule on a store in memory, and on one in Redis.
macro_rules! on_each_store {
    ($rule:path) => {{
        use tower_user_sessions::{MemoryStore, store::ManualClock};

        let clock = ManualClock::at(super::NOW);
        let memory = MemoryStore::builder().clock(clock.clone()).build();
        Box::pin($rule(&memory, &clock)).await;
        let server = crate::common::redis::Server::start();
        let clock = ManualClock::at(super::NOW);
        Box::pin($rule(&server.store(clock.clone()), &clock)).await;
    }};
}
use on_each_store;

/// A sign-in of this user with this token, authenticated now. The session lives for ten minutes, or for half an hour.
fn asks(user: &str, token: &Token, clock: &ManualClock) -> Create {
    let now = Authenticated::At(clock.now());
    let mut create = Create::new(token, Some(UserId::new(user).unwrap()), now);
    create.lifetime = Lifetime::new(10 * MINUTE, 30 * MINUTE);
    create
}

async fn signs_in<St: SessionStore>(store: &St, user: &str, clock: &ManualClock) -> Token {
    let token = token(store, user);
    makes(store, &asks(user, &token, clock)).await;
    token
}

/// A session that a request has used.
async fn uses<St: SessionStore>(store: &St, user: &str, clock: &ManualClock) -> Token {
    let token = signs_in(store, user, clock).await;
    assert!(is_live(store, &token).await);
    token
}

/// The answer to a token, where sessions from before this moment have ended.
async fn after<St: SessionStore>(store: &St, token: &Token, moment: Timestamp) -> Resolved {
    let mut resolve = Resolve::new(token.clone());
    resolve.activity = false;
    resolve.not_before = Some(moment);
    store.resolve(&resolve).await.unwrap()
}

/// Reads a session, without counting as activity.
async fn reads<St: SessionStore>(store: &St, token: &Token) -> Resolved {
    let mut resolve = Resolve::new(token.clone());
    resolve.activity = false;
    store.resolve(&resolve).await.unwrap()
}
