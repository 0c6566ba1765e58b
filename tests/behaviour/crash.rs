//! A browser that crashed before it wrote its new token to disk.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::oneshot;
use tower_user_sessions::{SessionLayer, TokenSource, UserSessions};

use crate::common::{
    alone::is_alone,
    http::{Answer, Client, HOUR, ids, store, user},
    log::Log,
};

const GRACE: Duration = Duration::from_secs(120);
const MS: Duration = Duration::from_millis(1);

/// A client at this address.
fn at(client: &Client, address: &str, agent: &'static str) -> Client {
    let mut client = client.clone();
    client.peer = Some(address.parse().unwrap());
    client.headers.insert("user-agent", agent.parse().unwrap());
    client
}

/// A browser whose token was rotated, and the same one as it was before.
async fn rotated(layer: &SessionLayer) -> (Client, Client) {
    let mut client = at(&Client::new(layer), "198.51.100.4", "Browser/1");
    client.log_in("alice").await;
    let previous = client.clone();
    client
        .send(|session| async move { session.rotate().unwrap() })
        .await;
    (client, previous)
}

// T48 T61
#[tokio::test]
async fn a_browser_that_lost_its_new_token_gets_it_again_within_the_grace() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store);
    let (mut client, previous) = rotated(&layer).await;
    assert_ne!(client.token(), previous.token());
    client.user().await;
    clock.advance(GRACE - MS);

    let mut restarted = at(&previous, "198.51.100.200", "Browser/1");
    let elsewhere = at(&previous, "203.0.113.7", "Browser/1");
    let another = at(&previous, "198.51.100.4", "Browser/2");
    for other in [&elsewhere, &another] {
        let answer = other.request(|session| async move { session.user_id() });
        let answer = answer.await;
        assert!(answer.sets_no_cookie());
        assert_eq!(answer.value(), Some(user("alice")));
    }
    assert_eq!(restarted.user().await.as_deref(), Some("alice"));

    assert_eq!(restarted.token(), client.token());
    clock.advance(HOUR);
    assert_eq!(restarted.user().await.as_deref(), Some("alice"));
}

// T48 T61
#[tokio::test]
async fn only_the_network_and_the_agent_of_the_sign_in_get_a_lost_token_again() {
    let (home, neighbour) = (Some("2001:db8:1:100::1"), Some("2001:db8:1:1ff::2"));
    let cases = [
        (home, "Browser/1", neighbour, "Browser/1", true),
        (home, "Browser/1", neighbour, "Browser/2", false),
        (
            home,
            "Browser/1",
            Some("2001:db8:1:200::1"),
            "Browser/1",
            false,
        ),
        // The first bytes of an IPv4 address are those of no IPv6 address.
        (Some("32.1.13.184"), "Browser/1", home, "Browser/1", false),
        // The app passes no addresses, or the client sends no agent: nobody is known to be the same.
        (None, "Browser/1", None, "Browser/1", false),
        (home, "Browser/1", None, "Browser/1", false),
        (None, "Browser/1", home, "Browser/1", false),
        (home, "", home, "", false),
    ];
    for (address, agent, later_address, later_agent, gets) in cases {
        let (store, _clock) = store();
        let mut client = Client::new(&SessionLayer::new(store));
        client.peer = address.map(|address| address.parse().unwrap());
        client.user_agent = agent;
        client.log_in("alice").await;
        let mut previous = client.clone();
        client
            .send(|session| async move { session.rotate().unwrap() })
            .await;
        client.user().await;

        previous.peer = later_address.map(|address| address.parse().unwrap());
        previous.user_agent = later_agent;
        let answer = previous.request(|session| async move { session.user_id() });
        let answer = answer.await;

        let case = (address, agent, later_address, later_agent);
        assert_eq!(!answer.sets_no_cookie(), gets, "{case:?}");
        assert_eq!(answer.value(), Some(user("alice")), "{case:?}");
    }
}

// T48
#[tokio::test]
async fn after_a_reauthentication_no_client_gets_the_new_token_by_the_previous_one() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = at(&Client::new(&layer), "198.51.100.4", "Browser/1");
    client.log_in("alice").await;
    let previous = client.clone();
    client
        .send(|session| async move { session.reauthenticated().unwrap() })
        .await;
    assert_ne!(client.token(), previous.token());

    let answer = previous.request(|session| async move { session.user_id() });

    let answer = answer.await;
    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), None);
}

/// A request that runs until it is let go.
fn slow(
    client: &Client,
) -> (
    impl Future<Output = Answer<()>> + use<>,
    oneshot::Sender<()>,
) {
    let (release, held) = oneshot::channel();
    let held = Arc::new(Mutex::new(Some(held)));
    let slow = client.request(move |_session| {
        let held = held.lock().unwrap().take().unwrap();
        async move { held.await.unwrap() }
    });
    (slow, release)
}

