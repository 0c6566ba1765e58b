//! What a loss of power leaves of the file, in a model of a disk.

mod below;
mod damage;
mod drive;

use std::{collections::BTreeMap, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use self::drive::{Drive, Random, number};
use super::{
    disk::{Disk, Parts, Times},
    journal::{self, Journal},
    log::{Activity, Group},
};
use crate::{
    model::{Tag, Timestamp, Token, UserId},
    store::{Authenticated, Create, List, SessionSet},
};

type Sets = BTreeMap<[u8; 12], SessionSet>;

const USERS: u8 = 24;

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

fn open(drive: &Drive) -> (Disk, Sets) {
    let mut sets = Sets::new();
    let path = Path::new("sessions.db");
    let opened = Disk::on(Box::new(drive.clone()), path, Times::default(), &mut sets);
    (opened.unwrap().0, sets)
}

/// A token of this user, the same in each run.
fn token(user: u8, random: &mut Random) -> Token {
    let mut bytes = [user; 48];
    for byte in &mut bytes[12..] {
        *byte = u8::try_from(random.below(256)).unwrap();
    }
    Token::parse(URL_SAFE_NO_PAD.encode(bytes).as_bytes()).unwrap()
}

/// A set with one more session, and with data.
fn more(user: u8, set: Option<&SessionSet>, note: u64, random: &mut Random) -> SessionSet {
    let mut set = set.cloned().unwrap_or_default();
    let token = token(user, random);
    let mut create = Create::new(&token, UserId::new("alice").ok(), Authenticated::At(NOW));
    if note > 0 {
        let length = number(random.below(note));
        create.changes.set("note", "x".repeat(length));
    }
    set.create(&create, NOW, Duration::from_secs(3_600));
    set
}

/// One session of the set is active at this moment.
fn act(set: &mut SessionSet, tag: Tag, at: Timestamp) -> Option<Activity> {
    let id = set.clone().list(&List::new(tag), NOW).first()?.id;
    set.saw(|session| (session == id).then_some(at));
    Some(Activity { tag, id, at })
}

/// How a life goes.
#[derive(Clone, Copy)]
struct Life {
    seed: u64,
    commits: u32,
    /// One of so many operations fails. 0: none.
    fails: u64,
    /// Whether sets are small, so that the journal begins again while many of them wait.
    small: bool,
}

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    checked: u32,
    failed: u32,
    failed_compactions: u32,
    /// Files in which commits waited for the database.
    waited: u32,
    /// Files with a journal that began again while they waited.
    carried: u32,
}

impl Seen {
    /// Opens what a loss of power left, and that again after a loss of power meanwhile. The sets are one of these.
    fn check(&mut self, left: Vec<u8>, states: &[Sets], random: &mut Random, again: bool) {
        let drive = Drive::new(left, random);
        if let Ok(mut replay) = journal::read(&drive) {
            self.carried += u32::from(replay.carries());
            let waiting = Journal::after(&mut replay).waiting();
            self.waited += u32::from(journal::changes(&waiting, None).count() > 1);
        }
        drive.state().takes = if again { 12 } else { 0 };
        let (disk, found) = open(&drive);
        assert!(states.contains(&found), "a commit is missing or half there");
        self.checked += 1;
        for left in drive.left() {
            self.check(left, std::slice::from_ref(&found), random, false);
        }
        // Also as the file is closed.
        drop(disk);
        for left in drive.left() {
            self.check(left, std::slice::from_ref(&found), random, false);
        }
    }
}

