//! Open streams on one node whose session ends on another one: an event stream and a WebSocket under axum, a
//! stream and a bidirectional call under tonic, and a download under bare hyper. Both nodes use one Redis.

mod node;
mod raw;

use std::time::Duration;

use tokio::time::timeout;
use tower_user_sessions::{
    Limit, RedisStore, Session, SessionLayer, TokenSource, UserSessions,
    store::{RedisLive, RedisSource},
};

use self::{
    node::Node,
    raw::{Stream, close_reason},
};
use crate::common::{
    http::{Client, user},
    redis::Server,
};

const CAUSES: [&str; 4] = ["evicted", "revoked", "administrator", "token_reuse"];

fn store(server: &Server, live: bool) -> RedisStore {
    let builder = RedisStore::builder(RedisSource::url(&server.url()).unwrap());
    if live {
        builder.live(RedisLive::ends()).build()
    } else {
        builder.build()
    }
}

fn layer(store: RedisStore, lease: Duration) -> SessionLayer {
    SessionLayer::new(store)
        .token_source(TokenSource::CookieThenBearer)
        .limit(Limit::at_most(1))
        .rotation_grace(Duration::ZERO)
        .look_every(lease)
}

/// Ends the session of this client on the node of this layer.
async fn end(
    cause: &str,
    layer: &SessionLayer,
    store: &RedisStore,
    client: &mut Client,
    name: &str,
) {
    match cause {
        "evicted" => drop(Client::signed_in(layer, name).await),
        "revoked" => {
            let roomy = layer.clone().limit(Limit::at_most(9));
            let mut other = Client::signed_in(&roomy, name).await;
            other
                .send(|session: Session| async move {
                    session.user_sessions().unwrap().end_others().await.unwrap();
                })
                .await;
        }
        "administrator" => {
            let all = UserSessions::new(store.clone(), user(name));
            all.end_all().await.unwrap();
        }
        _ => {
            let stolen = client.clone();
            client
                .send(|session: Session| async move { session.rotate().unwrap() })
                .await;
            client.user().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            stolen.before(layer).user().await;
        }
    }
}

/// Opens all five streams of this token.
async fn open(node: &Node, token: &str) -> Vec<Stream> {
    vec![
        Stream::get(node.axum, "/events", token, false).await,
        Stream::get(node.axum, "/socket", token, true).await,
        Stream::get(node.hyper, "/file", token, false).await,
        Stream::watch(node.tonic, token).await,
        Stream::talk(node.tonic, token).await,
    ]
}

/// Ends sessions, and returns how long each stream stayed open after that.
async fn closing(
    server: &Server,
    feed_of_b: bool,
    lease: Duration,
    rounds: usize,
) -> Vec<Duration> {
    let (a, b) = (store(server, true), store(server, feed_of_b));
    let node = Node::start(layer(a, lease)).await;
    let layer_b = layer(b.clone(), lease);
    let mut took = Vec::new();
    for round in 0..rounds {
        let cause = CAUSES[round % CAUSES.len()];
        let name = format!("user {feed_of_b} {round}");
        let mut client = Client::signed_in(&layer_b, &name).await;
        client.user().await;
        let streams = open(&node, &client.token()).await;
        if round == 0 {
            // The node listens from its first stream on.
            tokio::time::sleep(Duration::from_secs(2)).await;
        }

        end(cause, &layer_b, &b, &mut client, &name).await;
        let ended = tokio::time::Instant::now();
        for stream in streams {
            let kind = stream.kind;
            let over = timeout(Duration::from_secs(20), stream.end()).await;
            let said = over.unwrap_or_else(|_| panic!("{kind} stayed open after {cause}"));
            took.push(ended.elapsed());
            match kind {
                "/events" => assert_eq!(said, format!("event: session-ended\ndata: {cause}\n\n")),
                "/socket" => assert_eq!(close_reason(&said), cause),
                "/file" => assert!(said.ends_with("cut off"), "{said}"),
                _ => assert_eq!(said, format!("Unauthenticated {cause}")),
            }
        }
    }
    took.sort();
    took
}

// T41 T72
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_every_kind_close_within_a_second_when_another_node_ends_their_session() {
    let server = Server::start();

    let took = closing(&server, true, Duration::from_secs(60), 200).await;

    assert_eq!(took.len(), 1_000);
    let p99 = took[989];
    assert!(p99 < Duration::from_secs(1), "{p99:?}");
}

// T41 T72
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_every_kind_close_with_the_lease_when_no_message_arrives() {
    let server = Server::start();

    // The other node runs a version that reports nothing. A lease of 1 s stands for one of 60 s.
    let took = closing(&server, false, Duration::from_secs(1), 8).await;

    // 20 % more, and the look of a second before.
    assert!(took[39] < Duration::from_millis(2_500), "{:?}", took[39]);
}
