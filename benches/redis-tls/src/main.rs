//! `RedisStore` over TLS: what is wrong with the server, then the whole contract, without the feed and with it.

use std::{env, time::Duration};

// Only its features are needed.
use redis as _;
use tower_user_sessions::{
    RedisStore,
    deadpool_redis::redis::RedisConnectionInfo,
    store::{ManualClock, RedisLive, RedisSource, RedisStoreBuilder, conformance},
};

/// `one URL`, `cluster URL…`, or `sentinel PASSWORD URL…` for a master that is named `mymaster`.
fn source(words: &[&str]) -> RedisSource {
    let source = match words {
        ["one", url] => RedisSource::url(url),
        ["cluster", urls @ ..] => RedisSource::cluster(urls),
        ["sentinel", password, urls @ ..] => {
            let login = RedisConnectionInfo::default().set_password(*password);
            RedisSource::sentinel(urls.iter().copied(), "mymaster", login)
        }
        _ => panic!("say `one`, `cluster` or `sentinel`, see README.md"),
    };
    source.unwrap()
}

#[tokio::main]
async fn main() {
    if env::var_os("NO_PROVIDER").is_none() {
        let ring = rustls::crypto::ring::default_provider();
        ring.install_default().unwrap();
    }
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let source = source(&words);
    let store = || RedisStore::builder(source.clone()).deadline(Duration::from_secs(10));
    let live = || store().live(RedisLive::all());

    let mut failed = false;
    for check in live().build().check().await {
        println!("{check}");
        failed |= check.version().is_none();
    }
    if failed {
        return;
    }
    let keeps = async |builder: &dyn Fn() -> RedisStoreBuilder| {
        conformance::all(async |clock: ManualClock| builder().clock(clock).build()).await;
    };
    keeps(&store).await;
    keeps(&live).await;
    println!("it keeps the contract");
}
