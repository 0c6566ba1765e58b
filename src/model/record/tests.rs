//! Records as they are stored.

use std::net::IpAddr;

use serde::{Serialize, de::IgnoredAny};

use super::*;
use crate::model::{Hints, LastSeen, Previous, Salt, Tag, Token, open::Open};

/// A body before there were hints.
#[derive(Serialize)]
struct Before<'a>(Option<&'a str>, Option<IpAddr>, Option<&'a str>);

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

fn client() -> Client {
    Client::new()
        .with_address(Some([192, 0, 2, 1].into()))
        .with_user_agent(Some(AGENT.as_bytes()))
}

fn record(client: Client) -> Record {
    let user = UserId::new("alice").unwrap();
    let token = Token::random(Tag::random().unwrap()).unwrap();
    Record::new(
        token.session_id(),
        token.digest(),
        Some(user),
        client,
        Lifetime::default(),
        Timestamp::from_millis(1),
    )
}

#[test]
fn without_hints_the_body_is_what_it_was_before_there_were_any() {
    let before = Before(Some("alice"), client().address(), Some(AGENT));
    let before = rmp_serde::to_vec(&before).unwrap();

    let body = record(client()).encode_body().unwrap();

    assert_eq!(body, before);
}

#[test]
fn a_body_from_before_there_were_hints_is_still_read() {
    let record = record(client());
    let before = Before(Some("alice"), client().address(), Some(AGENT));
    let mut stored = record.encode().unwrap();
    stored.truncate(HEADER);
    stored.extend(rmp_serde::to_vec(&before).unwrap());

    let decoded = Record::decode(record.id, &stored).unwrap();

    assert_eq!(decoded, record);
}

