//! Cleaning loses no set and brings none back, whatever a crash leaves.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use redb::{ReadableDatabase, ReadableTable};

use super::{group::VALUE, *};
use crate::{
    model::{Arrival, SessionId, Tag, Timestamp, Token, UserId},
    store::{
        Authenticated, Create, FileStoreErrorKind, SessionSet,
        file::{
            backup,
            changes::PARTS,
            disk::{Disk, Parts, Times},
            journal,
        },
    },
};

pub(super) type Sets = BTreeMap<[u8; 12], SessionSet>;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

pub(super) fn tag(user: u8) -> Tag {
    Tag::from_bytes([user; 12])
}

fn group<'a>(rows: impl IntoIterator<Item = (u8, Option<&'a SessionSet>)>) -> Group {
    let mut group = Group::new(2);
    for (user, set) in rows {
        group.put(tag(user), set, Parts::Changed, true);
    }
    group
}

/// A set with one session more that has data.
pub(super) fn more(user: u8, set: Option<&SessionSet>) -> SessionSet {
    let mut set = set.cloned().unwrap_or_default();
    let token = Token::random(tag(user)).unwrap();
    let proof = Authenticated::On(Arrival::now());
    let mut create = Create::new(&token, UserId::new("alice").ok(), proof);
    create.changes.set("theme", "dark");
    set.create(&create, NOW, Duration::from_secs(3_600));
    set
}

pub(super) fn open(path: &Path) -> (Disk, Sets, Times) {
    let mut sets = Sets::new();
    let (disk, times) = Disk::open(path, Times::default(), &mut sets).unwrap();
    (disk, sets, times)
}

fn commit(disk: &mut Disk, group: Group) {
    disk.commit(group, Times::default(), Some(&|_, _| false), true)
        .unwrap();
}

/// Writes a group, and the database has all that was written before.
fn settle(disk: &mut Disk, group: Group) {
    disk.commit(group, Times::default(), Some(&|_, _| false), false)
        .unwrap();
}

/// How many values were removed, if no commit failed.
pub(super) fn removed(log: &Log) -> usize {
    usize::try_from(log.last).unwrap() - log.values.len()
}

/// What a log knows, in an order.
fn known(log: &Log) -> impl PartialEq + std::fmt::Debug {
    let index = log.index.iter();
    let index = index.map(|(tag, place)| (*tag, (place.value, place.bytes)));
    let index: BTreeMap<_, _> = index.collect();
    (log.live, log.bytes, log.values.clone(), index)
}

/// Numbers that look random, the same in each run.
pub(super) fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |end| {
        state = state.wrapping_mul(6_364_136_223_846_793_005) + 1;
        (state >> 33) % end
    }
}

// T75
#[test]
fn a_crash_while_the_log_is_cleaned_loses_no_set_and_brings_none_back() {
    let directory = tempfile::tempdir().unwrap();
    let (path, crashed) = (directory.path().join("one"), directory.path().join("two"));
    let (mut disk, mut expected, _) = open(&path);
    let mut random = random(7);
    for step in 0..160 {
        let mut users: Vec<u8> = (0..=random(3))
            .map(|_| u8::try_from(random(40)).unwrap_or_default())
            .collect();
        users.sort_unstable();
        users.dedup();
        for user in &users {
            // Few change twice, so that there are latest versions to copy.
            let set = expected.remove(&[*user; 12]);
            if random(3) > 0 {
                let set = set.filter(|_| random(2) == 0);
                expected.insert([*user; 12], more(*user, set.as_ref()));
            }
        }
        let rows = users.iter().map(|user| (*user, expected.get(&[*user; 12])));
        commit(&mut disk, group(rows));
        fs::copy(&path, &crashed).unwrap();

        let (mut again, found, _) = open(&crashed);

        assert!(found == expected, "step {step}");
        assert_eq!(known(again.log()), known(disk.log()), "step {step}");
    }
    assert!(removed(disk.log()) > 30, "{}", removed(disk.log()));
}

/// The user whose latest version is in the oldest value, which is the next to be cleaned.
fn next_user(log: &Log) -> u8 {
    let oldest = log.oldest().unwrap_or_default().to_be_bytes();
    let found = log.index.iter().find(|(_, place)| place.value == oldest);
    found.map_or(99, |(tag, _)| tag[0])
}

