//! Sessions in PostgreSQL.

use std::error::Error;

use deadpool_postgres::{Config, Pool, Runtime, tokio_postgres::NoTls};
use tower_user_sessions::{PostgresStore, store::SharedStore};

/// A store in this database, with its tables.
pub(crate) async fn store(url: &str) -> Result<SharedStore, String> {
    // The URL may hold a password, and the cause may quote it: neither is shown.
    let Ok(pool) = pool(url) else {
        return Err(
            "DATABASE_URL must be postgres://user:password@host:port/database; in the password write # \
             as %23 and @ as %40"
                .to_owned(),
        );
    };
    let store = PostgresStore::new(pool);
    if let Err(error) = store.migrate().await {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        return Err(format!(
            "the tables in DATABASE_URL cannot be created: {error}: {cause}"
        ));
    }
    Ok(store.into())
}

fn pool(url: &str) -> Result<Pool, deadpool_postgres::CreatePoolError> {
    let mut config = Config::new();
    config.url = Some(url.to_owned());
    config.create_pool(Some(Runtime::Tokio1), NoTls)
}
