//! The slots of one server of a Cluster: which are subscribed to, and which move.

use std::{collections::BTreeSet, time::Duration};

use deadpool_redis::redis::{cmd, from_redis_value};
use tokio::time::sleep;

use super::{
    answers::out_of_order,
    line::{LOOPED, Line},
    shards::{AT_ONCE, let_go, waits},
};
use crate::{
    model::clock::Monotonic,
    store::redis::{
        cluster::{Served, served},
        link::Outage,
    },
};

/// What is held within this time is asked for together. Longer than for shards: each look costs a `CLUSTER NODES`, and many
/// nodes look at the same server.
const TOGETHER: Duration = Duration::from_millis(200);

/// The slots that are subscribed to, open or not.
#[derive(Default)]
pub(super) struct Slots {
    subscribed: BTreeSet<u16>,
    /// The one on which the node hears itself.
    own: Option<u16>,
    /// What the server said last.
    served: Served,
}

impl Slots {
    /// Subscribes to the slots that the server serves, or to those of them that readers hold. Those that move are not
    /// trusted.
    pub(super) async fn follow(&mut self, line: &Line<'_>) -> Outage {
        let mut held = line.hearing.held.as_ref().map(|held| (held, held.more()));
        let mut looked_twice = false;
        loop {
            match (self.step(line).await, &mut held) {
                // What was subscribed to just now is opened after another look.
                (Ok(true), None) => {}
                (Ok(true), Some(_)) => {
                    // More may be held during each look.
                    if looked_twice {
                        sleep(TOGETHER).await;
                    }
                    looked_twice = !looked_twice;
                }
                (Ok(false), None) => sleep(LOOPED).await,
                (Ok(false), Some((held, more))) => {
                    let needs = || held.has_more(self.served.slots(), &self.subscribed);
                    waits(more, TOGETHER, needs).await;
                    looked_twice = false;
                }
                (Err(outage), _) => return outage,
            }
        }
    }

    /// Looks once. Says whether it subscribed to more.
    async fn step(&mut self, line: &Line<'_>) -> Result<bool, Outage> {
        let answer = line.ask(cmd("CLUSTER").arg("NODES")).await?;
        let text = from_redis_value::<String>(answer).ok();
        let Some(served) = text.as_deref().and_then(served) else {
            return Err(out_of_order());
        };
        let (hearing, number) = (line.hearing, line.ear.number);
        // The server ends subscriptions to slots that it gave away.
        self.subscribed.retain(|slot| {
            let stays = served.holds(*slot);
            if !stays {
                hearing.places.close(usize::from(*slot), number);
            }
            stays
        });
        // Such a slot may be here again already, but the node is not subscribed.
        for slot in line.ear.take_lost() {
            self.subscribed.remove(&slot);
            hearing.places.close(usize::from(slot), number);
        }
        for slot in &served.moving {
            hearing.places.close(usize::from(*slot), number);
        }
        // The one for all users is always kept.
        let of_all = served.amid();
        let now = Monotonic::now().as_millis();
        let is_kept = |slot: u16| {
            let held = hearing.held.as_ref();
            held.is_none_or(|held| held.is_held(slot, now)) || of_all == Some(slot)
        };
        let_go(line, &mut self.subscribed, is_kept).await?;
        let is_open = |slot: u16| {
            let place = hearing.places.read(slot.into());
            place.is_open() && place.ear() == number
        };
        let ready: Vec<usize> = self
            .subscribed
            .iter()
            .filter(|slot| !served.moving.contains(slot) && !is_open(**slot))
            .map(|slot| usize::from(*slot))
            .collect();
        if !ready.is_empty() {
            hearing.open(line.ear, ready.iter().copied());
            if let Some(link) = &line.ear.link
                && !ready.iter().all(|slot| hearing.serves(link, *slot))
                && let Some(store) = hearing.store()
            {
                store.doubt_map();
            }
        }
        self.own(line, &served).await?;
        let kept = served.slots().filter(|slot| is_kept(*slot));
        let subscribed = self.subscribe(line, kept).await?;
        self.served = served;
        Ok(subscribed)
    }

    /// Subscribes to the channel on which the node hears itself. In a slot that moves, what it publishes is lost.
    async fn own(&mut self, line: &Line<'_>, served: &Served) -> Result<(), Outage> {
        let own = own(&self.subscribed, served, self.own);
        if own == self.own {
            return Ok(());
        }
        self.own = own;
        if let Some(slot) = own {
            let own = line.hearing.own(slot);
            line.subscribe("SSUBSCRIBE", &own).await?;
        }
        line.ear.hears_itself_in(own);
        Ok(())
    }

    /// Subscribes to what is new. Says whether there was something.
    async fn subscribe(
        &mut self,
        line: &Line<'_>,
        served: impl Iterator<Item = u16>,
    ) -> Result<bool, Outage> {
        let new: Vec<u16> = served
            .filter(|slot| !self.subscribed.contains(slot))
            .collect();
        let mut subscribed = false;
        for part in new.chunks(AT_ONCE) {
            let done = line.ask_each("SSUBSCRIBE", part).await?;
            for (slot, _) in part.iter().zip(done).filter(|(_, done)| *done) {
                subscribed |= self.subscribed.insert(*slot);
            }
        }
        Ok(subscribed)
    }
}

/// The slot in which a node hears itself: the same as before while it stays, else the one that moves last.
fn own(subscribed: &BTreeSet<u16>, served: &Served, before: Option<u16>) -> Option<u16> {
    let best = [before, served.amid()].into_iter().flatten();
    let best = best.filter(|slot| subscribed.contains(slot));
    let mut all = best.chain(subscribed.iter().copied());
    let any = all.clone().next();
    all.find(|slot| !served.moving.contains(slot)).or(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_hears_itself_in_a_slot_that_does_not_move() {
        let served = |moves: &str| {
            let line = "1 10.0.0.1:6379@1 myself,master - 0 0 1 connected 0-9";
            served(&format!("{line} {moves}")).unwrap()
        };
        let subscribed = BTreeSet::from([1, 5, 7]);

        assert_eq!(own(&subscribed, &served(""), None), Some(5), "amid");
        assert_eq!(own(&subscribed, &served(""), Some(7)), Some(7), "it stays");
        assert_eq!(own(&subscribed, &served("[7->-2]"), Some(7)), Some(5));
        assert_eq!(own(&subscribed, &served("[5->-2]"), Some(5)), Some(1));
        assert_eq!(own(&subscribed, &served(""), Some(2)), Some(5), "lost");
        let all = served("[1->-2] [5->-2] [7->-2]");
        assert_eq!(own(&subscribed, &all, Some(7)), Some(7));
        assert_eq!(own(&subscribed, &all, None), Some(5));
        assert_eq!(own(&BTreeSet::new(), &served(""), Some(7)), None);
    }
}
