//! Tokens, ids and stored forms: they cannot be guessed or printed, and they read back as written.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{collections::HashSet, fmt::Display, net::IpAddr, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::{collection::vec, option, prelude::*};
use tower_user_sessions::{
    Client, EndNotice, EndReason, Lifetime, SessionId, SessionLayer, SessionStore, Timestamp,
    UserId,
    store::{Changes, Data, Digest, List, Record, Tag, TagKey, Token},
};

use crate::common::http::{Client as HttpClient, store};

// T1
#[test]
fn a_million_tokens_have_a_million_secrets_and_ids() {
    let tag = Tag::random().unwrap();
    let mut secrets = HashSet::new();
    let mut ids = HashSet::new();

    for _ in 0..1_000_000 {
        let token = Token::random(tag).unwrap();
        let secret: [u8; 32] = *token.encode().as_bytes().last_chunk().unwrap();
        secrets.insert(secret);
        ids.insert(token.session_id());
    }

    assert_eq!((secrets.len(), ids.len()), (1_000_000, 1_000_000));
}

// T1
#[test]
fn each_of_192_bits_of_a_secret_is_random_and_appears_nowhere_else() {
    let tag = Tag::random().unwrap();
    let first = Token::random(tag).unwrap();
    let new: Vec<Token> = (0..200).map(|_| Token::random(tag).unwrap()).collect();
    let renewed: Vec<Token> = (0..200).map(|_| first.renewed().unwrap()).collect();

    for token in new.iter().chain(&renewed) {
        assert_eq!(
            token.encode()[..32],
            format!("{}{}", token.tag(), token.session_id())
        );
    }
    assert_eq!(random_bits(&new)[12..], [0xff; 36]);
    assert_eq!(
        random_bits(&renewed),
        [vec![0; 24], vec![0xff; 24]].concat()
    );
}

/// The bits that are 1 in some of these tokens and 0 in others.
fn random_bits(tokens: &[Token]) -> Vec<u8> {
    let (mut some, mut all) = (vec![0; 48], vec![0xff; 48]);
    for token in tokens {
        let bytes = URL_SAFE_NO_PAD.decode(token.encode()).unwrap();
        for (at, byte) in bytes.into_iter().enumerate() {
            some[at] |= byte;
            all[at] &= byte;
        }
    }
    some.iter()
        .zip(all)
        .map(|(some, all)| some & !all)
        .collect()
}

/// Whether a type implements `Display`: an inherent constant wins over that of the trait.
struct Shows<T>(std::marker::PhantomData<T>);

trait Not {
    const DISPLAY: bool = false;
}

impl<T> Not for Shows<T> {}

impl<T: Display> Shows<T> {
    const DISPLAY: bool = true;
}

// T3
#[test]
fn a_token_has_no_display() {
    let displays = [
        Shows::<SessionId>::DISPLAY,
        Shows::<Token>::DISPLAY,
        Shows::<Digest>::DISPLAY,
    ];

    assert_eq!(displays, [true, false, false]);
}

// T3
#[test]
fn debug_never_prints_the_secret_or_its_digest() {
    let token = Token::random(Tag::random().unwrap()).unwrap();

    insta::assert_snapshot!(format!("{token:?}"), @"Token(..)");
    insta::assert_snapshot!(format!("{:?}", token.digest()), @"Digest(..)");
}

// T3
#[test]
fn the_parse_error_does_not_repeat_the_text() {
    let error = "my-password".parse::<Token>().unwrap_err();

    insta::assert_snapshot!(error, @"not a session token, which has 64 characters of base64url");
}

// T3 T4
#[test]
fn a_stored_record_holds_no_part_of_the_secret() {
    let token = Token::random(Tag::of(&UserId::from(7))).unwrap();
    let record = Record::new(
        token.session_id(),
        token.digest(),
        Some(UserId::from(7)),
        Client::new(),
        Lifetime::default(),
        Timestamp::from_millis(0),
    );

    let stored = record.encode().unwrap();

    let has = |part: &[u8]| stored.windows(part.len()).any(|window| window == part);
    let text = token.encode();
    let secret = URL_SAFE_NO_PAD.decode(&text[32..]).unwrap();
    assert!(has(token.digest().as_bytes()));
    assert!(!has(&text.as_bytes()[32..]));
    for half in secret.chunks(12) {
        assert!(!has(half));
    }
}

