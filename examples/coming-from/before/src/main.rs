//! Serves the app: `cargo run -p example-coming-from-before`.

use std::io;

#[tokio::main]
async fn main() -> io::Result<()> {
    example_coming_from_before::serve("127.0.0.1:3000").await
}
