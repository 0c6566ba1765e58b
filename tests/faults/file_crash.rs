//! A process with a `FileStore` is killed under load: what it acknowledged is in the file, and nothing half.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use tower_user_sessions::store::{
    Changes, Created, End, FileStore, FileStoreErrorKind, Found, Renewal, Resolve, Resolved,
    Rotate, Rotated, Salt, Save, SessionStore, Token, Which,
};
use tower_user_sessions::{Client, EndReason};

use crate::common::{
    load::millis,
    people::{asks, ids, is_live, listed, token},
};

/// Names the file to the process that is killed.
const FILE: &str = "TUS_FILE_TO_CRASH";
const ROUND: &str = "TUS_ROUND";
/// Files at the same time, and kills on each.
const LANES: u32 = 4;
const ROUNDS: u32 = 25;
const USERS: u32 = 8;

/// Sessions of one user: their tokens, and the number that each keeps.
type Sessions = Vec<(Token, u32)>;

/// What a process did for one user: the state after what was acknowledged, and what it was doing then.
#[derive(Default)]
struct Account {
    sessions: Sessions,
    doing: Option<Deed>,
}

#[derive(Clone)]
enum Deed {
    SignsIn(Token, u32),
    Saves(Token, u32),
    Ends(Token),
    Rotates(Token, Token),
}

impl Deed {
    fn line(&self) -> String {
        match self {
            Self::SignsIn(token, n) => format!("signs-in {} {n}", token.encode()),
            Self::Saves(token, n) => format!("saves {} {n}", token.encode()),
            Self::Ends(token) => format!("ends {}", token.encode()),
            Self::Rotates(from, to) => format!("rotates {} {}", from.encode(), to.encode()),
        }
    }

    fn parse(words: &[&str]) -> Self {
        let token = |at: usize| Token::parse(words[at].as_bytes()).unwrap();
        match words[0] {
            "signs-in" => Self::SignsIn(token(1), words[2].parse().unwrap()),
            "saves" => Self::Saves(token(1), words[2].parse().unwrap()),
            "ends" => Self::Ends(token(1)),
            _ => Self::Rotates(token(1), token(2)),
        }
    }

    /// The states in which this may leave the sessions.
    fn after(&self, sessions: &Sessions) -> Vec<Sessions> {
        let mut after = sessions.clone();
        let place = |of: &Token| after_place(sessions, of);
        match self {
            Self::SignsIn(token, n) => {
                after.push((token.clone(), *n));
                if after.len() <= 3 {
                    return vec![after];
                }
                // Those of one millisecond have no order that is known here.
                let without = |gone: usize| {
                    let mut after = after.clone();
                    after.remove(gone);
                    after
                };
                return (0..3).map(without).collect();
            }
            Self::Saves(token, n) => after[place(token)].1 = *n,
            Self::Ends(token) => drop(after.remove(place(token))),
            Self::Rotates(from, to) => after[place(from)].0 = to.clone(),
        }
        vec![after]
    }
}

fn after_place(sessions: &Sessions, of: &Token) -> usize {
    let place = |(token, _): &(Token, u32)| token.session_id() == of.session_id();
    sessions.iter().position(place).unwrap()
}

fn number(n: u32) -> Changes {
    let mut changes = Changes::default();
    // Both or none are there.
    changes.set("n", n.to_string());
    changes.set("twice", (2 * n).to_string());
    changes
}

// T75
#[test]
fn what_was_acknowledged_is_in_the_file_after_each_of_a_hundred_kills() {
    if let Some(path) = env::var_os(FILE) {
        return runtime().block_on(works(path.as_ref()));
    }
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| thread::spawn(move || rounds(lane)))
        .collect();
    let done: Vec<u32> = lanes.into_iter().map(|lane| lane.join().unwrap()).collect();
    let done: u32 = done.into_iter().sum();
    println!(
        "{done} operations were acknowledged in {} rounds",
        LANES * ROUNDS
    );
    assert!(done > 5 * LANES * ROUNDS, "{done}");
}

