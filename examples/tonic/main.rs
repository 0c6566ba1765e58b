//! A gRPC service with sessions: sign in, list devices, end one.
//!
//! ```console
//! $ cargo run -p example-tonic                # the server, at http://localhost:50051
//! $ cargo run -p example-tonic -- client      # walks through it, with two devices
//! ```
//!
//! The generated code is checked in; `scripts/proto` makes it from `devices.proto`.

mod client;
mod pb;
mod service;

use std::{env, error::Error, io::Write as _};

use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic_reflection::server::Builder;
use tower_user_sessions::{Limit, MemoryStore, SessionLayer, TokenSource};

use self::pb::FILE_DESCRIPTOR_SET;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_subscriber::fmt::init();
    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:50051".to_owned());
    match env::args().nth(1).as_deref() {
        None | Some("server") => serve(&address).await,
        Some("client") => client::walk(&address, &mut std::io::stdout()).await,
        Some(other) => Err(format!("neither server nor client: {other}").into()),
    }
}

async fn serve(address: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    // Use TLS unless only this machine connects: who reads the token is the user.
    let listener = TcpListener::bind(address).await?;
    let port = listener.local_addr()?.port();
    writeln!(std::io::stdout(), "listening on http://localhost:{port}")?;
    let sessions = SessionLayer::new(MemoryStore::new())
        .token_source(TokenSource::Bearer)
        .limit(Limit::at_most(3));
    let reflection =
        || Builder::configure().register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET);
    service::routes(sessions)
        .add_service(reflection().build_v1()?)
        // Older clients, such as Python's.
        .add_service(reflection().build_v1alpha()?)
        .serve_with_incoming(TcpIncoming::from(listener))
        .await?;
    Ok(())
}
