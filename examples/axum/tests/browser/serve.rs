//! Serves an app of the test.

use axum::Router;
use tokio::net::TcpListener;

/// Serves the app on a port of this machine until the test ends.
pub(crate) async fn serve(app: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    port
}
