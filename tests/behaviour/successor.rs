//! The token that a rotation makes: only the whole token before it and the salt together give it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tower_user_sessions::store::{Salt, Tag, Token};

fn token(bytes: [u8; 48]) -> Token {
    URL_SAFE_NO_PAD.encode(bytes).parse().unwrap()
}

/// The part of the text that is the secret.
fn secret(token: &Token) -> String {
    token.encode()[32..].to_owned()
}

/// The numbers 0 to 47.
fn counted() -> [u8; 48] {
    std::array::from_fn(|at| u8::try_from(at).unwrap())
}

// T3 T47
#[test]
fn a_successor_is_the_hmac_of_the_salt_and_its_key_is_the_whole_token() {
    let token = token(counted());

    let next = token.successor(&Salt::from_bytes([1; 16]));

    // Made by another implementation of HMAC-SHA256. Another value would sign out who rotates during an update.
    insta::assert_snapshot!(
        next.encode(),
        @"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXmubKrTdwTTY91Dy8nzIu8tS4np0NdKPo"
    );
}

// T1 T3 T47
#[test]
fn each_byte_of_the_token_and_of_the_salt_makes_another_successor() {
    let (bytes, salt) = (counted(), [1; 16]);
    let mut secrets = HashSet::from([secret(&token(bytes).successor(&Salt::from_bytes(salt)))]);

    for at in 0..48 {
        let mut other = bytes;
        other[at] ^= 1;
        secrets.insert(secret(&token(other).successor(&Salt::from_bytes(salt))));
    }
    for at in 0..16 {
        let mut other = salt;
        other[at] ^= 1;
        secrets.insert(secret(&token(bytes).successor(&Salt::from_bytes(other))));
    }

    assert_eq!(secrets.len(), 1 + 48 + 16);
}

// T3 T47
#[test]
fn the_salt_and_the_id_of_a_session_do_not_give_its_next_token() {
    let salt = Salt::random().unwrap();
    let own = Token::random(Tag::random().unwrap()).unwrap();
    let forged = own.renewed().unwrap();
    assert_eq!(forged.encode()[..32], own.encode()[..32]);

    let (next, guessed) = (own.successor(&salt), forged.successor(&salt));

    assert_eq!(next.session_id(), own.session_id());
    assert_ne!(secret(&next), secret(&guessed));
    assert_ne!(secret(&next), secret(&own));
}

// T1 T47
#[test]
fn each_bit_of_a_salt_is_random() {
    let (mut some, mut all) = ([0_u8; 16], [0xff_u8; 16]);
    let mut different = HashSet::new();

    for _ in 0..200 {
        let salt = *Salt::random().unwrap().as_bytes();
        for (at, byte) in salt.into_iter().enumerate() {
            some[at] |= byte;
            all[at] &= byte;
        }
        different.insert(salt);
    }

    assert_eq!(different.len(), 200);
    assert_eq!((some, all), ([0xff; 16], [0; 16]));
}
