//! The activity that `FileStore` keeps over a restart without writing whole session sets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{fs, time::Duration};

use tower_user_sessions::{
    Lifetime,
    store::{
        Authenticated, FileStore, List, Record, Renewal, Resolved, Rotate, SessionStore, Token,
    },
};

use crate::{
    common::people::{is_live, signs_in},
    file_restart::{Place, found},
};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The sessions of one user, in the order of their last activity.
async fn listed(store: &FileStore, token: &Token) -> Vec<Record> {
    let mut all = store.list(&List::new(token.tag())).await.unwrap();
    all.sort_by_key(|record| record.last_activity);
    all
}

// T75
#[tokio::test]
async fn the_last_activity_of_each_session_survives_a_restart() {
    let place = Place::new();
    let store = place.open();
    let alice = [
        signs_in(&store, "alice").await,
        signs_in(&store, "alice").await,
    ];
    let bob = signs_in(&store, "bob").await;
    for token in alice.iter().chain([&bob]) {
        assert!(is_live(&store, token).await);
    }
    drop(store);
    let mut before = Vec::new();
    for round in 0..3 {
        let store = place.open();
        for (of, token) in [&alice[0], &bob, &alice[1], &bob].into_iter().enumerate() {
            place.clock.advance(HOUR);
            if of % 2 == 1 || round > 0 {
                assert!(is_live(&store, token).await);
            }
        }
        before = vec![listed(&store, &alice[0]).await, listed(&store, &bob).await];
        drop(store);

        let store = place.open();
        let after = [listed(&store, &alice[0]).await, listed(&store, &bob).await];
        assert_eq!(after.as_slice(), before);
    }

    assert_eq!(before[1][0].last_activity, place.clock.now());
}

// T75
#[tokio::test]
async fn a_file_of_the_version_before_keeps_its_sessions_and_becomes_one_of_this_version() {
    let place = Place::new();
    let store = place.open();
    let alice = signs_in(&store, "alice").await;
    drop(store);
    // It has no activity apart from its set.
    let mut bytes = fs::read(place.path()).unwrap();
    bytes[20..24].copy_from_slice(&u32::to_be_bytes(4));
    fs::write(place.path(), &bytes).unwrap();

    let store = place.open();

    assert!(matches!(found(&store, &alice).await, Resolved::Live(_)));
    assert_eq!(fs::read(place.path()).unwrap()[20..24], u32::to_be_bytes(5));
    place.clock.advance(HOUR);
    assert!(is_live(&store, &alice).await);
    drop(store);
    let store = place.open();
    assert_eq!(
        listed(&store, &alice).await[0].last_activity,
        place.clock.now()
    );
}

// T75
#[tokio::test]
async fn the_token_that_a_browser_kept_of_two_re_authentications_is_the_current_one_after_a_restart()
 {
    let place = Place::new();
    let store = place.open();
    let sent = signs_in(&store, "alice").await;
    let mut made = Vec::new();
    for _ in 0..2 {
        let next = sent.renewed().unwrap();
        let proven = Renewal::Proven {
            authenticated: Authenticated::At(place.clock.now()),
            lifetime: Lifetime::new(HOUR * 24, HOUR * 24),
        };
        let rotate = Rotate::new(&sent, &next, proven);
        store.rotate(&rotate).await.unwrap();
        made.push(next);
    }
    assert!(is_live(&store, &made[0]).await);
    drop(store);
    // The grace time is over.
    place.clock.advance(HOUR);

    let store = place.open();

    let kept = found(&store, &made[0]).await;
    assert!(matches!(kept, Resolved::Live(_)), "{kept:?}");
    let other = found(&store, &made[1]).await;
    assert!(matches!(other, Resolved::Reused(_)), "{other:?}");
}