#[test]
fn a_newer_version_in_the_same_commit_replaces_the_one_that_is_cleaned() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one");
    let (mut disk, mut expected, _) = open(&path);
    // So large that a copy of the older version would be in a later value than the newer one.
    let large = (0..12).fold(more(99, None), |set, _| more(99, Some(&set)));
    expected.insert([99; 12], large.clone());
    for step in 0..120_u8 {
        let user = match step {
            0..40 => step,
            _ => next_user(disk.log()),
        };
        let set = more(user, None);
        let rows = [(user, Some(&set)), (99, Some(&large))];
        commit(
            &mut disk,
            group(rows.into_iter().skip(usize::from(user == 99))),
        );
        if user != 99 {
            expected.insert([user; 12], set);
        }
    }
    drop(disk);

    assert!(open(&path).1 == expected);
}

// T75
#[test]
fn a_commit_that_failed_and_is_in_the_file_all_the_same_loses_no_set() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one");
    let (mut disk, mut expected, _) = open(&path);
    for user in 0..20 {
        let set = more(user, None);
        commit(&mut disk, group([(user, Some(&set))]));
        expected.insert([user; 12], set);
    }
    for step in 0..200 {
        let before = disk.log().clone();
        let set = more(99, None);
        commit(&mut disk, group([(99, Some(&set))]));
        if step % 3 == 0 {
            // As far as the store knows, nothing was written and nothing copied. It writes the set again.
            let last = disk.log().last;
            *disk.log() = Log { last, ..before };
            commit(&mut disk, group([(99, Some(&set))]));
        }
        expected.insert([99; 12], set);
    }
    assert!(removed(disk.log()) > 100);
    drop(disk);

    assert!(open(&path).1 == expected);
}

#[test]
fn the_log_does_not_grow_while_the_same_sets_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let (mut disk, ..) = open(&directory.path().join("one"));
    let sets: Vec<SessionSet> = (0..30).map(|user| more(user, None)).collect();
    let mut longest = 0;
    for step in 0..600_u64 {
        let user = (step * 7 % 30) as u8;
        commit(&mut disk, group([(user, sets.get(usize::from(user)))]));
        longest = longest.max(disk.log().bytes);
    }

    // What waits in the journal is in no table that could be cleaned.
    let most = disk.log().most(false) + 1_024 + journal::WAITING as u64;
    assert!(longest <= most, "{longest}, {most}");
    assert_eq!(disk.log().index.len(), 30);
}

#[test]
fn nothing_is_left_of_sets_that_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one");
    let (mut disk, ..) = open(&path);
    for user in 0..60 {
        commit(&mut disk, group([(user, Some(&more(user, None)))]));
        commit(&mut disk, group([(user, None)]));
    }
    let set = more(99, None);
    while disk.log().index.len() > 1 {
        commit(&mut disk, group([(99, Some(&set))]));
        assert!(removed(disk.log()) < 1_000);
    }

    let (_, found, _) = {
        drop(disk);
        open(&path)
    };

    assert!(found == Sets::from([([99; 12], set)]));
}

#[test]
fn the_time_of_a_value_that_was_removed_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one");
    let (mut disk, ..) = open(&path);
    let set = more(1, None);
    let times = Times {
        last: Some(NOW),
        everyone: None,
    };
    let one = group([(1, Some(&set))]);
    disk.commit(one, times, Some(&|_, _| false), true).unwrap();
    // The clock may be wrong from now on, or it was set back.
    while removed(disk.log()) == 0 {
        commit(&mut disk, group([(1, Some(&set))]));
    }
    drop(disk);

    let (.., times) = open(&path);

    assert_eq!(times.last, Some(NOW));
}

#[test]
fn a_set_without_the_data_of_its_session_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one");
    let (mut disk, ..) = open(&path);
    for user in [1, 2, 3] {
        commit(&mut disk, group([(user, Some(&more(user, None)))]));
    }
    settle(&mut disk, Group::new(0));
    let write = disk.database().upgrade().unwrap().begin_write().unwrap();
    let mut parts = write.open_table(PARTS).unwrap();
    parts.retain(|key, _| key[0] != 2).unwrap();
    drop(parts);
    write.commit().unwrap();
    drop(disk);

    let error = Disk::open(&path, Times::default(), &mut ()).unwrap_err();

    assert_eq!(error.kind(), FileStoreErrorKind::Corrupt);
}

