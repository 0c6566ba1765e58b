//! The arguments and the outcome of [`create`](crate::store::SessionStore::create).

use std::time::Duration;

use super::Authenticated;
use crate::model::{
    Arrival, Changes, Client, ClientClass, Data, Digest, Era, Lifetime, Limit, Proof, Realm,
    Record, SessionId, Tag, Timestamp, Token, UserId,
};

/// The arguments of [`create`](crate::store::SessionStore::create): a new session.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Create {
    /// The session set that it belongs to.
    pub tag: Tag,
    /// The realm that it is for. The limit counts the sessions of this realm.
    pub realm: Realm,
    /// The id of the new session.
    pub id: SessionId,
    /// Digest of its token.
    pub digest: Digest,
    /// The user; `None` for a guest session, which has no limit and no cutoff.
    pub user: Option<UserId>,
    /// The client: address, user agent and hints.
    pub client: Client,
    /// How long the session lives.
    pub lifetime: Lifetime,
    /// When the user authenticated.
    pub authenticated: Authenticated,
    /// With [`Authenticated::After`]: when the user authenticated, if not on this request. It is compared with no
    /// cutoff. The session gets it as [`Record::authenticated_at`].
    pub since: Option<Timestamp>,
    /// How the user authenticated.
    pub proof: Proof,
    /// Whether the browser keeps the cookie of the session when it closes; see [`Record::with_persistent`].
    pub persistent: bool,
    /// How many sessions the user may have, and what happens beyond that.
    pub limit: Limit,
    /// The class of the client, which may have its own limit.
    pub class: ClientClass,
    /// Whether the session counts for the limit. A user has at most [`UNCOUNTED_MAX`] that do not.
    pub counts: bool,
    /// The session whose token the request sent. If it is in this session set, it ends first and the new
    /// session gets its data. If it was replaced before, the session that replaced it ends instead.
    pub replaces: Option<SessionId>,
    /// The ticket to keep if the limit refuses this sign-in.
    pub offer: Option<Offer>,
    /// The ticket of an earlier refusal, and the session to end for it.
    pub redeem: Option<Redeem>,
    /// The device that signs in, and how long it is remembered.
    pub device: Option<SeenDevice>,
    /// The data of the session, or the changes to the data of the session that it replaces.
    pub changes: Changes,
    /// The most bytes that the data may grow to.
    pub data_limit: usize,
    /// Sessions that [began](Record::began_at) earlier are not live and do not count. A sign-in that was
    /// authenticated earlier is rejected.
    pub not_before: Option<Timestamp>,
    /// The request arrived after this moment, whatever the store's clock says. So the session begins then at the
    /// earliest: a clock that is behind makes no session that ended before it began. The session is of the era of this moment or of
    /// `not_before`, whichever is later.
    pub arrived_after: Option<Timestamp>,
    /// When the request arrived. An [`Authenticated::At`] that is later counts as [`Authenticated::On`] this arrival.
    /// `None` compares it with nothing.
    pub arrival: Option<Arrival>,
}

impl Create {
    /// A session with this token in no realm, and defaults for the rest: at most 100 sessions, 64 KiB of data.
    #[must_use]
    pub fn new(token: &Token, user: Option<UserId>, authenticated: Authenticated) -> Self {
        Self::made(token, Realm::NONE, user, authenticated)
    }

    /// The same in a realm.
    #[must_use]
    pub fn within(mut self, token: &Token, realm: Realm) -> Self {
        self.digest = token.digest_in(realm);
        self.realm = realm;
        self
    }

    /// As [`new`](Self::new) and then [`within`](Self::within), which compute a digest each.
    pub(crate) fn made(
        token: &Token,
        realm: Realm,
        user: Option<UserId>,
        authenticated: Authenticated,
    ) -> Self {
        Self {
            tag: token.tag(),
            realm,
            id: token.session_id(),
            digest: token.digest_in(realm),
            user,
            client: Client::default(),
            lifetime: Lifetime::default(),
            authenticated,
            since: None,
            proof: Proof::default(),
            persistent: true,
            limit: Limit::default(),
            class: ClientClass::default(),
            counts: true,
            replaces: None,
            offer: None,
            redeem: None,
            device: None,
            changes: Changes::default(),
            data_limit: 64 * 1024,
            not_before: None,
            arrived_after: None,
            arrival: None,
        }
    }

    /// The era in which the session begins: that of the moment before which all sessions ended.
    pub(crate) fn era(&self) -> Era {
        let moment = self.not_before.max(self.arrived_after);
        moment.map_or_else(Era::default, Timestamp::era)
    }

    /// The time of `arrived_after`. One of an earlier era says nothing about this one.
    fn arrived_after(&self) -> Option<Timestamp> {
        let moment = self.arrived_after.filter(|it| it.era() == self.era());
        moment.map(Timestamp::time)
    }

    /// When the session begins, in its era.
    pub(crate) fn began(&self, now: Timestamp) -> Timestamp {
        self.arrived_after().map_or(now, |moment| now.max(moment))
    }

