//! Limits by class of client and by user, and sessions that do not count against them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use tower_user_sessions::{
    Client as Sender, ClientClass, CommitError, DeviceApi, DevicePage, EndReason, Limit, Login,
    MemoryStore, SessionId, SessionLayer, UserId, UserSessions,
    store::{ManualClock, UNCOUNTED_MAX},
};

use crate::common::http::{Client, HOUR, ids, store, user};

const BROWSER: ClientClass = ClientClass::new(1);
const PHONE: ClientClass = ClientClass::new(2);
const TOOL: ClientClass = ClientClass::new(3);

fn limit() -> Limit {
    Limit::at_most(4).of_class(BROWSER, 2).of_class(PHONE, 1)
}

fn world(limit: Limit) -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let class = |client: &Sender| match client.user_agent() {
        Some("browser") => BROWSER,
        Some("phone") => PHONE,
        _ => TOOL,
    };
    let layer = SessionLayer::new(store.clone())
        .limit(limit)
        .class_of(class);
    (layer, store, clock)
}

/// Signs in from such a client, then moves the clock on.
async fn signs_in(layer: &SessionLayer, clock: &ManualClock, agent: &'static str) -> SessionId {
    let mut client = Client::new(layer);
    client.user_agent = agent;
    let id = client.log_in("alice").await;
    // An unused session would be the first to go.
    client.user().await;
    clock.advance(HOUR);
    id
}

async fn log_in_with(layer: &SessionLayer, login: Login) -> (Client, Result<Vec<SessionId>, ()>) {
    let mut client = Client::new(layer);
    let answer = client.send(move |session| {
        let login = login.clone();
        async move {
            session.log_in_with(login).unwrap();
            match session.commit().await {
                Ok(done) => Ok(done.evicted.iter().map(|info| info.id()).collect()),
                Err(CommitError::LimitReached(_)) => Err(()),
                Err(other) => panic!("{other:?}"),
            }
        }
    });
    let outcome = answer.await.value();
    (client, outcome)
}

// T30
#[tokio::test]
async fn a_class_over_its_limit_evicts_its_own_least_recently_active_session() {
    let (layer, store, clock) = world(limit());
    let phone = signs_in(&layer, &clock, "phone").await;
    let first = signs_in(&layer, &clock, "browser").await;
    let second = signs_in(&layer, &clock, "browser").await;

    let third = signs_in(&layer, &clock, "browser").await;

    let mut live = ids(&store, "alice").await;
    live.sort();
    let mut wanted = vec![phone, second, third];
    wanted.sort();
    assert_eq!(live, wanted);
    assert!(!live.contains(&first));
}

// T30
#[tokio::test]
async fn over_the_total_limit_the_least_recently_active_session_of_any_class_ends() {
    let (layer, store, clock) = world(limit());
    let phone = signs_in(&layer, &clock, "phone").await;
    for _ in 0..3 {
        signs_in(&layer, &clock, "tool").await;
    }

    signs_in(&layer, &clock, "browser").await;

    let live = ids(&store, "alice").await;
    assert_eq!(live.len(), 4);
    assert!(!live.contains(&phone));
}

// T30
#[tokio::test]
async fn a_session_evicted_from_its_class_also_makes_room_in_the_total() {
    let (layer, store, clock) = world(limit());
    let tool = signs_in(&layer, &clock, "tool").await;
    let phone = signs_in(&layer, &clock, "phone").await;
    signs_in(&layer, &clock, "browser").await;
    signs_in(&layer, &clock, "browser").await;

    signs_in(&layer, &clock, "phone").await;

    let live = ids(&store, "alice").await;
    assert_eq!(live.len(), 4);
    assert!(live.contains(&tool));
    assert!(!live.contains(&phone));
}

// T30
#[tokio::test]
async fn a_refusal_lists_the_sessions_that_would_make_room() {
    let (layer, _store, clock) = world(limit().refuse());
    signs_in(&layer, &clock, "tool").await;
    let phone = signs_in(&layer, &clock, "phone").await;
    let mut other = Client::new(&layer);
    other.user_agent = "phone";

    let offered = other.send(|session| async move {
        session.log_in(user("alice")).unwrap();
        match session.commit().await {
            Err(CommitError::LimitReached(reached)) => reached
                .sessions
                .iter()
                .map(|info| info.id())
                .collect::<Vec<_>>(),
            outcome => panic!("{outcome:?}"),
        }
    });

    assert_eq!(offered.await.value(), [phone]);
}

// T30
#[tokio::test]
async fn a_login_states_its_class() {
    let (layer, store, _clock) = world(limit());
    let login = || Login::new(user("alice")).class(PHONE);
    let (_, first) = log_in_with(&layer, login()).await;

    let (_, second) = log_in_with(&layer, login()).await;

    assert_eq!(first, Ok(vec![]));
    assert_eq!(second.unwrap().len(), 1);
    let listed = UserSessions::new(store, user("alice"))
        .list()
        .await
        .unwrap();
    assert_eq!(listed[0].class(), PHONE);
}

// T30
#[tokio::test]
async fn each_user_has_the_limit_of_their_plan() {
    let (store, _clock) = store();
    let by_plan = |user: &UserId| Limit::at_most(if user.as_str() == "alice" { 1 } else { 2 });
    let layers = [
        SessionLayer::new(store.clone()).limit_of(by_plan),
        SessionLayer::new(store.clone()).limit_of_async(move |user| async move { by_plan(&user) }),
    ];

    for layer in layers {
        for id in ["alice", "bob"] {
            for _ in 0..3 {
                Client::signed_in(&layer, id).await;
            }
        }
        assert_eq!(ids(&store, "alice").await.len(), 1);
        assert_eq!(ids(&store, "bob").await.len(), 2);
    }
}

