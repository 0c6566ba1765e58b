//! A session that is used from another address or agent than before.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{
    ClientIp, ClientVerdict, DeviceApi, DevicePage, EndReason, MemoryStore, RequireFresh,
    SessionInfo, SessionLayer, UserSessions,
    events::{Event, EventKind},
    store::ManualClock,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method, until_asked},
    http::{Client, HOUR, store, user},
    page::visit,
};

const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/142.0.0.0 Safari/537.36";
const NEWER_CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like \
                            Gecko) Chrome/143.0.0.0 Safari/537.36";

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Event>>>);

impl Log {
    fn sink(&self) -> impl Fn(Event) + Send + Sync + 'static {
        let log = self.clone();
        move |event| log.0.lock().unwrap().push(event)
    }

    /// The addresses of the clients of all events of this kind so far.
    pub(crate) fn of(&self, kind: EventKind) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let events = events.iter().filter(|event| event.kind == kind);
        let address = |event: &Event| event.client().unwrap().address().unwrap().to_string();
        events.map(address).collect()
    }
}

pub(crate) struct World {
    pub(crate) store: FaultyStore,
    pub(crate) memory: MemoryStore,
    clock: ManualClock,
    pub(crate) log: Log,
    pub(crate) owner: Client,
}

impl World {
    pub(crate) async fn new(configure: impl FnOnce(SessionLayer) -> SessionLayer) -> Self {
        let ((memory, clock), log) = (store(), Log::default());
        let store = FaultyStore::new(&memory);
        let layer = SessionLayer::new(store.clone()).events(log.sink());
        let layer = configure(layer);
        let mut owner = Client::new(&layer);
        (owner.user_agent, owner.peer) = (CHROME, Some("192.0.2.1".parse().unwrap()));
        owner.log_in("alice").await;
        Self {
            store,
            memory,
            clock,
            log,
            owner,
        }
    }

    /// What the guard of a route, the device API and the device page answer, which ask for a sign-in within an hour.
    /// The page answers with a redirect to the page where the user proves it, or to itself when it is done.
    async fn guarded(&self, client: &Client) -> ([StatusCode; 2], Option<String>) {
        let layer = SessionLayer::new(self.memory.clone());
        let service = service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let guard = layer.layer(RequireFresh::within(HOUR).layer(service));
        let guard = guard.oneshot(client.head("/pay")).await.unwrap();
        let api = layer.layer(DeviceApi::at("/sessions").require_fresh(HOUR));
        let page = DevicePage::at("/devices").require_fresh(HOUR, "/prove");
        let page = visit(&layer, &page, client, "POST /devices/end-others", &[], "").await;
        let mut client = client.clone();
        client.method = http::Method::POST;
        let api = api.oneshot(client.head("/sessions/logout-others"));
        let api = api.await.unwrap().status();
        let page = page.location().map(str::to_owned);
        ([guard.status(), api], page)
    }

    /// A client with the token of the owner.
    pub(crate) fn thief(&self, address: &str, user_agent: &'static str) -> Client {
        let mut thief = self.owner.clone();
        (thief.user_agent, thief.peer) = (user_agent, Some(address.parse().unwrap()));
        thief
    }

    async fn info(&self) -> SessionInfo {
        let sessions = UserSessions::new(self.memory.clone(), user("alice"));
        sessions.list().await.unwrap().remove(0)
    }
}

// T76
#[tokio::test]
async fn the_list_has_the_last_client_beside_the_one_of_the_sign_in() {
    let mut world = World::new(|layer| layer).await;
    let before = world.info().await;
    assert_eq!(before.last_address(), before.address());
    assert_eq!(before.last_user_agent(), before.user_agent());

    world.thief("198.51.100.7", "curl/8.5.0").user().await;

    let after = world.info().await;
    assert_eq!(after.last_address(), Some("198.51.100.7".parse().unwrap()));
    assert_eq!(after.last_user_agent(), Some("curl/8.5.0"));
    assert_eq!(after.address(), before.address());
    assert_eq!(after.user_agent(), before.user_agent());
    assert_eq!(world.log.of(EventKind::ClientChanged), ["198.51.100.7"]);

    world.clock.advance(MINUTE);
    world.owner.user().await;

    assert_eq!(world.info().await.last_address(), before.address());
    assert_eq!(
        world.log.of(EventKind::ClientChanged),
        ["198.51.100.7", "192.0.2.1"]
    );
}

