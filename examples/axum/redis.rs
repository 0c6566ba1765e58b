//! Sessions in Redis.

use deadpool_redis::{CreatePoolError, Runtime};
use tower_user_sessions::{
    RedisStore,
    store::{RedisSource, SharedStore},
};

/// A store on these servers, or what is wrong with the URLs.
pub(crate) fn store(urls: &str) -> Result<SharedStore, String> {
    // The URL may hold a password, and the cause may quote it: neither is shown.
    let Ok(pool) = pool(urls) else {
        return Err(
            "REDIS_URL must be redis://user:password@host:port, or several of a Cluster \
             separated by commas; in the password write # as %23, @ as %40 and , as %2C \
             (rediss:// takes a build of the redis crate with TLS)"
                .to_owned(),
        );
    };
    Ok(RedisStore::new(pool).into())
}

fn pool(urls: &str) -> Result<RedisSource, CreatePoolError> {
    let runtime = Some(Runtime::Tokio1);
    if !urls.contains(',') {
        let node = deadpool_redis::Config::from_url(urls);
        return Ok(node.create_pool(runtime)?.into());
    }
    let urls: Vec<String> = urls.split(',').map(|url| url.trim().to_owned()).collect();
    let cluster = deadpool_redis::cluster::Config::from_urls(urls);
    Ok(cluster.create_pool(runtime)?.into())
}
