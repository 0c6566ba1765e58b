//! What the statements for PostgreSQL write into a row, and what they leave alone.

use std::time::Duration;

use tower_user_sessions::{
    EndReason, Lifetime, PostgresStore,
    store::{
        Changes, Created, End, ManualClock, Resolve, Resolved, Save, SessionStore, Timestamp,
        Token, Which,
    },
};

use crate::common::{
    people::{asks, is_live, listed, set, signs_in, token, until},
    postgres::{Server, client, patient, pool, url},
    wire::Wire,
};

const DAY: Duration = Duration::from_secs(86_400);

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(1_790_000_000_000))
}

async fn ends(store: &PostgresStore, token: &Token) {
    let one = Which::One(token.session_id());
    let end = End::new(token.tag(), one, EndReason::Revoked);
    store.end(&end).await.unwrap();
}

async fn color(store: &PostgresStore, token: &Token) -> Option<Vec<u8>> {
    let resolved = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    let Resolved::Live(live) = resolved else {
        panic!("{resolved:?}");
    };
    live.data.get("color").map(|color| color.to_vec())
}

// T25
#[tokio::test]
async fn activity_that_arrives_late_revives_no_session() {
    let (server, clock) = (Server::start(), clock());
    let direct = server.store_at(clock.clone()).await;
    let wire = Wire::before(server.port).await;
    let store = patient(pool(&url(wire.port), 4)).clock(clock.clone());
    let store = store.activity_every(Duration::ZERO).prepared(false).build();
    let phone = signs_in(&direct, "anna").await;
    // The first request after a while writes more than activity.
    clock.advance(DAY / 2);
    assert!(is_live(&direct, &phone).await);
    clock.advance(Duration::from_secs(60));
    wire.hold("FOR NO KEY UPDATE SKIP LOCKED");
    let asked = tokio::spawn({
        let resolve = Resolve::new(phone.clone());
        async move { store.resolve(&resolve).await.map(drop) }
    });
    until("the activity is held", async || wire.held() > 0).await;

    ends(&direct, &phone).await;
    wire.release();

    asked.await.unwrap().unwrap();
    assert!(!is_live(&direct, &phone).await);
}

#[tokio::test]
async fn each_session_of_a_user_reads_its_own_data_and_keeps_it_when_another_one_ends() {
    let server = Server::start();
    let store = server.store().await;
    let colors = ["red", "green", "blue"];
    let mut tokens = Vec::new();
    for color in colors {
        let token = signs_in(&store, "anna").await;
        let save = Save::new(token.tag(), token.session_id(), set("color", color));
        store.save(&save).await.unwrap();
        tokens.push(token);
    }
    for (token, of) in tokens.iter().zip(colors) {
        assert_eq!(color(&store, token).await.unwrap(), of.as_bytes());
    }

    ends(&store, &tokens[0]).await;

    for (token, of) in tokens.iter().zip(colors).skip(1) {
        assert_eq!(color(&store, token).await.unwrap(), of.as_bytes());
    }
    let parts = "SELECT count(*) FROM tower_user_sessions_parts";
    assert_eq!(server.number(parts).await, 2);
}

/// A row that is stored as not needed any more is deleted, with its live sessions.
#[tokio::test]
async fn a_row_is_kept_for_as_long_as_its_sessions_live_whichever_statement_wrote_it_last() {
    let (server, clock) = (Server::start(), clock());
    let store = server.store_at(clock.clone()).await;
    let lifetime = Lifetime::new(DAY, 400 * DAY);
    let signs_in = async |user: &str, changes: Changes| {
        let token = token(&store, user);
        let mut create = asks(user, &token);
        (create.lifetime, create.changes) = (lifetime, changes);
        let created = store.create(&create).await.unwrap();
        assert!(matches!(created, Created::Created(_)), "{created:?}");
        token
    };
    let phone = signs_in("activity", Changes::default()).await;

    let admin = client(&server.url()).await;
    let sql = "SELECT (date_part('epoch', kept_until) * 1000)::bigint, live, \
               (date_part('epoch', last_activity) * 1000)::bigint FROM tower_user_sessions WHERE tag = $1";
    // A row that was never written later would be over after two of these days.
    for _ in 0..10 {
        clock.advance(DAY / 2);
        assert!(is_live(&store, &phone).await);
        let change = signs_in("change", Changes::default()).await;
        let parts = signs_in("parts", set("color", "red")).await;

        let now = clock.now();
        for token in [&phone, &change, &parts] {
            let tag = token.tag();
            let row = admin.query_one(sql, &[&&tag.as_bytes()[..]]).await.unwrap();
            let live = i32::try_from(listed(&store, tag).await.len()).unwrap();
            assert!(row.get::<_, i64>(0) >= now.plus(DAY).as_millis());
            assert_eq!((row.get(1), row.get(2)), (live, now.as_millis()));
        }
    }
}

/// A crash may take the last activity back, and no end.
#[tokio::test]
async fn all_changes_but_activity_wait_for_the_disk() {
    let (server, clock) = (Server::start(), clock());
    let store = server.store_at(clock.clone()).await;
    let phone = signs_in(&store, "anna").await;
    // The first request after a while writes more than activity.
    clock.advance(DAY / 2);
    assert!(is_live(&store, &phone).await);
    let sql = "CREATE TABLE commits (number serial, waits text); \
               CREATE FUNCTION notes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN \
               INSERT INTO commits (waits) VALUES (current_setting(''synchronous_commit'')); RETURN NULL; END'; \
               CREATE TRIGGER notes AFTER INSERT OR UPDATE ON tower_user_sessions FOR EACH ROW EXECUTE FUNCTION notes()";
    client(&server.url())
        .await
        .batch_execute(sql)
        .await
        .unwrap();

    clock.advance(Duration::from_secs(60));
    assert!(is_live(&store, &phone).await);
    let save = Save::new(phone.tag(), phone.session_id(), set("color", "red"));
    store.save(&save).await.unwrap();
    let tablet = signs_in(&store, "anna").await;
    ends(&store, &tablet).await;

    let waits = "SELECT waits FROM commits ORDER BY number";
    let waits: Vec<String> = server
        .ask(waits)
        .await
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(waits, ["off", "on", "on", "on"]);
}
