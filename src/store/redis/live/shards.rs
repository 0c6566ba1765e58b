//! The shards that a node listens to: those that its readers hold.

use std::{collections::BTreeSet, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    held::Held,
    line::{LOOPED, Line},
};
use crate::{model::clock::Monotonic, store::redis::link::Outage};

/// So many channels are asked for at once.
pub(super) const AT_ONCE: usize = 1_024;

/// What is held within this time is asked for together.
const TOGETHER: Duration = Duration::from_millis(20);

/// The shards that are subscribed to. All are open.
#[derive(Default)]
pub(super) struct Shards(BTreeSet<u16>);

impl Shards {
    /// Listens to what readers hold, and to nothing else.
    pub(super) async fn follow(&mut self, line: &Line<'_>, held: &Held) -> Outage {
        let mut more = held.more();
        loop {
            let now = Monotonic::now().as_millis();
            if let Err(outage) = self.step(line, |shard| held.is_held(shard, now)).await {
                return outage;
            }
            let needs = || held.has_more(0..line.hearing.publish.places(), &self.0);
            waits(&mut more, TOGETHER, needs).await;
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

/// Waits for the next look: until more is held that it needs, or a second.
pub(super) async fn waits(
    more: &mut watch::Receiver<()>,
    together: Duration,
    needs: impl Fn() -> bool,
) {
    let needed = async {
        // The sender lives as long as the listener.
        while more.changed().await.is_ok() {
            sleep(together).await;
            // What is held after this wakes it again.
            more.mark_unchanged();
            if needs() {
                return;
            }
        }
    };
    let _ = timeout(LOOPED, needed).await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;

    const MILLIS: Duration = Duration::from_millis(1);

    /// In the time of tokio, which is paused.
    fn now() -> Instant {
        sleep(Duration::ZERO).deadline()
    }

    #[tokio::test(start_paused = true)]
    async fn it_looks_soon_for_what_it_needs_and_after_a_second_for_the_rest() {
        let (news, mut more) = watch::channel(());
        let start = now();
        news.send_replace(());
        waits(&mut more, MILLIS * 200, || true).await;
        assert_eq!(
            now() - start,
            MILLIS * 200,
            "what comes meanwhile comes along"
        );

        let asked = Cell::new(0);
        let needs = || {
            asked.set(asked.get() + 1);
            false
        };
        let others = async {
            loop {
                news.send_replace(());
                sleep(MILLIS * 10).await;
            }
        };
        tokio::select! {
            () = others => {}
            () = waits(&mut more, MILLIS * 200, needs) => {}
        }
        assert_eq!(now() - start, MILLIS * 200 + LOOPED, "others need it");
        assert!(asked.get() <= 5, "{}", asked.get());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_while_it_looks_is_not_overlooked_and_what_came_along_is_no_reason_to_look()
     {
        let (news, mut more) = watch::channel(());
        let start = now();
        news.send_replace(());
        let another = async {
            sleep(MILLIS * 10).await;
            news.send_replace(());
        };
        tokio::join!(another, waits(&mut more, MILLIS * 20, || true));
        waits(&mut more, MILLIS * 20, || true).await;
        assert_eq!(now() - start, MILLIS * 20 + LOOPED, "it came along");

        // It looks now.
        news.send_replace(());
        waits(&mut more, MILLIS * 20, || true).await;
        assert_eq!(now() - start, MILLIS * 40 + LOOPED);
    }
}
