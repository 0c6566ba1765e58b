//! The contract of `SessionStore` as a second, very simple implementation. It forgets nothing and
//! searches everything on each question.

#![allow(dead_code, reason = "not every test needs all of it")]

mod session_set;
mod sign_in;
mod token;

use std::{collections::BTreeMap, time::Duration};

use tower_user_sessions::{
    Client, EndNotice, EndReason, SessionId, Timestamp,
    store::{
        Change, Changes, Create, Data, Deadlines, End, List, Look, NoteClient, Presence, Realm,
        Record, Resolve, Rotate, Salt, Save, Tag, Ticketed, Touch, Which,
    },
};

/// How long an end notice is kept in histories.
pub(crate) const NOTICE_KEPT: Duration = Duration::from_secs(30);

/// How long a given up id is remembered.
const TOMBSTONE_KEPT: Duration = Duration::from_secs(60);

/// How long a ticket is valid, and how many there are at most.
const TICKET_KEPT: Duration = Duration::from_secs(300);
const TICKETS: usize = 4;

const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many devices of a user are remembered at most.
const DEVICES: usize = 32;

/// How many sessions of other sets are remembered with their successors at most.
const MARKERS: usize = 8;

/// How long a sign-in that is sent again gives the same answer, with how many sessions at most; and for
/// how long an unused session has the place of any other.
const MADE_KEPT: Duration = Duration::from_secs(60);
const MADE: usize = 64;
const UNUSED_FOR: Duration = Duration::from_secs(20);

/// How long an unused guest session lives.
const UNUSED_GUEST: Duration = Duration::from_secs(900);

/// How many notices there are at most after a sign-in.
const NOTICES: usize = 64;

/// The session that causes an end, what is known of its client, and the call.
type Cause = (Option<SessionId>, Option<Client>, Option<[u8; 8]>);

pub(crate) type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// An answer of a store or the model, in a form that can be compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Live(Record, Contents, Timestamp),
    Notice(EndNotice),
    /// Also says whether this call ended the session.
    Reused(SessionId, bool),
    Unknown,
    Created {
        record: Record,
        data: Contents,
        evicted: Vec<Record>,
        replaced: Option<SessionId>,
        new_device: bool,
        now: Timestamp,
        cutoff: Option<Timestamp>,
    },
    AlreadyEnded,
    Disabled,
    LimitReached(Vec<Record>),
    NoTicket,
    TooLarge,
    Touched,
    Rejected,
    TooOld,
    Saved(u64),
    Shortened(u64, Duration, Timestamp),
    Conflict(u64, Contents),
    NotLive,
    Listed(Vec<Record>),
    Looked(Vec<Presence>, Timestamp),
    Noted(bool),
    Terms(Option<Vec<u8>>),
    Ended(
        Vec<SessionId>,
        Timestamp,
        Option<Timestamp>,
        Option<Contents>,
    ),
    CallerEnded,
    Rotated(Record),
    Took(Salt),
    Kept,
}

pub(crate) fn contents(data: &Data) -> Contents {
    data.iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect()
}

pub(crate) fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(|record| record.id.to_string());
    records
}

/// A session in any state, or an id that was given up.
#[derive(Clone)]
struct Known {
    id: SessionId,
    state: State,
}

#[derive(Clone)]
enum State {
    Begun(Record, Contents),
    Ended(EndNotice),
    /// The session and its notice are removed.
    Dropped,
}

#[derive(Clone, Default)]
pub(crate) struct Model {
    sets: BTreeMap<[u8; 12], SessionSet>,
    /// The latest moment at which anything expired. The clock must not step back behind it, because
    /// a store may or may not have removed it by then.
    pub(crate) floor: Option<Timestamp>,
}

#[derive(Clone, Default)]
struct SessionSet {
    known: Vec<Known>,
    cutoff: Option<Timestamp>,
    /// The call that set it, and the one before that.
    cut_by: Option<([u8; 8], Option<Timestamp>)>,
    /// The user cannot sign in before this moment.
    barred: Option<Timestamp>,
    tickets: Vec<Ticket>,
    /// With the moment up to which all of them are remembered.
    devices: (Vec<[u8; 12]>, Option<Timestamp>),
    made: Vec<Made>,
}

