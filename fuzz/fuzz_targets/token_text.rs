//! Parses any bytes as the text of a token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_user_sessions::store::Token;

fuzz_target!(|text: &[u8]| {
    let in_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let is_token = text.len() == 64 && text.iter().all(in_alphabet);

    let parsed = Token::parse(text);

    let Ok(token) = parsed else {
        assert!(!is_token, "a valid token was refused");
        return;
    };
    assert!(is_token, "a text that is no token was accepted");
    assert_eq!(token.encode().as_bytes(), text);
    let again: Token = token.encode().parse().unwrap();
    assert_eq!(again.digest(), token.digest());
    assert_eq!(format!("{token:?}"), "Token(..)");
});
