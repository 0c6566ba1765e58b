//! One session set: everything that the store keeps about one user or one guest session.
//!
//! `redis/lua/*.lua` has the same rules. A test compares the two with random histories.

mod admit;
#[cfg(feature = "file")]
mod catch_up;
mod client;
mod codec;
mod data;
mod end;
mod look;
mod part;
mod places;
mod room;
#[cfg(feature = "file")]
mod seen;
mod since;
#[cfg(test)]
mod tests;
mod token;

use std::{fmt, sync::Arc, time::Duration};

pub(super) use self::since::Changed;
use self::{admit::Ticket, room::Devices};
use crate::{
    model::{Client, Data, Digest, EndNotice, EndReason, Realm, Record, SessionId, Timestamp},
    store::{CUTOFF_KEPT, List, NOTICE_KEPT, TOMBSTONE_KEPT},
};

/// The digest of notices that no token can read.
const NOBODY: Digest = Digest::from_bytes([0; 32]);

/// How long a `create` that is sent again gives the same answer.
const MADE_KEPT: Duration = Duration::from_secs(60);

/// Everything that a store keeps about one user, or about one guest session, with the rules of the
/// [contract](super::SessionStore#contract).
///
/// You need it only to write a store that has no use for [`SetStore`](super::SetStore). Each method is one operation
/// of [`SessionStore`](super::SessionStore). Its outcome depends on the set, the arguments and `now`, and on nothing
/// else. To run one, read the set of the tag, call the method, and write the set if nobody else did since. A tag without
/// a set has an empty one.
///
/// [`encode`](Self::encode) writes everything but the app's data, which each session has in a
/// [part](Self::encode_part) of its own. After a [`create`](Self::create) and a [`save`](Self::save) write the part of that
/// session. Remove the parts of sessions that have [none](Self::has_part) any more: any operation can end sessions.
///
/// ```
/// use std::time::Duration;
/// use tower_user_sessions::store::{
///     Arrival, Authenticated, Create, Created, Resolve, Resolved, SessionSet, Tag, Timestamp, Token,
/// };
///
/// let (now, hour) = (Timestamp::from_millis(0), Duration::from_secs(3_600));
/// let token = Token::random(Tag::random()?)?;
/// let create = Create::new(&token, None, Authenticated::On(Arrival::now()));
///
/// let mut set = SessionSet::default();
/// assert!(matches!(set.create(&create, now, hour), Created::Created(_)));
/// let stored = set.encode()?;
///
/// let mut set = SessionSet::decode(&stored)?;
/// assert!(matches!(set.resolve(&Resolve::new(token), now, hour), Resolved::Live(_)));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
// Most users have one session and nothing else, so what is rare is in a box.
#[derive(Clone, Default, PartialEq)]
pub struct SessionSet {
    live: Vec<Live>,
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Default, PartialEq)]
struct Rare {
    notices: Vec<(SessionId, EndNotice)>,
    cutoff: Option<Cutoff>,
    /// The user is disabled until this moment.
    barred: Option<Timestamp>,
    tickets: Vec<Ticket>,
    devices: Devices,
}

/// The moment of an end of all sessions.
#[derive(Clone, Copy, PartialEq)]
struct Cutoff {
    at: Timestamp,
    /// `None` if it was moved since.
    set_by: Option<SetBy>,
}

/// The call that set a cutoff. If its reply is lost, it is sent again.
#[derive(Clone, Copy, PartialEq)]
struct SetBy {
    call: [u8; 8],
    /// The cutoff before that.
    before: Option<Timestamp>,
}

#[derive(Clone, PartialEq)]
struct Live {
    record: Record,
    more: Option<Box<More>>,
}

/// What few sessions have.
#[derive(Clone, Default, PartialEq)]
struct More {
    data: Part,
    /// What its `create` returned, until a request sends its token.
    // Shared, because operations run on copies of the set.
    made: Option<Arc<Made>>,
}

/// The data of a session.
#[derive(Clone, PartialEq)]
enum Part {
    Here(Data),
    /// There is some, and it was not read.
    Away,
}

/// What a `create` returned beside its session, so that it can return it again.
#[derive(Clone, PartialEq)]
struct Made {
    evicted: Vec<Record>,
    replaced: Option<SessionId>,
    new_device: bool,
}

/// What the end notice of a session says.
struct Cause {
    reason: EndReason,
    by: Option<SessionId>,
    /// The client of the session that causes the end.
    client: Option<Client>,
    /// The call that ends it, if it is no `create`.
    call: Option<[u8; 8]>,
    kept: Duration,
}

static NOTHING: Rare = Rare {
    notices: Vec::new(),
    cutoff: None,
    barred: None,
    tickets: Vec::new(),
    devices: Devices::NONE,
};

impl Cutoff {
    /// Whether it is not too old to count.
    fn counts(self, now: Timestamp) -> bool {
        now < self.at.plus(CUTOFF_KEPT)
    }
}

