//! Promises that hold if this file compiles: futures can be spawned, services and handles shared, errors sent.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::Router;
use http::{Request, Response};
use http_body_util::Full;
use tower::Service;
use tower_user_sessions::{
    Bare, BearerLayer, BearerService, CommitError, CookieError, DeviceApi, DeviceBody, DevicePage,
    EndNotice, EndStreams, EndStreamsService, EndWords, Everyone, FileStore, GeoIp, GeoIpError,
    Limit, LiveSession, Login, MemoryStore, MissingSession, OriginError, ParseSessionIdError,
    ParseTicketError, ParseUserIdError, PostgresStore, RedisStore, Rejection, RequireFresh,
    RequireFreshService, RequireUser, RequireUserService, Session, SessionCookie, SessionError,
    SessionId, SessionInfo, SessionLayer, SessionService, StreamError, Ticket, Timestamp,
    UntilEnded, User, UserId, UserSessions, UserSessionsError, Words,
    events::{Event, EventReceiver, EventSender},
    store::{
        FileStoreError, Near, ParseDataError, ParseTokenError, RandomError, RecordError,
        RedisSource, RedisUrlError, SetStorage, SetStore, SharedStore, StoreError, TagKeyError,
    },
    test::SignedIn,
};

const fn is_send<T: Send>(_: &T) {}

// Handlers of axum and tonic, and `tokio::spawn`, take only futures that are `Send`.
const _: fn(&Session) = |session| {
    is_send(&session.commit());
    is_send(&session.verify());
};
const _: fn(&UserSessions, SessionId) = |users, id| {
    is_send(&users.list());
    is_send(&users.count());
    is_send(&users.end(id));
    is_send(&users.end_others());
    is_send(&users.end_all());
    is_send(&users.disable_for(Duration::ZERO));
    is_send(&users.enable());
    is_send(&users.end_external("sid"));
};
const _: fn(&Everyone, Timestamp) = |everyone, moment| {
    is_send(&everyone.end_all());
    is_send(&everyone.end_before(moment));
    is_send(&everyone.ended_before());
    is_send(&everyone.page(None));
    is_send(&everyone.count());
};
const _: fn(&mut EventReceiver, &LiveSession) = |events, live| {
    is_send(&events.recv());
    is_send(&events.batch());
    is_send(&live.ended());
};
const _: fn(&FileStore, &PostgresStore, &RedisStore) = |file, postgres, redis| {
    is_send(&file.backup("copy"));
    is_send(&postgres.migrate());
    is_send(&postgres.drain(Duration::ZERO));
    is_send(&redis.check());
    is_send(&redis.drain(Duration::ZERO));
};
const _: fn(&Near<MemoryStore>) = |near| is_send(&near.flush());

/// Stores in a storage of the app, too.
#[expect(dead_code, reason = "it only has to compile")]
fn set_store_is_send<S: SetStorage>(store: &SetStore<S>) {
    is_send(&store.run());
    is_send(&store.drain(Duration::ZERO));
}

const fn is_shared<T: Clone + Send + Sync + 'static>() {}

// axum takes only services that are `Clone`, `Send` and `Sync`, and so are what handlers keep in their state.
const _: () = {
    is_shared::<SessionService<Router, Bare>>();
    is_shared::<RequireUserService<Router, Bare>>();
    is_shared::<RequireFreshService<Router, Bare>>();
    is_shared::<EndStreamsService<Router, Bare>>();
    is_shared::<BearerService<Router>>();
    is_shared::<SessionLayer>();
    is_shared::<RequireUser>();
    is_shared::<RequireFresh>();
    is_shared::<EndStreams>();
    is_shared::<BearerLayer>();
    is_shared::<SignedIn>();
    is_shared::<DeviceApi>();
    is_shared::<DevicePage>();
    is_shared::<GeoIp>();
    is_shared::<Words>();
    is_shared::<EndWords>();
    is_shared::<SessionCookie>();
    is_shared::<Limit>();

    is_shared::<MemoryStore>();
    is_shared::<FileStore>();
    is_shared::<PostgresStore>();
    is_shared::<RedisStore>();
    is_shared::<RedisSource>();
    is_shared::<SharedStore>();
    is_shared::<Near<MemoryStore>>();

    is_shared::<Session>();
    is_shared::<User>();
    is_shared::<UserSessions>();
    is_shared::<Everyone>();
    is_shared::<LiveSession>();
    is_shared::<Login>();
    is_shared::<SessionInfo>();
    is_shared::<EndNotice>();
    is_shared::<Ticket>();
    is_shared::<UserId>();
    is_shared::<Rejection>();
    is_shared::<Event>();
    is_shared::<EventSender>();
};

const fn is_error<T: Error + Send + Sync + 'static>() {}

const _: () = {
    is_error::<CommitError>();
    is_error::<CookieError>();
    is_error::<FileStoreError>();
    is_error::<GeoIpError>();
    is_error::<MissingSession>();
    is_error::<OriginError>();
    is_error::<ParseDataError>();
    is_error::<ParseSessionIdError>();
    is_error::<ParseTicketError>();
    is_error::<ParseTokenError>();
    is_error::<ParseUserIdError>();
    is_error::<RandomError>();
    is_error::<RecordError>();
    is_error::<RedisUrlError>();
    is_error::<SessionError>();
    is_error::<StoreError>();
    is_error::<StreamError>();
    is_error::<TagKeyError>();
    is_error::<UserSessionsError>();
};

/// The future of a service, for a request with this body.
const fn answers_with_a_future_that_is_send<S, B>()
where
    S: Service<Request<B>>,
    S::Future: Send,
{
}

/// A service whose future is `Send`, in the layers.
const _: () = {
    type Body = Full<bytes::Bytes>;
    type Inner<B> = tower::util::BoxCloneSyncService<Request<B>, Response<Body>, std::io::Error>;

    answers_with_a_future_that_is_send::<SessionService<Inner<Body>, Bare>, Body>();
    answers_with_a_future_that_is_send::<RequireUserService<Inner<Body>, Bare>, Body>();
    answers_with_a_future_that_is_send::<RequireFreshService<Inner<Body>, Bare>, Body>();
    answers_with_a_future_that_is_send::<EndStreamsService<Inner<UntilEnded<Body>>, Bare>, Body>();
    answers_with_a_future_that_is_send::<BearerService<Inner<Body>>, Body>();
    answers_with_a_future_that_is_send::<DeviceApi, Body>();
    answers_with_a_future_that_is_send::<DevicePage, Body>();
};

const fn is_body<B: http_body::Body + Send + 'static>() {}

const _: () = {
    is_body::<DeviceBody>();
    is_body::<UntilEnded<Full<bytes::Bytes>>>();
};

/// Each Rust file under this folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files(&path),
            path => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn each_public_async_function_is_among_those_whose_future_is_send() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = fs::read_to_string(root.join("tests/behaviour/auto_traits.rs")).unwrap();
    let sources: Vec<_> = files(&root.join("src"))
        .into_iter()
        // The suites run in a test, on a runtime of one thread.
        .filter(|path| {
            !path.ends_with("conformance") && !path.to_string_lossy().contains("conformance")
        })
        .collect();
    let mut names = Vec::new();

    for path in sources {
        let text = fs::read_to_string(path).unwrap();
        names.extend(text.lines().filter_map(|line| {
            let name = line.trim_start().strip_prefix("pub async fn ")?;
            Some(name.split(['(', '<']).next()?.to_owned())
        }));
    }

    assert!(names.len() > 20, "{names:?}");
    names.retain(|name| !here.contains(&format!(".{name}(")));
    assert_eq!(names, [""; 0]);
}
