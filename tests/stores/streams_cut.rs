//! Open streams on a node that hears nothing any more of the ends on other nodes, while its calls work.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tower_user_sessions::{
    EndReason, Limit, LiveSession, RedisStore, Session, SessionLayer, UserSessions,
    store::{RedisLive, RedisSource, SessionStore},
};

use crate::common::{
    feed::Reader,
    http::{Client, user},
    redis::Server,
    relay::Relay,
};

/// Sessions that end in each case.
const USERS: usize = 20;

const REASONS: [EndReason; 4] = [
    EndReason::Revoked,
    EndReason::Administrator,
    EndReason::Disabled,
    EndReason::CredentialsChanged,
];

/// Why no message arrives.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The connection that listens is closed, and each new one.
    Closed,
    /// It stays open and carries nothing.
    Silent,
    /// The user of the listening node loses the permission to subscribe to the channel.
    MayNotSubscribe,
    /// The user of the node on which sessions end loses the permission to publish.
    MayNotPublish,
    /// Each message of an end is lost. All else arrives.
    Lost,
}

const ALL: [Cut; 5] = [
    Cut::Closed,
    Cut::Silent,
    Cut::MayNotSubscribe,
    Cut::MayNotPublish,
    Cut::Lost,
];

impl Cut {
    async fn happens(self, server: &Server, relay: &Relay) {
        match self {
            Self::Closed => relay.cut_listeners(true),
            Self::Silent => relay.silence_listeners(true),
            Self::MayNotSubscribe => server.ask("ACL SETUSER a resetchannels").await,
            Self::MayNotPublish => server.ask("ACL SETUSER b -publish").await,
            Self::Lost => relay.lose_messages(u32::MAX),
        }
    }
}

fn store(user: &str, port: u16) -> RedisStore {
    let source = RedisSource::url(&format!("redis://{user}:secret@127.0.0.1:{port}")).unwrap();
    RedisStore::builder(source).live(RedisLive::ends()).build()
}

fn layer(store: &RedisStore, lease: Option<Duration>) -> SessionLayer {
    let layer = SessionLayer::new(store.clone()).limit(Limit::at_most(9));
    match lease {
        Some(lease) => layer.look_every(lease),
        None => layer,
    }
}

async fn opens(client: &Client, a: &SessionLayer) -> LiveSession {
    let live = |session: Session| async move { session.live().unwrap() };
    client.before(a).request(live).await.value()
}

/// Ends sessions on one node, and returns how long after that each stream on the other one was closed.
async fn closing(cut: Cut, lease: Option<Duration>, longest: Duration) -> Vec<Duration> {
    let server = Server::start();
    for name in ["a", "b"] {
        let command = format!("ACL SETUSER {name} on >secret ~* &* +@all");
        let () = server.ask(&command).await;
    }
    let relay = Relay::start(server.port).await;
    let (a, b) = (store("a", relay.port), store("b", server.port));
    let (layer_a, layer_b) = (layer(&a, lease), layer(&b, lease));
    let stays = Client::signed_in(&layer_b, "stays").await;
    let stays = opens(&stays, &layer_a).await;
    let reader = Reader::trusting(&a, a.tag(&user("stays"))).await;
    let mut streams = Vec::new();
    for number in 0..USERS {
        let name = format!("user-{number}");
        let client = Client::signed_in(&layer_b, &name).await;
        streams.push((name, opens(&client, &layer_a).await));
    }

    cut.happens(&server, &relay).await;
    let mut waiting = JoinSet::new();
    for ((name, stream), reason) in streams.into_iter().zip(REASONS.into_iter().cycle()) {
        let all = UserSessions::new(b.clone(), user(&name)).because(reason);
        assert_eq!(all.end_all().await.unwrap(), 1);
        let ended = Instant::now();
        waiting.spawn(async move {
            let end = timeout(longest, stream.ended()).await;
            let end = end.unwrap_or_else(|_| panic!("{cut:?}: a stream stayed open"));
            assert_eq!(end.reason(), reason.as_str());
            ended.elapsed()
        });
    }
    let mut took = waiting.join_all().await;

    assert_eq!(reader.messages(), [], "{cut:?}: a message arrived");
    assert!(stays.end().is_none(), "{cut:?}: a live session");
    took.sort();
    took
}

/// All cases at once.
async fn closes(lease: Option<Duration>, longest: Duration) {
    let [a, b, c, d, e] = ALL.map(|cut| Box::pin(closing(cut, lease, longest)));
    let took: [Vec<Duration>; 5] = tokio::join!(a, b, c, d, e).into();
    for (at, took) in took.iter().enumerate() {
        let [first, half, last] = [0, USERS / 2, USERS - 1].map(|at| took[at].as_secs_f64());
        println!(
            "| {:?} | {USERS} | {first:.1} | {half:.1} | {last:.1} |",
            ALL[at]
        );
    }
}

// T41 T72
#[tokio::test(flavor = "multi_thread")]
async fn without_messages_streams_close_with_the_lease_whatever_cut_them_off() {
    // A lease of 2 s stands for one of 60 s: 20 % more, a look of a second before, and a busy machine.
    closes(Some(Duration::from_secs(2)), Duration::from_secs(6)).await;
}

// T41 T72
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/soak runs it"]
async fn without_messages_streams_close_within_75_s_whatever_cut_them_off() {
    println!("| cut | streams | first, s | half, s | last, s |");
    closes(None, Duration::from_secs(75)).await;
}