impl Rare {
    fn is_empty(&self) -> bool {
        self.notices.is_empty()
            && self.cutoff.is_none()
            && self.barred.is_none()
            && self.tickets.is_empty()
            && self.devices.kept_until().is_none()
    }
}

impl SessionSet {
    fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(&NOTHING)
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Adds a session. Room is made for few more at a time, because most users have one.
    fn add(&mut self, live: Live) {
        if self.live.len() == self.live.capacity() {
            self.live.reserve_exact(1 + self.live.len() / 8);
        }
        self.live.push(live);
    }

    /// Until when any of it is needed. Then the stored set may be deleted. `None` if it is empty.
    #[must_use]
    pub fn kept_until(&self) -> Option<Timestamp> {
        let live = self
            .live
            .iter()
            .map(|Live { record, .. }| match record.user_id() {
                // For a while, a user's browser gets the reason.
                Some(_) => record.expires_at().plus(NOTICE_KEPT),
                None => record.idle_expires_at(),
            });
        let rare = self.rare();
        let notices = rare.notices.iter().map(|(_, notice)| notice.kept_until);
        let cutoff = rare.cutoff.map(|cutoff| cutoff.at.plus(CUTOFF_KEPT));
        let tickets = rare.tickets.iter().map(|ticket| ticket.until);
        live.chain(notices)
            .chain(cutoff)
            .chain(rare.barred)
            .chain(tickets)
            .chain(rare.devices.kept_until())
            .max()
    }

    /// Runs [`list`](super::SessionStore::list).
    pub fn list(&mut self, list: &List, now: Timestamp) -> Vec<Record> {
        // Those that ended with all others stay: their browsers get the reason.
        self.purge(now);
        let live = self.live.iter().map(|live| &live.record);
        live.filter(|record| record.is_live(now, list.not_before))
            .filter(|record| list.within.is_none_or(|realm| record.is_in(realm)))
            .cloned()
            .collect()
    }

    fn note(&mut self, record: &Record, cause: &Cause, now: Timestamp) {
        let until = now.plus(cause.kept);
        let mut notice = EndNotice::new(record.digest, cause.reason, now, cause.by, until);
        notice.by_client = cause.client.clone().map(Box::new);
        notice.call = cause.call;
        notice.previous = match record.rotation.as_deref() {
            Some(rotation) if rotation.is_unused() => {
                rotation.previous[0].map(|previous| previous.digest)
            }
            _ => None,
        };
        self.rare_mut().notices.push((record.id, notice));
    }

    /// A notice that no token can read, for a minute.
    fn mark(&mut self, id: SessionId, reason: EndReason, by: Option<SessionId>, now: Timestamp) {
        let until = now.plus(TOMBSTONE_KEPT);
        let notice = EndNotice::new(NOBODY, reason, now, by, until);
        self.rare_mut().notices.push((id, notice));
    }

    fn notice(&self, id: SessionId, now: Timestamp) -> Option<&EndNotice> {
        self.rare()
            .notices
            .iter()
            .find_map(|(of, notice)| (*of == id && now < notice.kept_until).then_some(notice))
    }

    /// Whether this is no live session of another realm.
    fn is_within(&self, id: SessionId, realm: Option<Realm>) -> bool {
        self.find(id)
            .zip(realm)
            .is_none_or(|(live, realm)| live.record.is_in(realm))
    }

    /// The session with this id, also if its time is over.
    fn find(&self, id: SessionId) -> Option<&Live> {
        self.live.iter().find(|live| live.record.id == id)
    }

    fn live_mut(
        &mut self,
        id: SessionId,
        now: Timestamp,
        not_before: Option<Timestamp>,
    ) -> Option<&mut Live> {
        self.live
            .iter_mut()
            .find(|live| live.record.id == id && live.record.is_live(now, not_before))
    }

    /// Drops everything whose time is over.
    fn purge(&mut self, now: Timestamp) {
        self.live.retain(|live| live.record.is_live(now, None));
        for live in &mut self.live {
            if live.more.is_some() && now.since(live.record.created_at) >= MADE_KEPT {
                live.forget_made();
            }
        }
        if self.live.capacity() > 2 * self.live.len() + 8 {
            self.live.shrink_to_fit();
        }
        if let Some(rare) = &mut self.rare {
            rare.notices.retain(|(_, notice)| now < notice.kept_until);
            rare.cutoff = rare.cutoff.filter(|cutoff| cutoff.counts(now));
            rare.barred = rare.barred.filter(|until| now < *until);
            rare.tickets.retain(|ticket| now < ticket.until);
            rare.devices.purge(now);
            if rare.is_empty() {
                self.rare = None;
            }
        }
    }
}

/// Prints no ids and no personal data.
impl fmt::Debug for SessionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSet")
            .field("live", &self.live.len())
            .field("notices", &self.rare().notices.len())
            .finish_non_exhaustive()
    }
}
