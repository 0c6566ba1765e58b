//! Random sets are read as they were written, and any other bytes are an error.

use std::time::Duration;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::{Changed, SessionSet};
use crate::{
    model::{Client, EndReason, Limit, Proof, SessionId, UserId},
    store::{
        Authenticated, Changes, Create, Created, End, LastSeen, NoteClient, Offer, Realm, Redeem,
        Renewal, Resolve, Resolved, Rotate, Salt, Save, Saved, SeenDevice, StoreErrorKind, Tag,
        Ticketed, Timestamp, Token, Which,
    },
};

const HOUR: Duration = Duration::from_secs(3_600);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// One step in the life of a session set; the numbers choose what it is about.
#[derive(Clone, Debug)]
struct Step {
    what: u8,
    pick: usize,
    size: usize,
    after: u16,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..11_u8, 0..8_usize, 0..300_usize, 0..20_000_u16);
    let step = step.prop_map(|(what, pick, size, after)| Step {
        what,
        pick,
        size,
        after,
    });
    vec(step, 0..40)
}

fn token(tag: Tag, number: usize) -> Token {
    let mut bytes = [7; 48];
    bytes[..12].copy_from_slice(tag.as_bytes());
    bytes[12..20].copy_from_slice(&(number as u64).to_be_bytes());
    // The text of a token is what a client sends.
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes).parse().unwrap()
}

fn data(size: usize) -> Changes {
    let mut changes = Changes::default();
    if size > 100 {
        changes.set("cart", vec![b'x'; size]);
    } else {
        changes.remove("cart");
    }
    changes
}

/// Runs the steps. Returns the set, its sessions and the last moment.
fn live(steps: &[Step]) -> (SessionSet, Vec<Token>, Timestamp) {
    let tag = Tag::from_bytes([3; 12]);
    let (mut set, mut tokens, mut now) =
        (SessionSet::default(), Vec::<Token>::new(), at(1_000_000));
    for (number, step) in steps.iter().enumerate() {
        now = now.plus(Duration::from_millis(step.after.into()));
        let ticket = Ticketed {
            id: SessionId::from_bytes([9; 12]),
            digest: token(tag, 1_000).digest(),
        };
        let Some(own) = tokens.get(step.pick % tokens.len().max(1)).cloned() else {
            tokens.push(sign_in(&mut set, tag, number, step, now));
            continue;
        };
        let id = own.session_id();
        match step.what {
            0..4 => tokens.push(sign_in(&mut set, tag, number, step, now)),
            4 => drop(set.resolve(&Resolve::new(own), now, HOUR)),
            5 => drop(set.save(&Save::new(tag, id, data(step.size)), now)),
            6 => {
                let salt = Salt::from_bytes([1; 16]);
                let rotate = Rotate::new(&own, &own.successor(&salt), Renewal::Derived(salt));
                drop(set.rotate(&rotate, now, HOUR));
            }
            7 => drop(set.end(
                &End::new(tag, Which::One(id), EndReason::Revoked),
                now,
                HOUR,
            )),
            8 => {
                let mut end = End::new(tag, Which::Others(id), EndReason::Disabled);
                end.by = Some(id);
                end.bar = (step.size > 200).then_some(HOUR);
                drop(set.end(&end, now, HOUR));
            }
            9 => {
                let client = Client::new().with_user_agent(Some("other".as_bytes()));
                if let Resolved::Live(found) = set.resolve(&Resolve::new(own), now, HOUR) {
                    let seen = LastSeen::new(client, now);
                    set.note_client(&NoteClient::new(tag, found.record, seen), now);
                }
            }
            _ => {
                let mut create = create(tag, number, step, now);
                create.limit = Limit::at_most(1).refuse();
                create.redeem = (step.size > 150).then_some(Redeem { ticket, ends: None });
                let terms = vec![1; step.size];
                create.offer = Some(Offer { ticket, terms });
                drop(set.create(&create, now, HOUR));
                tokens.push(token(tag, number));
            }
        }
    }
    (set, tokens, now)
}

fn create(tag: Tag, number: usize, step: &Step, now: Timestamp) -> Create {
    let user = Some(UserId::new("alice").unwrap());
    let arrived = Authenticated::At(now.minus(Duration::from_millis(step.after.into())));
    let mut create = Create::new(&token(tag, number), user, arrived);
    create.client = Client::new().with_user_agent(Some("browser".as_bytes()));
    create.changes = data(step.size);
    create.limit = Limit::at_most(1 + u16::from(step.what % 4));
    create.counts = !step.size.is_multiple_of(5);
    create.proof = Proof::new().with_methods(["pwd"]);
    create.persistent = !step.size.is_multiple_of(3);
    create.replaces = (step.pick == 0).then_some(SessionId::from_bytes([8; 12]));
    create.device = (step.pick > 4).then_some(SeenDevice {
        digest: [u8::try_from(step.pick).unwrap(); 12],
        kept: HOUR,
    });
    if step.size.is_multiple_of(7) {
        return create.within(&token(tag, number), Realm::named("admin"));
    }
    create
}