/// Kills one process after another on one file. Returns how many operations were acknowledged.
fn rounds(lane: u32) -> u32 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sessions.db");
    let mut accounts = BTreeMap::new();
    let mut old = Vec::new();
    let (mut acknowledged, mut seed) = (0, u64::from(std::process::id() + lane));
    for round in 0..ROUNDS {
        if lane == 0 && round + 3 == ROUNDS {
            // The log is so long that the last processes clean it.
            old = runtime().block_on(fills(&path));
        }
        seed = next(seed);
        let (new, done) = killed(&path, round, seed % 60);
        acknowledged += done;
        let mut checked: Vec<String> = new.keys().cloned().collect();
        accounts.extend(new);
        if round + 1 == ROUNDS {
            // Those of earlier rounds are there too.
            checked = accounts.keys().cloned().collect();
        }
        let store = FileStore::open(&path).unwrap();
        runtime().block_on(async {
            for user in checked {
                let account = accounts.get_mut(&user).unwrap();
                check(&store, &user, account).await;
            }
            for token in old.iter().filter(|_| round + 1 == ROUNDS) {
                assert!(is_live(&store, token).await, "round {round}");
            }
        });
    }
    acknowledged
}

/// Signs some users in again and again. Returns the last token of each.
async fn fills(path: &Path) -> Vec<Token> {
    let store = FileStore::open(path).unwrap();
    let agent = Client::new().with_user_agent(Some(&[b'x'; 500]));
    let (mut last, mut random) = (BTreeMap::new(), 1);
    let mut sign_ins = tokio::task::JoinSet::new();
    for _ in 0..12_000 {
        random = next(random);
        let user = format!("old-{}", (random >> 8) % 2_000);
        let token = token(&store, &user);
        let mut create = asks(&user, &token);
        create.client = agent.clone();
        last.insert(user, token);
        let store = store.clone();
        sign_ins.spawn(async move { store.create(&create).await.unwrap() });
        if sign_ins.len() == 100 {
            sign_ins.join_next().await;
        }
    }
    sign_ins.join_all().await;
    last.into_values().collect()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// Starts a process on the file and kills it so many ms after its first answer.
fn killed(path: &Path, round: u32, after: u64) -> (BTreeMap<String, Account>, u32) {
    let name = "file_crash::what_was_acknowledged_is_in_the_file_after_each_of_a_hundred_kills";
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(FILE, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in lines {
            let _ = sender.send(line.unwrap());
        }
    });
    let mut said = vec![receiver.recv().unwrap()];
    while !said.last().unwrap().contains(" done") {
        said.push(receiver.recv().unwrap());
    }
    if round.is_multiple_of(10) {
        let error = FileStore::open(path).unwrap_err();
        assert_eq!(error.kind(), FileStoreErrorKind::InUse);
    }
    thread::sleep(millis(after));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    said.extend(receiver);
    understood(&said)
}

/// What the lines of a process say: `tus USER DEED…`, and `tus USER done EVICTED…`.
fn understood(said: &[String]) -> (BTreeMap<String, Account>, u32) {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    let mut done = 0;
    for line in said {
        let Some(line) = line.strip_prefix("tus ") else {
            continue;
        };
        let words: Vec<&str> = line.split(' ').collect();
        let account = accounts.entry(words[0].to_owned()).or_default();
        if words[1] != "done" {
            account.doing = Some(Deed::parse(&words[1..]));
            continue;
        }
        done += 1;
        let deed = account.doing.take().unwrap();
        let Deed::SignsIn(token, n) = deed else {
            account.sessions = deed.after(&account.sessions).remove(0);
            continue;
        };
        account.sessions.push((token, n));
        account
            .sessions
            .retain(|(token, _)| !words[2..].contains(&token.session_id().to_string().as_str()));
    }
    (accounts, done)
}

