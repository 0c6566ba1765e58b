//! The realm of a session in a history, which its id names, and the clients.

use std::net::IpAddr;

use tower_user_sessions::{
    Client,
    store::{Realm, Resolve, Token},
};

/// Whether the session is in the realm that has a name.
pub(crate) fn is_admin(token: &Token) -> bool {
    token.session_id().to_string().contains("-in-")
}

pub(crate) fn named(admin: bool) -> Realm {
    if admin {
        Realm::named("admin")
    } else {
        Realm::NONE
    }
}

/// The question of a request with this token.
pub(crate) fn resolves(token: Token) -> Resolve {
    let realm = named(is_admin(&token));
    Resolve::within(token, realm)
}

/// The same session id with another secret.
pub(crate) fn forge(token: &Token) -> Token {
    let text = token.encode();
    format!("{}{:_<32}", &text[..32], "").parse().unwrap()
}

/// One of four clients: two agents at two addresses.
pub(crate) fn client(number: u8) -> Client {
    let address = IpAddr::from([192, 0, 2, number / 2]);
    Client::new()
        .with_address(Some(address))
        .with_user_agent(Some(&[b'a' + number % 2]))
}
