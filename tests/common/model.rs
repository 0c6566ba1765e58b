//! The contract of `SessionStore`, told once more in the plainest way: nothing is ever forgotten,
//! and every question looks at everything.

use std::{collections::BTreeMap, time::Duration};

use tower_user_sessions::{
    Client, EndNotice, EndReason, Excess, SessionId, Timestamp,
    store::{
        Authenticated, Change, Changes, Create, Data, Digest, End, List, Record, Resolve, Save,
        Tag, Which,
    },
};

/// How long an end notice is kept in histories.
pub(crate) const NOTICE_KEPT: Duration = Duration::from_secs(30);

/// How long what was given up before it was made is remembered.
const TOMBSTONE_KEPT: Duration = Duration::from_secs(60);

/// The most sessions elsewhere whose successors are remembered.
const MARKERS: usize = 8;

/// The session that causes an end, and what is known of its client.
type Cause = (Option<SessionId>, Option<Client>);

pub(crate) type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a store or the model answers, in a form that can be compared.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Live(Record, Contents, Timestamp),
    Notice(EndNotice),
    Unknown,
    Created {
        record: Record,
        data: Contents,
        evicted: Vec<Record>,
        now: Timestamp,
        cut: Option<Timestamp>,
    },
    AlreadyEnded,
    LimitReached(Vec<Record>),
    TooLarge,
    Void,
    Saved(u64),
    Conflict(u64, Contents),
    NotLive,
    Listed(Vec<Record>),
    Ended(usize, Timestamp, Option<Contents>),
    CallerEnded,
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

/// A session of whatever state, or an id that was given up.
struct Known {
    id: SessionId,
    state: State,
}

enum State {
    Begun(Record, Contents),
    Ended(EndNotice),
    /// Nothing is left of it.
    Dropped,
}

#[derive(Default)]
pub(crate) struct Model {
    corners: BTreeMap<[u8; 12], Corner>,
    /// The latest end of anything that has passed: the clock must not step back behind it, for
    /// whether a store has dropped it by then is its own affair.
    pub(crate) floor: Option<Timestamp>,
}

#[derive(Default)]
struct Corner {
    known: Vec<Known>,
    cut: Option<Timestamp>,
}

impl Model {
    fn corner(&mut self, tag: Tag) -> &mut Corner {
        self.corners.entry(*tag.as_bytes()).or_default()
    }

    /// Notes what has passed by now.
    pub(crate) fn look_at_the_clock(&mut self, now: Timestamp) {
        let ends = self
            .corners
            .values()
            .flat_map(|corner| &corner.known)
            .filter_map(|known| match &known.state {
                State::Begun(record, _) => Some(record.expires_at()),
                State::Ended(notice) => Some(notice.kept_until),
                State::Dropped => None,
            });
        let passed = ends.filter(|end| *end <= now).max();
        self.floor = self.floor.max(passed);
    }

    /// Whether something was known of this id and its time has passed.
    pub(crate) fn has_passed(&mut self, tag: Tag, id: SessionId, now: Timestamp) -> bool {
        let known = self.corner(tag).known.iter().find(|known| known.id == id);
        known.is_some_and(|known| match &known.state {
            State::Begun(record, _) => !record.is_live(now, None),
            State::Ended(notice) => now >= notice.kept_until,
            State::Dropped => true,
        })
    }

    pub(crate) fn revision(&mut self, tag: Tag, id: SessionId, now: Timestamp) -> Option<u64> {
        Some(self.corner(tag).live(id, now)?.0.revision)
    }

    pub(crate) fn resolve(&mut self, ask: &Resolve, now: Timestamp) -> Answer {
        let (id, digest) = (ask.token.session_id(), ask.token.digest());
        let corner = self.corner(ask.token.tag());
        if let Some((record, data)) = corner.live(id, now)
            && record.digest == digest
        {
            if ask.activity && now > record.last_activity {
                record.last_activity = now;
            }
            return Answer::Live(record.clone(), data.clone(), now);
        }
        match corner.notice(id, now) {
            Some(notice) if notice.digest == digest => Answer::Notice(notice),
            _ => Answer::Unknown,
        }
    }

