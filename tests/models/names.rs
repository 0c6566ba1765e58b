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

/// One of four clients: without an address, or with one of IPv6, and with an agent of one byte, or of 300.
pub(crate) fn client(number: u8) -> Client {
    let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1_u16]);
    let long = "\u{e4}".repeat(150);
    let agents = ["a", &long];
    Client::new()
        .with_address((number > 1).then_some(address))
        .with_user_agent(Some(agents[usize::from(number % 2)].as_bytes()))
}
