//! Two processes on one PostgreSQL keep the limit of a user who signs in 500 times at once.

use std::{
    env,
    process::{Command, Output},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet, time::Instant};
use tower_user_sessions::{
    Limit, PostgresStore, UserId,
    store::{Created, SessionStore, Tag},
};

use crate::common::{
    people::{asks, listed, token},
    postgres::{Server, client, pool},
};

/// The process that has this runs one half of a crowd, on the server that it names.
const OTHER: &str = "TOWER_USER_SESSIONS_TEST_POSTGRES";

/// How many each of the two processes signs in.
const HALF: u32 = 250;

/// How long the slowest operation may take, more than its deadline and than what a sleeping task of its time waited for the
/// machine.
const SLACK: Duration = Duration::from_millis(300);

/// What became of one half.
#[derive(Debug, Default, Eq, PartialEq)]
struct Told {
    created: u32,
    refused: u32,
    failed: u32,
    late: u32,
}

impl Told {
    fn parse(output: &Output) -> Self {
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find_map(|line| line.strip_prefix("half: "));
        let line =
            line.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
        let numbers: Vec<u32> = line
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect();
        Self {
            created: numbers[0],
            refused: numbers[1],
            failed: numbers[2],
            late: numbers[3],
        }
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            created: self.created + other.created,
            refused: self.refused + other.refused,
            failed: self.failed + other.failed,
            late: self.late + other.late,
        }
    }
}

/// Sleeps for a moment again and again, and keeps how much longer than that it took at most.
async fn sleeps(longest: Arc<Mutex<Duration>>) {
    const MOMENT: Duration = Duration::from_millis(5);
    loop {
        let began = Instant::now();
        tokio::time::sleep(MOMENT).await;
        let late = began.elapsed().saturating_sub(MOMENT);
        let mut longest = longest.lock().unwrap();
        *longest = longest.max(late);
    }
}

/// Signs one user in, all at once. As the layer does, it gives a sign-in up that answered an error.
async fn half(url: &str, user: &str, limit: Limit, deadline: Duration) -> Told {
    let store = PostgresStore::builder(pool(url, 16))
        .deadline(deadline)
        .build();
    let (mut all, start) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
    let held_up = Arc::<Mutex<Duration>>::default();
    let sleeper = tokio::spawn(sleeps(Arc::clone(&held_up)));
    for _ in 0..HALF {
        let (store, user, start) = (store.clone(), user.to_owned(), Arc::clone(&start));
        all.spawn(async move {
            let _ = start.acquire().await;
            let token = token(&store, &user);
            let mut create = asks(&user, &token);
            create.limit = limit;
            let began = Instant::now();
            let created = store.create(&create).await;
            let took = began.elapsed();
            if created.is_err() {
                store.end_undelivered(create.tag, create.id);
            }
            (created, took)
        });
    }
    start.close();
    let mut told = Told::default();
    let all = all.join_all().await;
    sleeper.abort();
    let slack = SLACK + *held_up.lock().unwrap();
    for (created, took) in all {
        match created {
            Ok(Created::Created(_)) => told.created += 1,
            Ok(Created::LimitReached(_)) => told.refused += 1,
            Ok(other) => panic!("{other:?}"),
            Err(_) => told.failed += 1,
        }
        told.late += u32::from(took > deadline + slack);
    }
    // What was given up has ended before the process is gone.
    assert_eq!(store.drain(Duration::from_secs(20)).await, 0);
    told
}

/// Half of the sign-ins in a process of its own, the other half here.
async fn both(server: &Server, user: &str, limit: Limit, deadline: Duration) -> Told {
    let refuses = limit == Limit::at_most(3).refuse();
    let settings = format!("{user} {refuses} {} {}", deadline.as_millis(), server.url());
    let name = format!("{}::one_half_in_a_process_of_its_own", module_path!());
    let (_program, name) = name.split_once("::").unwrap();
    let mut other = Command::new(env::current_exe().unwrap());
    other
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(OTHER, settings);
    let other = tokio::task::spawn_blocking(move || other.output().unwrap());
    let here = half(&server.url(), user, limit, deadline).await;
    here.and(&Told::parse(&other.await.unwrap()))
}

/// The other process of the tests below.
#[expect(clippy::print_stdout, reason = "its parent reads it")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the tests of two processes start it"]
async fn one_half_in_a_process_of_its_own() {
    let settings = env::var(OTHER).unwrap();
    let [user, refuses, deadline, url] = settings.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{settings}");
    };
    let limit = Limit::at_most(3);
    let limit = if refuses == "true" {
        limit.refuse()
    } else {
        limit
    };
    let told = half(
        url,
        user,
        limit,
        Duration::from_millis(deadline.parse().unwrap()),
    )
    .await;
    println!(
        "half: {} {} {} {}",
        told.created, told.refused, told.failed, told.late
    );
}

/// Rows that have more than three live sessions are refused from now on, so each state of the table has at most three.
async fn never_over(server: &Server) -> PostgresStore {
    let store = server.store().await;
    let check = "ALTER TABLE tower_user_sessions ADD CONSTRAINT at_most_three CHECK (live <= 3)";
    client(&server.url())
        .await
        .batch_execute(check)
        .await
        .unwrap();
    store
}

fn tag(store: &PostgresStore, user: &str) -> Tag {
    store.tag(&UserId::new(user).unwrap())
}

// T25 T27
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_sign_ins_of_two_processes_never_exceed_the_limit() {
    let server = Server::start();
    let store = never_over(&server).await;
    let (patient, evicts) = (Duration::from_secs(60), Limit::at_most(3));

    let told = both(&server, "anna", evicts, patient).await;

    let all = Told {
        created: 2 * HALF,
        ..Told::default()
    };
    assert_eq!(told, all);
    assert_eq!(listed(&store, tag(&store, "anna")).await.len(), 3);

    let told = both(&server, "bert", evicts.refuse(), patient).await;

    let three = Told {
        created: 3,
        refused: 2 * HALF - 3,
        ..Told::default()
    };
    assert_eq!(told, three);
    assert_eq!(listed(&store, tag(&store, "bert")).await.len(), 3);
}

/// With the deadline that a store has by itself. On a slow machine not all come to their turn.
// T25 T27
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_ins_that_do_not_come_to_their_turn_fail_at_their_deadline() {
    let server = Server::start();
    let store = never_over(&server).await;
    let (usual, short) = (Duration::from_secs(1), Duration::from_millis(150));
    let evicts = Limit::at_most(3);
    for (user, limit, deadline) in [
        ("anna", evicts, usual),
        ("bert", evicts.refuse(), usual),
        ("carl", evicts, short),
    ] {
        let told = both(&server, user, limit, deadline).await;

        let answered = told.created + told.refused + told.failed;
        assert_eq!((told.late, answered), (0, 2 * HALF), "{user}: {told:?}");
        let live = listed(&store, tag(&store, user)).await.len();
        println!("{user}: {told:?}, {live} live");
        // A session whose sign-in failed is none of them.
        assert!(
            live <= 3 && live <= told.created as usize,
            "{user}: {live} live, {told:?}"
        );
        if limit != evicts {
            assert_eq!(live, told.created as usize, "{told:?}");
        }
    }
}
