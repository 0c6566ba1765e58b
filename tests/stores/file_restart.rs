//! What `FileStore` keeps over a restart, and which files it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its figures are shown with --nocapture"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use tower_user_sessions::{
    EndReason, Timestamp,
    store::{
        Authenticated, Created, End, EndEveryone, FileStore, FileStoreErrorKind, List, ManualClock,
        Resolve, Resolved, Save, SessionStore, Token, Which,
    },
};

use crate::common::{
    log::Log,
    people::{asks, is_live, set, signs_in, token, until},
};

/// Where the database begins, after the header and the journal.
const DATABASE: usize = 4_096 + 8 * 1024 * 1024;
const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) clock: ManualClock,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            clock: ManualClock::at(NOW),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("sessions.db")
    }

    pub(crate) fn open(&self) -> FileStore {
        self.open_at(&self.path())
    }

    pub(crate) fn open_at(&self, path: &Path) -> FileStore {
        let builder = FileStore::builder().clock(self.clock.clone());
        builder.open(path).unwrap()
    }

    /// A copy of the file as a crash would leave it.
    fn crashed(&self) -> PathBuf {
        let copy = self.directory.path().join("crashed.db");
        fs::copy(self.path(), &copy).unwrap();
        copy
    }
}

pub(crate) async fn found(store: &FileStore, token: &Token) -> Resolved {
    store.resolve(&Resolve::new(token.clone())).await.unwrap()
}

async fn last_activity(store: &FileStore, token: &Token) -> Timestamp {
    let listed = store.list(&List::new(token.tag())).await.unwrap();
    listed[0].last_activity
}

// T75
#[tokio::test]
async fn sessions_with_their_data_their_ends_and_the_cutoffs_survive_a_restart() {
    let place = Place::new();
    let store = place.open();
    let phone = token(&store, "alice");
    let mut asked = asks("alice", &phone);
    asked.changes = set("theme", "dark");
    let created = store.create(&asked).await.unwrap();
    assert!(matches!(created, Created::Created(_)));
    let save = Save::new(phone.tag(), phone.session_id(), set("cart", "tea"));
    store.save(&save).await.unwrap();
    let laptop = signs_in(&store, "alice").await;
    let end = End::new(
        laptop.tag(),
        Which::One(laptop.session_id()),
        EndReason::Revoked,
    );
    store.end(&end).await.unwrap();
    let bob = signs_in(&store, "bob").await;
    let end = End::new(bob.tag(), Which::All, EndReason::CredentialsChanged);
    store.end(&end).await.unwrap();
    drop(store);

    let store = place.open();

    let Resolved::Live(live) = found(&store, &phone).await else {
        panic!("the session is gone");
    };
    assert_eq!(live.data.get("theme").unwrap(), "dark");
    assert_eq!(live.data.get("cart").unwrap(), "tea");
    let Resolved::Ended(notice) = found(&store, &laptop).await else {
        panic!("the notice is gone");
    };
    assert_eq!(notice.reason, EndReason::Revoked);
    let mut late = asks("bob", &token(&store, "bob"));
    late.authenticated = Authenticated::At(NOW);
    let answer = store.create(&late).await.unwrap();
    assert!(matches!(answer, Created::Rejected), "{answer:?}");
}

// T75
#[tokio::test]
async fn the_end_of_all_users_survives_a_restart() {
    let place = Place::new();
    let store = place.open();
    let moment = store.end_everyone(EndEveryone::Now).await.unwrap();
    drop(store);

    assert_eq!(place.open().everyone(None).await.unwrap(), Some(moment));
}

#[tokio::test]
async fn activity_is_in_the_file_within_a_second_and_costs_the_request_nothing() {
    let place = Place::new();
    let store = place.open();
    let token = signs_in(&store, "alice").await;
    place.clock.advance(HOUR);

    let answer = store.resolve_now(&Resolve::new(token.clone())).unwrap();
    assert!(matches!(answer.unwrap(), Resolved::Live(_)));

    until("the activity is in the file", async || {
        let copy = place.open_at(&place.crashed());
        last_activity(&copy, &token).await == NOW.plus(HOUR)
    })
    .await;
}