/// What a sign-in ended and replaced, whether its device was new, and until when that is remembered.
#[derive(Clone)]
struct Made {
    id: SessionId,
    evicted: Vec<Record>,
    replaced: Option<SessionId>,
    new_device: bool,
    until: Timestamp,
}

#[derive(Clone)]
struct Ticket {
    ticket: Ticketed,
    realm: Realm,
    terms: Vec<u8>,
    proven: Timestamp,
    until: Timestamp,
}

impl Model {
    fn set(&mut self, tag: Tag) -> &mut SessionSet {
        self.sets.entry(*tag.as_bytes()).or_default()
    }

    /// Records what has expired by now.
    pub(crate) fn look_at_the_clock(&mut self, now: Timestamp) {
        let ends = self
            .sets
            .values()
            .flat_map(|set| &set.known)
            .filter_map(|known| match &known.state {
                State::Begun(record, _) => Some(record.idle_expires_at()),
                State::Ended(notice) => Some(notice.kept_until),
                State::Dropped => None,
            });
        let others = self.sets.values().flat_map(|set| {
            let tickets = set.tickets.iter().map(|it| it.until);
            let made = set.made.iter().map(|made| made.until);
            tickets.chain(made).chain(set.barred).chain(set.devices.1)
        });
        let passed = ends.chain(others).filter(|end| *end <= now).max();
        self.floor = self.floor.max(passed);
    }

    /// Whether this id was known and has expired.
    pub(crate) fn has_passed(&mut self, tag: Tag, id: SessionId, now: Timestamp) -> bool {
        let known = self.set(tag).known.iter().find(|known| known.id == id);
        known.is_some_and(|known| match &known.state {
            State::Begun(record, _) => !record.is_live(now, None),
            State::Ended(notice) => now >= notice.kept_until,
            State::Dropped => true,
        })
    }

    pub(crate) fn revision(&mut self, tag: Tag, id: SessionId, now: Timestamp) -> Option<u64> {
        Some(self.set(tag).live(id, now, None)?.0.revision)
    }

    pub(crate) fn resolve(&mut self, ask: &Resolve, now: Timestamp) -> Answer {
        self.set(ask.token.tag()).resolve(ask, now)
    }

    pub(crate) fn create(&mut self, ask: &Create, now: Timestamp) -> Answer {
        self.set(ask.tag).create(ask, now)
    }

    pub(crate) fn rotate(&mut self, ask: &Rotate, now: Timestamp) -> Answer {
        self.set(ask.tag).rotate(ask, now)
    }

    pub(crate) fn save(&mut self, ask: &Save, now: Timestamp) -> Answer {
        let Some((record, data)) = self.set(ask.tag).live(ask.id, now, ask.not_before) else {
            return Answer::NotLive;
        };
        if ask
            .expect
            .is_some_and(|expected| expected != record.revision)
        {
            return Answer::Conflict(record.revision, data.clone());
        }
        let mut merged = data.clone();
        merge(&mut merged, &ask.changes);
        if size(&merged) > ask.data_limit.max(size(data)) {
            return Answer::TooLarge;
        }
        if !ask.changes.is_empty() || ask.shorten.is_none() {
            *data = merged;
            record.revision += 1;
        }
        let Some(to) = ask.shorten else {
            return Answer::Saved(record.revision);
        };
        *record = record.clone().shortened(to, now);
        let answer = Answer::Shortened(record.revision, record.idle, record.deadline);
        // It may be over by this.
        self.look_at_the_clock(now);
        answer
    }

    /// The live session with this id.
    pub(crate) fn record(&mut self, tag: Tag, id: SessionId, now: Timestamp) -> Option<Record> {
        Some(self.set(tag).live(id, now, None)?.0.clone())
    }

    pub(crate) fn note_client(&mut self, ask: &NoteClient, now: Timestamp) -> Answer {
        let Some((record, _)) = self.set(ask.tag).live(ask.record.id, now, ask.not_before) else {
            return Answer::Noted(false);
        };
        let as_long = record.shortened_to() == ask.record.shortened_to();
        let again = as_long && record.last_seen() == Some(&ask.last_seen);
        let read = as_long && record.last_seen() == ask.record.last_seen();
        if read {
            *record = record.clone().with_last_seen(ask.last_seen.clone());
        }
        Answer::Noted(read || again)
    }