// T3 T4
#[tokio::test]
async fn the_digest_sent_as_a_token_makes_a_guest() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut client = HttpClient::signed_in(&layer, "alice").await;
    let tag = store.tag(&UserId::new("alice").unwrap());
    let listed = store.list(&List::new(tag)).await.unwrap();
    let digest = listed[0].digest.as_bytes();
    let name = [&tag.as_bytes()[..], listed[0].id.as_bytes()].concat();

    let forged = [
        [&name[..], &digest[..24]].concat(),
        [&name[..], &digest[8..]].concat(),
        [&digest[..], &[0; 16]].concat(),
    ];

    for bytes in forged {
        let mut thief = client.clone();
        let text = URL_SAFE_NO_PAD.encode(&bytes);
        assert!(text.parse::<Token>().is_ok());
        thief.cookie = Some(format!("__Host-session={text}"));
        assert_eq!(thief.user().await, None);
    }
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

#[test]
fn the_tag_of_a_user_never_changes() {
    let alice = UserId::new("alice").unwrap();

    // Other tags would sign all users out.
    insta::assert_snapshot!(Tag::of(&alice), @"DHUHdZA2crc8mYnB");
    let key = TagKey::new("0123456789abcdef").unwrap();
    insta::assert_snapshot!(Tag::keyed(&key, &alice), @"kyJunjiOoX_-hak9");
}

// T3
#[test]
fn a_key_of_tags_has_at_least_16_bytes_and_is_not_printed() {
    for short in ["", "x", "0123456789abcde"] {
        assert_eq!(
            TagKey::new(short).unwrap_err().to_string(),
            "the key of tags has fewer than 16 bytes: set a longer random one"
        );
    }

    let key = TagKey::new("0123456789abcdef").unwrap();

    assert_eq!(format!("{key:?}"), "TagKey(..)");
}

fn moments() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64).prop_map(Timestamp::from_millis)
}

fn session_ids() -> impl Strategy<Value = SessionId> {
    any::<[u8; 12]>().prop_map(SessionId::from_bytes)
}

fn reasons() -> impl Strategy<Value = EndReason> {
    prop::sample::select(vec![
        EndReason::Administrator,
        EndReason::Evicted,
        EndReason::LoggedOut,
        EndReason::Replaced,
        EndReason::Revoked,
        EndReason::Undelivered,
        EndReason::Rejected,
    ])
}

fn clients() -> impl Strategy<Value = Client> {
    let address = option::of(any::<[u8; 16]>().prop_map(IpAddr::from));
    (address, option::of(vec(any::<u8>(), 0..2_000))).prop_map(|(address, agent)| {
        Client::new()
            .with_address(address)
            .with_user_agent(agent.as_deref())
    })
}

prop_compose! {
    fn records()(
        id in session_ids(),
        digest in any::<[u8; 32]>(),
        user in option::of("[^\\x00]{1,60}"),
        client in clients(),
        revision in 0..1_u64 << 32,
        times in [moments(), moments(), moments(), moments()],
        idle in 1..=34_560_000_000_u64,
    ) -> Record {
        let user = user.map(|user| UserId::new(user).unwrap());
        let [created, authenticated, active, deadline] = times;
        let digest = Digest::from_bytes(digest);
        let mut record = Record::new(id, digest, user, client, Lifetime::default(), created);
        record.revision = revision;
        record.authenticated_at = authenticated;
        record.last_activity = active;
        record.deadline = deadline;
        record.idle = Duration::from_millis(idle);
        record
    }
}