#[test]
fn data_that_belongs_to_no_session_any_more_is_removed_after_the_file_was_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one");
    let (mut disk, ..) = open(&path);
    for user in [1, 2, 3] {
        commit(&mut disk, group([(user, Some(&more(user, None)))]));
    }
    // As after a request that found the session expired: the set is written, and its data are not looked up.
    let mut without = Group::new(2);
    without.put(tag(1), Some(&SessionSet::default()), Parts::Same, true);
    without.put(tag(3), None, Parts::Same, true);
    settle(&mut disk, without);
    assert_eq!(stored_parts(&disk), [1, 2, 3]);
    drop(disk);

    let (mut disk, ..) = open(&path);
    assert_eq!(stored_parts(&disk), [1, 2, 3]);
    settle(&mut disk, Group::new(0));

    assert_eq!(stored_parts(&disk), [2]);
}

#[test]
fn data_that_waits_in_the_journal_goes_with_its_session() {
    let directory = tempfile::tempdir().unwrap();
    let (mut disk, ..) = open(&directory.path().join("one"));
    for user in [1, 2] {
        commit(&mut disk, group([(user, Some(&more(user, None)))]));
    }
    assert_eq!(stored_parts(&disk), [] as [u8; 0], "the database has them");
    commit(&mut disk, group([(1, None)]));

    settle(&mut disk, Group::new(0));

    assert_eq!(stored_parts(&disk), [2]);
}

#[test]
fn a_backup_has_a_journal_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (mut disk, ..) = open(&at("one"));
    for user in 0..100 {
        commit(&mut disk, group([(user, Some(&more(user, None)))]));
    }
    settle(&mut disk, Group::new(0));
    backup::copy(&disk.database().upgrade().unwrap(), &at("copy")).unwrap();
    let (mut copy, mut expected, _) = open(&at("copy"));
    assert_eq!(expected.len(), 100);
    let set = more(200, None);

    commit(&mut copy, group([(200, Some(&set))]));
    fs::copy(at("copy"), at("crashed")).unwrap();

    expected.insert([200; 12], set);
    assert!(open(&at("crashed")).1 == expected);
}

/// The users whose sessions have data in the file.
fn stored_parts(disk: &Disk) -> Vec<u8> {
    let read = disk.database().upgrade().unwrap().begin_read().unwrap();
    let parts = read.open_table(PARTS).unwrap();
    let keys = parts.iter().unwrap().map(|part| part.unwrap().0.value()[0]);
    keys.collect()
}

#[test]
fn a_value_has_as_many_sets_as_fill_its_pages() {
    let set = more(1, None);
    let mut group = Group::new(100);
    for user in 0..100 {
        group.put(tag(user), Some(&set), Parts::Same, false);
    }
    let large = (0..60).fold(set, |set, _| more(1, Some(&set)));
    group.put(tag(200), Some(&large), Parts::Same, false);
    group.put(tag(201), None, Parts::Same, false);

    let values = group.values();
    let (last, full) = values.split_last().unwrap();
    let (before, full) = full.split_last().unwrap();
    assert!(full.len() > 2 && full.iter().all(|value| value.len() <= VALUE));
    assert!(before.len() > VALUE);
    let tags = |value: &[u8]| {
        let entries = Value::read(value).unwrap();
        entries
            .map(|entry| entry.unwrap().tag[0])
            .collect::<Vec<_>>()
    };
    let mut all: Vec<u8> = full.iter().flat_map(|value| tags(value)).collect();
    assert!(all.is_sorted() && all.len() == 100, "{all:?}");
    all.dedup();
    assert_eq!(
        (all.len(), tags(before), tags(last)),
        (100, vec![200], vec![201])
    );
}

#[test]
fn a_value_that_ends_in_the_middle_of_a_set_is_torn() {
    let mut group = group([(7, None)]);
    group.copy([8; 12], b"set");
    let id = SessionId::from_bytes([6; 12]);
    group.saw(&Activity {
        tag: tag(9),
        id,
        at: NOW,
    });
    let whole = &group.values()[0];

    let read = |bytes| Value::read(bytes)?.collect::<Result<Vec<_>, Torn>>();
    let found: Vec<_> = read(whole).unwrap();
    let found: Vec<_> = found.into_iter().map(|it| (it.tag[0], it.what)).collect();
    let set = What::Head(b"set");
    assert_eq!(found, [(7, What::Gone), (8, set), (9, What::Seen(id, NOW))]);
    assert_eq!(whole.len(), 43 + 36);
    for end in (0..8).chain(9..24).chain(25..43).chain(44..whole.len()) {
        assert_eq!(read(&whole[..end]), Err(Torn), "{end}");
    }
}