    pub(crate) fn look(&mut self, ask: &Look, now: Timestamp) -> Answer {
        let set = self.set(ask.tag);
        let presence = |id: &SessionId| match set.live(*id, now, None) {
            Some((record, _)) => {
                let over = ask.not_before.filter(|moment| record.began_at() < *moment);
                over.map_or_else(
                    || Presence::Live(Deadlines::of(record)),
                    |moment| {
                        let (digest, until) = (record.digest, record.deadline);
                        let why = EndReason::Everyone;
                        Presence::Ended(EndNotice::new(digest, why, moment, None, until))
                    },
                )
            }
            None => set
                .notice(*id, now)
                .filter(|notice| notice.reason != EndReason::Undelivered)
                .map_or(Presence::Unknown, Presence::Ended),
        };
        Answer::Looked(ask.ids.iter().map(presence).collect(), now)
    }

    pub(crate) fn touch(&mut self, ask: &Touch, now: Timestamp) -> Answer {
        if let Some((record, _)) = self.set(ask.tag).live(ask.id, now, ask.not_before) {
            record.last_activity = record.last_activity.max(now.minus(ask.age));
        }
        Answer::Touched
    }

    pub(crate) fn list(&mut self, ask: &List, now: Timestamp) -> Answer {
        let mut live = self.set(ask.tag).all_live(now, ask.not_before);
        live.retain(|record| ask.within.is_none_or(|realm| record.is_in(realm)));
        Answer::Listed(sorted(live))
    }

    pub(crate) fn ticket(&mut self, tag: Tag, ticket: Ticketed, now: Timestamp) -> Answer {
        let found = self.set(tag).good_ticket(ticket, now);
        Answer::Terms(found.map(|it| it.terms.clone()))
    }

    pub(crate) fn end(&mut self, ask: &End, now: Timestamp) -> Answer {
        let set = self.set(ask.tag);
        let before = set.ended_by(ask.call, now);
        let mut calls = |id| set.live(id, now, ask.not_before).is_some() || before.contains(&id);
        if ask.caller.is_some_and(|id| !calls(id)) {
            return Answer::CallerEnded;
        }
        let keep = match ask.which {
            Which::One(id) => return set.end_one(id, ask, now),
            Which::Others(keep) => Some(keep),
            Which::All => None,
        };
        let mut ended = set.all_live(now, None);
        ended.retain(|record| Some(record.id) != keep && (record.counts || !ask.spare_uncounted));
        let by = set.causing(ask.by, Some(ask.call), now);
        for record in &ended {
            set.ends(record.id, ask.reason, &by, now);
        }
        let counts = |cutoff: Option<Timestamp>| cutoff.filter(|cutoff| now < cutoff.plus(DAY));
        let last = counts(set.cutoff);
        let own = set
            .cut_by
            .filter(|(call, _)| last.is_some() && *call == ask.call);
        let (earlier, pause) =
            own.map_or((last, MS), |(_, before)| (counts(before), Duration::ZERO));
        let cutoff = last.map_or(now, |last| now.max(last.plus(pause)));
        (set.cutoff, set.cut_by) = (Some(cutoff), Some((ask.call, earlier)));
        if let Some(bar) = ask.bar {
            set.barred = (!bar.is_zero()).then(|| now.plus(bar));
        }
        let mut ids: Vec<SessionId> = ended.iter().map(|record| record.id).collect();
        ids.extend(before);
        ids.sort();
        Answer::Ended(ids, cutoff, earlier, None)
    }
}

fn merge(data: &mut Contents, changes: &Changes) {
    for key in ["a", "b", "c"] {
        match changes.get(key) {
            Some(Change::Set(value)) => {
                data.insert(key.into(), value.to_vec());
            }
            Some(Change::Remove) => {
                data.remove(key.as_bytes());
            }
            None => {}
        }
    }
}

/// Size against the data limit: six bytes of lengths, and the bytes of each entry.
fn size(data: &Contents) -> usize {
    data.iter()
        .map(|(key, value)| 6 + key.len() + value.len())
        .sum()
}