#[tokio::test]
async fn the_time_of_the_store_is_never_behind_its_last_write() {
    let place = Place::new();
    let store = place.open();
    place.clock.advance(HOUR);
    signs_in(&store, "alice").await;
    drop(store);
    place.clock.set(NOW);

    let store = place.open();
    let bob = signs_in(&store, "bob").await;

    assert_eq!(last_activity(&store, &bob).await, NOW.plus(HOUR));
}

#[tokio::test]
async fn a_clock_that_was_ahead_once_is_a_warning_and_the_time_is_right_again_later() {
    let log = Log::start();
    let place = Place::new();
    place.clock.advance(5 * HOUR);
    let store = place.open();
    signs_in(&store, "alice").await;
    drop(store);
    place.clock.set(NOW);

    // Each start knows only what is in the file. While no process runs, the store's time stands still.
    for ahead in [5 * HOUR, 3 * HOUR, HOUR, Duration::ZERO] {
        let store = place.open();
        place.clock.advance(8 * HOUR);
        let token = signs_in(&store, &format!("{ahead:?}")).await;
        let made_up = HOUR.min(ahead);
        let expected = place.clock.now().plus(ahead - made_up);
        assert_eq!(last_activity(&store, &token).await, expected);
        drop(store);
        place.clock.advance(HOUR);
    }

    let warned = log.at("WARN");
    assert_eq!(warned.len(), 3, "{warned:?}");
    for (line, minutes) in warned.iter().zip(["=300", "=180", "=60"]) {
        assert!(line.contains(&format!("minutes{minutes}")), "{warned:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_days_ahead_deletes_nothing_for_ten_minutes_and_warns_once() {
    let log = Log::start();
    let place = Place::new();
    let store = place.open();
    let alice = signs_in(&store, "alice").await;
    drop(store);
    place.clock.advance(50 * DAY);

    let store = place.open();
    assert!(matches!(found(&store, &alice).await, Resolved::Expired(_)));
    signs_in(&store, "bob").await;
    drop(store);

    let warned = log.at("WARN");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("days=50"), "{warned:?}");
    // The administrator sets the clock.
    place.clock.set(NOW);
    let store = place.open();
    assert!(is_live(&store, &alice).await);
    drop(store);
    // The clock was right.
    place.clock.advance(50 * DAY);
    let store = place.open();
    place.clock.advance(Duration::from_secs(10 * 60));
    assert!(matches!(found(&store, &alice).await, Resolved::Expired(_)));
    assert_eq!(store.sets(), 1);
    drop(store);
    assert_eq!(place.open().sets(), 1);
}

#[tokio::test]
async fn a_start_does_not_report_an_end_of_all_sessions_of_before() {
    let log = Log::start();
    let place = Place::new();
    let ended = |log: &Log| {
        let lines = log.at("INFO").into_iter();
        lines
            .filter(|line| line.contains("the sessions of all users have ended"))
            .count()
    };
    let store = place.open();
    let moment = store.end_everyone(EndEveryone::Now).await.unwrap();
    assert_eq!(ended(&log), 1);
    drop(store);

    let store = place.open();

    assert_eq!(store.horizon().unwrap().moment(), Some(moment));
    assert_eq!(ended(&log), 1, "{}", log.text());
    place.clock.advance(HOUR);
    store.end_everyone(EndEveryone::Now).await.unwrap();
    assert_eq!(ended(&log), 2, "a new one is reported");
}

// T75
#[tokio::test]
async fn a_file_that_is_cut_off_foreign_or_newer_is_refused_and_does_not_change() {
    let place = Place::new();
    let store = place.open();
    for user in 0..40 {
        signs_in(&store, &format!("user {user}")).await;
    }
    let crashed = fs::read(place.crashed()).unwrap();
    drop(store);
    let closed = fs::read(place.path()).unwrap();

    let mut cases: Vec<(FileStoreErrorKind, Vec<u8>)> = Vec::new();
    for whole in [&closed, &crashed] {
        // Of an empty file nothing is missing.
        for length in [3, 30, 4_096, 1_000_000, DATABASE - 1] {
            cases.push((FileStoreErrorKind::Corrupt, whole[..length].to_vec()));
        }
        for part in 0..50 {
            let length = DATABASE + (whole.len() - DATABASE) * part / 50;
            let length = if part % 2 == 0 {
                length
            } else {
                length / 4_096 * 4_096
            };
            cases.push((FileStoreErrorKind::Corrupt, whole[..length].to_vec()));
        }
    }
    for (version, kind) in [
        (0, FileStoreErrorKind::Corrupt),
        (3, FileStoreErrorKind::TooOld),
        (6, FileStoreErrorKind::TooNew),
    ] {
        let mut other = closed.clone();
        other[20..24].copy_from_slice(&u32::to_be_bytes(version));
        cases.push((kind, other));
    }
    // The second record of the journal, and its first one in the half with the later ones. Others come after them.
    let halves = [4_096, 4_096 + 4 * 1024 * 1024];
    let half = halves
        .into_iter()
        .max_by_key(|half| &crashed[half + 16..half + 24]);
    for record in [0, 4_096] {
        let mut torn = crashed.clone();
        torn[half.unwrap() + record + 100] ^= 1;
        cases.push((FileStoreErrorKind::Corrupt, torn));
    }
    cases.push((
        FileStoreErrorKind::Foreign,
        b"SQLite format 3\0 and more".to_vec(),
    ));
    cases.push((FileStoreErrorKind::Foreign, closed[4_096..].to_vec()));
    let mut flipped = closed;
    let middle = DATABASE + (flipped.len() - DATABASE) / 8;
    flipped[middle..]
        .iter_mut()
        .step_by(512)
        .for_each(|byte| *byte ^= 1);
    cases.push((FileStoreErrorKind::Corrupt, flipped));

    let mut room = 0;
    for (kind, bytes) in cases {
        let path = place.directory.path().join("given.db");
        fs::write(&path, &bytes).unwrap();

        let error = match FileStore::open(&path) {
            Err(error) => error,
            // A crash leaves room at the end that nothing uses. Without it nothing is missing.
            Ok(store) => {
                assert_eq!(store.sets(), 40, "{} bytes", bytes.len());
                room += 1;
                continue;
            }
        };

        assert_eq!(error.kind(), kind, "{} bytes: {error:?}", bytes.len());
        assert!(
            error.to_string().starts_with(path.to_str().unwrap()),
            "{error}"
        );
        assert!(
            fs::read(&path).unwrap() == bytes,
            "{} bytes changed",
            bytes.len()
        );
    }
    assert!(room < 10, "{room}");
}

#[tokio::test]
async fn a_file_whose_making_was_interrupted_is_made_again() {
    let place = Place::new();
    drop(place.open());
    let mut bytes = fs::read(place.path()).unwrap();
    bytes[24] = 0;
    bytes.truncate(10_000);
    fs::write(place.path(), &bytes).unwrap();

    let store = place.open();

    let alice = signs_in(&store, "alice").await;
    drop(store);
    assert!(is_live(&place.open(), &alice).await);
}

// T75
#[test]
fn a_file_that_is_in_use_is_refused() {
    let place = Place::new();
    let store = place.open();

    let error = FileStore::open(place.path()).unwrap_err();

    assert_eq!(error.kind(), FileStoreErrorKind::InUse);
    drop(store);
    drop(place.open());
}

#[test]
fn a_path_that_cannot_be_written_is_an_error_with_its_cause() {
    let place = Place::new();

    let error = FileStore::open(place.directory.path().join("no/such.db")).unwrap_err();

    assert_eq!(error.kind(), FileStoreErrorKind::Unavailable);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("No such file"), "{cause}");
}

#[cfg(unix)]
#[test]
fn only_the_user_of_the_process_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    drop(place.open());

    let mode = fs::metadata(place.path()).unwrap().permissions().mode();

    assert_eq!(mode & 0o777, 0o600);
}