// T76
#[tokio::test]
async fn the_same_network_and_a_newer_version_of_the_browser_are_no_change() {
    let mut world = World::new(|layer| layer).await;

    world.thief("192.0.2.200", NEWER_CHROME).user().await;
    world.clock.advance(HOUR);
    world.owner.user().await;

    assert_eq!(world.store.calls(Method::NoteClient), 0);
    assert!(world.log.of(EventKind::ClientChanged).is_empty());
}

// T76
#[tokio::test]
async fn a_change_is_written_once_a_minute_and_raised_once_an_hour_for_each_client() {
    let mut world = World::new(|layer| layer).await;
    let mut thief = world.thief("198.51.100.7", CHROME);

    for _ in 0..360 {
        thief.user().await;
        world.owner.user().await;
        world.clock.advance(MINUTE / 6);
    }

    // One hour, in which the two take turns.
    let raised = world.log.of(EventKind::ClientChanged);
    assert_eq!(raised, ["198.51.100.7", "192.0.2.1"]);
    assert!(world.store.calls(Method::NoteClient) <= 60);
    assert!(world.store.calls(Method::NoteClient) >= 30);

    world.clock.advance(MINUTE);
    thief.user().await;
    world.clock.advance(MINUTE);
    world.owner.user().await;
    assert_eq!(world.log.of(EventKind::ClientChanged).len(), 4);
}

// T76 T58
#[tokio::test]
async fn a_request_that_is_no_activity_notes_no_client_but_asks_the_app() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let world = World::new(|layer| {
        layer
            .counts_as_activity(|_| false)
            .on_client_changed(move |change| {
                assert_eq!(change.user.as_str(), "alice");
                assert_eq!(change.before, change.signed_in);
                assert_ne!(change.now, change.before);
                *count.lock().unwrap() += 1;
                ClientVerdict::Keep
            })
    });
    let world = world.await;

    world.thief("198.51.100.7", CHROME).user().await;

    assert_eq!(*asked.lock().unwrap(), 1);
    assert_eq!(world.store.calls(Method::NoteClient), 0);
    assert!(world.log.of(EventKind::ClientChanged).is_empty());
}

// T76
#[tokio::test]
async fn the_app_can_end_a_session_that_is_used_by_another_client() {
    let mut world = World::new(|layer| layer.on_client_changed(|_| ClientVerdict::End)).await;
    let mut thief = world.thief("198.51.100.7", CHROME);

    let answer = thief.send(|session| async move { (session.user_id(), session.ended()) });
    let (found, notice) = answer.await.value();

    assert_eq!(found, None);
    assert_eq!(notice.unwrap().reason, EndReason::ClientChanged);
    let told = world.owner.send(|session| async move { session.ended() });
    assert_eq!(told.await.value().unwrap().reason, EndReason::ClientChanged);
    assert_eq!(world.log.of(EventKind::ClientChanged), ["198.51.100.7"]);
    assert_eq!(world.log.of(EventKind::Ended), ["198.51.100.7"]);
}

// T65 T76
#[tokio::test]
async fn what_a_guest_inserts_is_kept_also_in_the_request_whose_session_the_app_ended() {
    let world = World::new(|layer| layer.on_client_changed(|_| ClientVerdict::End)).await;
    let mut elsewhere = world.thief("198.51.100.7", CHROME);

    let answer = elsewhere.send(|session| async move { session.insert("cart", &3).unwrap() });
    answer.await;

    let cart = elsewhere.send(|session| async move { session.get::<u8>("cart").unwrap() });
    assert_eq!(cart.await.value(), Some(3));
}

