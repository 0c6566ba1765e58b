//! `PostgresStore` over TLS, with the connector of tokio-postgres-rustls.

use std::{error::Error, sync::Arc, time::Duration};

use deadpool_postgres::{Config, Pool, Runtime};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tower_user_sessions::{
    EndReason, PostgresStore, SessionStore, UserId,
    store::{Arrival, Authenticated, Create, End, Resolve, Resolved, Token, Which},
};

use crate::growth::signs_in;

/// Trusts these certificates and no others.
fn connector(trusted: RootCertStore) -> MakeRustlsConnect {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

fn pool(url: &str, tls: MakeRustlsConnect) -> Pool {
    let mut config = Config::new();
    config.url = Some(url.to_owned());
    config.create_pool(Some(Runtime::Tokio1), tls).unwrap()
}

/// The certificate signs itself, so it is its own authority.
pub async fn tls(url: &str, certificate: &str) {
    let mut trusted = RootCertStore::empty();
    trusted
        .add(CertificateDer::from_pem_file(certificate).unwrap())
        .unwrap();
    let tls = connector(trusted);
    let pool = pool(url, tls.clone());
    let store = PostgresStore::builder(pool.clone())
        .live(url.parse().unwrap(), tls)
        .build();
    store.migrate().await.unwrap();
    let token = signs_in(&store, "anna").await;
    let found = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    assert!(matches!(found, Resolved::Live(_)), "{found:?}");
    let feed = store.feed().unwrap();
    let _watched = feed.read_by(crate::bouncer::nobody());
    while !feed.state(token.tag()).trusted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let end = End::new(token.tag(), Which::All, EndReason::Revoked);
    store.end(&end).await.unwrap();
    let client = pool.get().await.unwrap();
    let sql = "SELECT count(*) FILTER (WHERE ssl), count(*), max(version) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE backend_type = 'client backend'";
    let row = client.query_one(sql, &[]).await.unwrap();
    println!(
        "signed in, read, fed and ended: {} of {} connections have {}",
        row.get::<_, i64>(0),
        row.get::<_, i64>(1),
        row.get::<_, &str>(2)
    );

    let stranger = PostgresStore::new(self::pool(url, connector(RootCertStore::empty())));
    let user = UserId::new("bert").unwrap();
    let token = Token::random(stranger.tag(&user)).unwrap();
    let now = Authenticated::On(Arrival::now());
    let failed = stranger
        .create(&Create::new(&token, Some(user), now))
        .await
        .unwrap_err();
    let (mut text, mut source) = (format!("{:?}: {failed}", failed.kind()), failed.source());
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    println!("without the certificate: {text}");
}
