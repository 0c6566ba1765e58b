//! A session that ends while one of its requests is in flight leaves its notice, and nothing else.

use tower_user_sessions::{
    EndReason, Limit, RedisStore,
    store::{Created, End, Save, Saved, SessionStore, Token, Which},
};

use crate::common::{
    people::{asks, listed, set, signs_in, token},
    redis::Server,
    shelf::Shelf,
};

/// A session with data, the only one of its user. A request that stores something meets its end.
async fn ends_in_flight(store: &impl SessionStore, saves_first: bool) -> Token {
    let token = token(store, "alice");
    let mut create = asks("alice", &token);
    create.limit = Limit::at_most(1);
    create.changes = set("cart", "apple");
    let created = store.create(&create).await.unwrap();
    assert!(matches!(created, Created::Created(_)), "{created:?}");
    let save = Save::new(token.tag(), token.session_id(), set("cart", "pear"));
    let end = End::new(
        token.tag(),
        Which::One(token.session_id()),
        EndReason::Revoked,
    );

    let (saves, ends) = (store.save(&save), store.end(&end));
    if saves_first {
        let (_, ended) = tokio::join!(saves, ends);
        ended.unwrap();
    } else {
        let (ended, _) = tokio::join!(ends, saves);
        ended.unwrap();
    }

    assert_eq!(store.save(&save).await.unwrap(), Saved::Ended);
    let again = store.create(&create).await.unwrap();
    assert!(matches!(again, Created::Ended), "{again:?}");
    assert!(listed(store, token.tag()).await.is_empty());
    token
}

// T20
#[tokio::test]
async fn a_session_that_ends_in_flight_leaves_no_data_and_no_index_in_redis() {
    let server = Server::start();
    let store = RedisStore::new(server.pool());
    // The first sign-in evicts this one, so the answer of that sign-in is kept in a field too.
    signs_in(&store, "alice").await;

    for round in 0..20 {
        let token = ends_in_flight(&store, round % 2 == 0).await;

        let keys: Vec<String> = server.ask("KEYS *").await;
        assert_eq!(keys, [format!("sessions:{{{}}}", token.tag())]);
        let fields: Vec<String> = server.ask(&format!("HKEYS {}", keys[0])).await;
        assert!(fields.contains(&token.session_id().to_string()));
        // Ids of notices only: the names of other fields are longer.
        assert!(fields.iter().all(|field| field.len() == 16), "{fields:?}");
    }
}

// T20
#[tokio::test]
async fn a_session_that_ends_in_flight_leaves_no_part_of_its_set() {
    let shelf = Shelf::default().yielding();
    let store = shelf.store();

    for round in 0..20 {
        let token = ends_in_flight(&store, round % 2 == 0).await;

        assert_eq!(shelf.parts(token.tag()), 0);
    }
}
