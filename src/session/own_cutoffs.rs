//! The cutoffs that a request sets itself, and the sign-ins after them.

use std::time::Duration;

use super::{Session, staged::PendingLogin};
use crate::{
    model::{Tag, Timestamp, Token},
    store::{CUTOFF_KEPT, Look},
};

/// How often the store is asked for its time, where it is not clear whether a sign-in is older than a cutoff.
const LOOKS: usize = 3;

/// A cutoff that the request set.
struct OwnCutoff {
    tag: Tag,
    cutoff: Timestamp,
    /// The cutoff that it took the place of.
    before: Option<Timestamp>,
    /// A sign-in on this request counts as no older than this, by the store's clock. `None` if that is not known.
    proven: Option<Timestamp>,
}

/// All cutoffs that the request set.
#[derive(Default)]
pub(super) struct OwnCutoffs(Vec<OwnCutoff>);

/// A cutoff of another request, which a cutoff of this one took the place of.
struct Hidden {
    cutoff: Timestamp,
    /// See [`OwnCutoff::proven`].
    proven: Option<Timestamp>,
}

impl OwnCutoffs {
    fn of(&self, tag: Tag) -> impl Iterator<Item = &OwnCutoff> + Clone {
        self.0.iter().filter(move |own| own.tag == tag)
    }

    /// Whether there is one of this session set.
    #[cfg_attr(not(feature = "live"), expect(dead_code, reason = "no streams"))]
    pub(super) fn has(&self, tag: Tag) -> bool {
        self.of(tag).next().is_some()
    }

    /// The newest one of this session set. Two calls at once may be answered in the other order.
    pub(super) fn newest(&self, tag: Tag) -> Option<Timestamp> {
        self.of(tag).map(|own| own.cutoff).max()
    }

    /// The newest cutoff of another request that came before this own one.
    fn hidden_by(&self, tag: Tag, own: Timestamp) -> Option<Hidden> {
        let until = self.of(tag).filter(|each| each.cutoff <= own);
        let is_own = |cutoff: &Timestamp| self.of(tag).any(|each| each.cutoff == *cutoff);
        let before = until.clone().filter_map(|each| each.before);
        Some(Hidden {
            cutoff: before.filter(|before| !is_own(before)).max()?,
            proven: until.filter_map(|each| each.proven).max(),
        })
    }
}

impl Session {
    /// This request itself set this cutoff. A sign-in that it stages from now on counts as later than that. The store
    /// rejects one that it staged before. `by_live`: its session was live until then, so no other request had ended
    /// them since it arrived.
    pub(super) fn made_cutoff(
        &self,
        tag: Tag,
        cutoff: Timestamp,
        before: Option<Timestamp>,
        by_live: bool,
    ) {
        // A millisecond after the one before, the cutoff may be ahead of the store's clock.
        let is_now = before.is_none_or(|before| cutoff > before.plus(Duration::from_millis(1)));
        let proven = if by_live {
            Some(cutoff)
        } else {
            is_now.then(|| cutoff.minus(self.0.arrival.age()))
        };
        self.state().own_cutoffs.0.push(OwnCutoff {
            tag,
            cutoff,
            before,
            proven,
        });
    }

    /// Whether this sign-in counts as later than the cutoff of its own request. It does not if that took the place
    /// of one that is later than the proof, and would have rejected it.
    pub(super) async fn is_after_own_cutoff(&self, pending: &PendingLogin) -> bool {
        let (since, token) = (pending.login.since, &pending.token);
        let Some(own) = pending.own_cutoff else {
            return false;
        };
        // The store does not remember what was before that.
        if since.is_some_and(|since| own.since(since) >= CUTOFF_KEPT) {
            return false;
        }
        let hidden = self.state().own_cutoffs.hidden_by(token.tag(), own);
        let Some(Hidden { cutoff, proven }) = hidden else {
            return true;
        };
        if since.is_some_and(|since| since <= cutoff) {
            return false;
        }
        proven.is_some_and(|proven| proven > cutoff) || !self.arrived_by(cutoff, token).await
    }

    /// Whether this request had arrived at this moment, or may have.
    pub(super) async fn arrived_by(&self, cutoff: Timestamp, token: &Token) -> bool {
        let age = || self.0.arrival.age();
        // An answer that is read late proves nothing, and one of these may be faster.
        let look = Look::new(token.tag(), [token.session_id()]);
        for _ in 0..LOOKS {
            let before = age();
            match self.0.rules.store.look(look.clone()).await {
                Ok(looked) if cutoff < looked.now.minus(age()) => return false,
                // And no later than this.
                Ok(looked) if looked.now.minus(before) <= cutoff => return true,
                Ok(_) => {}
                Err(_) => return true,
            }
        }
        true
    }
}
