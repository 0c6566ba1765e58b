//! Backups of a `FileStore`, and the size of its file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its figures are shown with --nocapture"
)]

use std::{fs, net::IpAddr};

use tower_user_sessions::{
    Client, UserId,
    store::{
        Arrival, Authenticated, Create, FileStore, FileStoreErrorKind, Resolved, Save,
        SessionStore, Token,
    },
};

use crate::{
    common::people::{is_live, set, signs_in},
    file_restart::{Place, found},
};

#[tokio::test]
async fn a_backup_has_the_sessions_of_its_moment_and_replaces_no_file() {
    let place = Place::new();
    let store = place.open();
    let alice = signs_in(&store, "alice").await;
    let save = Save::new(alice.tag(), alice.session_id(), set("theme", "dark"));
    store.save(&save).await.unwrap();
    let copy = place.directory.path().join("backup.db");

    store.backup(&copy).await.unwrap();
    let bob = signs_in(&store, "bob").await;
    let again = store.backup(&copy).await.unwrap_err();

    assert_eq!(again.kind(), FileStoreErrorKind::Unavailable);
    let restored = place.open_at(&copy);
    let Resolved::Live(live) = found(&restored, &alice).await else {
        panic!("the session is not in the backup");
    };
    assert_eq!(live.data.get("theme").unwrap(), "dark");
    assert!(matches!(found(&restored, &bob).await, Resolved::Unknown));
    assert!(is_live(&store, &bob).await);
}

/// Of two backups to one name at the same moment, one is made and the other gets an error.
#[tokio::test]
async fn two_backups_at_once_to_one_name_leave_one_whole_copy() {
    let place = Place::new();
    let store = place.open();
    fill(&store, 500).await;
    let alice = signs_in(&store, "alice").await;
    for round in 0..5 {
        let copy = place.directory.path().join(format!("backup-{round}.db"));

        let (one, other) = tokio::join!(store.backup(&copy), store.backup(&copy));

        let [refused] = [one, other]
            .map(Result::err)
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains("exists"), "{cause}");
        let restored = place.open_at(&copy);
        assert_eq!(restored.sets(), 501);
        assert!(is_live(&restored, &alice).await);
    }
    let left = fs::read_dir(place.directory.path()).unwrap();
    assert_eq!(left.count(), 6, "a part of a copy is left");
}

/// Of many users, each on a browser of the same kind.
async fn fill(store: &FileStore, users: u32) {
    let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/140.0.0.0 Safari/537.36 tests/000000000";
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..users {
        let user = UserId::from(at);
        let token = Token::random(store.tag(&user)).unwrap();
        let now = Authenticated::On(Arrival::now());
        let mut create = Create::new(&token, Some(user), now);
        create.client = Client::new()
            .with_address(Some(IpAddr::from(at.to_be_bytes())))
            .with_user_agent(Some(agent.as_bytes()));
        let store = store.clone();
        tasks.spawn(async move { store.create(&create).await.unwrap() });
        if tasks.len() == 10_000 {
            while tasks.join_next().await.is_some() {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

#[tokio::test]
async fn a_session_takes_at_most_1000_bytes_of_the_file() {
    let place = Place::new();
    let store = place.open();
    let sessions: u32 = 20_000;

    fill(&store, sessions).await;
    drop(store);

    // Each file has a journal of 8 MiB, however many sessions there are.
    let bytes = fs::metadata(place.path()).unwrap().len() - 8 * 1024 * 1024;
    let each = bytes / u64::from(sessions);
    println!("{each} bytes per session, {bytes} in all");
    assert!(each <= 1_000, "{each}");
    assert_eq!(place.open().sets(), usize::try_from(sessions).unwrap());
}
