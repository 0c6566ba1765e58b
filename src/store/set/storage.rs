//! What a backend does for `SetStore`.

use std::{
    future::{Future, poll_fn},
    sync::LazyLock,
    task::Poll,
};

use bytes::Bytes;

use super::{
    stored::Stored,
    urgency::Urgency,
    write::{Write, Written},
};
use crate::{
    model::{Clock, SessionId, Tag, TagKey, Timestamp, UserId},
    store::{Feed, FeedMessage, StoreError, StoreErrorKind},
};

/// Keeps session sets as bytes, for a `SetStore`.
///
/// Implement it to keep sessions in a database of your own. It has two methods, because `SetStore` knows the rules:
/// [`read`](Self::read) returns the bytes of one session set, and [`write`](Self::write) replaces them if nobody else
/// did. Write the methods as `async fn`.
///
/// A session set is all that is known about one user, or about one guest session. Its *head* is small and has everything
/// but the app's data. Each session with data has a *part* for them. So a request reads and writes its own
/// session's data, and not those of all sessions of the user.
///
/// # Contract
///
/// 1. `read` returns head, version and part as one write left them, and never a mixture of two writes.
/// 2. A `write` happens only while the set has the version that it expects. Comparing and writing are one step.
/// 3. A `write` that expects no set happens only while there is none.
/// 4. All of a `write` happens or nothing: the head, the parts and the version. If its future is dropped too.
/// 5. A `read` after a `write` was answered sees it, or a later one. This holds in all processes.
/// 6. Before its `kept_until` a set is never deleted, except by a `write` without a head.
/// 7. A `write` after its [`latest`](Write::latest) moment does not run, or its answer says when it ran.
/// 8. `scan`, if there is one, returns the heads in the order of their tags, and leaves none out.
/// 9. While the backend cannot be reached, each call is an error within a few seconds. A `write` that may have run is never
///    [`Written::NothingRan`]. An operation waits for a call as long as it takes, so calls to the database need a deadline.
/// 10. All processes have the same time, as exactly as deadlines should hold.
///
/// The feature `conformance` has a test of each number, `conformance::storage` and `conformance::storage_outage`, and one of
/// a [`SetStore`] in your storage.
///
/// [`SetStore`]: crate::store::SetStore
pub trait SetStorage: Send + Sync + 'static {
    /// Reads the head of a session set, and at most one of its parts.
    ///
    /// # Errors
    ///
    /// If the backend cannot answer. A set that is not there is no error but [`Stored::absent`].
    ///
    /// # Cancel safety
    ///
    /// It changes nothing, so the future may be dropped at any time.
    fn read(
        &self,
        tag: Tag,
        part: Option<SessionId>,
    ) -> impl Future<Output = Result<Stored, StoreError>> + Send;

    /// Reads as [`read`](Self::read) does, for an operation of this urgency.
    ///
    /// Implement it if calls wait for a connection of a pool. Otherwise an end waits behind all requests of a flood. Let
    /// ends go first, and sign-ins after them, but never hold the others up for ever.
    /// [`Write::urgency`] says the same of a write.
    ///
    /// Defaults to `read`.
    ///
    /// # Errors
    ///
    /// As `read`.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing, so the future may be dropped at any time.
    fn read_for(
        &self,
        tag: Tag,
        part: Option<SessionId>,
        urgency: Urgency,
    ) -> impl Future<Output = Result<Stored, StoreError>> + Send {
        let _ = urgency;
        self.read(tag, part)
    }

    /// Writes a session set, if it still has the expected version.
    ///
    /// # Errors
    ///
    /// Return an error if the write may have run, or may still run. `SetStore` then reads the set to find
    /// out. If you know that nothing ran, return [`Written::NothingRan`] instead: trying again is cheaper then.
    ///
    /// For a lost connection take the kind `Unavailable`, for no answer in time `Timeout`. The layer answers both
    /// with 503. A [`Written::NothingRan`] with `Corrupt`, `Denied`, `Full`, `TooNew` or `Unsupported` is
    /// not tried again.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all of the write happens or nothing.
    fn write(
        &self,
        tag: Tag,
        write: &Write,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// The time, for reads and writes that have none of their own.
    ///
    /// Defaults to the clock of this process. Deadlines then hold as exactly as the clocks of your servers agree. If
    /// your database has a clock, use [`Stored::at`] and [`Written::Written::when`](Written::Written) instead.
    fn now(&self) -> Timestamp {
        static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::system);
        CLOCK.now()
    }

    /// The secret key of tags, see [`SessionStore::tag_key`](crate::store::SessionStore::tag_key). Defaults to none.
    fn tag_key(&self) -> Option<&TagKey> {
        None
    }

    /// The tag of a user's session set.
    ///
    /// Defaults to [`Tag::keyed`] with the [key](Self::tag_key), and to [`Tag::of`] without one.
    fn tag(&self, user: &UserId) -> Tag {
        Tag::with(self.tag_key(), user)
    }

    /// What changed in the session sets, if the storage sends the [messages](Write::messages) of all processes to it.
    ///
    /// Defaults to `None`. Then streams notice the end of their session within 75 s (in an outage within 5 minutes), and
    /// not at once.
    fn feed(&self) -> Option<Feed> {
        None
    }

    /// Sends these [messages](Write::messages): their write was answered with an error, and has run, as a read shows.
    ///
    /// Implement it if the storage has a [`feed`](Self::feed). Defaults to doing nothing.
    fn report(&self, messages: &[FeedMessage]) {
        let _ = messages;
    }

    /// A number that only storages with the same sessions share, such as clones.
    ///
    /// The layer warns if two layers without a realm use different cookies on the same sessions.
    ///
    /// Defaults to `None`: each `SetStore` and its clones have their own.
    fn identity(&self) -> Option<u64> {
        None
    }

    /// Waits a little before the next attempt, after `lost` attempts in a row that other processes won.
    ///
    /// Defaults to letting other tasks run once. A storage that several processes share should sleep for a random time that
    /// grows with `lost`, with the timer of its runtime.
    fn pause(&self, lost: u32) -> impl Future<Output = ()> + Send {
        let _ = lost;
        let mut yielded = false;
        poll_fn(move |context| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Reads heads of many session sets: at most `most`, those with the lowest tags after `after`, in order.
    ///
    /// For administrators, who list and count the sessions of all users.
    ///
    /// # Errors
    ///
    /// If the backend cannot answer. Defaults to [`StoreErrorKind::Unsupported`].
    ///
    /// # Cancel safety
    ///
    /// It changes nothing, so the future may be dropped at any time.
    fn scan(
        &self,
        after: Option<Tag>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<(Tag, Bytes)>, StoreError>> + Send {
        let _ = (after, most);
        std::future::ready(Err(StoreError::new(StoreErrorKind::Unsupported)))
    }

    /// About how many session sets there are.
    ///
    /// # Errors
    ///
    /// If the backend cannot answer. Defaults to [`StoreErrorKind::Unsupported`].
    ///
    /// # Cancel safety
    ///
    /// It changes nothing, so the future may be dropped at any time.
    fn estimate(&self) -> impl Future<Output = Result<u64, StoreError>> + Send {
        std::future::ready(Err(StoreError::new(StoreErrorKind::Unsupported)))
    }
}
