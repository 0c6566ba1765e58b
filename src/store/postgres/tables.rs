//! Session sets in the tables of `sql/migrate.sql`.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use deadpool_postgres::tokio_postgres::{Row, types::FromSqlOwned};
use tokio::{runtime::Handle, time};

use super::{
    failure::Failure,
    held::Value,
    link::{Again, Link, Missed, Time},
    live::Live,
    sql::{Statement, Statements},
};
use crate::{
    model::{Clock, SessionId, Tag, TagKey, Timestamp},
    store::{
        Feed, FeedMessage, SetStorage, StoreError, StoreErrorKind, Stored, Urgency, Version, Write,
        WriteKind, Written, outage::jitter, together::left, worker::Worker,
    },
};

/// Expired sets are deleted with one write in so many. A write adds at most one, and 20 are deleted at a time.
const PURGE_EVERY: u32 = 16;

/// One deletion in so many begins at the first set: others may have locked some, or the clock of the server went back.
const FROM_THE_FIRST: u32 = 256;

/// The moments that columns take here: of the years 1 to 9999.
pub(super) const FIRST: i64 = -62_135_596_800_000;
const LAST: i64 = 253_402_300_799_999;

/// The tables of one schema.
#[derive(Clone, Debug)]
pub(super) struct Tables(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) link: Link,
    /// Covers all of an operation.
    pub(super) deadline: Duration,
    pub(super) statements: Statements,
    pub(super) clock: Option<Clock>,
    pub(super) tag_key: Option<TagKey>,
    pub(super) identity: u64,
    pub(super) writes: AtomicU32,
    pub(super) purging: Mutex<Worker>,
    /// Where the last deletion ended: sets that are not needed from an earlier moment on are gone. In ms.
    pub(super) purged: AtomicI64,
    pub(super) live: Option<Live>,
}

