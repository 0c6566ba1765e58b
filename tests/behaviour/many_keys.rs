//! Many changes in one request: the work grows with their number, not with its square.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use http::StatusCode;
use tower_user_sessions::{MemoryStore, Session, SessionErrorKind, SessionLayer};

use crate::common::http::{Client, store};

fn signed_in(stored: usize) -> impl Future<Output = Client> {
    let layer = SessionLayer::new(MemoryStore::new()).data_limit(1 << 20);
    async move {
        let mut client = Client::signed_in(&layer, "alice").await;
        let answer = client.send(move |session| async move { insert(&session, "s", stored) });
        assert_eq!(answer.await.status, StatusCode::OK);
        client
    }
}

fn insert(session: &Session, prefix: &str, keys: usize) {
    for n in 0..keys {
        session.insert(&format!("{prefix}{n}"), &n).unwrap();
    }
}

/// What a request does to this many keys.
type Work = fn(&Session, usize);

const WORKS: [(&str, usize, Work); 5] = [
    ("insert", 0, |session, keys| insert(session, "k", keys)),
    ("insert beside stored keys", 4_000, |session, keys| {
        insert(session, "k", keys);
    }),
    ("replace", 4_000, |session, keys| insert(session, "s", keys)),
    ("remove", 4_000, |session, keys| {
        for n in 0..keys {
            session.remove(&format!("s{n}")).unwrap();
        }
    }),
    ("update", 4_000, |session, keys| {
        for n in 0..keys {
            let add = |n: Option<usize>| n.unwrap() + 1;
            session.update(&format!("s{n}"), add).unwrap();
        }
    }),
];

/// How many bytes a request allocates that works on this many keys, and commits.
///
/// What is copied for each of them shows here, and no other process disturbs the count.
fn bytes(client: &mut Client, work: Work, keys: usize) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            let answer = client.send(move |session| async move {
                work(&session, keys);
                session.commit().await.unwrap();
            });
            assert_eq!(answer.await.status, StatusCode::OK);
        });
    });
    counted.bytes_total
}

#[test]
fn twice_as_many_changes_in_one_request_take_about_twice_the_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for (what, stored, work) in WORKS {
        let counts = [1_000, 2_000].map(|keys| {
            let mut client = runtime.block_on(signed_in(stored));
            bytes(&mut client, work, keys)
        });

        assert!(counts[1] < counts[0] * 5 / 2, "{what}: {counts:?}");
    }
}

#[tokio::test]
async fn two_thousand_values_of_one_key_keep_one_value() {
    let mut client = signed_in(0).await;

    let kept = client.send(|session: Session| async move {
        let value = "x".repeat(1_000);
        let counted = allocation_counter::measure(|| {
            for _ in 0..2_000 {
                session.insert("key", &value).unwrap();
            }
        });
        counted.bytes_current
    });

    let kept = kept.await.value();
    assert!(kept < 4_000, "{kept} bytes");
}

#[tokio::test]
async fn two_thousand_updates_of_one_key_keep_their_closures_and_one_value() {
    let mut client = signed_in(0).await;

    let kept = client.send(|session: Session| async move {
        session.insert("key", &"x".repeat(1_000)).unwrap();
        let counted = allocation_counter::measure(|| {
            for _ in 0..2_000 {
                let same = |value: Option<String>| value.unwrap();
                session.update("key", same).unwrap();
            }
        });
        counted.bytes_current
    });

    let kept = kept.await.value();
    assert!(kept < 600_000, "{kept} bytes");
}

#[tokio::test]
async fn the_size_of_the_data_is_exact_whatever_was_staged_before() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).data_limit(200);
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("stored", "123456789012345678").await;

    let answer = client.send(|session: Session| async move {
        // Each entry takes 6 bytes of lengths, its key, and MessagePack's 1 before a short text.
        for n in 10..20 {
            session.insert(&format!("k{n}"), "12").unwrap();
        }
        session.remove("k10").unwrap();
        session.insert("stored", "1").unwrap();
        session
            .update("k11", |text: Option<String>| text.unwrap() + "3")
            .unwrap();
        // 9 entries of 12 bytes, one of them 1 longer, and 14 for `stored`: 77 are left.
        let fits = "x".repeat(77 - 6 - 1 - 2);
        let over = session.insert("z", &(fits.clone() + "x")).unwrap_err();
        session.insert("z", &fits).unwrap();
        let more = session.insert("y", "").unwrap_err();
        session.commit().await.unwrap();
        let after = session.insert("y", "").unwrap_err();
        session.remove("z").unwrap();
        session.insert("y", "").unwrap();
        [over, more, after].map(|error| error.kind())
    });

    assert_eq!(answer.await.value(), [SessionErrorKind::TooLarge; 3]);
    assert_eq!(client.get("y").await.as_deref(), Some(""));
    assert_eq!(client.get("k11").await.as_deref(), Some("123"));
}

#[tokio::test]
async fn changes_staged_while_a_commit_runs_are_stored_after_it() {
    use crate::common::faulty::{Fault, FaultyStore, Method};
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let mut client = Client::signed_in(&SessionLayer::new(faulty.clone()), "alice").await;
    faulty.next(Method::Save, Fault::Hang);
    let runs = Arc::new(AtomicUsize::new(0));

    let counted = Arc::clone(&runs);
    let answer = client.send(move |session: Session| {
        let (faulty, counted) = (faulty.clone(), Arc::clone(&counted));
        async move {
            session.insert("a", "1").unwrap();
            session.insert("b", "1").unwrap();
            let later = async {
                while faulty.calls(Method::Save) == 0 {
                    tokio::task::yield_now().await;
                }
                session.insert("a", "2").unwrap();
                session
                    .update("b", move |b: Option<String>| {
                        counted.fetch_add(1, SeqCst);
                        b.unwrap() + "2"
                    })
                    .unwrap();
                session.insert("c", "2").unwrap();
                faulty.release();
            };
            let (done, ()) = tokio::join!(session.commit(), later);
            done.unwrap();
        }
    });
    assert_eq!(answer.await.status, StatusCode::OK);

    let values = client.send(|session: Session| async move {
        ["a", "b", "c"].map(|key| session.get::<String>(key).unwrap())
    });
    let expected = ["2", "12", "2"].map(|value| Some(value.to_owned()));
    assert_eq!(values.await.value(), expected);
    assert_eq!(runs.load(SeqCst), 1);
}
