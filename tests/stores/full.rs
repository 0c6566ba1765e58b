//! For how long a guest session counts for `max_guests`, and for how long its set takes memory.

use std::time::Duration;

use tempfile::TempDir;
use tower_user_sessions::{
    EndReason, Lifetime, MemoryStore,
    store::{
        Arrival, Authenticated, Changes, Create, Created, End, FileStore, List, ManualClock,
        Resolve, Resolved, Save, SessionStore, StoreErrorKind, Timestamp, Token, Which,
    },
};

use crate::common::people::{guest, signs_in};

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// Both stores that keep all sets in memory, with room for one guest session.
trait Kept: SessionStore {
    fn sets(&self) -> usize;
}

impl Kept for MemoryStore {
    fn sets(&self) -> usize {
        self.sets()
    }
}

impl Kept for FileStore {
    fn sets(&self) -> usize {
        self.sets()
    }
}

fn memory(clock: &ManualClock) -> MemoryStore {
    let store = MemoryStore::builder().clock(clock.clone());
    store.max_guests(1).notice_kept(10 * MINUTE).build()
}

fn file(clock: &ManualClock) -> (FileStore, TempDir) {
    let directory = TempDir::new().unwrap();
    let store = FileStore::builder().clock(clock.clone());
    let store = store.max_guests(1).notice_kept(10 * MINUTE);
    let store = store.open(directory.path().join("sessions.db")).unwrap();
    (store, directory)
}

async fn begins(store: &impl Kept) -> Result<Token, StoreErrorKind> {
    let token = guest();
    let create = Create::new(&token, None, Authenticated::On(Arrival::now()));
    match store.create(&create).await {
        Ok(Created::Created(_)) => Ok(token),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.kind()),
    }
}

async fn uses(store: &impl Kept, token: &Token) {
    let found = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    assert!(matches!(found, Resolved::Live(_)), "{found:?}");
}

/// A guest session that the store need not look at for a day: it was used after its first 15 minutes.
async fn long_guest(store: &impl Kept, clock: &ManualClock) -> Token {
    let token = begins(store).await.unwrap();
    uses(store, &token).await;
    clock.advance(16 * MINUTE);
    uses(store, &token).await;
    token
}

async fn signs_out(store: &impl Kept, token: &Token, reason: EndReason) {
    let one = Which::One(token.session_id());
    store
        .end(&End::new(token.tag(), one, reason))
        .await
        .unwrap();
}

async fn ends_when_its_notice_is_over(store: &impl Kept, clock: &ManualClock) {
    let guest = long_guest(store, clock).await;
    signs_out(store, &guest, EndReason::Replaced).await;
    clock.advance(9 * MINUTE);
    // Its set still has the end notice.
    assert_eq!(begins(store).await.unwrap_err(), StoreErrorKind::Full);

    clock.advance(MINUTE);

    begins(store).await.unwrap();
    assert_eq!(store.sets(), 1);
}

async fn ends_when_its_shorter_time_is_over(store: &impl Kept, clock: &ManualClock) {
    let guest = long_guest(store, clock).await;
    let mut save = Save::new(guest.tag(), guest.session_id(), Changes::default());
    save.shorten = Some(Lifetime::new(5 * MINUTE, 5 * MINUTE));
    store.save(&save).await.unwrap();
    clock.advance(4 * MINUTE);
    assert_eq!(begins(store).await.unwrap_err(), StoreErrorKind::Full);

    clock.advance(MINUTE);

    begins(store).await.unwrap();
    assert_eq!(store.sets(), 1);
}

/// Its session goes on after its set was due too early once.
async fn counts_while_it_is_used(store: &impl Kept, clock: &ManualClock) {
    let guest = long_guest(store, clock).await;
    for _ in 0..200 {
        clock.advance(16 * MINUTE);
        uses(store, &guest).await;
        assert_eq!(begins(store).await.unwrap_err(), StoreErrorKind::Full);
    }
}

async fn goes_when_its_user_signed_out(store: &impl Kept, clock: &ManualClock) {
    let mut token = None;
    for _ in 0..30 {
        let new = signs_in(store, "alice").await;
        uses(store, &new).await;
        clock.advance(MINUTE);
        signs_out(store, &new, EndReason::LoggedOut).await;
        token = Some(new);
    }
    assert_eq!(store.sets(), 1);
    clock.advance(10 * MINUTE);

    // It looks at what is due under the same lock.
    let list = List::new(token.unwrap().tag());
    assert_eq!(store.list(&list).await.unwrap(), []);

    assert_eq!(store.sets(), 0);
}

#[tokio::test]
async fn a_guest_session_that_signed_in_counts_until_its_notice_is_over() {
    let clock = ManualClock::at(NOW);
    ends_when_its_notice_is_over(&memory(&clock), &clock).await;
    let clock = ManualClock::at(NOW);
    ends_when_its_notice_is_over(&file(&clock).0, &clock).await;
}

#[tokio::test]
async fn a_guest_session_that_became_shorter_counts_until_it_is_over() {
    let clock = ManualClock::at(NOW);
    ends_when_its_shorter_time_is_over(&memory(&clock), &clock).await;
    let clock = ManualClock::at(NOW);
    ends_when_its_shorter_time_is_over(&file(&clock).0, &clock).await;
}

#[tokio::test]
async fn a_guest_session_counts_while_it_is_used() {
    let clock = ManualClock::at(NOW);
    counts_while_it_is_used(&memory(&clock), &clock).await;
    let clock = ManualClock::at(NOW);
    counts_while_it_is_used(&file(&clock).0, &clock).await;
}

#[tokio::test]
async fn the_set_of_a_user_who_signed_out_goes_when_the_notice_is_over() {
    let clock = ManualClock::at(NOW);
    goes_when_its_user_signed_out(&memory(&clock), &clock).await;
    let clock = ManualClock::at(NOW);
    goes_when_its_user_signed_out(&file(&clock).0, &clock).await;
}
