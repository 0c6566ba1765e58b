//! What an operator sees of the way to PostgreSQL: metrics and log lines.

use deadpool_postgres::tokio_postgres::NoTls;
use metrics_util::debugging::DebuggingRecorder;
use tower_user_sessions::{
    EndReason, PostgresStore, Rejection, UserId, UserSessionsError,
    store::{End, Resolve, SessionStore, StoreErrorKind, Which},
};

use crate::{
    common::{
        feed::Reader,
        load::millis,
        log::Log,
        people::{guest, signs_in, until},
        postgres::{Server, patient, pool, url},
        wire::Wire,
    },
    seen::{measured, recorded},
};

#[test]
fn an_outage_and_the_state_of_the_feed_are_counted() {
    let (log, recorder) = (Log::start(), DebuggingRecorder::new());

    recorded(&recorder, async {
        let mut server = Server::start();
        let wire = Wire::before(server.port).await;
        let store = PostgresStore::builder(pool(&url(wire.port), 1))
            .live(url(wire.port).parse().unwrap(), NoTls)
            .build();
        store.migrate().await.unwrap();
        let tag = store.tag(&UserId::new("anna").unwrap());
        let reader = Reader::of(&store);
        // A call begins to listen, now that there is a reader.
        let phone = signs_in(&store, "anna").await;
        reader.trusts(tag).await;
        let resolve = Resolve::new(phone);
        let end = End::new(tag, Which::All, EndReason::Revoked);
        store.end(&end).await.unwrap();
        until("the message arrives", async || {
            !reader.messages().is_empty()
        })
        .await;

        // One call is not answered, and keeps the only connection until it is given up.
        server.suspend();
        let (first, second) = tokio::join!(store.resolve(&resolve), async {
            tokio::time::sleep(millis(50)).await;
            store.resolve(&resolve).await
        });
        assert!(first.is_err() && second.is_err(), "{first:?} {second:?}");
        server.resume();
        until("it answers", async || store.resolve(&resolve).await.is_ok()).await;
        server.stop();
        reader.doubts(tag).await;
        store.resolve(&resolve).await.unwrap_err();
        server.restart();
        until("it answers", async || store.resolve(&resolve).await.is_ok()).await;
        reader.trusts(tag).await;
    });

    let way = measured("", &recorder);
    assert!(way["postgres_connects_total ok"] >= 3, "{way:?}");
    assert!(way["postgres_connects_total failed"] >= 1, "{way:?}");
    assert!(way["postgres_changes_total down"] >= 1, "{way:?}");
    assert_eq!(
        way["postgres_changes_total down"], way["postgres_changes_total up"],
        "{way:?}"
    );
    assert!(way["postgres_given_up_total"] >= 1, "{way:?}");
    assert!(way["postgres_busy_total"] >= 1, "{way:?}");
    assert_eq!(way["postgres_in_flight"], 0, "{way:?}");
    assert!(way["feed_changes_total trusted"] >= 2, "{way:?}");
    assert!(way["feed_changes_total untrusted"] >= 1, "{way:?}");
    assert!(way["feed_messages_total"] >= 1, "{way:?}");
    let (warned, said) = (log.at(" WARN "), log.at(" INFO "));
    let has = |lines: &[String], text: &str| lines.iter().any(|line| line.contains(text));
    assert!(has(&warned, "PostgreSQL cannot be reached"), "{warned:?}");
    assert!(
        has(&warned, "the feed of PostgreSQL is not trusted"),
        "{warned:?}"
    );
    assert!(has(&said, "PostgreSQL answers again"), "{said:?}");
    assert!(has(&said, "the feed of PostgreSQL is trusted"), "{said:?}");
}

#[tokio::test]
async fn missing_tables_and_a_missing_database_are_what_the_log_and_the_answer_say() {
    let log = Log::start();
    let server = Server::start();
    let resolve = Resolve::new(guest());
    for (database, advice) in [
        ("postgres", "create them with `PostgresStore::migrate`"),
        ("another", "the server has no such database"),
    ] {
        let at = format!("postgres://postgres@127.0.0.1:{}/{database}", server.port);
        let store = patient(pool(&at, 2)).build();

        let error = store.resolve(&resolve).await.unwrap_err();

        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
        assert!(error.to_string().contains(advice), "{error}");
        let answer = Rejection::from(UserSessionsError::from(error));
        let detail = answer.detail();
        assert_eq!(detail.is_some(), cfg!(debug_assertions));
        assert!(
            detail.is_none_or(|detail| detail.contains(advice)),
            "{detail:?}"
        );
    }
    let warned = log.at(" WARN ");
    for text in [
        "create them with `PostgresStore::migrate`",
        "PostgreSQL refuses the connection",
    ] {
        assert!(warned.iter().any(|line| line.contains(text)), "{warned:?}");
    }
    assert!(!log.text().contains("cannot be reached"), "{warned:?}");
}