#[tokio::test]
async fn a_session_that_does_not_count_evicts_nothing_and_is_not_evicted() {
    let (layer, store, clock) = world(Limit::at_most(1));
    let support = || Login::new(user("alice")).counts(false);
    let (mut first, evicted) = log_in_with(&layer, support()).await;
    assert_eq!(evicted, Ok(vec![]));
    clock.advance(HOUR);

    let own = signs_in(&layer, &clock, "browser").await;
    let (_, evicted) = log_in_with(&layer, support()).await;

    assert_eq!(evicted, Ok(vec![]));
    assert_eq!(first.user().await.as_deref(), Some("alice"));
    let listed = UserSessions::new(store, user("alice"))
        .list()
        .await
        .unwrap();
    let counted: Vec<SessionId> = listed
        .iter()
        .filter(|it| it.counts())
        .map(|it| it.id())
        .collect();
    assert_eq!(counted, [own]);
    assert_eq!(listed.len(), 3);
}

#[tokio::test]
async fn at_most_sixteen_sessions_do_not_count() {
    for limit in [Limit::at_most(1), Limit::at_most(1).refuse()] {
        let (layer, _store, clock) = world(limit);
        let support = || Login::new(user("alice")).counts(false);
        for _ in 0..UNCOUNTED_MAX {
            let (_, outcome) = log_in_with(&layer, support()).await;
            assert_eq!(outcome, Ok(vec![]));
            clock.advance(std::time::Duration::from_secs(1));
        }

        let (_, outcome) = log_in_with(&layer, support()).await;

        let evicted = outcome.map(|evicted| evicted.len());
        let refuses = limit == Limit::at_most(1).refuse();
        assert_eq!(evicted, if refuses { Err(()) } else { Ok(1) });
    }
}

// T53
#[tokio::test]
async fn end_others_can_spare_sessions_that_do_not_count() {
    let (layer, store, clock) = world(Limit::at_most(3));
    let support = Login::new(user("alice")).counts(false);
    let (mut support, _) = log_in_with(&layer, support).await;
    signs_in(&layer, &clock, "browser").await;
    let mut client = Client::signed_in(&layer, "alice").await;

    let ended = client.send(|session| async move {
        let sessions = session.user_sessions().unwrap();
        sessions.spare_uncounted(true).end_others().await.unwrap()
    });

    assert_eq!(ended.await.value(), 1);
    assert_eq!(support.user().await.as_deref(), Some("alice"));
    let all = client.send(|session| async move {
        session.user_sessions().unwrap().end_others().await.unwrap()
    });
    assert_eq!(all.await.value(), 1);
    assert_eq!(ids(&store, "alice").await.len(), 1);
    let reason_seen = support.send(|session| async move { session.ended().map(|it| it.reason) });
    assert_eq!(reason_seen.await.value(), Some(EndReason::Revoked));
}

#[tokio::test]
async fn a_session_that_does_not_count_survives_its_own_end_others() {
    let (layer, store, clock) = world(Limit::at_most(3));
    signs_in(&layer, &clock, "browser").await;
    let support = Login::new(user("alice")).counts(false);
    let (mut support, _) = log_in_with(&layer, support).await;

    let ended = support.send(|session| async move {
        let sessions = session.user_sessions().unwrap();
        sessions.spare_uncounted(true).end_all().await.unwrap()
    });

    let ended = ended.await;
    assert_eq!(ended.status, StatusCode::OK);
    assert_eq!(ended.value(), 1);
    assert_eq!(support.user().await.as_deref(), Some("alice"));
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

/// What the API and the page show to a user with a support session, before and after all others are
/// ended.
#[tokio::test]
async fn the_api_and_the_page_mark_sessions_that_do_not_count_and_can_spare_them() {
    let (layer, store, _clock) = world(Limit::at_most(3));
    let support = Login::new(user("alice")).counts(false);
    let (mut support, _) = log_in_with(&layer, support).await;
    let mut client = Client::signed_in(&layer, "alice").await;
    client
        .headers
        .insert("sec-fetch-site", "same-origin".parse().unwrap());
    let api = layer.layer(DeviceApi::at("/sessions").spare_uncounted(true));
    let page = layer.layer(DevicePage::at("/devices"));

    let list = api.clone().oneshot(client.head("/sessions")).await.unwrap();
    let list = list.into_body().collect().await.unwrap().to_bytes();
    let html = page
        .oneshot(client.head("/devices").map(|()| String::new()))
        .await
        .unwrap();
    let html = html.into_body().collect().await.unwrap().to_bytes();
    client.method = http::Method::POST;
    let ended = api
        .oneshot(client.head("/sessions/logout-all"))
        .await
        .unwrap();

    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let marks: Vec<_> = list["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["counts"])
        .collect();
    assert_eq!(
        marks,
        [&serde_json::Value::Null, &serde_json::Value::Bool(false)]
    );
    assert_eq!(
        str::from_utf8(&html).unwrap().matches(">Support<").count(),
        1
    );
    assert_eq!(ended.status(), StatusCode::OK);
    assert_eq!(support.user().await.as_deref(), Some("alice"));
    assert_eq!(ids(&store, "alice").await.len(), 2);
}
