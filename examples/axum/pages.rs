//! The page of the shop, without JavaScript. That of the devices is `DevicePage`.

use std::fmt::{self, Write};

use axum::{
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{Html, IntoResponse, Response},
};
use tower_user_sessions::{EndReason, Session};

use super::{
    cart::{CART, Cart},
    problem::Failure,
};

/// Nothing inline, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

pub(crate) async fn index(session: Session) -> Result<Response, Failure> {
    page(&session, StatusCode::OK, None)
}

pub(crate) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css")], include_str!("app.css"))
}

/// What needs no session.
pub(crate) fn is_static(path: &str) -> bool {
    matches!(path, "/app.css" | "/devices/page.css" | "/devices/page.js")
}

/// The page with a message, for whoever the session's user is.
pub(crate) fn page(
    session: &Session,
    status: StatusCode,
    message: Option<&str>,
) -> Result<Response, Failure> {
    let mut main = String::new();
    let ended = session.ended().map(|notice| notice.reason);
    if let Some(message) = message.or_else(|| ended.and_then(farewell)) {
        push(
            &mut main,
            format_args!("<p role=\"alert\">{}</p>\n", Escaped(message)),
        );
    }
    match session.user_id() {
        Some(user) => {
            let user = Escaped(user.as_str());
            push(
                &mut main,
                format_args!("<p>You are <strong>{user}</strong>.</p>\n"),
            );
            main.push_str(ACCOUNT);
        }
        None => main.push_str(SIGN_IN),
    }
    shop(&mut main, &session.get(CART)?.unwrap_or_default());
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let html = Html(format!("{HEAD}{main}{FOOT}"));
    Ok((status, headers, html).into_response())
}

/// What to tell somebody whose session ended.
fn farewell(reason: EndReason) -> Option<&'static str> {
    match reason {
        EndReason::Administrator => Some("An administrator signed you out."),
        EndReason::Evicted => Some("You were signed out because you signed in elsewhere."),
        EndReason::Revoked => Some("You were signed out from another of your devices."),
        _ => None,
    }
}

fn shop(main: &mut String, cart: &Cart) {
    main.push_str(SHOP);
    if cart.is_empty() {
        main.push_str("<p>Your cart is empty.</p>\n");
        return;
    }
    main.push_str("<ul>\n");
    for item in cart {
        push(main, format_args!("<li>{}</li>\n", Escaped(item)));
    }
    main.push_str("</ul>\n");
}

fn push(main: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = main.write_fmt(text);
}

/// Text that cannot become markup. User agents are whatever a client chose to send.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sessions</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/app.css">
</head>
<body>
<main>
<h1>Sessions</h1>
"#;

const SIGN_IN: &str = r#"<form method="post" action="/login">
<label>Name <input name="username" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button>
<p><small>Try alice, bob or carol, each with the password demo.</small></p>
</form>
"#;

const ACCOUNT: &str = r#"<p><a href="/devices">Where you're signed in</a></p>
<div class="actions">
<form method="post" action="/logout"><button>Sign out</button></form>
<form method="post" action="/password"><button>Change the password</button></form>
</div>
"#;

const SHOP: &str = r#"<h2>Cart</h2>
<div class="actions">
<form method="post" action="/cart/tea"><button>Add tea</button></form>
<form method="post" action="/cart/biscuits"><button>Add biscuits</button></form>
</div>
"#;

const FOOT: &str = "</main>\n</body>\n</html>\n";
