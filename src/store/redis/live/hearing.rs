//! What all listeners of a store share.

use std::{
    collections::BTreeMap,
    mem, ptr,
    sync::{
        Arc, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use deadpool_redis::redis::{PushInfo, PushKind, Value};

use super::{
    super::{
        cluster::slot,
        link::Link,
        script::{Scripts, WeakScripts},
    },
    channel::Publish,
    ear::Ear,
    held::Held,
    places::Places,
};
use crate::{
    model::{
        Tag,
        clock::{Monotonic, millis},
    },
    store::{
        FeedMessage, FeedState,
        feed::{Feed, WeakFeed},
        meter,
    },
};

/// What has been heard, of which servers.
#[derive(Debug)]
pub(super) struct Hearing {
    pub(super) publish: Publish,
    /// Names this node in the channel on which it hears itself.
    pub(super) node: String,
    pub(super) places: Places,
    /// Which of them readers hold, if it listens to no others.
    pub(super) held: Option<Held>,
    /// The connections that listen, by their numbers.
    ears: RwLock<BTreeMap<u64, Arc<Ear>>>,
    next: AtomicU64,
    /// How many readers there are.
    pub(super) readers: AtomicUsize,
    store: WeakScripts,
    feed: OnceLock<WeakFeed>,
}

impl Hearing {
    pub(super) fn new(scripts: &Scripts, publish: Publish, node: String) -> Self {
        let count = publish.places().into();
        Self {
            held: publish.is_held().then(|| Held::new(count)),
            publish,
            node,
            places: Places::new(count),
            ears: RwLock::default(),
            next: AtomicU64::new(1),
            readers: AtomicUsize::new(0),
            store: scripts.downgrade(),
            feed: OnceLock::new(),
        }
    }

    /// Where messages go.
    pub(super) fn deliver_to(&self, feed: &Feed) {
        let _ = self.feed.set(feed.downgrade());
    }

    fn feed(&self) -> Option<Feed> {
        self.feed.get()?.upgrade()
    }

    /// The store, while there is one.
    pub(super) fn store(&self) -> Option<Scripts> {
        self.store.upgrade()
    }

    /// A new connection that listens.
    pub(super) fn ear(&self, link: Option<Weak<Link>>) -> Arc<Ear> {
        let mut ears = self.ears.write().unwrap_or_else(PoisonError::into_inner);
        let number = free_number(&self.next, |number| ears.contains_key(&number));
        let ear = Arc::new(Ear::new(number, link));
        ears.insert(number, Arc::clone(&ear));
        ear
    }

    /// A connection listens no more.
    pub(super) fn give_up(&self, ear: &Ear) {
        let mut ears = self.ears.write().unwrap_or_else(PoisonError::into_inner);
        self.places.close_all(ear.number);
        ears.remove(&ear.number);
    }

    /// Nothing is listened to.
    pub(super) fn stop(&self) {
        let mut ears = self.ears.write().unwrap_or_else(PoisonError::into_inner);
        for (number, _) in mem::take(&mut *ears) {
            self.places.close_all(number);
        }
    }

    /// The ear hears these places from now on. An ear that was given up does not: its task may run on for a moment beside
    /// the next one.
    pub(super) fn open(&self, ear: &Ear, places: impl IntoIterator<Item = usize>) {
        {
            // What gives an ear up waits for this, and then closes what it opened.
            let ears = self.ears.read().unwrap_or_else(PoisonError::into_inner);
            let known = ears.get(&ear.number);
            if !known.is_some_and(|known| ptr::eq(Arc::as_ptr(known), ear)) {
                return;
            }
            self.places.open(places, ear.number);
        }
        self.changed();
    }

    /// Messages of this server may have been lost.
    pub(super) fn renew(&self, ear: &Ear) {
        self.places.renew(ear.number);
        self.changed();
    }

    fn changed(&self) {
        if let Some(feed) = self.feed() {
            feed.epoch_changed();
        }
    }

    /// The state of messages about this session set.
    pub(super) fn state(&self, tag: Tag) -> FeedState {
        let at = self.place(tag);
        let mut place = self.places.read(at);
        loop {
            let trusted = place.is_open() && self.hears(at, place.ear());
            let now = self.places.read(at);
            if now == place {
                return FeedState::new(place.epoch(), trusted);
            }
            // It was closed or began an epoch while the rest was read.
            place = now;
        }
    }

    fn place(&self, tag: Tag) -> usize {
        self.publish.place(tag).into()
    }

    /// A reader needs the messages about this session set.
    pub(super) fn hold(&self, tag: Tag, time: Duration) {
        if let Some(held) = &self.held {
            let now = Monotonic::now().as_millis();
            let until = now.saturating_add(millis(time));
            held.hold(self.place(tag), until, now);
        }
    }

    /// Nothing holds these places: what comes there is not listened to any more.
    pub(super) fn close(&self, ear: &Ear, places: impl IntoIterator<Item = u16>) {
        for place in places {
            self.places.close(place.into(), ear.number);
        }
        self.changed();
    }

    fn hears(&self, at: usize, number: u64) -> bool {
        let ears = self.ears.read().unwrap_or_else(PoisonError::into_inner);
        let Some(ear) = ears.get(&number) else {
            return false;
        };
        ear.hears() && ear.link.as_ref().is_none_or(|link| self.serves(link, at))
    }

    /// Whether a connection hears now.
    pub(super) fn is_at_work(&self) -> bool {
        let ears = self.ears.read().unwrap_or_else(PoisonError::into_inner);
        ears.values().any(|ear| ear.hears())
    }

    /// Whether calls about this slot go to the server of this link.
    pub(super) fn serves(&self, link: &Weak<Link>, at: usize) -> bool {
        let slot = u16::try_from(at);
        let store = self.store();
        store.is_some_and(|store| slot.is_ok_and(|slot| store.serves(slot, link)))
    }

    /// Applies what the server pushed. It runs in the driver of the connection, so it is done before the answer that
    /// comes next is read.
    pub(super) fn hear(&self, ear: &Ear, push: PushInfo) {
        let channel = match push.data.first() {
            Some(Value::BulkString(channel)) => &channel[..],
            _ => return,
        };
        match (push.kind, push.data.last()) {
            (PushKind::Message | PushKind::SMessage, Some(Value::BulkString(message))) => {
                if channel.ends_with(self.node.as_bytes()) {
                    if let Some(sent) = message.first_chunk() {
                        // Until now a question may have been answered by the previous master.
                        if ear.missed_itself() {
                            self.renew(ear);
                        }
                        ear.hear_itself(i64::from_be_bytes(*sent));
                    }
                } else if let Some(message) = FeedMessage::decode(message)
                    && let Some(feed) = self.feed()
                {
                    meter::feed::message();
                    feed.deliver(&message);
                }
            }
            // The slot went to another server.
            (PushKind::SUnsubscribe, _) => {
                if let Ok(channel) = str::from_utf8(channel) {
                    let slot = slot::of(channel);
                    ear.lose(slot);
                    self.places.close(slot.into(), ear.number);
                }
            }
            _ => {}
        }
    }

    /// The channel in this slot on which the node hears itself.
    pub(super) fn own(&self, slot: u16) -> String {
        self.publish.own(&self.node, slot)
    }
}

/// A number that no open connection has. A place has 15 bits for it, and one that listens for hours meets them all again:
/// each attempt to listen takes one.
fn free_number(next: &AtomicU64, is_taken: impl Fn(u64) -> bool) -> u64 {
    loop {
        let number = next.fetch_add(1, SeqCst) & 0x7fff;
        if !is_taken(number) {
            return number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::{RedisStore, link::RedisSource, live::RedisLive},
        *,
    };

    #[test]
    fn two_connections_that_listen_never_share_a_number() {
        let next = AtomicU64::new(0x8000 + 7);

        assert_eq!(free_number(&next, |number| matches!(number, 7 | 8)), 9);
        assert_eq!(free_number(&next, |_| false), 10);
    }

    #[test]
    fn an_ear_that_was_given_up_takes_no_place_from_the_next_one() {
        let source = RedisSource::url("redis://127.0.0.1:1").unwrap();
        let store = RedisStore::builder(source).build();
        let publish = RedisLive::ends()
            .shards(2)
            .publish("live".to_owned(), false);
        let hearing = Hearing::new(&store.scripts, publish, "node".to_owned());
        let old = hearing.ear(None);
        hearing.open(&old, [0]);
        hearing.stop();
        let new = hearing.ear(None);
        hearing.open(&new, [0]);

        // Its subscription was confirmed only now.
        hearing.open(&old, [0, 1]);
        hearing.give_up(&old);

        let place = hearing.places.read(0);
        assert!(place.is_open() && place.ear() == new.number);
        assert!(!hearing.places.read(1).is_open());
    }
}