fn sign_in(set: &mut SessionSet, tag: Tag, number: usize, step: &Step, now: Timestamp) -> Token {
    drop(set.create(&create(tag, number, step, now), now, HOUR));
    token(tag, number)
}

// T50 T60
#[test]
fn given_up_ids_do_not_fill_a_set() {
    let tag = Tag::from_bytes([3; 12]);
    let ids = |from: usize, to| (from..to).map(|number| token(tag, number).session_id());
    let given_up = |id| End::new(tag, Which::One(id), EndReason::Undelivered);
    let mut set = SessionSet::default();
    for id in ids(0, 19_900) {
        set.mark(id, EndReason::Undelivered, None, at(0));
    }

    for id in ids(19_900, 20_100) {
        set.end(&given_up(id), at(1), HOUR);
    }

    let stored = set.encode().unwrap();
    assert_eq!(set.rare().notices.len(), 20_000);
    assert!(stored.len() < 2_500_000, "{} bytes", stored.len());
    assert_eq!(
        SessionSet::decode(&stored).unwrap().rare().notices.len(),
        20_000
    );
    // Those of more than a minute ago give way.
    set.end(&given_up(token(tag, 30_000).session_id()), at(60_000), HOUR);
    assert_eq!(set.rare().notices.len(), 101);
}

// T31
#[test]
fn a_limit_lowered_from_1000_to_3_ends_the_least_recently_active_sessions_in_order() {
    let step = Step {
        what: 0,
        pick: 1,
        size: 1,
        after: 0,
    };
    let tag = Tag::from_bytes([3; 12]);
    let limited = |number, limit| {
        let now = at(1_000_000 + i64::try_from(number).unwrap());
        let mut create = create(tag, number, &step, now);
        create.limit = Limit::at_most(limit);
        (create, now)
    };
    let mut set = SessionSet::default();
    for number in 0..1_000 {
        let (create, now) = limited(number, 1_000);
        drop(set.create(&create, now, HOUR));
    }

    let (create, now) = limited(1_000, 3);
    let Created::Created(new) = set.create(&create, now, HOUR) else {
        panic!("not created");
    };

    let evicted: Vec<SessionId> = new.evicted.iter().map(|record| record.id).collect();
    let ids = |range: std::ops::Range<usize>| range.map(|at| token(tag, at).session_id());
    assert_eq!(evicted, ids(0..998).collect::<Vec<_>>());
    let mut live: Vec<SessionId> = set.live.iter().map(|live| live.record.id).collect();
    live.sort();
    assert_eq!(live, ids(998..1_001).collect::<Vec<_>>());
    assert_eq!(set.rare().notices.len(), 64);
}

/// Stores all of it and reads it again.
fn stored(set: &SessionSet, tokens: &[Token]) -> SessionSet {
    let mut read = SessionSet::decode(&set.encode().unwrap()).unwrap();
    for id in tokens.iter().map(Token::session_id) {
        assert_eq!(read.lacks_part(id), set.encode_part(id).is_some());
        if let Some(part) = set.encode_part(id) {
            read.add_part(id, part).unwrap();
        }
    }
    read
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_set_is_read_as_it_was_written(steps in steps()) {
        let (set, tokens, _) = live(&steps);

        prop_assert_eq!(stored(&set, &tokens).changed_since(&set), Changed::Nothing);
    }

    /// Its rules give the same answers.
    #[test]
    fn a_set_that_was_stored_goes_on_as_before(steps in steps(), more in steps()) {
        let (mut set, tokens, now) = live(&steps);
        let mut read = stored(&set, &tokens);
        let tag = Tag::from_bytes([3; 12]);

        for (number, step) in more.iter().enumerate() {
            let create = create(tag, 500 + number, step, now);
            let answers = [&mut set, &mut read].map(|set| {
                let answer = set.create(&create, now, HOUR);
                (format!("{answer:?}"), set.kept_until())
            });
            prop_assert_eq!(&answers[0], &answers[1]);
        }
        prop_assert_eq!(read.changed_since(&set), Changed::Nothing);
    }

    #[test]
    fn bytes_that_are_no_set_are_an_error(bytes in vec(any::<u8>(), 0..400)) {
        // It must return; what it returns does not matter.
        let read = SessionSet::decode(&bytes);
        if let Ok(set) = read {
            set.encode().unwrap();
        }
        let mut newer = bytes;
        newer.insert(0, 2);
        let error = SessionSet::decode(&newer).unwrap_err();
        prop_assert_eq!(error.kind(), StoreErrorKind::TooNew);
    }

    /// One byte of a stored set or part is another one, or the end is missing.
    #[test]
    fn a_damaged_set_is_an_error_or_another_set(
        steps in steps(),
        place in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let (set, tokens, now) = live(&steps);
        let head = set.encode().unwrap();
        let mut damaged = head.clone();
        damaged[place.index(head.len())] ^= flip;
        if let Ok(mut other) = SessionSet::decode(&damaged) {
            prop_assert!(other.encode().is_ok());
            for token in &tokens {
                let _ = other.resolve(&Resolve::new(token.clone()), now, HOUR);
            }
        }
        let short = SessionSet::decode(&head[..place.index(head.len())]);
        prop_assert!(short.is_err());
        for id in tokens.iter().map(Token::session_id) {
            if let Some(part) = set.encode_part(id) {
                let mut damaged = part.to_vec();
                damaged[place.index(part.len())] ^= flip;
                let mut read = SessionSet::decode(&head).unwrap();
                let _ = read.add_part(id, Bytes::from(damaged));
            }
        }
    }
}