/// Commits and loses power at many moments.
fn lives(life: Life) -> Seen {
    let mut random = Random(life.seed);
    let drive = Drive::new(Vec::new(), &mut random);
    let (mut disk, before) = open(&drive);
    {
        let mut state = drive.state();
        (state.takes, state.fails) = (25, life.fails);
    }
    let mut seen = Seen::default();
    // Sets whose commit failed, so that it is not known what is on the disk.
    let mut unknown: Vec<u8> = Vec::new();
    // What requests see.
    let mut visible = before.clone();
    // What is on the disk is one of these.
    let mut states = vec![before];
    for number in 0..life.commits {
        let mut after = visible.clone();
        let (mut users, mut active) = (std::mem::take(&mut unknown), Vec::new());
        let parts = if users.is_empty() {
            Parts::Changed
        } else {
            Parts::All
        };
        for _ in 0..1 + random.below(4) {
            let user = u8::try_from(random.below(USERS.into())).unwrap();
            users.push(user);
            let old = after.remove(&[user; 12]);
            // Half of them are new, so that the sets stay small.
            let old = old.filter(|_| random.below(2) == 0 && !life.small);
            if random.below(4) > 0 {
                let note = if life.small {
                    0
                } else {
                    random.below(2) * 3_000
                };
                after.insert([user; 12], more(user, old.as_ref(), note, &mut random));
            }
        }
        users.sort_unstable();
        users.dedup();
        let mut group = Group::new(users.len());
        for user in &users {
            group.put(
                Tag::from_bytes([*user; 12]),
                after.get(&[*user; 12]),
                parts,
                true,
            );
        }
        // Activity of other sets.
        let at = NOW.plus(Duration::from_millis(number.into()));
        for _ in 0..random.below(4) {
            let user = u8::try_from(random.below(USERS.into())).unwrap();
            if users.contains(&user) {
                continue;
            }
            let tag = Tag::from_bytes([user; 12]);
            let set = after.get_mut(tag.as_bytes());
            if let Some(activity) = set.and_then(|set| act(set, tag, at)) {
                group.saw(&activity);
                active.push(activity);
            }
        }
        let may_wait = life.small || random.below(12) > 0;
        let now = |tag: Tag, group: &mut Group| {
            let set = after.get(tag.as_bytes());
            group.put(tag, set, Parts::Same, true);
            set.is_some()
        };
        let done = disk.commit(group, Times::default(), Some(&now), may_wait);
        states.push(after.clone());
        for left in drive.left() {
            seen.check(left, &states, &mut random, true);
        }
        if done.is_ok() {
            states.drain(..states.len() - 1);
            visible = after;
        } else {
            seen.failed += 1;
            // Requests did not see the changes, but they saw the activity: what is written later has it.
            for Activity { tag, id, at } in active {
                let set = visible.get_mut(tag.as_bytes()).unwrap();
                set.saw(|session| (session == id).then_some(at));
                users.push(tag.as_bytes()[0]);
            }
            unknown = users;
        }
        let left = drive.state().lose_power();
        seen.check(left, &states, &mut random, false);
        // After an error the file is opened again, so nothing waits in the journal, which is what small lives are about.
        if number % 16 == 15 && (life.fails == 0 || !life.small) {
            let done = disk.compact();
            assert!(done.is_ok() || life.fails > 0, "{done:?}");
            seen.failed_compactions += u32::from(done.is_err());
            for left in drive.left() {
                seen.check(left, &states, &mut random, true);
            }
        }
    }
    assert!(disk.log().oldest() > Some(1), "the log is not cleaned");
    seen
}

// T75
#[test]
fn after_a_loss_of_power_at_any_moment_every_commit_that_was_acknowledged_is_there_and_none_half() {
    for seed in 1..3 {
        let seen = lives(Life {
            seed: seed * 7_919,
            commits: 80,
            fails: 0,
            small: false,
        });

        assert!(seen.checked > 90 && seen.failed == 0, "{seen:?}");
        assert!(seen.waited > 20 && seen.carried > 3, "{seen:?}");
    }
}

// T75
#[test]
fn after_errors_of_the_disk_and_a_loss_of_power_every_commit_that_was_acknowledged_is_there() {
    for seed in 1..3 {
        let seen = lives(Life {
            seed: seed * 104_729,
            commits: 120,
            fails: 25,
            small: false,
        });

        assert!(seen.checked > 150 && seen.failed > 5, "{seen:?}");
        assert!(seen.failed_compactions > 2, "{seen:?}");
        assert!(seen.waited > 20 && seen.carried > 3, "{seen:?}");
    }
}

// T75
#[test]
fn a_journal_that_is_full_while_commits_wait_keeps_them_all_the_same() {
    for (seed, fails) in [(11, 0), (12, 25)] {
        let seen = lives(Life {
            seed: seed * 15_485_863,
            commits: 250,
            fails,
            small: true,
        });

        assert!(seen.waited > 150 && seen.carried > 50, "{seen:?}");
    }
}
