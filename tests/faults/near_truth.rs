//! What is true of a session, and what a near cache may answer of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::time::Instant;
use tower_user_sessions::{
    SessionId,
    store::{Near, Resolved, SessionStore, StoreError, Token},
};

/// A node, and how old its answers may be.
pub(super) struct Node<St> {
    pub(super) near: Near<St>,
    pub(super) bound: Duration,
}

/// Where the histories take place.
pub(super) struct Place<St> {
    pub(super) nodes: Vec<Node<St>>,
    /// Of an administrator, without a near cache and without faults on its way.
    pub(super) plain: St,
    /// How many steps each history has.
    pub(super) steps: usize,
    /// When the server lost all sessions.
    pub(super) gone: Mutex<Option<Instant>>,
    /// A failover may undo what replicas have not confirmed: saves, new tokens, and ends by reuse.
    pub(super) forgets: bool,
    pub(super) tally: Tally,
}

/// What happened in all histories.
#[derive(Default)]
pub(super) struct Tally {
    /// Answers from a node.
    pub(super) near: AtomicU64,
    /// Those of them that came after an acknowledged end, or after a new token.
    pub(super) late: AtomicU64,
    /// The longest such time, in ms: on nodes with a short lease, and on those where the feed is the bound.
    pub(super) longest: [AtomicU64; 2],
    pub(super) ends: AtomicU64,
    pub(super) rotations: AtomicU64,
    pub(super) saves: AtomicU64,
    pub(super) errors: AtomicU64,
}

pub(super) fn count(count: &AtomicU64) {
    count.fetch_add(1, SeqCst);
}

pub(super) type Answer = Result<Resolved, StoreError>;

pub(super) struct Sent {
    pub(super) token: Token,
    /// When its successor was acknowledged, and by which node: no near answer is for a previous token.
    pub(super) replaced: Option<(Instant, usize)>,
}

/// What is true of a session.
pub(super) struct Truth {
    pub(super) tokens: Vec<Sent>,
    pub(super) began: Instant,
    pub(super) ended: Option<Instant>,
    /// A call had no answer, so it may have ended.
    pub(super) maybe: bool,
    /// The revisions that were acknowledged.
    pub(super) writes: Vec<(Instant, u64)>,
    /// What each node acknowledged: the newest revision, and an end.
    pub(super) own: Vec<(u64, Option<Instant>)>,
}

impl Truth {
    pub(super) fn id(&self) -> SessionId {
        self.tokens[0].token.session_id()
    }

    pub(super) fn ends(&mut self) {
        self.ended.get_or_insert_with(Instant::now);
    }

    /// Whether the answer to a request with this token, on this node, may be.
    pub(super) fn judges<St: SessionStore>(
        &mut self,
        place: &Place<St>,
        (node, token): (usize, usize),
        asked: Instant,
        answer: &Answer,
    ) -> Result<(), String> {
        let tally = &place.tally;
        let gone = *place.gone.lock().unwrap();
        let is_gone = gone.is_some_and(|gone| self.began < gone);
        if let Some(gone) = gone.filter(|_| is_gone) {
            self.ended = Some(self.ended.map_or(gone, |ended| ended.min(gone)));
        }
        let found = match answer {
            Ok(Resolved::Live(found)) => found,
            Ok(Resolved::Reused(reused)) if reused.ended && !place.forgets => {
                self.ends();
                return Ok(());
            }
            Ok(_) => return Ok(()),
            Err(_) => {
                count(&tally.errors);
                // It may have been the reuse of a previous token.
                self.maybe = true;
                return Ok(());
            }
        };
        let since = |moment: Option<Instant>| {
            moment.map_or(Duration::ZERO, |it| asked.saturating_duration_since(it))
        };
        let may = |is_so: bool, what: String| if is_so { Ok(()) } else { Err(what) };
        let ended = since(self.ended);
        if !found.near {
            return may(
                ended.is_zero(),
                format!("the store, {ended:?} after the end"),
            );
        }
        count(&tally.near);
        let (replaced, by) = self.tokens[token].replaced.unzip();
        let replaced = if place.forgets {
            Duration::ZERO
        } else {
            since(replaced)
        };
        let (late, bound) = (ended.max(replaced), place.nodes[node].bound);
        may(
            late <= bound,
            format!("{late:?} after the end, or after a new token"),
        )?;
        if !late.is_zero() {
            count(&tally.late);
            let millis = u64::try_from(late.as_millis()).unwrap();
            tally.longest[usize::from(node == 2)].fetch_max(millis, SeqCst);
        }
        let (wrote, own_end) = self.own[node];
        may(
            since(own_end).is_zero(),
            "after an end by this node".to_owned(),
        )?;
        if place.forgets || is_gone {
            return Ok(());
        }
        let is_own = by == Some(node) && !replaced.is_zero();
        may(!is_own, "a token that this node replaced".to_owned())?;
        let has = found.record.revision;
        for (moment, revision) in &self.writes {
            let late = asked.saturating_duration_since(*moment);
            let bound = if *revision == wrote {
                Duration::ZERO
            } else {
                bound
            };
            let sees = has >= *revision || late <= bound;
            may(
                sees,
                format!("revision {has}, and {revision} was written {late:?} ago"),
            )?;
        }
        Ok(())
    }
}
