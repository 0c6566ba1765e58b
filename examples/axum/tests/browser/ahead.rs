//! What a browser requests of an app of the test, and pages that it loads ahead.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use thirtyfour::WebDriver;

use crate::serve;

/// The requests so far, as `GET /page prefetch;prerender`.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

async fn note(State(seen): State<Seen>, request: Request, next: Next) -> Response {
    let purpose = request.headers().get("sec-purpose");
    let purpose = purpose.map_or("", |purpose| purpose.to_str().unwrap());
    let line = format!("{} {} {purpose}", request.method(), request.uri().path());
    let response = next.run(request).await;
    seen.lock().unwrap().push(line.trim_end().to_owned());
    response
}

/// Serves the app. Returns its URL without a path.
pub(crate) async fn serve(app: Router, seen: Seen) -> String {
    let app = app.layer(middleware::from_fn_with_state(seen, note));
    let port = serve::serve(app).await;
    format!("http://localhost:{port}")
}

pub(crate) async fn until(seen: &Seen, line: &str) {
    for _ in 0..600 {
        if seen.lock().unwrap().iter().any(|it| it == line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no {line} in {:?}", seen.lock().unwrap());
}

/// The open page has this path loaded ahead. `kind` is `prefetch` or `prerender`.
pub(crate) async fn load(browser: &WebDriver, kind: &str, path: &str) {
    let rules = format!(
        r#"const rules = document.createElement("script");
        rules.type = "speculationrules";
        rules.text = JSON.stringify({{ {kind}: [{{ urls: ["{path}"], eagerness: "immediate" }}] }});
        document.head.append(rules);"#
    );
    browser.execute(rules, Vec::new()).await.unwrap();
}
