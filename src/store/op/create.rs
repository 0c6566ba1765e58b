//! What a sign-in asks of a store, and what comes of it.

use std::time::Duration;

use super::Authenticated;
use crate::model::{
    Changes, Client, ClientClass, Data, Digest, Lifetime, Limit, Proof, Record, SessionId, Tag,
    Timestamp, Token, UserId,
};

/// Asks for a new session.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Create {
    /// The session set.
    pub tag: Tag,
    /// The new session's public name.
    pub id: SessionId,
    /// Digest of its token.
    pub digest: Digest,
    /// Whose it is; `None` of a guest, for whom there is no limit and no cutoff.
    pub user: Option<UserId>,
    /// What is known of the client.
    pub client: Client,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// When the user proved who they are.
    pub authenticated: Authenticated,
    /// How the user proved it.
    pub proof: Proof,
    /// Whether the browser keeps the session's cookie when it closes; see [`Record::with_persistent`].
    pub persistent: bool,
    /// How many sessions the user may have, and what happens to the excess.
    pub limit: Limit,
    /// The class of the client, which may have a limit of its own.
    pub class: ClientClass,
    /// Whether it counts against the limit; of those that do not, a user has at most
    /// [`UNCOUNTED_MAX`].
    pub counts: bool,
    /// The session that the client showed: one of the same session set ends first and leaves its data to
    /// the new one. If it was replaced before, the session that took its place does.
    pub replaces: Option<SessionId>,
    /// A ticket to leave behind if the limit refuses this sign-in.
    pub offer: Option<Ticketed>,
    /// A ticket that an earlier refusal left, and the session that ends for it.
    pub redeem: Option<Redeem>,
    /// Which device it is, by a digest of what that device keeps: remembered for this long.
    pub device: Option<SeenDevice>,
    /// Its data, or what changes in the data of the one that it replaces.
    pub changes: Changes,
    /// The most bytes that its data may take.
    pub data_limit: usize,
    /// Sessions that began earlier are void and do not count.
    pub not_before: Option<Timestamp>,
}

impl Create {
    /// A session for this token, with defaults for the rest: at most 100 sessions, data of 64 KiB.
    #[must_use]
    pub fn new(token: &Token, user: Option<UserId>, authenticated: Authenticated) -> Self {
        Self {
            tag: token.tag(),
            id: token.session_id(),
            digest: token.digest(),
            user,
            client: Client::default(),
            lifetime: Lifetime::default(),
            authenticated,
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
        }
    }
}

/// The most sessions of one user that do not count against the limit.
pub const UNCOUNTED_MAX: u16 = 16;

/// A ticket as the store keeps it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a ticket is no more than this")]
pub struct Ticketed {
    /// Its name in the session set.
    pub id: SessionId,
    /// Digest of its secret.
    pub digest: Digest,
}

/// A sign-in that was refused before, and goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the client chooses no more than this"
)]
pub struct Redeem {
    /// The ticket; the sign-in counts as authenticated when it was left.
    pub ticket: Ticketed,
    /// The session that ends to make room.
    pub ends: Option<SessionId>,
}

/// A device that signs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a device is no more than this")]
pub struct SeenDevice {
    /// Stands for it.
    pub digest: [u8; 12],
    /// How long the user's devices are remembered after the last sign-in of any.
    pub kept: Duration,
}

/// What became of a new session.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every caller must answer all of them"
)]
pub enum Created {
    /// It is live.
    Created(Box<NewSession>),
    /// The user may not sign in for now. Nothing changed.
    Disabled,
    /// A session of this id was live before and has ended since.
    Ended,
    /// The user has as many sessions as the limit allows: these. Nothing changed but that the ticket
    /// is there.
    LimitReached(Vec<Record>),
    /// There is no such ticket any more. Nothing changed.
    NoTicket,
    /// Its data is over the limit. Nothing changed.
    TooLarge,
    /// It was authenticated before the user's sessions were ended. Nothing changed.
    Rejected,
}

/// A session that was just made.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The session.
    pub record: Record,
    /// Its data.
    pub data: Data,
    /// The sessions that ended for it, the least recently active first.
    pub evicted: Vec<Record>,
    /// The session whose place it took.
    pub replaced: Option<SessionId>,
    /// Whether its device has not been seen with this user before.
    pub first_sight: bool,
    /// The store's time when it was made.
    pub now: Timestamp,
    /// The user's cutoff, if there is one.
    pub cutoff: Option<Timestamp>,
}

impl NewSession {
    /// A session that was made at `now` and needed nobody's place.
    #[must_use]
    pub fn new(record: Record, data: Data, now: Timestamp) -> Self {
        Self {
            record,
            data,
            evicted: Vec::new(),
            replaced: None,
            first_sight: false,
            now,
            cutoff: None,
        }
    }
}
