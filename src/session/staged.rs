//! What a handler has asked for and is not stored yet.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{error::SessionError, login::Login, ops::Ops, ticket::Ticket};
use crate::model::{Change, Changes, Data, Lifetime, Record, SessionId, Timestamp, Token, UserId};

#[derive(Default)]
pub(super) struct Staged {
    pub(super) target: Target,
    /// What happens to the token of a session that goes on.
    pub(super) renew: Renew,
    /// How long a session that goes on may live at most. Boxed: the state is moved on every request.
    pub(super) shorten: Option<Box<Lifetime>>,
    /// The user has read why the session ended.
    pub(super) forget: bool,
    pub(super) ops: Ops,
    /// Counts how often the changes were replaced as a whole. A commit in progress compares it, so that
    /// it does not unstage later changes.
    pub(super) edition: u64,
}

/// The changes that a commit stores. They stay staged until it is done.
pub(super) struct Batch {
    pub(super) ops: Vec<Op>,
    /// Ops from this number on were staged later.
    pub(super) next: u64,
    pub(super) shorten: Option<Lifetime>,
    pub(super) edition: u64,
}

/// Which session the response will belong to.
#[derive(Default)]
pub(super) enum Target {
    /// The session of the request.
    #[default]
    Stay,
    /// None: a sign-out.
    LogOut,
    /// A new one.
    LogIn(Box<PendingLogin>),
}

/// What happens to the token of a session that goes on.
#[derive(Clone, Default)]
pub(super) enum Renew {
    #[default]
    No,
    /// A new one is due, or the newest one may not have arrived. If the store fails, this can wait.
    Due,
    /// The browser lost its present token, which is this one, and gets it again.
    Lost(Box<Token>),
    /// The handler asked for a new one.
    Rotate,
    /// The user authenticated again. The new token is made when this is staged, so that committing it
    /// twice gives the same token.
    Prove(Box<Token>),
}

impl Renew {
    /// Whether both are the same request.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prove(one), Self::Prove(other)) | (Self::Lost(one), Self::Lost(other)) => {
                one.digest() == other.digest()
            }
            (Self::No, Self::No) | (Self::Due, Self::Due) | (Self::Rotate, Self::Rotate) => true,
            _ => false,
        }
    }
}

/// A sign-in in progress. Token and id are made when it is staged, so that committing it again is the
/// same session.
#[derive(Clone, Debug)]
pub(super) struct PendingLogin {
    pub(super) token: Token,
    pub(super) user: UserId,
    pub(super) login: Login,
    /// The longest life that its session may have. Kept apart: a ticket says only at the commit how long it lives.
    pub(super) shorten: Option<Lifetime>,
    /// The handler signed the session before it out first: nothing of that one is kept.
    pub(super) after_logout: bool,
    /// The cutoff that this request itself had made before it staged the sign-in.
    pub(super) own_cutoff: Option<Timestamp>,
    /// The ticket that the client gets if the limit refuses the sign-in.
    pub(super) offer: Option<Token>,
    /// Whether the terms of the ticket that the client sent were read.
    pub(super) has_terms: bool,
}

impl PendingLogin {
    /// What the client can sign in with after the limit refused it.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        if let Some((ticket, _)) = &self.login.ticket {
            return Some(ticket.clone());
        }
        let offer = self.offer.clone()?;
        Some(Ticket::new(offer, self.user.clone()))
    }

    /// The session that the user chose to end, with a ticket.
    pub(super) fn chosen(&self) -> Option<SessionId> {
        self.login.ticket.as_ref().and_then(|(_, ends)| *ends)
    }

    /// Whether the new session takes over the data of this one.
    pub(super) fn continues(&self, record: &Record) -> bool {
        !self.after_logout && record.user_id() == Some(&self.user)
    }
}

/// A change of one key.
#[derive(Clone)]
pub(super) struct Op {
    pub(super) key: Arc<str>,
    /// What the handler sees.
    pub(super) change: Change,
    /// Computes the value again from the newest one.
    pub(super) again: Option<Update>,
    /// Whether this request staged it. If not, a sign-in carried it over from a guest session.
    pub(super) own: bool,
    /// Whether the value was computed from one that was stored before this request.
    pub(super) derived: bool,
    /// Counts the ops of a request.
    pub(super) number: u64,
}

