//! `RedisStore` over TLS: what is wrong with the server, then the whole contract, without the feed and with it.

use std::{env, fs, time::Duration};

use redis::{Client, ClientTlsConfig, TlsCertificates};
use tower_user_sessions::{
    RedisStore,
    deadpool_redis::redis::RedisConnectionInfo,
    store::{ManualClock, RedisLive, RedisSource, RedisStoreBuilder, conformance},
};

/// `one URL`, `cluster URL…`, or `sentinel PASSWORD URL…` for a master that is named `mymaster`.
fn source(words: &[&str]) -> RedisSource {
    let login = |password: &str| RedisConnectionInfo::default().set_password(password);
    let source = match (words, env::var("CLIENT").is_ok()) {
        (["one", url], false) => RedisSource::url(url),
        (["one", url], true) => Ok(client(url).into()),
        (["cluster", urls @ ..], false) => RedisSource::cluster(urls),
        (["cluster", urls @ ..], true) => {
            RedisSource::cluster_from_clients(urls.iter().map(|url| client(url)))
        }
        (["sentinel", password, urls @ ..], false) => {
            RedisSource::sentinel(urls.iter().copied(), "mymaster", login(password))
        }
        (["sentinel", password, urls @ ..], true) => {
            let clients = urls.iter().map(|url| client(url));
            RedisSource::sentinel_from_clients(clients, "mymaster", login(password))
        }
        _ => panic!("say `one`, `cluster` or `sentinel`, see README.md"),
    };
    source.unwrap()
}

/// With the certificate `$CLIENT.crt`, its key `$CLIENT.key`, and the authority `$SSL_CERT_FILE`.
fn client(url: &str) -> Client {
    let name = env::var("CLIENT").unwrap();
    let client_tls = ClientTlsConfig {
        client_cert: fs::read(format!("{name}.crt")).unwrap(),
        client_key: fs::read(format!("{name}.key")).unwrap(),
    };
    let certificates = TlsCertificates {
        client_tls: Some(client_tls),
        root_cert: Some(fs::read(env::var("SSL_CERT_FILE").unwrap()).unwrap()),
    };
    Client::build_with_tls(url, certificates).unwrap()
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
