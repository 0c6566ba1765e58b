//! A `FileStore` on a disk that is full, and again with space.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use http::StatusCode;
use tower_user_sessions::{
    Limit, SessionLayer, SessionStore,
    store::{Created, FileStore},
};

use crate::common::{
    http::{Answer, Client, user},
    people::{asks, token},
};

/// Names the small disk to the process that has it.
const DISK: &str = "TUS_SMALL_DISK";

/// How long the log may be at least before it is cleaned.
const LOG: u64 = 32 * 1024 * 1024;

// T75
#[test]
fn on_a_full_disk_sign_ins_fail_and_evict_nobody_and_all_works_again_with_space() {
    let test =
        "file_full::on_a_full_disk_sign_ins_fail_and_evict_nobody_and_all_works_again_with_space";
    on_a_disk_of("14m", test, |disk| fills(disk, false));
}

// T75
#[test]
fn on_a_full_disk_with_a_log_that_must_be_cleaned_the_same_holds() {
    let test = "file_full::on_a_full_disk_with_a_log_that_must_be_cleaned_the_same_holds";
    on_a_disk_of("80m", test, |disk| fills(disk, true));
}

/// Runs this test again in a process that has a small disk.
pub(crate) fn on_a_disk_of<F: Future<Output = ()>>(
    size: &str,
    test: &str,
    fills: impl FnOnce(PathBuf) -> F,
) {
    if let Some(disk) = env::var_os(DISK) {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.enable_all().build().unwrap();
        return runtime.block_on(fills(disk.into()));
    }
    let disk = tempfile::tempdir().unwrap();
    let own = env::current_exe().unwrap();
    let script = format!(
        "mount -t tmpfs -o size={size} none \"$1\" && exec \"$2\" --exact \"$3\" --include-ignored --nocapture"
    );
    // Without the rights of root, a namespace of users gives them.
    let mut unshare = Command::new("unshare");
    if Command::new("id").arg("-u").output().unwrap().stdout != b"0\n" {
        unshare.arg("--map-root-user");
    }
    let done = unshare
        .args(["--mount", "sh", "-c", &script, "sh"])
        .args([disk.path(), &own])
        .arg(test)
        .env(DISK, disk.path())
        .status()
        .unwrap_or_else(|error| {
            panic!("unshare does not run ({error}): apt-get install util-linux")
        });

    assert!(done.success(), "{done}");
}

/// A sign-in with data, which need room.
pub(crate) async fn sign_in(client: &mut Client, id: &str) -> Answer<()> {
    let user = user(id);
    client
        .send(move |session| {
            let user = user.clone();
            async move {
                session.log_in(user).unwrap();
                session.insert("note", &"x".repeat(8 * 1024)).unwrap();
            }
        })
        .await
}

/// Leaves no byte free.
fn fill(path: &Path) {
    let mut ballast = fs::File::create(path).unwrap();
    while ballast.write_all(&[1; 4_096]).is_ok() {}
}

/// Signs a user in from so many places that soon the log must be cleaned.
async fn lengthen_log(store: &FileStore, path: &Path) {
    for at in 0..1_000 {
        let mut create = asks("carol", &token(store, "carol"));
        create.limit = Limit::at_most(150);
        let created = store.create(&create).await.unwrap();
        assert!(matches!(created, Created::Created(_)), "{at}: {created:?}");
    }
    assert!(fs::metadata(path).unwrap().len() > LOG);
}

async fn fills(disk: PathBuf, long: bool) {
    let (path, ballast) = (disk.join("sessions.db"), disk.join("ballast"));
    let store = FileStore::open(&path).unwrap();
    if long {
        lengthen_log(&store, &path).await;
    }
    let layer = SessionLayer::new(store).limit(Limit::at_most(1));
    let mut phone = Client::new(&layer);
    assert_eq!(sign_in(&mut phone, "alice").await.status, StatusCode::OK);
    let mut bob = Client::new(&layer);
    assert_eq!(sign_in(&mut bob, "bob").await.status, StatusCode::OK);
    fill(&ballast);

    // The file has some room of its own.
    let (mut others, mut refused) = (0, 0);
    while refused < 3 {
        let mut other = Client::new(&layer);
        let answer = sign_in(&mut other, &format!("other {others}")).await;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(answer.sets_no_cookie());
            refused += 1;
        } else {
            assert_eq!(answer.status, StatusCode::OK);
            refused = 0;
        }
        others += 1;
        assert!(others < 2_000, "the disk is not full");
    }
    let mut tablet = Client::new(&layer);
    for _ in 0..3 {
        let answer = sign_in(&mut tablet, "alice").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        // A sign-in that failed has evicted nobody.
        assert_eq!(phone.user().await.as_deref(), Some("alice"));
    }
    let before = bob.clone();
    let answer = bob
        .send(|session| async move { session.log_out().unwrap() })
        .await;
    // The end has taken effect, and whether it is on the disk is not known.
    println!("signing out on a full disk: {}", answer.status);
    assert_eq!(before.clone().user().await, None);

    fs::remove_file(&ballast).unwrap();
    let answer = sign_in(&mut tablet, "alice").await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(tablet.user().await.as_deref(), Some("alice"));
    assert_eq!(phone.user().await, None);
    assert_eq!(before.clone().user().await, None);
    let restart = |cookies: &Client, layer: &SessionLayer| cookies.before(layer);
    drop(layer);
    let (old_tablet, old_bob, old_phone) = (tablet, before, phone);
    let kept = [&old_tablet, &old_bob, &old_phone].map(|client| {
        let mut bare = Client::new(&SessionLayer::new(tower_user_sessions::MemoryStore::new()));
        bare.cookie.clone_from(&client.cookie);
        bare
    });
    drop((old_tablet, old_bob, old_phone, bob));
    let layer = SessionLayer::new(FileStore::open(&path).unwrap());
    let [mut tablet, mut bob, mut phone] = kept.map(|client| restart(&client, &layer));
    assert_eq!(tablet.user().await.as_deref(), Some("alice"));
    assert_eq!(bob.user().await, None);
    assert_eq!(phone.user().await, None);
}