// T14 T61
#[tokio::test]
async fn a_late_response_with_a_lost_token_leaves_a_newer_cookie_alone() {
    for proves in [false, true] {
        let (store, _clock) = store();
        let layer = SessionLayer::new(store);
        let (mut client, previous) = rotated(&layer).await;
        client.user().await;
        let (slow, release) = slow(&previous);

        let meanwhile = async {
            if proves {
                let proof =
                    client.send(|session| async move { session.reauthenticated().unwrap() });
                proof.await;
            } else {
                client
                    .send(|session| async move { session.log_out() })
                    .await;
                client.log_in("alice").await;
            }
            release.send(()).unwrap();
        };

        let (answer, ()) = tokio::join!(slow, meanwhile);
        assert!(answer.sets_no_cookie(), "{proves}");
    }
}

// T20 T62
#[tokio::test]
async fn a_token_that_was_unused_for_long_is_not_handed_out_once_its_session_has_ended() {
    for signs_in in [false, true] {
        let (store, clock) = store();
        let layer = SessionLayer::new(store.clone());
        let (mut client, previous) = rotated(&layer).await;
        // The response with the new token was lost.
        client.cookie.clone_from(&previous.cookie);
        clock.advance(Duration::from_secs(15 * 60));
        let (slow, release) = slow(&previous);

        let meanwhile = async {
            let sessions = UserSessions::new(store.clone(), user("alice"));
            assert_eq!(sessions.end_all().await.unwrap(), 1);
            clock.advance(HOUR);
            if signs_in {
                client.log_in("alice").await;
            }
            release.send(()).unwrap();
        };

        let (answer, ()) = tokio::join!(slow, meanwhile);
        assert!(answer.sets_no_cookie(), "{signs_in}");
        let live = ids(&store, "alice").await;
        assert_eq!(live.len(), usize::from(signs_in));
        let found = client.user().await;
        assert_eq!(found.as_deref(), signs_in.then_some("alice"));
    }
}

// T46
#[tokio::test]
async fn a_slow_request_with_a_previous_token_is_not_taken_for_reuse() {
    let (store, clock) = store();
    // The age of a request is real time, also in this test.
    let grace = Duration::from_millis(50);
    let after = Duration::from_secs(15 * 60);
    let layer = SessionLayer::new(store)
        .rotate_after(after)
        .rotation_grace(grace);
    let (mut client, previous) = rotated(&layer).await;
    clock.advance(after);
    let (slow, release) = slow(&previous);

    let meanwhile = async {
        // Gets the token that was unused for so long.
        let mut quick = previous.clone();
        quick.user().await;
        assert_eq!(quick.token(), client.token());
        clock.advance(grace + MS);
        client.user().await;
        assert_ne!(quick.token(), client.token());
        client.user().await;
        clock.advance(grace + MS);
        tokio::time::sleep(grace + MS).await;
        release.send(()).unwrap();
    };

    let (answer, ()) = tokio::join!(slow, meanwhile);
    assert!(answer.sets_no_cookie());
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

/// Signs in at the first address, and rotates at the second one.
async fn rotates(mut client: Client, signs_in: Option<&str>, rotates: Option<&str>) {
    let parsed = |address: Option<&str>| address.map(|address| address.parse().unwrap());
    client.peer = parsed(signs_in);
    client.log_in("alice").await;
    client.peer = parsed(rotates);
    let before = client.token();
    client
        .send(|session| async move { session.rotate().unwrap() })
        .await;
    assert_ne!(client.token(), before);
}

// T48
#[tokio::test]
async fn each_layer_warns_once_that_it_knows_no_address_of_a_browser_whose_token_rotates() {
    let name = "each_layer_warns_once_that_it_knows_no_address_of_a_browser_whose_token_rotates";
    if !is_alone(module_path!(), name) {
        return;
    }
    let log = Log::start();
    let layers = [(); 2].map(|()| SessionLayer::new(store().0));

    for layer in layers.iter().chain(&layers) {
        rotates(Client::new(layer), None, None).await;
    }

    let lines = log.at("WARN");
    assert_eq!(lines.len(), 2, "{}", log.text());
    let advises = |line: &String| line.contains("pass on `PeerAddr`");
    assert!(lines.iter().all(advises), "{}", log.text());
}

// T48
#[tokio::test]
async fn addresses_scripts_and_settings_without_a_lost_token_are_no_warning() {
    let name = "addresses_scripts_and_settings_without_a_lost_token_are_no_warning";
    if !is_alone(module_path!(), name) {
        return;
    }
    let log = Log::start();
    let layer = || SessionLayer::new(store().0);
    let home = Some("198.51.100.4");

    for (signs_in, later) in [(home, home), (home, None), (None, home)] {
        rotates(Client::new(&layer()), signs_in, later).await;
    }
    rotates(
        Client::new(&layer().rotation_grace(Duration::ZERO)),
        None,
        None,
    )
    .await;
    let mut script = Client::new(&layer());
    script.user_agent = "";
    rotates(script, None, None).await;
    let mut app = Client::new(&layer().token_source(TokenSource::Bearer));
    let signs_in = app.send(|session| async move { session.log_in(user("alice")).unwrap() });
    let bearer = format!(
        "Bearer {}",
        signs_in.await.header("x-session-token").unwrap()
    );
    app.headers.insert("authorization", bearer.parse().unwrap());
    let rotation = app.send(|session| async move { session.rotate().unwrap() });
    assert!(rotation.await.header("x-session-token").is_some());

    assert_eq!(log.at("WARN"), [""; 0]);
}