    pub(crate) fn create(&mut self, ask: &Create, now: Timestamp) -> Answer {
        let corner = self.corner(ask.tag);
        let Authenticated::At(at) = ask.authenticated else {
            panic!("histories name moments");
        };
        let cut = corner.cut;
        if corner.known.iter().any(|known| known.id == ask.id) {
            return match corner.live(ask.id, now) {
                Some((record, data)) if record.digest == ask.digest => Answer::Created {
                    record: record.clone(),
                    data: data.clone(),
                    evicted: Vec::new(),
                    now,
                    cut,
                },
                _ => Answer::AlreadyEnded,
            };
        }
        if let (Some(cut), Some(_)) = (cut, &ask.user) {
            corner.cut = Some(cut.min(now));
            if cut > now || at <= cut {
                return Answer::Void;
            }
        }

        let replaced = ask.replaces.and_then(|id| corner.successor(id, now));
        let mut rivals: Vec<Record> = corner
            .all_live(now)
            .into_iter()
            .filter(|record| Some(record.id) != replaced)
            .collect();
        rivals.sort_by_key(|r| (r.last_activity, r.created_at, r.id.to_string()));
        let most = usize::from(ask.limit.sessions());
        if ask.user.is_some() && ask.limit.excess() == Excess::Refuse && rivals.len() >= most {
            return Answer::LimitReached(sorted(rivals));
        }
        let mut data = match replaced.and_then(|id| corner.live(id, now)) {
            Some((_, data)) => data.clone(),
            None => Contents::new(),
        };
        merge(&mut data, &ask.changes);
        if size(&data) > ask.data_limit {
            return Answer::TooLarge;
        }

        let (user, client) = (ask.user.clone(), ask.client.clone());
        let mut record = Record::new(ask.id, ask.digest, user, client, ask.lifetime, now);
        record.authenticated_at = if at > now { now } else { at };
        let by = (Some(ask.id), Some(record.client().clone()));
        if let Some(id) = replaced {
            corner.ends(id, EndReason::Replaced, &by, now);
        } else if let Some(id) = ask.replaces
            && corner.notice(id, now).is_none()
        {
            corner.mark(id, EndReason::Replaced, Some(ask.id), now);
        }
        let excess = match ask.user {
            Some(_) => (rivals.len() + 1).saturating_sub(most),
            None => 0,
        };
        let evicted = rivals[..excess].to_vec();
        for record in &evicted {
            corner.ends(record.id, EndReason::Evicted, &by, now);
        }
        let nobody = |notice: &EndNotice| notice.digest == Digest::from_bytes([0; 32]);
        corner.keep_the_newest(most, now, replaced, |notice| !nobody(notice));
        corner.keep_the_newest(MARKERS, now, None, |notice| {
            nobody(notice) && notice.reason == EndReason::Replaced
        });
        corner.known.push(Known {
            id: ask.id,
            state: State::Begun(record.clone(), data.clone()),
        });
        Answer::Created {
            record,
            data,
            evicted,
            now,
            cut,
        }
    }

    pub(crate) fn save(&mut self, ask: &Save, now: Timestamp) -> Answer {
        let Some((record, data)) = self.corner(ask.tag).live(ask.id, now) else {
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
        if size(&merged) > ask.data_limit {
            return Answer::TooLarge;
        }
        *data = merged;
        record.revision += 1;
        Answer::Saved(record.revision)
    }

    pub(crate) fn list(&mut self, ask: &List, now: Timestamp) -> Answer {
        Answer::Listed(sorted(self.corner(ask.tag).all_live(now)))
    }

    /// Nothing is left of sessions that began earlier.
    pub(crate) fn forget_before(&mut self, moment: Timestamp) {
        for known in self
            .corners
            .values_mut()
            .flat_map(|corner| &mut corner.known)
        {
            if matches!(&known.state, State::Begun(record, _) if record.created_at < moment) {
                known.state = State::Dropped;
            }
        }
    }

    pub(crate) fn end(&mut self, ask: &End, now: Timestamp) -> Answer {
        let corner = self.corner(ask.tag);
        if ask.caller.is_some_and(|id| corner.live(id, now).is_none()) {
            return Answer::CallerEnded;
        }
        let keep = match ask.which {
            Which::One(id) => return corner.end_one(id, ask, now),
            Which::Others(keep) => Some(keep),
            Which::All => None,
        };
        let mut ended = corner.all_live(now);
        ended.retain(|record| Some(record.id) != keep);
        let by = corner.causing(ask.by, now);
        for record in &ended {
            corner.ends(record.id, ask.reason, &by, now);
        }
        corner.cut = Some(now);
        Answer::Ended(ended.len(), now, None)
    }
}

impl Corner {
    fn live(&mut self, id: SessionId, now: Timestamp) -> Option<(&mut Record, &mut Contents)> {
        self.known
            .iter_mut()
            .find_map(|known| match &mut known.state {
                State::Begun(record, data)
                    if known.id == id
                        && now < record.deadline
                        && now < record.last_activity.plus(record.idle) =>
                {
                    Some((record, data))
                }
                _ => None,
            })
    }