#[test]
fn hints_come_back_as_they_were_stored() {
    let hints = Hints::new()
        .with_brands(Some(br#""Chromium";v="142""#))
        .with_platform(Some(br#""Windows""#));
    let record = record(client().with_hints(hints));

    let decoded = Record::decode(record.id, &record.encode().unwrap()).unwrap();

    assert_eq!(decoded, record);
}

#[test]
fn a_proof_comes_back_as_it_was_stored_with_hints_and_without() {
    let proof = Proof::new()
        .with_methods(["pwd", "otp"])
        .with_level("aal2")
        .with_external_sid("08a5019c-17e1");
    let hints = Hints::new().with_mobile(Some(b"?1"));
    let records = [
        record(client()).with_proof(proof.clone()),
        record(client().with_hints(hints)).with_proof(proof),
    ];

    let decoded = records
        .clone()
        .map(|record| Record::decode(record.id, &record.encode().unwrap()).unwrap());

    assert_eq!(decoded, records);
}

#[test]
fn class_and_rotation_come_back_as_they_were_stored() {
    let previous = Previous {
        digest: Digest::from_bytes([7; 32]),
        until: Previous::UNUSED,
        rejected: false,
    };
    let mut record = record(client());
    record.class = ClientClass::new(3);
    record.revision = u64::from(u32::MAX);
    record.unused = false;
    record.rotation = Some(Arc::new(Rotation {
        issued_at: Timestamp::from_millis(5),
        grace: Duration::from_secs(30),
        notice_kept: Duration::from_secs(60),
        reuse_ends: true,
        salt: Salt::from_bytes([9; 16]),
        previous: [Some(previous), None],
    }));
    let mut uncounted = record.clone();
    uncounted.class = ClientClass::default();
    uncounted.counts = false;
    let records = [record, uncounted];

    let decoded = records
        .clone()
        .map(|record| Record::decode(record.id, &record.encode().unwrap()).unwrap());

    assert_eq!(decoded, records);
}

#[test]
fn moments_of_two_eras_are_times_as_they_are() {
    let era = 1_i64 << 46;
    for (created, authenticated) in [(era, 5), (5, era), (i64::MAX, -1), (i64::MAX, i64::MAX)] {
        let mut stored = record(client()).encode().unwrap();
        stored[10..18].copy_from_slice(&created.to_be_bytes());
        stored[18..26].copy_from_slice(&authenticated.to_be_bytes());

        let decoded = Record::decode(record(client()).id, &stored).unwrap();

        assert_eq!(decoded.encode().unwrap(), stored);
        let began = decoded.began_at().as_millis();
        assert_eq!(began, created.min(authenticated));
    }
}

/// A body, and hints, of which a newer node of our version writes more.
#[derive(Serialize)]
struct After<'a>(
    Option<&'a str>,
    Option<IpAddr>,
    Option<&'a str>,
    Option<(&'a str, &'a str, &'a str, u8)>,
    Option<(Vec<&'a str>, &'a str, &'a str, &'a str)>,
    Option<bool>,
    // Last seen, and how long it lives after a re-authentication.
    Option<u8>,
    Option<u64>,
    (&'a str, u8),
);

#[test]
fn what_a_newer_node_adds_to_the_end_of_a_body_is_passed_over_and_written_again() {
    let hints = ("\"Chromium\";v=\"142\"", "?0", "\"Windows\"");
    let after = After(
        Some("alice"),
        client().address(),
        Some(AGENT),
        Some((hints.0, hints.1, hints.2, 1)),
        Some((vec!["pwd"], "aal1", "sid", "more")),
        Some(true),
        None,
        None,
        ("more", 1),
    );
    let hints = Hints::new()
        .with_brands(Some(hints.0.as_bytes()))
        .with_mobile(Some(hints.1.as_bytes()))
        .with_platform(Some(hints.2.as_bytes()));
    let proof = Proof::new()
        .with_methods(["pwd"])
        .with_level("aal1")
        .with_external_sid("sid");
    let record = record(client().with_hints(hints))
        .with_proof(proof)
        .with_persistent(false);
    let mut stored = record.encode().unwrap();
    stored.truncate(HEADER);
    stored.extend(rmp_serde::to_vec(&after).unwrap());

    let decoded = Record::decode(record.id, &stored).unwrap();

    assert_eq!(decoded.encode().unwrap(), stored);
    let (user, client) = (decoded.user_id(), decoded.client());
    assert_eq!((user, client), (record.user_id(), record.client()));
    assert_eq!(decoded.proof(), record.proof());
    assert!(!decoded.persistent());
}

#[test]
fn what_a_newer_node_adds_to_hints_or_to_a_proof_alone_is_written_again() {
    let (hints, proof) = (("\"a\"", "?0", "\"b\""), (["pwd"], "aal1", "sid"));
    let body = |hints: Vec<u8>, proof: Vec<u8>| {
        let start = rmp_serde::to_vec(&("alice", client().address(), AGENT)).unwrap();
        // An array of five fields.
        [&[0x95][..], &start[1..], &hints, &proof].concat()
    };
    let more_hints = rmp_serde::to_vec(&(hints.0, hints.1, hints.2, 1)).unwrap();
    let more_proof = rmp_serde::to_vec(&(proof.0, proof.1, proof.2, 1)).unwrap();
    let hints = rmp_serde::to_vec(&hints).unwrap();
    let proof = rmp_serde::to_vec(&proof).unwrap();
    let record = record(client());
    let header = &record.encode().unwrap()[..HEADER];
    for body in [body(more_hints, proof), body(hints, more_proof)] {
        let stored = [header, &body].concat();

        let decoded = Record::decode(record.id, &stored).unwrap();

        assert_eq!(decoded.encode().unwrap(), stored);
    }
}

#[test]
fn a_cookie_for_the_browser_session_only_comes_back_as_it_was_stored() {
    let proof = Proof::new().with_methods(["pwd"]);
    let hints = Hints::new().with_mobile(Some(b"?1"));
    let records = [
        record(client()).with_persistent(false),
        record(client().with_hints(hints)).with_persistent(false),
        record(client()).with_persistent(false).with_proof(proof),
        record(client())
            .with_persistent(false)
            .with_persistent(true),
    ];

    let decoded = records
        .clone()
        .map(|record| Record::decode(record.id, &record.encode().unwrap()).unwrap());

    assert_eq!(decoded, records);
    assert_eq!(
        decoded.map(|record| record.persistent()),
        [false, false, false, true]
    );
}

/// A body with hints and a proof, before there were cookies for the browser session only.
#[derive(Serialize)]
struct Proven<'a>(
    Option<&'a str>,
    Option<IpAddr>,
    Option<&'a str>,
    Option<(Option<&'a str>, Option<&'a str>, Option<&'a str>)>,
    Option<(Vec<&'a str>, Option<&'a str>, Option<&'a str>)>,
);

#[test]
fn a_session_stored_before_there_was_a_choice_is_persistent_and_is_written_as_before() {
    let before = Proven(
        Some("alice"),
        client().address(),
        Some(AGENT),
        None,
        Some((vec!["pwd"], Some("aal1"), None)),
    );
    let before = rmp_serde::to_vec(&before).unwrap();
    let proof = Proof::new().with_methods(["pwd"]).with_level("aal1");
    let record = record(client()).with_proof(proof);
    let mut stored = record.encode().unwrap();
    stored.truncate(HEADER);
    stored.extend(&before);

    let decoded = Record::decode(record.id, &stored).unwrap();

    assert!(decoded.persistent());
    assert_eq!(decoded, record);
    assert_eq!(record.encode_body().unwrap(), before);
}

#[test]
fn a_node_that_does_not_know_the_choice_reads_the_rest() {
    let record = record(client()).with_persistent(false);

    let body = record.encode_body().unwrap();

    let whole: (
        Option<&str>,
        Option<IpAddr>,
        Option<&str>,
        Option<()>,
        Option<()>,
        Option<bool>,
    ) = rmp_serde::from_slice(&body).unwrap();
    let wanted = (Some("alice"), client().address(), Some(AGENT));
    assert_eq!((whole.0, whole.1, whole.2), wanted);
    assert_eq!((whole.3, whole.4, whole.5), (None, None, Some(true)));
}

/// The bytes of the body, in hexadecimal, if its lifetime was shortened to 12 hours.
fn shortened() -> Record {
    let client = Client::new().with_user_agent(Some(b"curl"));
    let to = Lifetime::new(Duration::from_secs(900), Duration::from_secs(43_200));
    record(client).shortened(to, Timestamp::from_millis(1))
}

#[test]
fn a_shorter_lifetime_comes_back_as_it_was_stored_and_its_form_does_not_change() {
    let proof = Proof::new().with_methods(["pwd"]);
    let seen = LastSeen::new(client(), Timestamp::from_millis(7));
    let records = [
        shortened(),
        shortened().with_proof(proof.clone()).with_persistent(false),
        shortened().with_last_seen(seen.clone()),
        shortened().with_proof(proof).with_last_seen(seen),
    ];
    for record in records {
        let decoded = Record::decode(record.id, &record.encode().unwrap()).unwrap();
        assert_eq!(decoded, record);
        assert_eq!(decoded.lifetime().absolute(), Duration::from_secs(43_200));
    }

    let body = shortened().encode_body().unwrap();
    let text: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
    // Eight fields, user, no address, agent, no hints, proof, cookie and last client; ms; the length.
    let wanted = "98 a5616c696365 c0 a46375726c c0 c0 c0 c0 d30000000002932e00 000c";
    assert_eq!(text, wanted.replace(' ', ""));
}

#[test]
fn an_older_node_reads_a_shortened_record_and_this_one_reads_older_ones() {
    type Seven<'a> = (
        Option<&'a str>,
        Option<IpAddr>,
        Option<&'a str>,
        Option<IgnoredAny>,
        Option<IgnoredAny>,
        Option<bool>,
        Option<IgnoredAny>,
    );
    let body = shortened().encode_body().unwrap();

    let Open((user, _, agent, ..), _) = rmp_serde::from_slice::<Open<Seven<'_>>>(&body).unwrap();

    assert_eq!((user, agent), (Some("alice"), Some("curl")));
    // Shortened by an older node: only the times are shorter.
    let mut older = record(client());
    older.deadline = Timestamp::from_millis(43_200_001);
    let older = Record::decode(older.id, &older.encode().unwrap()).unwrap();
    assert_eq!(older.shortened_to(), None);
    assert_eq!(older.lifetime().absolute(), Duration::from_secs(43_200));
}

#[test]
fn a_lifetime_that_is_longer_than_scripts_can_read_is_the_longest_of_these() {
    let mut stored = shortened().encode().unwrap();
    // Behind them is the length: a `u64` instead of an `i64`.
    let at = stored.len() - 11;
    stored[at..at + 9].copy_from_slice(&[0xcf, 255, 255, 255, 255, 255, 255, 255, 255]);

    let decoded = Record::decode(shortened().id, &stored).unwrap();
    let again = Record::decode(decoded.id, &decoded.encode().unwrap()).unwrap();

    assert_eq!(again, decoded);
    assert_eq!(
        again.shortened_to(),
        Some(Duration::from_millis(i64::MAX.unsigned_abs()))
    );
}

#[test]
fn a_session_that_was_shortened_does_not_live_longer_after_a_longer_lifetime_was_asked_for() {
    let hours = |hours: u64| {
        let all = Duration::from_secs(hours * 3_600);
        Lifetime::new(all, all)
    };
    let later = Timestamp::from_millis(36_000_001);

    let record = record(client()).shortened(hours(1), later);
    let again = record.clone().shortened(hours(2), later);

    assert_eq!(again.lifetime(), record.lifetime());
    assert_eq!(again.lifetime().absolute(), hours(1).absolute());
}