// A store that reads all sets when it opens keeps each of them as it was read.
#[test]
fn a_set_that_was_read_takes_no_more_memory_than_it_needs() {
    let (tag, mut set) = (Tag::from_bytes([1; 12]), SessionSet::default());
    for sessions in 1..4 {
        let step = Step {
            what: 3,
            pick: 1,
            size: 0,
            after: 0,
        };
        sign_in(&mut set, tag, sessions, &step, at(1_000_000));

        let read = SessionSet::decode(&set.encode().unwrap()).unwrap();

        let live = (read.live.len(), read.live.capacity());
        assert_eq!(live, (sessions, sessions));
    }
}

// Stored heads have 32 bits of it. Without its data a session could not be read, nor the file in which it is.
#[test]
fn data_is_read_again_after_more_writes_than_a_revision_counts() {
    let tag = Tag::from_bytes([3; 12]);
    let (token, now) = (token(tag, 1), at(0));
    let id = token.session_id();
    let mut set = SessionSet::default();
    set.create(
        &Create::new(&token, None, Authenticated::At(now)),
        now,
        HOUR,
    );
    set.live[0].record.revision = u64::from(u32::MAX) - 1;
    let mut revisions = Vec::new();
    for size in [200, 300, 101] {
        let Saved::Saved { revision } = set.save(&Save::new(tag, id, data(size)), now) else {
            panic!("not saved");
        };
        revisions.push(revision);

        let mut read = SessionSet::decode(&set.encode().unwrap()).unwrap();
        read.add_part(id, set.encode_part(id).unwrap()).unwrap();

        assert_eq!(read.changed_since(&set), Changed::Nothing);
    }
    assert_eq!(revisions, [u64::from(u32::MAX), 0, 1]);
}

#[test]
fn a_part_of_another_revision_is_an_error() {
    let tag = Tag::from_bytes([3; 12]);
    let (token, now) = (token(tag, 1), at(0));
    let mut create = Create::new(&token, None, Authenticated::At(now));
    create.changes = data(200);
    let mut set = SessionSet::default();
    assert!(matches!(
        set.create(&create, now, HOUR),
        Created::Created(_)
    ));
    let before = set.encode_part(token.session_id()).unwrap();
    set.save(&Save::new(tag, token.session_id(), data(300)), now);

    let mut read = SessionSet::decode(&set.encode().unwrap()).unwrap();
    let stale = read.add_part(token.session_id(), before).unwrap_err();

    assert_eq!(stale.kind(), StoreErrorKind::Corrupt);
    assert!(read.lacks_part(token.session_id()));
}

#[test]
fn a_call_without_a_cutoff_is_damage() {
    let read = |flags: u8, times: usize| {
        // Neither notices nor tickets nor sessions.
        let bytes = [vec![1, flags], vec![0; times * 8 + 6]].concat();
        SessionSet::decode(&bytes).map_err(|error| error.kind())
    };
    for (flags, times) in [(1, 1), (9, 2), (25, 3)] {
        assert!(read(flags, times).is_ok(), "{flags}");
    }
    for (flags, times) in [(8, 1), (16, 1), (17, 2), (24, 2)] {
        let damaged = read(flags, times).err();
        assert_eq!(damaged, Some(StoreErrorKind::Corrupt), "{flags}");
    }
}
