//! Sessions in PostgreSQL.

use std::error::Error;

use deadpool_postgres::{Config, Runtime, tokio_postgres::NoTls};
use tower_user_sessions::PostgresStore;

use super::{LINGER, settings::Sessions};

/// A store in this database, with its tables.
pub(crate) async fn store(url: &str) -> Result<Sessions, String> {
    // The URL may hold a password, and the cause may quote it: neither is shown.
    let Ok(store) = new_store(url) else {
        return Err(
            "DATABASE_URL must be postgres://user:password@host:port/database; in the password write # \
             as %23 and @ as %40"
                .to_owned(),
        );
    };
    if let Err(error) = store.migrate().await {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        return Err(format!(
            "the tables in DATABASE_URL cannot be created: {error}: {cause}"
        ));
    }
    let drained = store.clone();
    Ok(Sessions {
        drain: Box::pin(async move { drained.drain(LINGER).await }),
        ..Sessions::of(store)
    })
}

fn new_store(url: &str) -> Result<PostgresStore, Box<dyn Error>> {
    let mut config = Config::new();
    config.url = Some(url.to_owned());
    let pool = config.create_pool(Some(Runtime::Tokio1), NoTls)?;
    // Open pages learn of an end on any server within milliseconds. Behind PgBouncer name the server itself here.
    let server = config.get_pg_config()?;
    Ok(PostgresStore::builder(pool).live(server, NoTls).build())
}