/// Compares the file with what is known. What it shows is known from then on.
async fn check(store: &FileStore, user: &str, account: &mut Account) {
    let tag = token(store, user).tag();
    let live = listed(store, tag).await;
    let mut states = vec![account.sessions.clone()];
    if let Some(doing) = account.doing.take() {
        states.extend(doing.after(&account.sessions));
    }
    let mut right = Vec::new();
    for state in states {
        let tokens: Vec<&Token> = state.iter().map(|(token, _)| token).collect();
        let mut same = ids(&tokens) == live;
        for (token, n) in &state {
            same = same && has(store, token, *n).await;
        }
        if same {
            right.push(state);
        }
    }
    assert_eq!(right.len(), 1, "{user} has {live:?}");
    account.sessions = right.remove(0);
}

/// Whether this token is current and its session keeps this number.
async fn has(store: &FileStore, token: &Token, n: u32) -> bool {
    let found = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    let Resolved::Live(Found { data, record, .. }) = found else {
        return false;
    };
    let get = |key| data.get(key).unwrap_or_default();
    record.digest == token.digest()
        && get("n") == n.to_string()
        && get("twice") == (2 * n).to_string()
}

/// The process that is killed: some users at work, each does one thing after another.
async fn works(path: &Path) {
    let round = env::var(ROUND).unwrap();
    let store = FileStore::open(path).unwrap();
    let mut users = tokio::task::JoinSet::new();
    for user in 0..USERS {
        let (store, name) = (store.clone(), format!("round-{round}-user-{user}"));
        users.spawn(async move { work(&store, &name, u64::from(user)).await });
    }
    while users.join_next().await.is_some() {}
}

async fn work(store: &FileStore, user: &str, seed: u64) {
    let mut sessions: Vec<Token> = Vec::new();
    let mut random = next(seed + 1);
    for n in 0.. {
        random = next(random);
        let pick = sessions.get(usize::try_from(random >> 8).unwrap() % sessions.len().max(1));
        let deed = match (random % 4, pick.cloned()) {
            (1, Some(session)) => Deed::Saves(session, n),
            (2, Some(session)) => Deed::Ends(session),
            (3, Some(session)) => {
                let next = session.renewed().unwrap();
                Deed::Rotates(session, next)
            }
            _ => Deed::SignsIn(token(store, user), n),
        };
        say(&format!("tus {user} {}", deed.line()));
        let done = run(store, user, &deed, &mut sessions).await;
        say(&format!("tus {user} done{done}"));
    }
}

async fn run(store: &FileStore, user: &str, deed: &Deed, sessions: &mut Vec<Token>) -> String {
    match deed {
        Deed::SignsIn(token, n) => {
            let mut create = asks(user, token);
            create.changes = number(*n);
            let Created::Created(new) = store.create(&create).await.unwrap() else {
                panic!("no sign-in");
            };
            sessions.push(token.clone());
            let gone: Vec<_> = new.evicted.iter().map(|record| record.id).collect();
            sessions.retain(|token| !gone.contains(&token.session_id()));
            return gone.iter().map(|id| format!(" {id}")).collect();
        }
        Deed::Saves(token, n) => {
            let save = Save::new(token.tag(), token.session_id(), number(*n));
            store.save(&save).await.unwrap();
        }
        Deed::Ends(token) => {
            let which = Which::One(token.session_id());
            let end = End::new(token.tag(), which, EndReason::Revoked);
            store.end(&end).await.unwrap();
            sessions.retain(|of| of.session_id() != token.session_id());
        }
        Deed::Rotates(from, to) => {
            let renewal = Renewal::Derived(Salt::from_bytes([7; 16]));
            let mut rotate = Rotate::new(from, to, renewal);
            rotate.grace = millis(0);
            // The first request with the token, so that the next rotation is not too early.
            store.resolve(&Resolve::new(from.clone())).await.unwrap();
            let rotated = store.rotate(&rotate).await.unwrap();
            assert!(matches!(rotated, Rotated::Rotated(_)), "{rotated:?}");
            for token in sessions {
                if token.session_id() == to.session_id() {
                    *token = to.clone();
                }
            }
        }
    }
    String::new()
}

/// In one write, so that no line is half there.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// A step of xorshift.
fn next(mut random: u64) -> u64 {
    random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    random ^= random >> 12;
    random ^= random << 25;
    random ^ (random >> 27)
}
