//! Sessions in Redis.

use tower_user_sessions::{
    RedisStore,
    store::{RedisLive, RedisSource, RedisUrlError},
};

use super::{LINGER, settings::Sessions};

/// A store on these servers, or what is wrong with the URLs.
pub(crate) fn store(urls: &str) -> Result<Sessions, String> {
    // The URL may hold a password, and the cause may quote it: neither is shown.
    let Ok(source) = source(urls) else {
        return Err(
            "REDIS_URL must be redis://user:password@host:port, or several of a Cluster \
             separated by commas; in the password write # as %23, @ as %40 and , as %2C \
             (rediss:// takes a build of the redis crate with TLS)"
                .to_owned(),
        );
    };
    // Open pages learn of an end on any server within milliseconds.
    let store = RedisStore::builder(source).live(RedisLive::ends()).build();
    let (checked, drained) = (store.clone(), store.clone());
    Ok(Sessions {
        store: store.into(),
        check: Box::pin(check(checked)),
        drain: Box::pin(async move { drained.drain(LINGER).await }),
    })
}

/// Logs what is wrong with the servers.
async fn check(store: RedisStore) {
    for check in store.check().await {
        if !check.findings().is_empty() {
            tracing::warn!("{check}");
        }
    }
}

fn source(urls: &str) -> Result<RedisSource, RedisUrlError> {
    if urls.contains(',') {
        RedisSource::cluster(urls.split(',').map(str::trim))
    } else {
        RedisSource::url(urls)
    }
}
