//! The page of the shop. It works without JavaScript. The device page is `DevicePage`.

use axum::{
    extract::State,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            USER_AGENT, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{Html, IntoResponse, Redirect, Response},
};
use tower_user_sessions::{
    Client as Sender, Device, DeviceKind, EndNotice, EndReason, EndWords, Rejection, Session,
};

use super::{
    Most,
    cart::{CART, Cart},
    live,
    login::{self, Client},
    markup::{Escaped, push},
};

/// Where a browser goes after a sign-in.
pub(crate) const WELCOME: &str = "/welcome";

/// The key that begins a guest session when the form is shown.
const FORM_SHOWN: &str = "form_shown";

/// Allows nothing inline, nothing from other sites, and no frames.
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src data:; script-src 'self'; \
                      style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(crate) async fn index(
    State(most): State<Most>,
    method: Method,
    headers: HeaderMap,
    session: Session,
) -> Result<Response, Rejection> {
    let farewell = session.ended().and_then(|notice| farewell(&notice, most));
    let shown = method == Method::GET && !session.is_speculative() && is_for_a_person(&headers);
    if shown && session.user_id().is_none() && session.id().is_none() {
        // A double click on "Sign in" then sends the same token twice and makes one session.
        session.insert(FORM_SHOWN, &true)?;
    }
    let mut main = String::new();
    if let Some(farewell) = farewell {
        alert(&mut main, &farewell);
        main.push_str(CLOSE);
    }
    shop(&session, StatusCode::OK, main)
}

/// Whether a browser opens the page for a person. Bots and programs get no session: nobody sends their form.
fn is_for_a_person(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(HeaderValue::as_bytes);
    let client = Sender::new().with_user_agent(text(USER_AGENT));
    text(ACCEPT).is_some_and(|accept| accept.starts_with(b"text/html"))
        && matches!(
            Device::of(&client).kind(),
            DeviceKind::Desktop | DeviceKind::Mobile | DeviceKind::Tablet
        )
}

/// After a sign-in. A browser that did not keep the cookie would see the form again, and no reason.
pub(crate) async fn welcome(session: Session) -> Response {
    if session.user_id().is_some() || session.ended().is_some() {
        return Redirect::to("/").into_response();
    }
    let mut main = String::new();
    alert(&mut main, NO_COOKIE);
    main.push_str("<p><a href=\"/\">Back</a></p>\n");
    whole(StatusCode::UNAUTHORIZED, &main)
}

/// The user pressed "OK": the message does not come again. A page view must not do that, because a browser
/// may load pages that no user sees.
pub(crate) async fn close_message(session: Session, client: Client) -> Result<Response, Rejection> {
    session.forget()?;
    Ok(login::done(client))
}

pub(crate) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css")], include_str!("app.css"))
}

/// Paths that need no session.
pub(crate) fn is_static(path: &str) -> bool {
    matches!(
        path,
        "/app.css" | "/live.js" | "/devices/page.css" | "/devices/page.js"
    )
}

/// The page with a message, for the user of the session or for a guest.
pub(crate) fn page(
    session: &Session,
    status: StatusCode,
    message: Option<&str>,
) -> Result<Response, Rejection> {
    let mut main = String::new();
    if let Some(message) = message {
        alert(&mut main, message);
    }
    shop(session, status, main)
}

fn alert(main: &mut String, message: &str) {
    push(main, format_args!("<p role=\"alert\">{message}</p>\n"));
}

/// The page after its messages.
fn shop(session: &Session, status: StatusCode, mut main: String) -> Result<Response, Rejection> {
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
    list(&mut main, &session.get(CART)?.unwrap_or_default());
    let user = session.user_id().is_some() && session.id().is_some();
    Ok(finished(status, user.then_some(live::EVENTS), &main))
}

/// A complete page with this content.
pub(crate) fn whole(status: StatusCode, main: &str) -> Response {
    finished(status, None, main)
}

/// The page of a user listens for the end of the session.
fn finished(status: StatusCode, events: Option<&str>, main: &str) -> Response {
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let events = events.map_or(String::new(), |path| format!(" data-events=\"{path}\""));
    let html = Html(format!("{HEAD}<main{events}>\n{TITLE}{main}{FOOT}"));
    (status, headers, html).into_response()
}

/// The message after a session ended: why, and when.
fn farewell(notice: &EndNotice, most: Most) -> Option<String> {
    if matches!(notice.reason, EndReason::LoggedOut | EndReason::Replaced) {
        return None;
    }
    let words = end_words(most);
    let (message, at) = (words.message(notice), notice.ended_at.to_string());
    Some(format!(
        "{} <time datetime=\"{at}\">{at}</time>",
        Escaped(&message)
    ))
}

/// Why a session ended, in the words of this app.
pub(crate) fn end_words(Most(most): Most) -> EndWords {
    let mut words = EndWords::default();
    let devices = if most == 1 { "device" } else { "devices" };
    words.evicted = format!(
        "You were signed out because you signed in on {{device}} ({most} {devices} at most)."
    )
    .into();
    words
}

fn list(main: &mut String, cart: &Cart) {
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

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sessions</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/app.css">
<script type="module" src="/live.js"></script>
</head>
<body>
"#;

const TITLE: &str = "<h1>Sessions</h1>\n";

const CLOSE: &str = r#"<form method="post" action="/message/close"><button>OK</button></form>
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
<form method="post" action="/password">
<label>Current password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Change the password</button></form>
</div>
"#;

const NO_COOKIE: &str = "Your name and password are right, but your browser did not keep the cookie of the \
                         sign-in. It keeps it over https. On http://localhost Chrome and Firefox keep it, \
                         Safari does not: start the example with COOKIE=insecure there.";

const SHOP: &str = r#"<h2>Cart</h2>
<div class="actions">
<form method="post" action="/cart/tea"><button>Add tea</button></form>
<form method="post" action="/cart/biscuits"><button>Add biscuits</button></form>
</div>
"#;

const FOOT: &str = "</main>\n</body>\n</html>\n";
