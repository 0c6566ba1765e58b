//! Sessions fill the disk of a `FileStore`. When some of them end, it has space for others, though nobody else frees any.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and a process says what it did"
)]

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use http::StatusCode;
use tower_user_sessions::{SessionLayer, store::FileStore};

use crate::{
    common::http::Client,
    file_full::{on_a_disk_of, sign_in},
};

/// Says to a process on the small disk that it is going to be killed.
const KILLED: &str = "TUS_KILLED";

// T75
#[test]
fn a_disk_that_sessions_filled_has_space_for_sign_ins_when_some_of_them_end() {
    let test =
        "file_recovers::a_disk_that_sessions_filled_has_space_for_sign_ins_when_some_of_them_end";
    on_a_disk_of("20m", test, recovers);
}

// T75
#[test]
fn a_disk_that_sessions_filled_has_space_when_the_process_was_killed_meanwhile() {
    let test = "file_recovers::a_disk_that_sessions_filled_has_space_when_the_process_was_killed_meanwhile";
    on_a_disk_of("20m", test, |disk| async move {
        match env::var_os(KILLED) {
            Some(_) => fills_and_says(&disk).await,
            None => killed(&disk, test).await,
        }
    });
}

fn open(disk: &Path) -> SessionLayer {
    SessionLayer::new(FileStore::open(disk.join("sessions.db")).unwrap())
}

fn cookie(client: &Client) -> String {
    client.cookie.clone().unwrap()
}

async fn sign_out(client: &mut Client) -> StatusCode {
    let left = client.send(|session| async move { session.log_out().unwrap() });
    left.await.status
}

/// Signs users in until nobody can.
async fn until_full(layer: &SessionLayer, name: &str) -> Vec<Client> {
    let mut users = Vec::new();
    let mut refused = 0;
    while refused < 3 {
        let mut user = Client::new(layer);
        let id = format!("{name} {}", users.len());
        match sign_in(&mut user, &id).await.status {
            StatusCode::OK => users.push(user),
            status => {
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                assert!(user.cookie.is_none());
                refused += 1;
            }
        }
        assert!(users.len() < 5_000, "the disk is not full");
    }
    users
}

/// Whether each of these sessions is live.
async fn are_as_said(layer: &SessionLayer, sessions: &BTreeMap<String, bool>) {
    for (cookie, is_live) in sessions {
        let mut client = Client::new(layer);
        client.cookie = Some(cookie.clone());
        assert_eq!(client.user().await.is_some(), *is_live);
    }
}

async fn recovers(disk: PathBuf) {
    let mut layer = open(&disk);
    let mut sessions = BTreeMap::new();
    for round in 0..3 {
        let users = until_full(&layer, &format!("user {round}")).await;
        assert!(users.len() > 50, "{round}: {}", users.len());
        sessions.extend(users.iter().map(|user| (cookie(user), true)));
        are_as_said(&layer, &sessions).await;
        let mut gone = false;
        for (cookie, is_live) in sessions.iter_mut().filter(|(_, is_live)| **is_live) {
            gone = !gone;
            if gone {
                let mut user = Client::new(&layer);
                user.cookie = Some(cookie.clone());
                assert_eq!(sign_out(&mut user).await, StatusCode::OK);
                *is_live = false;
            }
        }
        if round == 1 {
            drop((users, layer));
            layer = open(&disk);
        }
        are_as_said(&layer, &sessions).await;
    }
}

/// Fills the disk, ends sessions and goes on so, until it is killed. Says what is done.
async fn fills_and_says(disk: &Path) {
    let layer = open(disk);
    loop {
        let users = until_full(&layer, "user").await;
        for user in &users {
            println!("tus in {}", cookie(user));
        }
        println!("tus full");
        for mut user in users.into_iter().step_by(2) {
            let before = cookie(&user);
            println!("tus ends {before}");
            assert_eq!(sign_out(&mut user).await, StatusCode::OK);
            println!("tus ended {before}");
        }
    }
}

/// The sessions that a killed process had, and whether each is live, without the one that it was ending.
fn run_and_kill(disk: &Path, test: &str, ends: u32) -> BTreeMap<String, bool> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(KILLED, disk)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut sessions = BTreeMap::new();
    let (mut is_full, mut ended) = (false, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let said: Vec<&str> = line.split(' ').collect();
        match said[..] {
            ["tus", "in", cookie] => drop(sessions.insert(cookie.to_owned(), true)),
            ["tus", "ends", cookie] => drop(sessions.remove(cookie)),
            ["tus", "ended", cookie] => {
                sessions.insert(cookie.to_owned(), false);
                ended += 1;
            }
            ["tus", "full"] => is_full = true,
            _ => {}
        }
        if is_full && ended == ends {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(sessions.len() > 50, "{}", sessions.len());
    sessions
}

async fn killed(disk: &Path, test: &str) {
    for ends in [0, 20] {
        let sessions = run_and_kill(disk, test, ends);
        let layer = open(disk);
        are_as_said(&layer, &sessions).await;
        for (cookie, _) in sessions.iter().filter(|(_, is_live)| **is_live) {
            let mut user = Client::new(&layer);
            user.cookie = Some(cookie.clone());
            assert_eq!(sign_out(&mut user).await, StatusCode::OK);
        }
        let mut next = Client::new(&layer);
        assert_eq!(sign_in(&mut next, "next").await.status, StatusCode::OK);
        assert_eq!(sign_out(&mut next).await, StatusCode::OK);
    }
}
