//! Two browsers do many things in a random order, and requests are dropped at any moment: nobody loses a session by it, or
//! has one too many.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeSet,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use http::Response;
use proptest::{collection::vec, option, prelude::*};
use tower_user_sessions::{
    Login, MemoryStore, Session, SessionId, SessionLayer,
    store::{ManualClock, Token},
};

use crate::common::{
    book::{Book, Reported, live},
    faulty::FaultyStore,
    http::{Client, ids, store, user},
};

const USERS: [&str; 2] = ["alice", "bob"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert,
    SignIn(usize),
    SignOut,
    Commit,
    Rotate,
    Reauthenticate,
    EndOthers,
    EndAll,
}

#[derive(Clone, Debug)]
struct Request {
    browser: usize,
    steps: Vec<Step>,
    status: u16,
    /// It is dropped after it was polled so often.
    dropped_after: Option<usize>,
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let step = prop_oneof![
        3 => Just(Step::Insert),
        4 => (0..2_usize).prop_map(Step::SignIn),
        1 => Just(Step::SignOut),
        3 => Just(Step::Commit),
        1 => Just(Step::Rotate),
        1 => Just(Step::Reauthenticate),
        1 => Just(Step::EndOthers),
        1 => Just(Step::EndAll),
    ];
    let status = prop_oneof![4 => Just(200), 1 => Just(500)];
    let request = (0..2_usize, vec(step, 1..5), status, option::of(0..12_usize));
    let request = request.prop_map(|(browser, steps, status, dropped_after)| Request {
        browser,
        steps,
        status,
        dropped_after,
    });
    vec(request, 1..8)
}

struct World {
    browsers: Vec<Client>,
    store: MemoryStore,
    clock: ManualClock,
    book: Book,
    /// All events.
    news: Vec<Reported>,
}

fn world() -> World {
    let ((store, clock), book) = (store(), Book::default());
    // It never answers at once.
    let layer = SessionLayer::new(FaultyStore::new(&store)).events(book.sink());
    World {
        browsers: vec![Client::new(&layer), Client::new(&layer)],
        store,
        clock,
        book,
        news: Vec::new(),
    }
}

/// The session of a browser's cookie.
fn held(browser: &Client) -> Option<SessionId> {
    let (_, token) = browser.cookie.as_ref()?.split_once('=').unwrap();
    Some(token.parse::<Token>().unwrap().session_id())
}

async fn stored(store: &MemoryStore) -> BTreeSet<SessionId> {
    let mut all = BTreeSet::new();
    for user in USERS {
        all.extend(ids(store, user).await);
    }
    all
}

/// Refusals are part of the history.
async fn take(step: Step, session: &Session, mark: &str) {
    match step {
        Step::Insert => session.insert("mark", mark).unwrap(),
        Step::SignIn(at) => {
            let login = Login::new(user(USERS[at])).carry(["mark"]);
            session.log_in_with(login).unwrap();
        }
        Step::SignOut => session.log_out().unwrap(),
        Step::Commit => drop(session.commit().await),
        Step::Rotate => session.rotate().unwrap(),
        Step::Reauthenticate => drop(session.reauthenticated()),
        Step::EndOthers | Step::EndAll => {
            let Some(sessions) = session.user_sessions() else {
                return;
            };
            let _ended = match step {
                Step::EndOthers => sessions.end_others().await,
                _ => sessions.end_all().await,
            };
        }
    }
    let found: Option<String> = session.get("mark").unwrap();
    assert!(found.is_none_or(|found| found == mark));
}

/// What it returns, unless it is dropped after so many polls.
async fn unless_dropped<F: Future>(request: F, after: Option<usize>) -> Option<F::Output> {
    let (mut request, mut polls) = (pin!(request), 0);
    poll_fn(|task| {
        if Some(polls) == after {
            return Poll::Ready(None);
        }
        polls += 1;
        request.as_mut().poll(task).map(Some)
    })
    .await
}

async fn send(world: &mut World, request: Request) {
    let Request {
        browser,
        steps,
        status,
        dropped_after,
    } = request;
    let before = stored(&world.store).await;
    let client = &mut world.browsers[browser];
    let is_signed_in = held(client).is_some_and(|id| before.contains(&id));
    let mark = format!("of browser {browser}");
    let sent = client.answered(move |session| {
        let (steps, mark) = (steps.clone(), mark.clone());
        async move {
            assert_eq!(session.user_id().is_some(), is_signed_in);
            for step in steps {
                take(step, &session, &mark).await;
            }
            let mut response = Response::new(String::new());
            *response.status_mut() = status.try_into().unwrap();
            (response, ())
        }
    });

    if let Some(answer) = unless_dropped(sent, dropped_after).await {
        client.keep(&answer);
    }

    let after = stored(&world.store).await;
    let held: BTreeSet<SessionId> = world.browsers.iter().filter_map(held).collect();
    assert!(after.is_subset(&held), "a session that no browser has");
    world.news.extend(world.book.news());
    assert_eq!(live(&world.news), Vec::from_iter(after));
    world.clock.advance(Duration::from_secs(1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_024) })]

    // T45 T57
    #[test]
    fn whatever_requests_do_and_whenever_they_are_dropped_browsers_have_exactly_the_live_sessions(
        requests in requests(),
    ) {
        tokio_test::block_on(async {
            let mut world = world();
            for request in requests {
                send(&mut world, request).await;
            }
        });
    }
}
