//! Writes the seeds of the fuzz targets: `cargo run --example seeds` in this folder.

use std::{error::Error, fs, path::Path, sync::Arc, time::Duration};

use tower_user_sessions::{
    Client, ClientClass, EndReason, Hints, Lifetime, Limit, Proof, SessionId, Timestamp, UserId,
    store::{
        Authenticated, Create, Digest, End, EndNotice, Offer, Previous, Record, Rotation, Salt,
        SeenDevice, SessionSet, Tag, Ticketed, Token, Which,
    },
};

/// The name of a file and its bytes.
type Seed = (&'static str, Vec<u8>);

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    write("cookie_header", cookie_headers())?;
    write("end_notice", end_notices())?;
    write("stored_record", stored_records()?)?;
    write("stored_set", stored_sets()?)?;
    write("token_text", token_texts())?;
    Ok(())
}

fn write(target: &str, seeds: Vec<Seed>) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target);
    fs::create_dir_all(&folder)?;
    for (name, bytes) in seeds {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

/// Lines as `Request::of` reads them: 1 is a live token, 2 an unknown one, 3 the cookie's name.
fn cookie_headers() -> Vec<Seed> {
    let seeds: [(_, &[u8]); 17] = [
        ("live", b"0\nc\x03=\x01"),
        ("unknown", b"0\nc\x03=\x02"),
        ("malformed", b"0\nc\x03=short"),
        ("empty", b"0\nc\x03="),
        ("among-others", b"0\nca=b; \x03=\x01; c=\"d\""),
        ("in-several-headers", b"0\nca=b\nc\x03=\x01\nc;;=;"),
        ("twice", b"0\nc\x03=\x01; \x03=\x01"),
        ("differing", b"0\nc\x03=\x01; \x03=\x02"),
        ("spaces-and-tabs", b"0\nc \t\x03\t= \x01 ;"),
        (
            "odd-bytes",
            b"0\nc\xff\xfe=\xc3\x28; \x03=\x01; \xe2\x80\x80\x03=\x02",
        ),
        (
            "other-case",
            b"0\nc__host-session=\x02; x\x03=\x02; \x03=\x01",
        ),
        ("cookie-and-bearer", b"1\nc\x03=\x01\naBearer \x01"),
        ("cookie-and-other-bearer", b"3\nc\x03=\x01\nabearer\t\x02"),
        ("bearer", b"2\naBEARER \x01"),
        ("basic", b"1\naBasic YTpi\nc\x03=\x01"),
        ("log-in", b"5\nc\x03=\x01\naBearer \x01"),
        ("log-out", b"8\nc\x03=\x01"),
    ];
    let seeds = seeds.into_iter();
    seeds.map(|(name, text)| (name, text.to_vec())).collect()
}

fn token_texts() -> Vec<Seed> {
    let token = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v";
    vec![
        ("token", token.into()),
        ("short", token[..63].into()),
        ("padded", format!("{}=", &token[..63]).into()),
        ("of-another-alphabet", token.replace('A', "+").into()),
        ("long", format!("{token}A").into()),
        ("not-ascii", token.replace("AA", "\u{e9}").into()),
    ]
}

fn client() -> Client {
    let agent = b"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    Client::new()
        .with_address(Some([192, 0, 2, 1].into()))
        .with_user_agent(Some(agent))
}

fn hinted() -> Client {
    let hints = Hints::new()
        .with_brands(Some(br#""Chromium";v="142""#))
        .with_mobile(Some(b"?0"))
        .with_platform(Some(br#""Windows""#));
    let address = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1];
    client()
        .with_address(Some(address.into()))
        .with_hints(hints)
}

fn record(user: Option<UserId>, client: Client) -> Record {
    let (id, digest) = (SessionId::from_bytes([7; 12]), Digest::from_bytes([9; 32]));
    Record::new(id, digest, user, client, Lifetime::default(), NOW)
}

fn stored_records() -> Result<Vec<Seed>, Box<dyn Error>> {
    let alice = UserId::new("alice")?;
    let proof = Proof::new()
        .with_methods(["pwd", "otp"])
        .with_level("aal2")
        .with_external_sid("08a5019c-17e1");
    let mut rotated = record(Some(alice.clone()), client());
    rotated.class = ClientClass::new(3);
    rotated.rotation = Some(Arc::new(Rotation {
        issued_at: NOW,
        grace: Duration::from_secs(30),
        notice_kept: Duration::from_secs(3_600),
        reuse_ends: true,
        salt: Salt::from_bytes([3; 16]),
        previous: [
            Some(Previous {
                digest: Digest::from_bytes([4; 32]),
                until: Previous::UNUSED,
                rejected: false,
            }),
            Some(Previous {
                digest: Digest::from_bytes([5; 32]),
                until: NOW,
                rejected: true,
            }),
        ],
    }));
    let mut uncounted = record(Some(UserId::from(42)), Client::new());
    uncounted.counts = false;
    let user = record(Some(alice.clone()), hinted()).encode()?;
    let truncated = user[..user.len() - 9].to_vec();
    let newer = [&[user[0] + 1], &user[1..]].concat();
    Ok(vec![
        ("guest", record(None, client()).encode()?),
        ("newer", newer),
        (
            "proven",
            record(Some(alice), client()).with_proof(proof).encode()?,
        ),
        ("rotated", rotated.encode()?),
        ("truncated", truncated),
        ("uncounted", uncounted.encode()?),
        ("user", user),
    ])
}

/// The sets of one user, with one more operation in each.
fn stored_sets() -> Result<Vec<Seed>, Box<dyn Error>> {
    let (tag, hour) = (Tag::from_bytes([3; 12]), Duration::from_secs(3_600));
    let mut set = SessionSet::default();
    let mut seeds = vec![("empty", set.encode()?)];
    let create = |name: char, limit: Limit| {
        let token = Token::parse(format!("{tag}{:->48}", name).as_bytes())?;
        let mut create = Create::new(&token, Some(UserId::new("alice")?), Authenticated::At(NOW));
        create.client = client();
        create.limit = limit;
        create.device = Some(SeenDevice {
            digest: [6; 12],
            kept: hour,
        });
        create.changes.set("theme", "dark");
        Ok::<_, Box<dyn Error>>(create)
    };
    set.create(&create('a', Limit::at_most(1))?, NOW, hour);
    seeds.push(("one-session", set.encode()?));
    set.create(&create('b', Limit::at_most(1))?, NOW, hour);
    seeds.push(("evicted", set.encode()?));
    let mut refused = create('c', Limit::at_most(1).refuse())?;
    refused.offer = Some(Offer {
        ticket: Ticketed {
            id: SessionId::from_bytes([8; 12]),
            digest: Digest::from_bytes([9; 32]),
        },
        terms: b"terms".to_vec(),
    });
    set.create(&refused, NOW, hour);
    seeds.push(("with-a-ticket", set.encode()?));
    set.end(&End::new(tag, Which::All, EndReason::Revoked), NOW, hour);
    let ended = set.encode()?;
    seeds.push(("newer", [&[ended[0] + 1], &ended[1..]].concat()));
    seeds.push(("truncated", ended[..ended.len() - 9].to_vec()));
    seeds.push(("all-ended", ended));
    Ok(seeds)
}

fn end_notices() -> Vec<Seed> {
    let (digest, kept) = (Digest::from_bytes([9; 32]), Duration::from_secs(3_600));
    let by = SessionId::from_bytes([7; 12]);
    let notice = |reason, by| EndNotice::new(digest, reason, NOW, by, NOW.plus(kept));
    let evicted = notice(EndReason::Evicted, Some(by)).with_by_client(Some(hinted()));
    let mut reused = notice(EndReason::TokenReuse, None);
    reused.previous = Some(Digest::from_bytes([5; 32]));
    let mut both = evicted.clone();
    both.previous = reused.previous;
    let evicted = evicted.encode();
    let newer = [&[evicted[0] + 1], &evicted[1..]].concat();
    vec![
        ("by-and-previous", both.encode()),
        ("newer", newer),
        ("reused", reused.encode()),
        ("revoked", notice(EndReason::Revoked, Some(by)).encode()),
        ("signed-out", notice(EndReason::LoggedOut, None).encode()),
        ("truncated", evicted[..evicted.len() - 9].to_vec()),
        ("evicted", evicted),
    ]
}
