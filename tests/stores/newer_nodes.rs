//! What a newer node of the same stored form added is kept by the nodes of this version that share its store.
//!
//! During a rolling deployment, and after one that went back, both serve the same users.

use std::time::Duration;

use tower_user_sessions::{
    Client, EndReason, Lifetime,
    store::{
        End, LastSeen, List, NoteClient, Record, Renewal, Resolve, Resolved, Rotate, Salt, Save,
        Saved, SessionStore, StoreErrorKind, Token, Which,
    },
};

use crate::common::{
    people::{is_live, set, signs_in},
    redis::{Server, ask_with},
    shelf::Shelf,
};

/// The length of the part of a record that scripts read.
const HEADER: usize = 82;

/// What a newer node wrote after the fields that this version knows.
const MORE: &[&[u8]] = &[b"\xa3new", b"\xa3new\xc0\xc0\xc0\xc0\xc0\xc0\xa4last"];

/// The body of a session as a newer node writes it, with these fields more. The last one that this version knows is how long
/// the session lives after a re-authentication. The number of bytes from the seventh field on follows.
fn newer_body(body: &[u8], more: &[u8]) -> Vec<u8> {
    assert_eq!(body[0], 0x93, "three fields");
    let fields: &[u8] = match more.len() {
        4 => &[0x99],
        _ => &[0xdc, 0, 16],
    };
    let hour = 3_600_000_i64.to_be_bytes();
    let more = [&[0xc0, 0xd3][..], &hour, more].concat();
    let len = u16::try_from(more.len() + 2).unwrap().to_be_bytes();
    [fields, &body[1..], &[0xc0; 3], &more, &len].concat()
}

/// Whether these are the bytes of a body that ends with those fields, and says how long its last ones are.
fn ends_with(body: &[u8], more: &[u8]) -> bool {
    let (known, len) = body.split_at(body.len() - 2);
    let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
    let last = &known[known.len() + 2 - len..];
    // Before them is how long the session lives.
    known.ends_with(more) && last[last.len() - more.len() - 9] == 0xd3
}

fn find(all: &[u8], part: &[u8]) -> usize {
    let found = all.windows(part.len()).position(|window| window == part);
    found.expect("the record of the session")
}

/// The stored set, in which a newer node wrote the body of this session.
fn with_newer_body(head: &[u8], record: &Record, more: &[u8]) -> Vec<u8> {
    let stored = record.encode().unwrap();
    let at = find(head, &stored);
    let body = newer_body(&stored[HEADER..], more);
    let len = u32::try_from(HEADER + body.len()).unwrap().to_be_bytes();
    let after = &head[at + stored.len()..];
    let header = &stored[..HEADER];
    [&head[..at - 4], &len, header, &body, after].concat()
}

async fn record<St: SessionStore>(store: &St, token: &Token) -> Record {
    let live = store.list(&List::new(token.tag())).await.unwrap();
    let one = live.into_iter().find(|it| it.id == token.session_id());
    one.expect("a live session")
}

/// What an older node does with a session while its user goes on. Returns its last token.
async fn goes_on<St: SessionStore>(store: &St, token: &Token) -> Token {
    assert!(is_live(store, token).await);
    let mut save = Save::new(token.tag(), token.session_id(), set("cart", "apple"));
    assert!(matches!(store.save(&save).await, Ok(Saved::Saved { .. })));
    let salt = Salt::from_bytes([7; 16]);
    let next = token.successor(&salt);
    let rotate = Rotate::new(token, &next, Renewal::Derived(salt));
    store.rotate(&rotate).await.unwrap();
    assert!(is_live(store, &next).await);
    // Another session of the user comes and goes.
    let other = signs_in(store, "alice").await;
    let one = Which::One(other.session_id());
    let end = End::new(other.tag(), one, EndReason::Revoked);
    store.end(&end).await.unwrap();
    // The session gets shorter.
    let minute = Duration::from_secs(60);
    save = Save::new(token.tag(), token.session_id(), Default::default());
    save.shorten = Some(Lifetime::new(minute, minute));
    store.save(&save).await.unwrap();
    let Resolved::Live(found) = store.resolve(&Resolve::new(next.clone())).await.unwrap() else {
        panic!("the session ended");
    };
    assert_eq!(found.record.idle, minute);
    assert!(found.record.deadline <= found.now.plus(minute));
    // It is used by another client.
    let client = Client::new().with_user_agent(Some("other".as_bytes()));
    let seen = LastSeen::new(client, found.now);
    let note = NoteClient::new(token.tag(), found.record, seen.clone());
    assert!(store.note_client(&note).await.unwrap());
    assert!(store.note_client(&note).await.unwrap(), "sent again");
    assert_eq!(record(store, token).await.last_seen(), Some(&seen));
    // It ends another session, with its client in the notice.
    let ended = signs_in(store, "alice").await;
    let mut end = End::new(
        ended.tag(),
        Which::One(ended.session_id()),
        EndReason::Revoked,
    );
    end.by = Some(token.session_id());
    store.end(&end).await.unwrap();
    assert!(!is_live(store, &ended).await);
    next
}