/// The app's closure. While it runs its own lock is held, never that of the session.
#[derive(Clone)]
pub(super) struct Update(Arc<Mutex<Again>>);

type Again = dyn FnMut(&str, Option<Bytes>) -> Result<Bytes, SessionError> + Send;

impl Update {
    pub(super) fn new(
        again: impl FnMut(&str, Option<Bytes>) -> Result<Bytes, SessionError> + Send + 'static,
    ) -> Self {
        Self(Arc::new(Mutex::new(again)))
    }

    /// Computes the new value of this key from the present one.
    pub(super) fn run(&self, key: &str, value: Option<Bytes>) -> Result<Bytes, SessionError> {
        let mut again = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        again(key, value)
    }
}

impl Op {
    /// A value that a sign-in carries over from a guest session.
    pub(super) fn carried(key: &str, value: Bytes) -> Self {
        Self {
            key: key.into(),
            change: Change::Set(value),
            again: None,
            own: false,
            derived: true,
            number: 0,
        }
    }
}

impl Staged {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.target, Target::Stay)
            && matches!(self.renew, Renew::No)
            && self.shorten.is_none()
            && !self.forget
            && self.ops.is_empty()
    }

    /// Replaces the changes as a whole.
    pub(super) fn put(&mut self, ops: Vec<Op>) {
        self.ops = Ops::default();
        // Its size is counted when the next value is staged: nobody refuses these.
        ops.into_iter()
            .for_each(|op| self.ops.push(&Data::default(), op));
        self.shorten = None;
        self.edition += 1;
    }

    /// The changes that are staged now.
    pub(super) fn batch(&self) -> Batch {
        // A re-authentication sets both deadlines itself, and takes a shorter life into account.
        let proves = matches!(self.renew, Renew::Prove(_));
        Batch {
            ops: self.ops.all(),
            next: self.ops.next(),
            shorten: self.shorten.as_deref().copied().filter(|_| !proves),
            edition: self.edition,
        }
    }
}

impl Batch {
    /// Whether the handler itself changes this key.
    pub(super) fn sets(&self, key: &str) -> bool {
        self.ops.iter().any(|op| op.own && *op.key == *key)
    }

    /// The changes that are not in this data.
    pub(super) fn missing(&self, data: &Data) -> Vec<Op> {
        if self.ops.is_empty() {
            return Vec::new();
        }
        let changes = changes(&self.ops);
        let stored: HashMap<&[u8], &[u8]> = data.iter().collect();
        let missing = self.ops.iter().filter(|op| {
            let stored = stored.get(op.key.as_bytes());
            match changes.get(&op.key) {
                Some(Change::Set(value)) => stored.is_none_or(|stored| **stored != **value),
                Some(Change::Remove) => stored.is_some(),
                None => false,
            }
        });
        missing.cloned().collect()
    }
}

/// What the changes come to, one per key.
pub(super) fn changes<'a>(ops: impl IntoIterator<Item = &'a Op>) -> Changes {
    let mut changes = Changes::default();
    for op in ops {
        changes.add(&op.key, op.change.clone());
    }
    changes
}

/// What the changes come to on this data: updates run again.
pub(super) fn replay(ops: &[Op], data: &Data) -> Result<Changes, SessionError> {
    let mut changes = Changes::default();
    let stored: HashMap<Bytes, Bytes> = data.entries().collect();
    for op in ops {
        let Some(again) = &op.again else {
            changes.add(&op.key, op.change.clone());
            continue;
        };
        let before = match changes.get(&op.key) {
            Some(Change::Set(value)) => Some(value.clone()),
            Some(Change::Remove) => None,
            None => stored.get(op.key.as_bytes()).cloned(),
        };
        changes.add(&op.key, Change::Set(again.run(&op.key, before)?));
    }
    Ok(changes)
}