proptest! {
    // T2
    #[test]
    fn a_token_reads_back_as_it_was_written(tag in any::<[u8; 12]>()) {
        let token = Token::random(Tag::from_bytes(tag)).unwrap();

        let read: Token = token.encode().parse().unwrap();

        prop_assert_eq!(read.digest(), token.digest());
        prop_assert_eq!(read.tag(), Tag::from_bytes(tag));
        prop_assert_eq!(read.session_id(), token.session_id());
    }

    // T2
    #[test]
    fn a_token_has_exactly_one_spelling(text in "[A-Za-z0-9_-]{64}") {
        let token: Token = text.parse().unwrap();

        prop_assert_eq!(token.encode(), text);
    }

    // T2
    #[test]
    fn any_bytes_are_a_token_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(token) = Token::parse(&bytes) {
            prop_assert_eq!(token.encode().into_bytes(), bytes);
        }
    }

    // T2
    #[test]
    fn one_character_outside_the_alphabet_is_an_error(at in 0..64_usize, odd in "[^A-Za-z0-9_-]") {
        let text = Token::random(Tag::random().unwrap()).unwrap().encode();

        let changed = format!("{}{odd}{}", &text[..at], &text[at + 1..]);

        prop_assert!(changed.parse::<Token>().is_err());
    }

    #[test]
    fn a_session_id_reads_back_as_it_was_written(id in session_ids()) {
        prop_assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
        prop_assert_eq!(id.to_string().len(), 16);
    }

    #[test]
    fn any_text_is_a_session_id_or_an_error(text in ".{0,20}") {
        if let Ok(id) = text.parse::<SessionId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_written(record in records()) {
        let bytes = record.encode().unwrap();

        prop_assert_eq!(Record::decode(record.id, &bytes).unwrap(), record);
    }

    #[test]
    fn a_truncated_record_is_an_error(record in records(), cutoff in any::<prop::sample::Index>()) {
        let bytes = record.encode().unwrap();

        let head = &bytes[..cutoff.index(bytes.len())];

        prop_assert!(Record::decode(record.id, head).is_err());
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(id in session_ids(), bytes in vec(any::<u8>(), 0..300)) {
        let _ = Record::decode(id, &bytes);
        let header = [vec![1, 1], bytes].concat();
        let _ = Record::decode(id, &header);
    }

    #[test]
    fn an_end_notice_reads_back_as_it_was_written(
        digest in any::<[u8; 32]>(),
        reason in reasons(),
        ended_at in moments(),
        by in option::of(session_ids()),
        kept_until in moments(),
    ) {
        let notice = EndNotice::new(Digest::from_bytes(digest), reason, ended_at, by, kept_until);

        prop_assert_eq!(EndNotice::decode(&notice.encode()), Some(notice));
    }

    #[test]
    fn any_bytes_are_an_end_notice_or_none(bytes in vec(any::<u8>(), 0..70)) {
        let _ = EndNotice::decode(&bytes);
        for length in [51, 67] {
            let mut like = bytes.clone();
            like.resize(length, 0);
            like[..2].copy_from_slice(&[1, 3]);
            if let Some(notice) = EndNotice::decode(&like) {
                prop_assert_eq!(EndNotice::decode(&notice.encode()), Some(notice));
            }
        }
    }

    #[test]
    fn data_is_the_result_of_its_changes_and_reads_back(
        steps in vec(("[a-e]", option::of(vec(any::<u8>(), 0..40))), 0..40),
        at in 0..40_usize,
    ) {
        let mut expected: Vec<(String, Vec<u8>)> = Vec::new();
        let mut data = Data::default();
        for part in [&steps[..at.min(steps.len())], &steps[at.min(steps.len())..]] {
            let mut changes = Changes::default();
            for (key, value) in part {
                match value {
                    Some(value) => changes.set(key, value.clone()),
                    None => changes.remove(key),
                }
                expected.retain(|(name, _)| name != key);
                expected.extend(value.clone().map(|value| (key.clone(), value)));
            }
            data = data.apply(&changes);
        }

        let read = Data::from_bytes(data.as_bytes().clone()).unwrap();

        prop_assert_eq!(read.iter().count(), expected.len());
        for (key, value) in expected {
            prop_assert_eq!(read.get(&key).unwrap(), value);
        }
        prop_assert_eq!(read, data);
    }

    #[test]
    fn any_bytes_are_data_or_an_error(bytes in vec(any::<u8>(), 0..100)) {
        if let Ok(data) = Data::from_bytes(bytes.clone().into()) {
            prop_assert_eq!(data.as_bytes(), &bytes);
            prop_assert!(data.iter().count() <= bytes.len() / 6);
        }
    }

    // T37
    #[test]
    fn any_user_agent_is_cleaned_and_shortened(raw in vec(any::<u8>(), 0..4_000)) {
        let client = Client::new().with_user_agent(Some(&raw));

        let agent = client.user_agent().unwrap_or_default();

        prop_assert!(agent.len() <= 512);
        prop_assert!(!agent.chars().any(char::is_control));
    }
}
