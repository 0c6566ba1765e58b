//! The shards that a node listens to: those that its readers hold.

use std::{collections::BTreeSet, future::pending, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::line::{LOOPED, Line};
use crate::{model::clock::Monotonic, store::redis::link::Outage};

/// So many channels are asked for at once.
pub(super) const AT_ONCE: usize = 1_024;

/// What is held within this time is asked for together.
const TOGETHER: Duration = Duration::from_millis(20);

/// The shards that are subscribed to. All are open.
#[derive(Default)]
pub(super) struct Shards(BTreeSet<u16>);

impl Shards {
    /// Listens to what readers hold, and to nothing else. On a Cluster, and where a node listens to everything, it has
    /// nothing to do.
    pub(super) async fn follow(&mut self, line: &Line<'_>) -> Outage {
        let held = line.hearing.held.as_ref();
        let Some(held) = held.filter(|_| !line.hearing.publish.has_slots()) else {
            return pending().await;
        };
        let mut more = held.more();
        loop {
            let now = Monotonic::now().as_millis();
            if let Err(outage) = self.step(line, |shard| held.is_held(shard, now)).await {
                return outage;
            }
            waits(Some(&mut more)).await;
        }
    }

    async fn step(&mut self, line: &Line<'_>, is_held: impl Fn(u16) -> bool) -> Result<(), Outage> {
        let_go(line, &mut self.0, &is_held).await?;
        let (all, subscribed) = (0..line.hearing.publish.places(), &self.0);
        let new: Vec<u16> = all
            .filter(|shard| is_held(*shard) && !subscribed.contains(shard))
            .collect();
        for part in new.chunks(AT_ONCE) {
            line.ask_each(line.hearing.publish.subscribe(), part)
                .await?;
            self.0.extend(part);
            line.hearing
                .open(line.ear, part.iter().map(|shard| usize::from(*shard)));
        }
        Ok(())
    }
}

/// Ends the subscriptions that are not kept. Readers know it first: what comes then is not missed by anybody.
pub(super) async fn let_go(
    line: &Line<'_>,
    subscribed: &mut BTreeSet<u16>,
    is_kept: impl Fn(u16) -> bool,
) -> Result<(), Outage> {
    let Some(unsubscribe) = line.hearing.publish.unsubscribe() else {
        return Ok(());
    };
    let (kept, gone): (BTreeSet<u16>, BTreeSet<u16>) =
        subscribed.iter().partition(|place| is_kept(**place));
    *subscribed = kept;
    let gone: Vec<u16> = gone.into_iter().collect();
    for part in gone.chunks(AT_ONCE) {
        line.hearing.close(line.ear, part.iter().copied());
        line.ask_each(unsubscribe, part).await?;
    }
    Ok(())
}

/// Waits for the next look: until more is held, or a second.
pub(super) async fn waits(more: Option<&mut watch::Receiver<()>>) {
    match more {
        // The sender lives as long as the listener.
        Some(more) => {
            if timeout(LOOPED, more.changed()).await.is_ok() {
                sleep(TOGETHER).await;
            }
        }
        None => sleep(LOOPED).await,
    }
}
