//! The conformance suite finds a storage that leaves out one kind of message of its feed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{thread, time::Duration};

use tower_user_sessions::{
    EndReason, SessionId,
    store::{
        Feed, FeedMessage, FeedNews, FeedSource, FeedState, ManualClock, SetStorage, SetStore,
        StoreError, Stored, Tag, Timestamp, Write, Written, conformance,
    },
};

use crate::{common::shelf::Shelf, verdict::verdict};

/// Messages arrive at once.
struct Here;

impl FeedSource for Here {
    fn state(&self, _: Tag) -> FeedState {
        FeedState::new(1, true)
    }
}

/// A storage whose feed leaves out these messages.
struct Storage {
    shelf: Shelf,
    feed: Feed,
    leaves_out: fn(&FeedNews) -> bool,
}

impl SetStorage for Storage {
    async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
        self.shelf.read(tag, part).await
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        let written = self.shelf.write(tag, write).await;
        if matches!(written, Ok(Written::Written { .. })) {
            self.report(&write.messages);
        }
        written
    }

    fn now(&self) -> Timestamp {
        self.shelf.now()
    }

    fn feed(&self) -> Option<Feed> {
        Some(self.feed.clone())
    }

    fn report(&self, messages: &[FeedMessage]) {
        for message in messages {
            if !(self.leaves_out)(&message.news) {
                self.feed.deliver(message);
            }
        }
    }
}

/// What the suite says of it.
fn without(leaves_out: fn(&FeedNews) -> bool) -> Option<String> {
    verdict(conformance::reports_what_changes(
        async |clock: ManualClock| {
            let storage = Storage {
                shelf: Shelf::on(&clock),
                feed: Feed::new(Here),
                leaves_out,
            };
            let store = SetStore::builder(storage);
            store.activity_every(Duration::ZERO).build()
        },
    ))
}

fn has(news: &FeedNews, reason: EndReason) -> bool {
    matches!(news, FeedNews::Ended(all) if all.iter().any(|(_, why)| *why == reason))
}

// T49
#[test]
fn a_feed_that_leaves_out_one_kind_of_message_fails_the_conformance_suite() {
    let leave_out: [(fn(&FeedNews) -> bool, &str); 7] = [
        (
            |news| has(news, EndReason::LoggedOut),
            "an end for the reason LoggedOut is not reported",
        ),
        (
            |news| has(news, EndReason::Evicted),
            "a session that ends for a sign-in, for the reason Evicted is not reported",
        ),
        (
            |news| has(news, EndReason::TokenReuse),
            "an end by a reused token is not reported",
        ),
        (
            |news| matches!(news, FeedNews::LookAgain),
            "an end of all other sessions is not reported",
        ),
        (
            |news| matches!(news, FeedNews::Written(_)),
            "a shorter lifetime of session",
        ),
        (
            |news| matches!(news, FeedNews::Renewed(_)),
            "a new token of session",
        ),
        (
            |news| matches!(news, FeedNews::Everyone(_)),
            "an end of all users' sessions is not reported",
        ),
    ];

    // At the same time: the suite waits for each of these messages for seconds.
    let said = thread::scope(|scope| {
        let runs = leave_out.map(|(leaves_out, _)| scope.spawn(move || without(leaves_out)));
        runs.map(|run| run.join().unwrap())
    });

    for (said, (_, wanted)) in said.into_iter().zip(leave_out) {
        let said = said.unwrap_or_else(|| panic!("not found: {wanted}"));
        assert!(
            said.starts_with(&format!("contract 27: {wanted}")),
            "{said}"
        );
    }
    assert_eq!(without(|_| false), None);
}