#[tokio::test]
async fn fields_that_a_newer_node_appended_stay_in_a_session_set_while_its_user_goes_on() {
    for more in MORE {
        let shelf = Shelf::default();
        let store = shelf.store();
        let token = signs_in(&store, "alice").await;
        let head = shelf.head(token.tag()).unwrap();
        let newer = with_newer_body(&head, &record(&store, &token).await, more);
        shelf.put_head(token.tag(), newer);

        let last = goes_on(&store, &token).await;

        let after = record(&store, &token).await;
        assert!(ends_with(&after.encode().unwrap(), more));
        assert_eq!(after.shortened_to(), Some(Duration::from_secs(60)));
        assert!(is_live(&store, &last).await);
    }
}

#[tokio::test]
async fn fields_that_a_newer_node_appended_stay_in_redis_while_its_user_goes_on() {
    let server = Server::start();
    let store = server.patient();
    for more in MORE {
        let token = signs_in(&store, "alice").await;
        let body = record(&store, &token).await.encode().unwrap();
        write_body(&server, &token, &newer_body(&body[HEADER..], more)).await;

        let last = goes_on(&store, &token).await;

        assert!(ends_with(&stored(&server, &token).await, more));
        assert!(is_live(&store, &last).await);
    }
}

fn key(token: &Token) -> String {
    format!("sessions:{{{}}}", token.tag())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts this body in place of the one that is stored.
async fn write_body(server: &Server, token: &Token, body: &[u8]) {
    let script = "local r = redis.call('HGET', KEYS[1], ARGV[1]) \
         local body = ARGV[2]:gsub('..', function(x) return string.char(tonumber(x, 16)) end) \
         redis.call('HSET', KEYS[1], ARGV[1], r:sub(1, 82) .. body)";
    let (id, body) = (token.session_id().to_string(), hex(body));
    let call = ["EVAL", script, "1", &key(token), &id, &body];
    let _: () = ask_with(&server.url(), &call).await;
}

/// The bytes that are stored of this session.
async fn stored(server: &Server, token: &Token) -> Vec<u8> {
    let id = token.session_id().to_string();
    ask_with(&server.url(), &["HGET", &key(token), &id]).await
}

#[tokio::test]
async fn what_only_a_newer_node_writes_is_called_newer_and_not_damaged() {
    let shelf = Shelf::default();
    let store = shelf.store();
    let (alice, ended) = (
        signs_in(&store, "alice").await,
        signs_in(&store, "alice").await,
    );
    let one = Which::One(ended.session_id());
    let end = End::new(ended.tag(), one, EndReason::Revoked);
    store.end(&end).await.unwrap();
    let head = shelf.head(alice.tag()).unwrap().to_vec();
    let notice = find(&head, ended.session_id().as_bytes()) + 12 + 4;
    let flags = find(&head, alice.session_id().as_bytes()) + 12;
    assert_eq!(head[notice + 42], 3, "the code of `revoked`");

    for (place, value) in [
        (1, 128),
        (notice + 42, 99),
        (notice + 1, 3 + 16),
        (flags, 4),
    ] {
        let mut newer = head.clone();
        newer[place] = value;
        shelf.put_head(alice.tag(), newer.clone());

        let answer = store.resolve(&Resolve::new(alice.clone())).await;

        let kind = answer.map(drop).unwrap_err().kind();
        assert_eq!(kind, StoreErrorKind::TooNew, "{place}");
        assert_eq!(shelf.head(alice.tag()).unwrap(), newer);
        // Other users do not notice.
        let bob = signs_in(&store, "bob").await;
        assert!(is_live(&store, &bob).await);
    }
    shelf.put_head(alice.tag(), head);
    assert!(is_live(&store, &alice).await);
}
