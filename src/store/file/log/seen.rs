//! Activity in the log is not lost, and changes nothing else.

use std::{fs, time::Duration};

use super::{
    tests::{NOW, Sets, more, open, random, removed, tag},
    *,
};
use crate::{
    model::{EndReason, SessionId, Tag, Token, UserId},
    store::{
        Authenticated, Create, End, List, Resolve, Resolved, SessionSet, Which,
        file::{
            disk::{Disk, Parts, Times},
            journal,
        },
    },
};

const KEPT: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The sessions that a set lists.
fn ids(set: &SessionSet) -> Vec<SessionId> {
    let listed = set.clone().list(&List::new(tag(0)), NOW);
    listed.iter().map(|record| record.id).collect()
}

fn write(disk: &mut Disk, group: Group, sets: &Sets) {
    let now = |tag: Tag, group: &mut Group| {
        let set = sets.get(tag.as_bytes());
        group.put(tag, set, Parts::Same, true);
        set.is_some()
    };
    disk.commit(group, Times::default(), Some(&now), true)
        .unwrap();
}

/// One session of this user is active. Returns what the log gets.
fn act(user: u8, set: &mut SessionSet, which: usize, at: Timestamp) -> Activity {
    let all = ids(set);
    let id = all[which % all.len()];
    set.saw(|session| (session == id).then_some(at));
    let tag = tag(user);
    Activity { tag, id, at }
}

// T75
#[test]
fn a_crash_while_the_log_is_cleaned_loses_no_activity_and_brings_no_session_back() {
    let directory = tempfile::tempdir().unwrap();
    let (path, crashed) = (directory.path().join("one"), directory.path().join("two"));
    let (mut disk, mut expected, _) = open(&path);
    let mut random = random(11);
    let mut number = move |end| usize::try_from(random(end)).unwrap();
    let (mut ended, mut late) = (Vec::new(), 0);
    for step in 0..400_u16 {
        let at = NOW.plus(Duration::from_millis(step.into()));
        let mut group = Group::new(1);
        let first = number(24);
        for user in [first, (first + 7) % 24] {
            let user = u8::try_from(user).unwrap();
            let mut set = expected.remove(&[user; 12]).unwrap_or_default();
            let sessions = ids(&set);
            match (number(8), sessions.first()) {
                (0..6, Some(_)) => {
                    group.saw(&act(user, &mut set, number(9), at));
                    expected.insert([user; 12], set);
                    continue;
                }
                (6, Some(id)) => {
                    ended.push(act(user, &mut set.clone(), 0, at));
                    let end = End::new(tag(user), Which::One(*id), EndReason::Revoked);
                    set.end(&end, NOW, KEPT);
                }
                _ => set = more(user, Some(&set)),
            }
            // The set has this activity, or a later one.
            group.saw(&act(user, &mut more(user, Some(&set)), 0, NOW));
            let set = Some(set).filter(|set| !ids(set).is_empty());
            group.put(tag(user), set.as_ref(), Parts::Changed, true);
            expected.extend(set.map(|set| ([user; 12], set)));
        }
        // That of a session that has ended.
        if let Some(activity) = ended.pop_if(|_| number(2) == 0) {
            group.saw(&activity);
            late += 1;
        }
        write(&mut disk, group, &expected);
        fs::copy(&path, &crashed).unwrap();

        let (_, found, _) = open(&crashed);

        assert!(found == expected, "step {step}");
    }
    assert!(late > 10 && removed(disk.log()) > 100, "{late}");
}

#[test]
fn activity_takes_a_small_part_of_what_its_set_takes_and_goes_when_the_log_is_cleaned() {
    let directory = tempfile::tempdir().unwrap();
    let (mut disk, ..) = open(&directory.path().join("one"));
    let mut sets: Sets = (0..30).map(|user| ([user; 12], more(user, None))).collect();
    let mut all = Group::new(30);
    for (tag, set) in &sets {
        all.put(Tag::from_bytes(*tag), Some(set), Parts::Changed, true);
    }
    write(&mut disk, all, &sets);
    let before = disk.log().bytes;
    let mut longest = 0;
    for step in 0..3_000_u16 {
        let mut group = Group::new(0);
        let at = NOW.plus(Duration::from_millis(step.into()));
        for (tag, set) in &mut sets {
            group.saw(&act(tag[0], set, 0, at));
        }
        write(&mut disk, group, &sets);
        if step == 0 {
            let added = disk.log().bytes - before;
            assert_eq!(added, u64::from(room(8 + 30 * 36)));
        }
        longest = longest.max(disk.log().bytes);
    }

    assert!(removed(disk.log()) > 1_000);
    let most = disk.log().most(false) + 8 * 1_024 + journal::WAITING as u64;
    assert!(longest <= most, "{longest}, {most}");
}

#[test]
fn a_session_that_was_found_expired_stays_expired_whatever_activity_comes_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one");
    let (mut disk, mut sets, _) = open(&path);
    let token = Token::random(tag(1)).unwrap();
    let create = Create::new(&token, UserId::new("alice").ok(), Authenticated::At(NOW));
    let mut set = SessionSet::default();
    set.create(&create, NOW, KEPT);
    let late = act(1, &mut set, 0, NOW);
    let answer = set.resolve(&Resolve::new(token), NOW.plus(1_000 * DAY), KEPT);
    assert!(matches!(answer, Resolved::Expired(_)));
    let mut group = Group::new(1);
    group.put(tag(1), Some(&set), Parts::Changed, true);
    sets.insert([1; 12], set);
    write(&mut disk, group, &sets);

    let mut group = Group::new(0);
    group.saw(&late);
    write(&mut disk, group, &sets);
    drop(disk);

    assert!(open(&path).1 == sets);
}