    fn all_live(&mut self, now: Timestamp) -> Vec<Record> {
        let ids: Vec<SessionId> = self.known.iter().map(|known| known.id).collect();
        ids.into_iter()
            .filter_map(|id| self.live(id, now).map(|(record, _)| record.clone()))
            .collect()
    }

    fn notice(&self, id: SessionId, now: Timestamp) -> Option<EndNotice> {
        self.known.iter().find_map(|known| match &known.state {
            State::Ended(notice) if known.id == id && now < notice.kept_until => {
                Some(notice.clone())
            }
            _ => None,
        })
    }

    /// The live session that this one is, or that took its place.
    fn successor(&mut self, mut id: SessionId, now: Timestamp) -> Option<SessionId> {
        while self.live(id, now).is_none() {
            let notice = self.notice(id, now)?;
            if notice.reason != EndReason::Replaced {
                return None;
            }
            id = notice.by?;
        }
        Some(id)
    }

    /// A session that causes an end, and its client while it is live.
    fn causing(&mut self, by: Option<SessionId>, now: Timestamp) -> Cause {
        let live = by.and_then(|by| self.live(by, now));
        (by, live.map(|(record, _)| record.client().clone()))
    }

    fn becomes(&mut self, id: SessionId, state: State) {
        match self.known.iter_mut().find(|known| known.id == id) {
            Some(known) => known.state = state,
            None => self.known.push(Known { id, state }),
        }
    }

    fn ends(&mut self, id: SessionId, why: EndReason, (by, client): &Cause, now: Timestamp) {
        if let Some((record, _)) = self.live(id, now) {
            let until = now.plus(NOTICE_KEPT);
            let mut notice = EndNotice::new(record.digest, why, now, *by, until);
            notice.by_client = client.clone().map(Box::new);
            self.becomes(id, State::Ended(notice));
        }
    }

    /// Leaves a notice that no token opens.
    fn mark(&mut self, id: SessionId, why: EndReason, by: Option<SessionId>, now: Timestamp) {
        let (nobody, until) = (Digest::from_bytes([0; 32]), now.plus(TOMBSTONE_KEPT));
        let notice = EndNotice::new(nobody, why, now, by, until);
        self.becomes(id, State::Ended(notice));
    }

    fn end_one(&mut self, id: SessionId, ask: &End, now: Timestamp) -> Answer {
        if let Some((record, data)) = self.live(id, now) {
            let moved = ask.read_at.is_some_and(|read| read != record.revision);
            let data = moved.then(|| data.clone());
            let by = self.causing(ask.by, now);
            self.ends(id, ask.reason, &by, now);
            return Answer::Ended(1, now, data);
        }
        if self.notice(id, now).is_some() {
            return Answer::Ended(0, now, None);
        }
        if ask.reason == EndReason::Undelivered {
            self.mark(id, ask.reason, None, now);
        }
        Answer::Unknown
    }

    fn keep_the_newest(
        &mut self,
        most: usize,
        now: Timestamp,
        last: Option<SessionId>,
        which: impl Fn(&EndNotice) -> bool,
    ) {
        let mut notices: Vec<(Timestamp, bool, String, SessionId)> = self
            .known
            .iter()
            .filter_map(|known| self.notice(known.id, now).map(|notice| (known.id, notice)))
            .filter(|(_, notice)| which(notice))
            .map(|(id, notice)| (notice.ended_at, Some(id) == last, id.to_string(), id))
            .collect();
        notices.sort();
        let old = notices.len().saturating_sub(most);
        for (.., id) in &notices[..old] {
            self.becomes(*id, State::Dropped);
        }
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

/// As it counts against the limit: six bytes and its own for each entry.
fn size(data: &Contents) -> usize {
    data.iter()
        .map(|(key, value)| 6 + key.len() + value.len())
        .sum()
}
