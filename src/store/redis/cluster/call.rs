//! One call: to the primary that serves its key, and where that one says it went.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::Cmd;

use super::{
    super::{
        link::{Call, Came, Elsewhere, Outage, Patience, Progress, over},
        reply::Reply,
    },
    Cluster, Found, GRACE, Inner,
    address::Address,
    lock,
    refresh::question,
    slot,
};
use crate::{
    model::clock::Monotonic,
    store::{StoreError, StoreErrorKind, meter},
};

/// How often a call goes elsewhere without a pause. Nodes that disagree for a moment send it to and fro.
const HOPS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(10);

impl Cluster {
    /// As [`Link::run`](super::super::link::Link::run), on the link that serves the key.
    pub(in super::super) async fn run(
        &self,
        call: &Call<'_>,
        arguments: &impl Fn(&mut Cmd, Option<i64>),
    ) -> (Result<Reply, StoreError>, bool) {
        let (cluster, slot) = (&self.0, slot::of(call.key));
        let mut progress = Progress::default();
        let mut patience = std::pin::pin!(Patience::of(call, cluster.deadline));
        if patience.is_over() {
            return over();
        }
        let (mut named, mut hops, mut pause) = (None::<Found>, 0, PAUSE);
        let answer = loop {
            let found = match named.take().or_else(|| cluster.find(slot)) {
                Some(found) => found,
                None => match patience.as_mut().bear(Box::pin(cluster.wait(slot))).await {
                    Some(Ok(found)) => found,
                    Some(Err(error)) => break Err(error),
                    None => break Err(StoreError::new(StoreErrorKind::Timeout)),
                },
            };
            progress.losses = found.losses;
            let attempts = found
                .link
                .attempts(call, &mut progress, patience.as_mut(), arguments);
            let elsewhere = match attempts.await {
                Some(Came::Answer(answer)) => break answer,
                Some(Came::Elsewhere(elsewhere)) => elsewhere,
                None => break Err(found.link.timed_out(call, &mut progress, patience.as_ref())),
            };
            // A place belongs to a link.
            progress.leave();
            meter::link::resent();
            hops += 1;
            if hops > HOPS {
                let paused = patience.as_mut().bear(tokio::time::sleep(pause)).await;
                if paused.is_none() {
                    break Err(found.link.timed_out(call, &mut progress, patience.as_ref()));
                }
                pause = (pause * 2).min(PAUSE * 16);
            }
            let named_by = Box::pin(cluster.elsewhere(slot, elsewhere, &mut progress, &found));
            named = match patience.as_mut().bear(named_by).await {
                Some(named) => named,
                None => break Err(found.link.timed_out(call, &mut progress, patience.as_ref())),
            };
        };
        if answer.is_err() {
            cluster.wake();
        }
        (progress.judge(call, answer), progress.may_run())
    }
}

impl Inner {
    /// The node that a redirection names; where it names none, the map says where to go.
    async fn elsewhere(
        self: &Arc<Self>,
        slot: u16,
        elsewhere: Elsewhere,
        progress: &mut Progress,
        from: &Found,
    ) -> Option<Found> {
        match elsewhere {
            Elsewhere::Somewhere => None,
            Elsewhere::Moved(node) => {
                self.doubt();
                // Late, it says nothing of the node that has the slot by now: the one that it names may have failed since.
                if self.find(slot).is_some_and(|owner| !owner.is(from)) {
                    return None;
                }
                let to = Address::parse(&node, &self.host(from))?;
                let found = self.redirect(slot, true, &to)?;
                progress.asking = false;
                Some(found)
            }
            Elsewhere::Asked(node) => {
                self.wake();
                let to = self.takes(slot, &node, from).await?;
                let found = self.redirect(slot, false, &to)?;
                progress.asking = true;
                Some(found)
            }
        }
    }

    /// Where an `ASK` leads.
    ///
    /// It may name no host, or an address that leads nowhere from here. The map does not know a node without slots. But the one
    /// that gives the slot away does.
    async fn takes(&self, slot: u16, node: &str, from: &Found) -> Option<Address> {
        let host = self.host(from);
        let mut named = Address::parse(node, &host);
        match named.as_ref().and_then(|to| self.at(to)) {
            // Without a host it is the port of that node itself.
            Some(known) if known.is(from) => named = None,
            // One that is down may be an address that leads nowhere.
            Some(known) if !known.link.is_down() => return named,
            Some(_) | None => {}
        }
        let answer = from.link.ask(&question(), self.patience()).await;
        let view = answer.and_then(|answer| self.view(&answer, &host));
        view.and_then(|view| view.takes(slot)).or(named)
    }

    /// The host under which a node was reached.
    fn host(&self, found: &Found) -> Box<str> {
        let map = self
            .map
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut links = map.links();
        let of = links.find(|(_, link)| Arc::ptr_eq(link, &found.link));
        of.map_or_else(Box::default, |(address, _)| address.host.clone())
    }

    /// Waits until a node is known that serves the slot.
    pub(super) async fn wait(self: &Arc<Self>, slot: u16) -> Result<Found, StoreError> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = self.find(slot) {
                return Ok(found);
            }
            self.wake();
            let left = self.lacking(Monotonic::now().as_millis())?;
            let _ = tokio::time::timeout(left, changed).await;
        }
    }

    /// For how long to wait for a map, or why there is none.
    fn lacking(&self, now: i64) -> Result<Duration, StoreError> {
        let mut lacking = lock(&self.lacking);
        let since = *lacking.since.get_or_insert(now);
        let left = since.saturating_add(GRACE).saturating_sub(now);
        match &lacking.outage {
            Some(outage) if left <= 0 || outage.is_denied() => Err(outage.error()),
            Some(_) => Ok(Duration::from_millis(left.unsigned_abs())),
            None => Ok(Duration::MAX),
        }
    }

    /// Whether the map lacks a slot that was asked for; and if so, whether a refused password is the cause.
    pub(super) fn is_lacking(&self) -> Option<bool> {
        let lacking = lock(&self.lacking);
        lacking.outage.as_ref().map(Outage::is_denied)
    }

    /// No node could say who serves what, or a slot is served by none.
    pub(super) fn lacks(&self, outage: Outage) {
        lock(&self.lacking).outage = Some(outage);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::link::RedisSource, *};

    #[tokio::test]
    async fn a_late_redirection_does_not_take_a_slot_from_the_node_that_took_over_meanwhile() {
        let source = RedisSource::cluster(["redis://127.0.0.1:1"]).unwrap();
        let cluster = Cluster::new(Arc::clone(source.seeds().unwrap()), Duration::MAX);
        let gives = |port| {
            let to = Address::new("127.0.0.1", port);
            cluster.0.redirect(5, true, &to).unwrap()
        };
        // A call is under way to the first node. The slot went to the second one, whose replica has taken over.
        let (asked, owner) = (gives(1), gives(3));
        let late = Elsewhere::Moved("127.0.0.1:2".into());

        let mut progress = Progress::default();
        let named = cluster.0.elsewhere(5, late, &mut progress, &asked).await;

        let now = cluster.0.find(5).unwrap();
        assert!(Arc::ptr_eq(&now.link, &owner.link));
        assert!(named.is_none(), "the call looks at the map again");
    }
}
