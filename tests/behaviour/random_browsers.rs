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
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use http::Response;
use proptest::{collection::vec, option, prelude::*};
use tower_user_sessions::{
    Login, MemoryStore, Session, SessionId, SessionLayer,
    events::{Event, EventKind},
    store::{ManualClock, Token},
};

use crate::common::{
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

/// The sessions that are live according to the events.
#[derive(Clone, Default)]
struct Reported(Arc<Mutex<BTreeSet<SessionId>>>);

impl Reported {
    fn note(&self, event: &Event) {
        let mut live = self.0.lock().unwrap();
        let is_news = match (event.kind, event.session) {
            (EventKind::Created, Some(id)) => live.insert(id),
            (EventKind::Ended, Some(id)) => live.remove(&id),
            _ => true,
        };
        assert!(is_news, "{event:?}");
    }
}

struct World {
    browsers: Vec<Client>,
    store: MemoryStore,
    clock: ManualClock,
    reported: Reported,
}

fn world() -> World {
    let ((store, clock), reported) = (store(), Reported::default());
    let noted = reported.clone();
    // It never answers at once.
    let layer =
        SessionLayer::new(FaultyStore::new(&store)).events(move |event: Event| noted.note(&event));
    World {
        browsers: vec![Client::new(&layer), Client::new(&layer)],
        store,
        clock,
        reported,
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
    let live = stored(&world.store).await;
    let client = &mut world.browsers[browser];
    let is_signed_in = held(client).is_some_and(|id| live.contains(&id));
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

    let live = stored(&world.store).await;
    let held: BTreeSet<SessionId> = world.browsers.iter().filter_map(held).collect();
    assert!(live.is_subset(&held), "a session that no browser has");
    assert_eq!(*world.reported.0.lock().unwrap(), live);
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
