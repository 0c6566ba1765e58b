//! Who comes from sessions in SQLite takes `FileStore`: users are still signed in after a restart.

use std::path::Path;

use axum::Router;
use example_coming_from_after::app_on;
use tower_user_sessions::{FileStore, store::FileStoreErrorKind};

use crate::browser::Browser;

const HELLO: &str = "Hello alice, visits before this: ";

fn start(file: &Path) -> Router {
    app_on(FileStore::open(file).unwrap())
}

#[tokio::test]
async fn users_and_their_data_survive_a_restart_of_the_app() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sessions.db");
    let app = start(&file);
    let mut alice = Browser::new(&app);
    alice.send("GET /").await;
    alice.send("POST /login name=alice&password=demo").await;
    let mut bob = Browser::new(&app);
    bob.send("POST /login name=bob&password=demo").await;
    bob.send("GET /").await;
    bob.send("POST /logout").await;

    let second = FileStore::open(&file).unwrap_err();
    assert_eq!(second.kind(), FileStoreErrorKind::InUse);
    // What `expect` prints.
    let printed = format!("{second:?}");
    assert!(printed.contains("open in another process"), "{printed}");
    drop(app);
    alice.stop();
    bob.stop();
    let app = start(&file);
    alice.visit(&app);
    bob.visit(&app);

    let home = alice.send("GET /").await.body;
    assert_eq!(home, format!("Welcome, alice\n{HELLO}1"));
    assert_eq!(bob.send("GET /me").await.status, 401);
    alice.stop();
    bob.stop();
    drop(app);

    alice.visit(&start(&file));
    assert_eq!(alice.send("GET /").await.body, format!("{HELLO}2"));
}