    /// When the user authenticated: on arrival at the latest, even if the clock of the one who says so is ahead.
    pub(crate) fn proof_at(&self, now: Timestamp) -> Authenticated {
        match (self.authenticated, self.arrival) {
            (Authenticated::At(moment), Some(arrival)) if moment > now.minus(arrival.age()) => {
                Authenticated::On(arrival)
            }
            (authenticated, _) => authenticated,
        }
    }

    /// When the user authenticated, in a sign-in that did so.
    pub(crate) fn proven(&self, authenticated: Authenticated, now: Timestamp) -> Timestamp {
        let proven = authenticated.counted_back(now);
        let proven = match (authenticated, self.arrived_after()) {
            (Authenticated::At(_), _) | (_, None) => proven,
            (_, Some(moment)) => proven.max(moment),
        };
        let proven = match (authenticated, self.since) {
            (Authenticated::After(_), Some(since)) => proven.min(since),
            _ => proven,
        };
        // A sign-in in the same millisecond as the cutoff of its own request is ahead of now.
        proven.min(self.began(now))
    }

    /// As [`Record::of`], with this client.
    pub(crate) fn record(&self, client: Client, now: Timestamp) -> Record {
        let mut record = Record::new(
            self.id,
            self.digest,
            self.user.clone(),
            client,
            self.lifetime,
            now,
        )
        .with_era(self.era())
        .with_realm(self.realm)
        .with_proof(self.proof.clone())
        .with_persistent(self.persistent);
        record.created_at = self.began(now);
        record.authenticated_at = self.proven(self.proof_at(now), now);
        record.counts = self.counts;
        if self.counts {
            record.class = self.class;
        }
        record
    }
}

impl Record {
    /// The record of the session that a `create` at `now` makes.
    ///
    /// For a sign-in by ticket, set its [`authenticated_at`](Self::authenticated_at) to that of the ticket.
    #[must_use]
    pub fn of(create: &Create, now: Timestamp) -> Self {
        create.record(create.client.clone(), now)
    }
}

/// The most sessions of one user that do not count for the limit.
pub const UNCOUNTED_MAX: u16 = 16;

/// A ticket as the store keeps it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a ticket is no more than this")]
pub struct Ticketed {
    /// The id of the ticket in the session set.
    pub id: SessionId,
    /// The digest of its token.
    pub digest: Digest,
}

/// The ticket that a refused sign-in leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a store must keep all of it")]
pub struct Offer {
    /// The ticket.
    pub ticket: Ticketed,
    /// What the sign-in asked for. Only the layer reads it:
    /// [`ticket`](crate::store::SessionStore::ticket) returns it unchanged.
    pub terms: Vec<u8>,
}

/// A sign-in that was refused before and returns with its ticket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the client chooses no more than this"
)]
pub struct Redeem {
    /// The ticket. The sign-in counts as authenticated at the time of the refused one.
    pub ticket: Ticketed,
    /// The session to end, so that the new one fits into the limit.
    pub ends: Option<SessionId>,
}

/// The device of a sign-in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a device is no more than this")]
pub struct SeenDevice {
    /// The digest of the device's id.
    pub digest: [u8; 12],
    /// How long the user's devices are remembered after the user's last sign-in.
    pub kept: Duration,
}

/// The outcome of [`create`](crate::store::SessionStore::create).
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Created {
    /// The session is live.
    Created(Box<NewSession>),
    /// The user is disabled. Nothing changed.
    Disabled,
    /// A session with this id was live before and has ended.
    Ended,
    /// The user has as many sessions as the limit allows. These are the ones whose end makes room: those of
    /// the class if the class is over its limit. The store keeps the offered ticket; nothing else changed.
    LimitReached(Vec<Record>),
    /// The ticket was used before or is too old. Nothing changed.
    NoTicket,
    /// The data would grow beyond its limit. Nothing changed.
    TooLarge,
    /// The sign-in was authenticated at or before the user's cutoff. Nothing changed.
    Rejected,
    /// The user authenticated a day ago or earlier, and the store remembers cutoffs for a day. Nothing
    /// changed.
    TooOld,
}

/// A session that `create` made.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The session.
    pub record: Record,
    /// Its data.
    pub data: Data,
    /// The sessions that ended because of it: first the one that the ticket names, then those of a class
    /// over its limit, then the others, each in the order of eviction.
    pub evicted: Vec<Record>,
    /// The session that it replaced.
    pub replaced: Option<SessionId>,
    /// Whether the store did not remember its device for this user.
    pub new_device: bool,
    /// The store's time when it was made.
    pub now: Timestamp,
    /// The user's cutoff, if there is one.
    pub cutoff: Option<Timestamp>,
}

impl NewSession {
    /// A session made at `now` that ended and replaced no other.
    #[must_use]
    pub fn new(record: Record, data: Data, now: Timestamp) -> Self {
        Self {
            record,
            data,
            evicted: Vec::new(),
            replaced: None,
            new_device: false,
            now,
            cutoff: None,
        }
    }
}
