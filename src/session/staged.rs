//! What a handler wants to happen to its session.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{error::SessionError, login::Login, ticket::Ticket};
use crate::model::{Change, Changes, Data, Record, SessionId, Timestamp, Token};

#[derive(Default)]
pub(super) struct Staged {
    pub(super) target: Target,
    /// What becomes of the token of the session that stays.
    pub(super) renew: Renew,
    /// In the order in which they were staged.
    pub(super) ops: Vec<Op>,
    /// Counts how often other changes took their place: a commit under way must not take those for
    /// the ones that it stores.
    pub(super) edition: u64,
}

/// The changes that a commit stores. They stay staged until it is done.
pub(super) struct Batch {
    pub(super) ops: Vec<Op>,
    pub(super) edition: u64,
}

/// Which session the response will belong to.
#[derive(Default)]
pub(super) enum Target {
    /// The one that there is.
    #[default]
    Stay,
    /// None any more.
    LogOut,
    /// A new one.
    LogIn(Box<PendingLogin>),
}

/// What becomes of the token of the session that stays.
#[derive(Clone, Default)]
pub(super) enum Renew {
    #[default]
    No,
    /// It is due for another one, or has one that may not have arrived: that can wait if it must.
    Due,
    /// It gets another one.
    Rotate,
    /// Its user has proved again who they are: this is the new one, made once, so that committing again
    /// comes to the same.
    Prove(Box<Token>),
}

impl Renew {
    /// Whether it is this one that was asked for.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prove(one), Self::Prove(other)) => one.digest() == other.digest(),
            (Self::No, Self::No) | (Self::Due, Self::Due) | (Self::Rotate, Self::Rotate) => true,
            _ => false,
        }
    }
}

/// A sign-in under way. Token and id are made when it is staged, so that committing it again is the
/// same session.
#[derive(Clone, Debug)]
pub(super) struct PendingLogin {
    pub(super) token: Token,
    pub(super) login: Login,
    /// The session before it was signed out first: nothing of it stays.
    pub(super) after_logout: bool,
    /// The cutoff that its request had made when it was staged.
    pub(super) own_cutoff: Option<Timestamp>,
    /// The ticket that a refusal leaves.
    pub(super) offer: Option<Token>,
}

impl PendingLogin {
    /// With what its client may come back once the limit has refused it.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        if let Some((ticket, _)) = &self.login.ticket {
            return Some(ticket.clone());
        }
        let offer = self.offer.clone()?;
        Some(Ticket::new(offer, self.login.user.clone()))
    }

    /// The session that its user chose to end by a ticket.
    pub(super) fn chosen(&self) -> Option<SessionId> {
        self.login.ticket.as_ref().and_then(|(_, ends)| *ends)
    }

    /// Whether it takes over what this session keeps.
    pub(super) fn continues(&self, record: &Record) -> bool {
        !self.after_logout && record.user_id() == Some(&self.login.user)
    }
}

/// A change of one key.
#[derive(Clone)]
pub(super) struct Op {
    pub(super) key: Box<str>,
    /// What the handler sees.
    pub(super) change: Change,
    /// Computes the value again from the newest one.
    pub(super) again: Option<Update>,
    /// The handler's doing; otherwise it came along from the session before.
    pub(super) own: bool,
}

/// A closure of the user's. Its own lock, never the session's, is held while it runs.
#[derive(Clone)]
pub(super) struct Update(Arc<Mutex<Again>>);

type Again = dyn FnMut(Option<Bytes>) -> Result<Bytes, SessionError> + Send;

impl Update {
    pub(super) fn new(
        again: impl FnMut(Option<Bytes>) -> Result<Bytes, SessionError> + Send + 'static,
    ) -> Self {
        Self(Arc::new(Mutex::new(again)))
    }

    pub(super) fn run(&self, value: Option<Bytes>) -> Result<Bytes, SessionError> {
        let mut again = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        again(value)
    }
}

impl Op {
    /// A value that came along from the session before.
    pub(super) fn carried(key: &str, value: Bytes) -> Self {
        Self {
            key: key.into(),
            change: Change::Set(value),
            again: None,
            own: false,
        }
    }
}

impl Staged {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.target, Target::Stay)
            && matches!(self.renew, Renew::No)
            && self.ops.is_empty()
    }

    /// Other changes take the place of these.
    pub(super) fn put(&mut self, ops: Vec<Op>) {
        self.ops = ops;
        self.edition += 1;
    }

    /// The changes as they stand.
    pub(super) fn batch(&self) -> Batch {
        Batch {
            ops: self.ops.clone(),
            edition: self.edition,
        }
    }

    /// What is staged for this key.
    pub(super) fn get(&self, key: &str) -> Option<&Change> {
        self.ops
            .iter()
            .rev()
            .find_map(|op| (*op.key == *key).then_some(&op.change))
    }
}

impl Batch {
    /// The changes that this data shows no trace of.
    pub(super) fn missing(&self, data: &Data) -> Vec<Op> {
        let changes = changes(&self.ops);
        let missing = self.ops.iter().filter(|op| match changes.get(&op.key) {
            Some(Change::Set(value)) => data.get(&op.key).as_ref() != Some(value),
            Some(Change::Remove) => data.get(&op.key).is_some(),
            None => false,
        });
        missing.cloned().collect()
    }
}

/// The changes as they stand.
pub(super) fn changes(ops: &[Op]) -> Changes {
    let mut changes = Changes::default();
    ops.iter().for_each(|op| add(&mut changes, op));
    changes
}

fn add(changes: &mut Changes, op: &Op) {
    match &op.change {
        Change::Set(value) => changes.set(&op.key, value.clone()),
        Change::Remove => changes.remove(&op.key),
    }
}

/// The changes as they come out on this data.
pub(super) fn replay(ops: &[Op], data: &Data) -> Result<Changes, SessionError> {
    let mut changes = Changes::default();
    for op in ops {
        let Some(again) = &op.again else {
            add(&mut changes, op);
            continue;
        };
        let before = match changes.get(&op.key) {
            Some(Change::Set(value)) => Some(value.clone()),
            Some(Change::Remove) => None,
            None => data.get(&op.key),
        };
        changes.set(&op.key, again.run(before)?);
    }
    Ok(changes)
}
