//! What a disk that is nearly full does to the log, and how much data the file is known to have.

use super::{
    super::{
        disk::{Disk, Parts, Times},
        log::Group,
    },
    Small, USERS, tag,
};
use crate::{
    model::{Arrival, Timestamp, Token, UserId},
    store::{Authenticated, Create, NOTICE_KEPT, SessionSet},
};

/// A set of so many sessions, with data of so many bytes.
fn set(user: usize, sessions: usize, data: usize) -> SessionSet {
    let mut set = SessionSet::default();
    for _ in 0..sessions {
        let token = Token::random(tag(user)).unwrap();
        let id = UserId::new(format!("user {user}")).ok();
        let mut create = Create::new(&token, id, Authenticated::On(Arrival::now()));
        if data > 0 {
            create.changes.set("note", "x".repeat(data));
        }
        set.create(&create, Timestamp::default(), NOTICE_KEPT);
    }
    set
}

/// The database has these sets.
fn write<'a>(disk: &mut Disk, sets: impl Iterator<Item = (usize, Option<&'a SessionSet>)>) {
    let mut group = Group::new(USERS);
    for (user, set) in sets {
        group.put(tag(user), set, Parts::Changed, true);
    }
    disk.commit(group, Times::default(), Some(&|_, _| false), false)
        .unwrap();
}

/// The database has these sets, of as many users.
fn write_all(disk: &mut Disk, sets: &[SessionSet]) {
    write(disk, (0..).zip(sets).map(|(user, set)| (user, Some(set))));
}

#[test]
fn a_log_whose_values_take_more_than_what_is_in_them_is_not_cleaned_for_ever() {
    let small = Small::with(Vec::new());
    let mut disk = small.disk();
    let sets: Vec<_> = (0..USERS).map(|user| set(user, 50, 0)).collect();
    write_all(&mut disk, &sets);
    {
        let mut state = small.state();
        (state.says, state.free) = (true, 40);
    }
    disk.look();
    assert!(disk.is_low());
    let mut commits = 0;

    write(&mut disk, [(0, sets.first())].into_iter());
    let is_begun = disk.has_older();
    while disk.has_older() {
        write(&mut disk, [].into_iter());
        commits += 1;
        assert!(commits < 4 * USERS);
    }

    assert!(is_begun, "there is nothing to clean");
    let first = disk.log().oldest();
    assert!(first > Some(1), "{first:?}");
}

#[test]
fn how_much_data_the_file_has_is_known_as_after_a_restart() {
    let small = Small::with(Vec::new());
    let mut disk = small.disk();
    for round in 0..3 {
        for user in 0..USERS {
            let set = set(user, 2, 100 * round + 70 * user);
            let is_gone = (round + user).is_multiple_of(3);
            write(&mut disk, [(user, (!is_gone).then_some(&set))].into_iter());
            if !is_gone {
                // As after a commit that failed.
                let mut again = Group::new(1);
                again.put(tag(user), Some(&set), Parts::All, true);
                disk.commit(again, Times::default(), Some(&|_, _| false), false)
                    .unwrap();
            }
        }
    }
    let parts = disk.parts();
    drop(disk);

    assert!(parts > 100_000, "{parts}");
    assert_eq!(small.disk().parts(), parts);
}

#[test]
fn a_file_that_a_backup_reads_is_made_shorter_when_the_backup_is_over() {
    let small = Small::with(Vec::new());
    let mut disk = small.disk();
    let sets: Vec<_> = (0..USERS).map(|user| set(user, 2, 9_000)).collect();
    write_all(&mut disk, &sets);
    write(&mut disk, (0..USERS).map(|user| (user, None)));
    small.state().says = true;
    small.state().free = 40;
    disk.look();
    // As if the database had taken more of the disk.
    small.state().taken.extend(100_000..100_100);
    disk.look();
    assert!(disk.is_hollow());
    let backup = disk.database().upgrade();

    assert!(!disk.compact().unwrap());
    assert!(disk.is_hollow());
    drop(backup);
    let before = small.state().bytes.len();
    assert!(disk.compact().unwrap());

    assert!(!disk.is_hollow());
    let after = small.state().bytes.len();
    assert!(after < before, "{after} and {before}");
}
