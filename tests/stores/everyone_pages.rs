//! All users, page by page, on a node and on a Cluster.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, time::Duration};

use tokio::time::sleep;
use tower_user_sessions::{
    EndReason, Everyone, RedisStore, UserId,
    store::{End, SessionStore, StoreErrorKind, Which},
};

use crate::common::{
    cluster::{self, Cluster},
    people::{asks, signs_in, token},
    redis::Server,
};

/// Reads all pages, with something that happens between them. Returns how many sessions each user has.
async fn all(everyone: &Everyone, between: impl AsyncFn(usize)) -> BTreeMap<String, usize> {
    let (mut found, mut cursor, mut pages) = (BTreeMap::new(), None::<String>, 0);
    loop {
        let page = everyone.page(cursor.as_deref()).await.unwrap();
        let mut here = Vec::new();
        for on_page in page.users {
            here.push(on_page.user.clone());
            found.insert(on_page.user.to_string(), on_page.sessions.len());
        }
        let count = here.len();
        here.sort_by_key(UserId::to_string);
        here.dedup();
        assert_eq!(here.len(), count, "a user is on one page twice");
        between(pages).await;
        pages += 1;
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}

async fn crowd(store: &RedisStore, count: usize) {
    for number in 0..count {
        signs_in(store, &format!("stays {number}")).await;
    }
}

/// Users come and go while pages are read.
async fn come_and_go(store: &RedisStore, page: usize) {
    let goes = token(store, &format!("comes {}", page / 2));
    let end = End::new(goes.tag(), Which::All, EndReason::Administrator);
    store.end(&end).await.unwrap();
    let comes = token(store, &format!("comes {page}"));
    store
        .create(&asks(&format!("comes {page}"), &comes))
        .await
        .unwrap();
}

#[tokio::test]
async fn pages_of_a_node_have_every_user_who_stays_also_after_a_restart() {
    let mut server = Server::start_with(&["--appendonly", "yes"]);
    let store = RedisStore::connect(&server.url()).unwrap();
    crowd(&store, 1_500).await;
    let _: () = server.ask("SET other 1").await;
    let everyone = Everyone::new(store.clone());

    let found = all(&everyone, async |page| come_and_go(&store, page).await).await;
    assert_eq!(
        found
            .keys()
            .filter(|name| name.starts_with("stays"))
            .count(),
        1_500
    );
    let count = everyone.count().await.unwrap();
    assert!((1_200..2_200).contains(&count), "{count}");

    // Another process has other cursors.
    let first = everyone.page(None).await.unwrap();
    server.kill();
    server.restart();
    let mut names: Vec<String> = Vec::new();
    let mut cursor = first.next;
    while cursor.is_some() {
        match everyone.page(cursor.as_deref()).await {
            Ok(page) => {
                names.extend(page.users.iter().map(|on_page| on_page.user.to_string()));
                cursor = page.next;
            }
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("stays"))
            .count(),
        1_500
    );
}

#[tokio::test]
async fn pages_of_a_cluster_have_every_user_who_stays_while_slots_move() {
    let cluster = Cluster::of(3, &[]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    crowd(&store, 1_200).await;
    let everyone = Everyone::new(store.clone());
    let slots: Vec<u16> = (0..24)
        .map(|number| cluster::slot(token(&store, &format!("stays {number}")).tag()))
        .collect();

    let found = all(&everyone, async |page| {
        come_and_go(&store, page).await;
        // To a primary whose slots were read already, or are read later.
        let slot = slots[page % slots.len()];
        let from = cluster.serves(slot, 0).await;
        let to = (from + 1 + page % 2) % 3;
        cluster.moves_for_all(slot, from, to).await;
    })
    .await;

    assert_eq!(
        found
            .keys()
            .filter(|name| name.starts_with("stays"))
            .count(),
        1_200
    );
    let count = everyone.count().await.unwrap();
    assert!((900..2_000).contains(&count), "{count}");
    let pool = RedisStore::new(
        deadpool_redis::cluster::Config::from_urls(cluster.urls())
            .create_pool(Some(deadpool_redis::Runtime::Tokio1))
            .unwrap(),
    );
    let error = Everyone::new(pool).page(None).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
}

#[tokio::test]
async fn pages_of_a_cluster_have_the_users_of_a_primary_that_is_new() {
    let mut cluster = Cluster::of(3, &[]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    crowd(&store, 40).await;
    let everyone = Everyone::new(store.clone());
    let slots: Vec<u16> = (0..10)
        .map(|number| cluster::slot(token(&store, &format!("stays {number}")).tag()))
        .collect();
    let new = cluster.grow().await;
    assert_eq!(all(&everyone, async |_| {}).await.len(), 40);

    // No call of the store meets the move.
    for slot in slots {
        let from = cluster.serves(slot, 0).await;
        cluster.moves_for_all(slot, from, new).await;
    }

    assert_eq!(all(&everyone, async |_| {}).await.len(), 40);
    let count = everyone.count().await.unwrap();
    assert!((30..60).contains(&count), "{count}");
}

#[tokio::test]
async fn pages_of_a_cluster_are_read_right_after_a_planned_failover() {
    let cluster = Cluster::start(&[]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    crowd(&store, 40).await;
    let everyone = Everyone::new(store.clone());
    assert_eq!(all(&everyone, async |_| {}).await.len(), 40);

    cluster.takes_over(cluster.replica(0).await).await;
    let count = everyone.count().await.unwrap();
    cluster.takes_over(cluster.replica(1).await).await;

    assert!((30..60).contains(&count), "{count}");
    assert_eq!(all(&everyone, async |_| {}).await.len(), 40);
}
