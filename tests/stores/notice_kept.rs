//! How long stores keep end notices at most.

use std::time::Duration;

use tempfile::TempDir;
use tower_user_sessions::{
    EndReason, Lifetime, MemoryStore, SessionStore, Timestamp,
    store::{End, FileStore, ManualClock, Resolve, Resolved, SetStore, Which},
};

use crate::common::{people::signs_in, shelf::Shelf};

async fn forgets_after_400_days(store: impl SessionStore, clock: &ManualClock) {
    let token = signs_in(&store, "alice").await;
    let one = Which::One(token.session_id());
    let end = End::new(token.tag(), one, EndReason::Revoked);
    store.end(&end).await.unwrap();
    let resolve = Resolve::new(token);

    clock.advance(Lifetime::MAX - Duration::from_millis(1));
    let kept = store.resolve(&resolve).await.unwrap();
    assert!(matches!(kept, Resolved::Ended(_)), "{kept:?}");
    clock.advance(Duration::from_millis(1));
    let over = store.resolve(&resolve).await.unwrap();
    assert!(matches!(over, Resolved::Unknown), "{over:?}");
}

// T50
#[tokio::test]
async fn a_notice_is_kept_for_400_days_at_most() {
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let memory = MemoryStore::builder().clock(clock.clone());
    forgets_after_400_days(memory.notice_kept(Duration::MAX).build(), &clock).await;

    let directory = TempDir::new().unwrap();
    let file = FileStore::builder().clock(clock.clone());
    let file = file.notice_kept(Duration::MAX);
    let file = file.open(directory.path().join("sessions.db")).unwrap();
    forgets_after_400_days(file, &clock).await;

    let sets = SetStore::builder(Shelf::on(&clock));
    forgets_after_400_days(sets.notice_kept(Duration::MAX).build(), &clock).await;
}
