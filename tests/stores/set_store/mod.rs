//! What `SetStore` does when others write, when the storage fails, and when it is full.

mod activity;
mod doubt;
mod failures;
mod flood;
mod given_up;
mod others;
mod seen;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::Poll,
};

use tower_user_sessions::{
    EndReason, SessionStore, Timestamp, UserId,
    store::{
        Authenticated, Create, Created, End, List, ManualClock, Resolve, Resolved, SetStore, Tag,
        Token, Which,
    },
};

use crate::common::shelf::Shelf;

const START: Timestamp = Timestamp::from_millis(1_764_000_000_000);

fn user() -> UserId {
    UserId::new("alice").unwrap()
}

fn tag() -> Tag {
    Tag::of(&user())
}

/// A sign-in of the user at the clock's moment.
fn sign_in(clock: &ManualClock) -> (Token, Create) {
    let token = Token::random(tag()).unwrap();
    let create = Create::new(&token, Some(user()), Authenticated::At(clock.now()));
    (token, create)
}

async fn signed_in(store: &impl SessionStore, clock: &ManualClock) -> Token {
    let (token, create) = sign_in(clock);
    assert!(matches!(
        store.create(&create).await,
        Ok(Created::Created(_))
    ));
    token
}

async fn is_live(store: &impl SessionStore, token: &Token) -> bool {
    let resolved = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    matches!(resolved, Resolved::Live(_))
}

async fn live(store: &impl SessionStore) -> usize {
    store.list(&List::new(tag())).await.unwrap().len()
}

fn end_all() -> End {
    End::new(tag(), Which::All, EndReason::Administrator)
}

fn setup() -> (ManualClock, Shelf, SetStore<Shelf>) {
    let clock = ManualClock::at(START);
    let shelf = Shelf::on(&clock);
    let store = shelf.store();
    (clock, shelf, store)
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Polls it once: it waits.
async fn pauses<T>(call: &mut Pin<&mut impl Future<Output = T>>) {
    let polled = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
}
