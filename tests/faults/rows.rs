//! The guide's table of faults, one test a row: kinds of error, times, connections, and the first good answer
//! after the fault.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{net::Ipv4Addr, path::Path, process::Command, time::Duration};

use tokio::time::Instant;
use tower_user_sessions::{RedisStore, store::StoreErrorKind::*};

use super::row::{Does, Row, Shop, faults, fills};
use crate::common::{
    load::millis,
    people::until,
    redis::{Server, ask_with, try_ask},
    relay::Relay,
};

/// How long most faults last.
const LASTS: Duration = millis(2_000);

/// A load on this server, through a relay that counts connections.
async fn watch(server: &Server, lasts: Duration, fault: impl AsyncFnOnce()) -> Row {
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();
    let shop = Shop::open(store).await;
    Row::watch(&shop, || relay.made(), lasts, fault).await
}

#[test]
fn each_fault_of_the_guide_has_its_test() {
    let faults = faults();

    assert_eq!(faults.len(), 10);
    for fault in faults {
        let demands = format!("row.keeps(\"{fault}\");");
        assert!(include_str!("rows.rs").contains(&demands), "{fault}");
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_server_sign_ins_and_changes_of_data_fail_and_the_rest_goes_on() {
    let server = Server::start();

    let row = watch(&server, LASTS, async || {
        let _: () = server.ask("CONFIG SET maxmemory 1mb").await;
        tokio::time::sleep(LASTS).await;
        let _: () = server.ask("CONFIG SET maxmemory 0").await;
    })
    .await;

    row.keeps("its memory is full (`maxmemory`, `noeviction`)");
    assert_eq!(row.kinds(Does::SignsIn), [Full]);
    assert_eq!(row.kinds(Does::Saves), [Full]);
    assert_eq!(row.kinds(Does::Resolves), []);
    assert_eq!(row.kinds(Does::Ends), []);
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_cannot_save_every_call_fails_at_once() {
    let server = Server::start();
    let save = ["CONFIG", "SET", "save", "3600 1000000"];
    let _: () = ask_with(&server.url(), &save).await;
    let folder: Vec<String> = server.ask("CONFIG GET dir").await;
    // A file cannot take the name of a folder.
    let taken = Path::new(&folder[1]).join("dump.rdb");
    let saves = async |status: &str| {
        let _: String = server.ask("BGSAVE").await;
        let line = format!("rdb_last_bgsave_status:{status}");
        until("the snapshot is done", async || {
            let info: String = server.ask("INFO persistence").await;
            info.contains(&line)
        })
        .await;
    };

    let row = watch(&server, LASTS, async || {
        std::fs::create_dir(&taken).unwrap();
        saves("err").await;
        tokio::time::sleep(LASTS).await;
        std::fs::remove_dir(&taken).unwrap();
        saves("ok").await;
    })
    .await;

    row.keeps("it cannot save (MISCONF)");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_has_too_few_replicas_every_call_fails_at_once() {
    let server = Server::start();

    let row = watch(&server, LASTS, async || {
        let _: () = server.ask("CONFIG SET min-replicas-to-write 1").await;
        tokio::time::sleep(LASTS).await;
        let _: () = server.ask("CONFIG SET min-replicas-to-write 0").await;
    })
    .await;

    row.keeps("it has too few replicas (NOREPLICAS)");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_loads_its_data_calls_share_the_error_and_nothing_is_lost() {
    let slow = "--key-load-delay 100 --loading-process-events-interval-bytes 1024";
    let kept = "--appendonly yes --appendfsync always";
    let arguments = [kept, slow].join(" ");
    let mut server = Server::start_with(&arguments.split(' ').collect::<Vec<_>>());
    fills(&server, "filler").await;
    let relay = Relay::start(server.port).await;
    let shop = Shop::open(RedisStore::connect(&relay.url()).unwrap()).await;
    let mut took = Duration::ZERO;

    let row = Row::watch(
        &shop,
        || relay.made(),
        2 * LASTS,
        async || {
            let began = Instant::now();
            server.kill();
            server.restart();
            took = began.elapsed();
        },
    )
    .await;

    assert!(took > millis(1_000), "it loaded in {took:?}");
    row.keeps("it is killed and loads its data (LOADING)");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn while_a_script_of_another_client_runs_calls_wait_and_then_share_the_error() {
    let server = Server::start_with(&["--busy-reply-threshold", "100"]);
    let url = server.url();

    let row = watch(&server, LASTS, async || {
        let script =
            tokio::spawn(
                async move { try_ask::<()>(&url, &["EVAL", "while true do end", "0"]).await },
            );
        tokio::time::sleep(LASTS).await;
        let _: () = server.ask("SCRIPT KILL").await;
        assert!(script.await.unwrap().is_err());
    })
    .await;

    row.keeps("it runs a long script of another client (BUSY)");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_all_connections_every_200_ms_fails_no_call() {
    let server = Server::start();

    let row = watch(&server, 2 * LASTS, async || {
        for _ in 0..20 {
            let _: i64 = server.ask("CLIENT KILL TYPE normal SKIPME yes").await;
            tokio::time::sleep(millis(200)).await;
        }
    })
    .await;

    row.keeps("it closes all connections every 200 ms for 4 s (`CLIENT KILL`)");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_holds_all_clients_calls_wait_and_then_share_the_error() {
    let server = Server::start();

    let row = watch(&server, LASTS, async || {
        let _: () = server.ask("CLIENT PAUSE 2000 ALL").await;
        tokio::time::sleep(LASTS).await;
    })
    .await;

    row.keeps("it holds all calls for 2 s (`CLIENT PAUSE … ALL`)");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_holds_writes_calls_wait_and_then_share_the_error() {
    let server = Server::start();

    let row = watch(&server, LASTS, async || {
        let _: () = server.ask("CLIENT PAUSE 2000 WRITE").await;
        tokio::time::sleep(LASTS).await;
    })
    .await;

    row.keeps("it holds writes for 2 s (`CLIENT PAUSE … WRITE`)");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_an_append_only_file_loses_nothing_when_it_is_killed() {
    let arguments = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = Server::start_with(&arguments);
    let relay = Relay::start(server.port).await;
    let shop = Shop::open(RedisStore::connect(&relay.url()).unwrap()).await;

    let row = Row::watch(
        &shop,
        || relay.made(),
        2 * LASTS,
        async || {
            for _ in 0..3 {
                server.kill();
                tokio::time::sleep(millis(500)).await;
                server.restart();
                tokio::time::sleep(millis(500)).await;
            }
        },
    )
    .await;

    row.keeps("it is killed three times (`appendfsync always`)");
    let (signed_in, ended) = row.kept;
    assert!(signed_in > 20 && ended > 20, "{:?}", row.kept);
}

/// Names this test to itself, in a process that has a table of names of its own.
const TABLE: &str = "TUS_TABLE_OF_NAMES";

// T70
#[test]
fn a_store_follows_a_name_that_leads_to_another_server() {
    if let Some(table) = std::env::var_os(TABLE) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(follows(table.as_ref()));
    }
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("hosts");
    std::fs::write(&table, "").unwrap();
    let own = std::env::current_exe().unwrap();
    let script = "mount --bind \"$1\" /etc/hosts && exec \"$2\" --exact \"$3\" --nocapture";
    // Without the rights of root, a namespace of users gives them.
    let mut unshare = Command::new("unshare");
    if !is_root() {
        unshare.arg("--map-root-user");
    }
    let done = unshare
        .args(["--mount", "sh", "-c", script, "sh"])
        .args([&table, &own])
        .arg("rows::a_store_follows_a_name_that_leads_to_another_server")
        .env(TABLE, &table)
        .status()
        .unwrap_or_else(|error| {
            panic!("unshare does not run ({error}): apt-get install util-linux")
        });

    assert!(done.success(), "{done}");
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// The replica takes over, and the name follows a second later.
async fn follows(table: &Path) {
    let leads_to = |host: Ipv4Addr| {
        std::fs::write(table, format!("{host} redis.example\n")).unwrap();
    };
    let (first, second) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    let (master, replica) = (Server::start(), Server::start());
    let old = Relay::start(master.port).await;
    let new = Relay::start_at(second, old.port, replica.port).await;
    let _: () = replica
        .ask(&format!("REPLICAOF 127.0.0.1 {}", master.port))
        .await;
    leads_to(first);
    let url = format!("redis://redis.example:{}", old.port);
    let shop = Shop::open(RedisStore::connect(&url).unwrap()).await;

    let connects = || old.made() + new.made();
    let row = Row::watch(&shop, connects, LASTS, async || {
        let _: () = master.ask("CLIENT PAUSE 5000 WRITE").await;
        has_all_of(&replica, &master).await;
        let _: () = replica.ask("REPLICAOF NO ONE").await;
        let _: () = master
            .ask(&format!("REPLICAOF 127.0.0.1 {}", replica.port))
            .await;
        let _: () = master.ask("CLIENT UNPAUSE").await;
        tokio::time::sleep(millis(1_000)).await;
        leads_to(second);
    })
    .await;

    row.keeps("a replica takes over, and the name leads to it 1 s later");
    assert!(new.made() > 0);
}

/// Waits until this replica has all that its master has.
async fn has_all_of(replica: &Server, master: &Server) {
    let offset = async |server: &Server| {
        let info: String = server.ask("INFO replication").await;
        let mut lines = info.lines();
        let line = lines.find_map(|line| line.strip_prefix("master_repl_offset:"));
        line.unwrap().to_owned()
    };
    until("the replica has it all", async || {
        offset(replica).await == offset(master).await
    })
    .await;
}