impl SetStorage for Tables {
    async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
        self.read_for(tag, part, Urgency::Other).await
    }

    async fn read_for(
        &self,
        tag: Tag,
        part: Option<SessionId>,
        urgency: Urgency,
    ) -> Result<Stored, StoreError> {
        if let Some(live) = &self.0.live {
            live.listen(&self.0);
        }
        let (tag, part) = (
            &tag.as_bytes()[..],
            part.as_ref().map(|id| &id.as_bytes()[..]),
        );
        let values = [&tag as Value<'_>, &part];
        let read = match part {
            Some(_) => &self.0.statements.read,
            None => &self.0.statements.read_head,
        };
        let (link, again) = (&self.0.link, Again::Harmless);
        let time = Time::of(link.deadline);
        let rows = link.run_unless(time, read, &values, again, urgency, standby);
        self.0.stored(&only(rows.await?)?)
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        let mut reports = Reports(self, &write.messages);
        let written = self.0.write(tag, write).await;
        if let Ok(Written::Lost | Written::NothingRan(_)) = written {
            reports.1 = &[];
        }
        drop(reports);
        if let Ok(Written::Written { .. }) = written {
            let writes = self.0.writes.fetch_add(1, Relaxed);
            if writes.is_multiple_of(PURGE_EVERY * FROM_THE_FIRST) {
                self.0.purged.store(FIRST, Relaxed);
            }
            if writes.is_multiple_of(PURGE_EVERY) {
                self.purge();
            }
        }
        written
    }

    fn feed(&self) -> Option<Feed> {
        let live = self.0.live.as_ref()?;
        live.listen(&self.0);
        Some(live.feed())
    }

    fn report(&self, messages: &[FeedMessage]) {
        if let Some(live) = &self.0.live {
            live.send(messages, &self.0);
        }
    }

    fn now(&self) -> Timestamp {
        let clock = self.0.clock.as_ref();
        clock.map_or_else(|| Clock::system().now(), Clock::now)
    }

    fn tag_key(&self) -> Option<&TagKey> {
        self.0.tag_key.as_ref()
    }

    fn identity(&self) -> Option<u64> {
        Some(self.0.identity)
    }

    async fn pause(&self, lost: u32) {
        time::sleep(jitter(Duration::from_millis(1 << lost.min(5)))).await;
    }

    async fn scan(&self, after: Option<Tag>, most: usize) -> Result<Vec<(Tag, Bytes)>, StoreError> {
        let after = after.as_ref().map(|tag| &tag.as_bytes()[..]);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let (scan, values) = (&self.0.statements.scan, [&after as Value<'_>, &most]);
        let rows = self
            .0
            .link
            .run(scan, &values, Again::Harmless, Urgency::Other);
        rows.await?
            .iter()
            .map(|row| {
                Ok((
                    Tag::from_bytes(twelve(row)?),
                    column::<Vec<u8>>(row, 1)?.into(),
                ))
            })
            .collect()
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        self.count().await
    }
}

/// Sends messages of a write, unless it did not run. Also if the caller goes away, because nobody knows then whether it runs.
struct Reports<'a>(&'a Tables, &'a [FeedMessage]);

impl Drop for Reports<'_> {
    fn drop(&mut self) {
        self.0.report(self.1);
    }
}

impl Tables {
    async fn count(&self) -> Result<u64, StoreError> {
        let row = self.0.one(&self.0.statements.estimate).await?;
        Ok(u64::try_from(column::<i64>(&row, 0)?).unwrap_or(0))
    }

    /// Waits until the synchronous standbys have all that was read until now.
    pub(super) async fn confirm(&self, urgency: Urgency) -> Result<(), StoreError> {
        let confirm = &self.0.statements.confirm;
        // As a change: it is not cancelled, and waits together with few others.
        let confirms = self.0.link.run(confirm, &[], Again::Never, urgency);
        confirms.await?;
        Ok(())
    }

    /// Deletes expired sets beside the calls, at most one statement at a time. The next one tries again.
    fn purge(&self) {
        if Handle::try_current().is_err() {
            return;
        }
        let purging = self.0.purging.lock();
        let mut purging = purging.unwrap_or_else(PoisonError::into_inner);
        if purging.runs() {
            return;
        }
        let inner = Arc::downgrade(&self.0);
        purging.start(|_shift| async move {
            let Some(inner) = inner.upgrade() else {
                return;
            };
            if let Err(error) = inner.purge().await {
                tracing::debug!(kind = ?error.kind(), "expired session sets are not deleted yet");
            }
        });
    }
}

impl Inner {
    /// The time of a clock given for tests.
    fn time(&self) -> Option<SystemTime> {
        self.clock.as_ref().map(|clock| moment(clock.now()))
    }

    /// The channel of the feed. The pool's connections know in which schema the table is.
    pub(super) async fn channel(&self) -> Result<String, StoreError> {
        column(&self.one(&self.statements.channel).await?, 0)
    }

    async fn purge(&self) -> Result<(), StoreError> {
        let from = moment(Timestamp::from_millis(self.purged.load(Relaxed)));
        let (time, purge) = (self.time(), &self.statements.purge);
        let values = [&time as Value<'_>, &from];
        let purged = self.link.run(purge, &values, Again::Never, Urgency::Other);
        let next = Timestamp::from(column::<SystemTime>(&only(purged.await?)?, 0)?);
        self.purged.store(next.as_millis(), Relaxed);
        Ok(())
    }

    /// The row of a statement that changes nothing and has no parameters.
    async fn one(&self, statement: &Statement) -> Result<Row, Missed> {
        let link = &self.link;
        let rows = link.run(statement, &[], Again::Harmless, Urgency::Other);
        only(rows.await?)
    }

    fn stored(&self, row: &Row) -> Result<Stored, StoreError> {
        let now = match &self.clock {
            Some(clock) => clock.now(),
            None => column::<SystemTime>(row, 3)?.into(),
        };
        let Some(version) = column::<Option<i64>>(row, 0)? else {
            return Ok(Stored::absent().at(now));
        };
        let head: Vec<u8> = column(row, 1)?;
        let part: Option<Vec<u8>> = column(row, 2)?;
        let version = Version::from_bytes(version.to_be_bytes());
        Ok(Stored::new(version, head.into(), part.map(Bytes::from)).at(now))
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        let time = self.time();
        let tag = &tag.as_bytes()[..];
        let expect = write.expect.map(number);
        let wait = lock_wait(self.link.deadline, self.deadline);
        let Some(head) = write.head.as_deref() else {
            let values = [&tag as Value<'_>, &expect, &time, &wait];
            let delete = &self.statements.delete;
            let rows = self.link.run(delete, &values, Again::Never, write.urgency);
            return written(rows.await);
        };
        let user = write.row.user.as_ref().filter(|_| self.tag_key.is_none());
        let user = user.map(|user| user.as_str().as_bytes());
        let live = i32::try_from(write.row.live).unwrap_or(i32::MAX);
        let (kept_until, version) = (moment(write.kept_until), number(write.version));
        let last_activity = write.row.last_activity.map(moment);
        let latest = write.latest.map(moment);
        let (ids, parts): (Vec<&[u8]>, Vec<Option<&[u8]>>) = write
            .parts
            .iter()
            .map(|(id, part)| (&id.as_bytes()[..], part.as_deref()))
            .unzip();
        let values: &[Value<'_>] = &[
            &tag,
            &expect,
            &version,
            &head,
            &kept_until,
            &time,
            &user,
            &live,
            &last_activity,
            &latest,
            &wait,
            &ids,
            &parts,
        ];
        let all = &self.statements;
        let activity = write.kind == WriteKind::Activity && parts.is_empty() && latest.is_none();
        let statement = match (expect.is_some(), parts.is_empty()) {
            (true, true) if activity => &all.activity,
            (true, true) => &all.change,
            (true, false) => &all.change_parts,
            (false, true) => &all.insert,
            (false, false) => &all.insert_parts,
        };
        let rows = self
            .link
            .run(statement, values, Again::Never, write.urgency);
        written(rows.await)
    }
}

/// For how many milliseconds a statement may wait for a lock: its reply must come while the caller still waits.
fn lock_wait(statement: Duration, operation: Duration) -> i64 {
    let waits = statement.min(left(operation));
    i64::try_from(waits.as_millis() * 9 / 10)
        .unwrap_or(i64::MAX)
        .clamp(1, i64::from(i32::MAX))
}

pub(super) fn only(mut rows: Vec<Row>) -> Result<Row, Missed> {
    rows.pop()
        .ok_or_else(|| Missed::nothing_ran(StoreError::new(StoreErrorKind::Corrupt)))
}

/// Whether `read.sql` ran on a standby: what it read may be old.
fn standby(rows: &[Row]) -> Option<Failure> {
    let is_standby = |row: &Row| row.try_get(4).unwrap_or(false);
    rows.iter().any(is_standby).then(Failure::standby)
}

/// The answer of a statement that writes.
fn written(rows: Result<Vec<Row>, Missed>) -> Result<Written, StoreError> {
    let row = match rows.map(|mut rows| rows.pop()) {
        Ok(Some(row)) => row,
        // Another write won, or it came too late. The next attempt finds out which.
        Ok(None) => return Ok(Written::Lost),
        Err(missed) if missed.lost => return Ok(Written::Lost),
        Err(missed) if missed.nothing_ran => return Ok(Written::NothingRan(missed.error)),
        Err(missed) => return Err(missed.error),
    };
    if let Some(when) = column::<Option<SystemTime>>(&row, 0)? {
        let when = Some(when.into());
        return Ok(Written::Written { when });
    }
    let in_time = row.len() < 2 || column::<bool>(&row, 1)?;
    Ok(if in_time {
        Written::Lost
    } else {
        Written::NothingRan(StoreError::new(StoreErrorKind::Timeout))
    })
}

/// A column of an answer.
pub(super) fn column<T: FromSqlOwned>(row: &Row, at: usize) -> Result<T, StoreError> {
    row.try_get(at)
        .map_err(|error| StoreError::new(StoreErrorKind::Corrupt).with_source(error))
}

fn twelve(row: &Row) -> Result<[u8; 12], StoreError> {
    let bytes: Vec<u8> = column(row, 0)?;
    bytes
        .try_into()
        .map_err(|_bytes| StoreError::new(StoreErrorKind::Corrupt))
}

fn number(version: Version) -> i64 {
    i64::from_be_bytes(*version.as_bytes())
}

fn moment(of: Timestamp) -> SystemTime {
    Timestamp::from_millis(of.as_millis().clamp(FIRST, LAST)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::together::after;

    #[test]
    fn late_in_a_commit_a_statement_waits_for_a_lock_no_longer_than_its_caller_waits() {
        const MINUTE: Duration = Duration::from_secs(60);
        let wait_after = |minutes| {
            let wait = async { lock_wait(5 * MINUTE, 10 * MINUTE) };
            tokio_test::block_on(after(minutes * MINUTE, wait))
        };

        let [early, soon, late, over] = [0, 3, 8, 10].map(wait_after);

        assert_eq!((early, soon, over), (270_000, 270_000, 1));
        assert!(100_000 < late && late <= 108_000, "{late}");
    }
}
