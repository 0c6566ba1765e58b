//! The crates that the snippets in `mistakes` use: a snippet is compiled against this library.

pub use axum;
pub use bytes;
pub use http_body_util;
pub use tower;
pub use tower_user_sessions;