// T76
#[tokio::test]
async fn the_guest_cookie_beside_a_session_that_the_app_ended_is_read_in_the_same_request() {
    let world = World::new(|layer| layer.on_client_changed(|_| ClientVerdict::End)).await;
    let mut elsewhere = world.thief("198.51.100.7", CHROME);
    let mut guest = elsewhere.clone();
    guest.cookie = None;
    guest.insert("cart", "apple").await;
    elsewhere.guest.clone_from(&guest.guest);

    let answer = elsewhere.request(|session| async move {
        session.insert("note", "x").unwrap();
        (session.user_id(), session.get::<String>("cart").unwrap())
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie(), "{:?}", answer.set_cookies());
    assert_eq!(answer.value(), (None, Some("apple".to_owned())));
    assert_eq!(guest.get("note").await.as_deref(), Some("x"));
}

// T76
#[tokio::test]
async fn the_app_can_ask_for_a_fresh_sign_in_which_lasts_until_the_user_authenticates_again() {
    let mut world =
        World::new(|layer| layer.on_client_changed(|_| ClientVerdict::RequireFresh)).await;
    let mut thief = world.thief("198.51.100.7", CHROME);
    let fresh = async |client: &mut Client| {
        let answer = client.send(|session| async move { session.is_fresh(HOUR) });
        let answer = answer.await;
        assert_eq!(answer.header("vary"), Some("Cookie"));
        answer.value()
    };
    assert!(fresh(&mut world.owner).await);

    assert!(!fresh(&mut thief).await);
    assert!(!fresh(&mut thief).await);
    assert!(!fresh(&mut world.owner).await);
    for client in [&thief, &world.owner] {
        let asked = ([StatusCode::UNAUTHORIZED; 2], Some("/prove".to_owned()));
        assert_eq!(world.guarded(client).await, asked);
    }

    // By the times alone it would count as the doubted one.
    world.clock.set(world.clock.now().minus(HOUR));
    let again = world.owner.send(|session| async move {
        session.reauthenticated().unwrap();
        session.is_fresh(HOUR)
    });
    assert!(again.await.value());
    assert!(fresh(&mut world.owner).await);
    let done = ([StatusCode::OK; 2], Some("/devices?done=others".to_owned()));
    assert_eq!(world.guarded(&world.owner).await, done);
}

// T39 T76
#[tokio::test]
async fn a_staged_sign_in_is_fresh_although_the_session_before_it_is_doubted() {
    let world = World::new(|layer| layer.on_client_changed(|_| ClientVerdict::RequireFresh)).await;

    let answer = world
        .thief("198.51.100.7", CHROME)
        .request(|session| async move {
            let before = session.is_fresh(HOUR);
            session.log_in("alice").unwrap();
            (before, session.is_fresh(HOUR))
        });

    assert_eq!(answer.await.value(), (false, true));
}

// T76
#[tokio::test]
async fn bytes_that_are_no_text_before_the_trusted_address_hide_no_change() {
    for (source, name, own, forged) in [
        (
            ClientIp::RightmostXForwardedFor,
            "x-forwarded-for",
            &b"192.0.2.1"[..],
            &b"\xff\xfe, 198.51.100.7"[..],
        ),
        (
            ClientIp::Forwarded { proxies: 1 },
            "forwarded",
            b"for=192.0.2.1",
            b"for=\"\xc3\x28\", for=198.51.100.7",
        ),
    ] {
        let mut world = World::new(move |layer| {
            let layer = layer.client_ip(source);
            layer.on_client_changed(|_| ClientVerdict::End)
        })
        .await;
        let header = |value: &[u8]| HeaderValue::from_bytes(value).unwrap();
        world.owner.headers.insert(name, header(own));
        world.owner.log_in("alice").await;
        assert_eq!(world.owner.user().await.as_deref(), Some("alice"));

        let mut thief = world.owner.clone();
        thief.headers.insert(name, header(forged));

        assert_eq!(thief.user().await, None, "{name}");
        assert_eq!(world.owner.user().await, None, "{name}");
        assert_eq!(world.log.of(EventKind::ClientChanged), ["198.51.100.7"]);
    }
}

// T76
#[tokio::test]
async fn if_the_store_does_not_answer_the_request_goes_on_unless_the_session_must_end() {
    for (verdict, reached) in [
        (ClientVerdict::Keep, true),
        (ClientVerdict::RequireFresh, true),
        (ClientVerdict::End, false),
    ] {
        let world = World::new(|layer| layer.on_client_changed(move |_| verdict)).await;
        let faulty = [Method::NoteClient, Method::End];
        world.store.always(faulty, Fault::Fail);

        let thief = world.thief("198.51.100.7", CHROME);
        let answer = thief.request(|session| async move { session.is_fresh(HOUR) });
        let answer = answer.await;

        assert_eq!(answer.reached(), reached, "{verdict:?}");
        if reached {
            assert_eq!(answer.value(), verdict == ClientVerdict::Keep);
        }
        assert!(world.log.of(EventKind::ClientChanged).is_empty());
        world.store.mend();
    }
}

// T76
#[tokio::test]
async fn requests_in_parallel_raise_one_event() {
    let world = World::new(|layer| layer).await;
    world.store.nth(Method::NoteClient, 1, Fault::Hang);
    let (first, mut second) = (
        world.thief("198.51.100.7", CHROME),
        world.thief("198.51.100.8", CHROME),
    );
    let mut waits = pin!(first.request(|session| async move { session.user_id() }));
    until_asked(&world.store, Method::NoteClient, 1, waits.as_mut()).await;

    second.user().await;
    world.store.release();

    assert_eq!(waits.await.value(), Some(user("alice")));
    assert_eq!(world.log.of(EventKind::ClientChanged), ["198.51.100.8"]);
}
