//! The sessions of all users: their end, and reading them part by part.

use bytes::{Buf, BufMut, Bytes};

use super::{SetStorage, SetStore, Urgency, Version, Write, WriteKind, Written, write::Row};
use crate::{
    model::{Tag, Timestamp, id::decode_12},
    store::{
        EndEveryone, FeedMessage, List, Scan, Scanned, SessionSet, StoreError, StoreErrorKind,
    },
};

/// The tag under which the moment is stored. No user and no guest session has it, but a forged token may.
pub(super) const TAG: Tag = Tag::from_bytes([0; 12]);

/// The version of its stored form.
const VERSION: u8 = 1;

/// The moment is kept for ever: until the end of the year 9999, which every database can write.
const FOR_EVER: Timestamp = Timestamp::from_millis(253_402_300_799_000);

/// How often it is tried to write the moment, while other processes write it too.
const TRIES: u32 = 16;

impl<S: SetStorage> SetStore<S> {
    /// Reads the moment and writes what `next` makes of it, unless that is the same. Returns it, and whether it was written.
    pub(super) async fn move_everyone(
        &self,
        next: impl Fn(Option<Timestamp>, Timestamp) -> Option<Timestamp>,
    ) -> Result<(Option<Timestamp>, bool), StoreError> {
        let storage = &self.0.storage;
        for tried in 1..=TRIES {
            let stored = storage.read_for(TAG, None, Urgency::End).await?;
            let now = stored.now.unwrap_or_else(|| storage.now());
            let (version, before) = match stored.found {
                Some((version, head)) => (Some(version), Some(decode(&head)?)),
                None => (None, None),
            };
            let Some(moment) = next(before, now).filter(|next| Some(*next) != before) else {
                return Ok((before, false));
            };
            match storage.write(TAG, &write(version, moment)).await? {
                Written::Written { .. } => return Ok((Some(moment), true)),
                Written::Lost => storage.pause(tried).await,
                Written::NothingRan(error) => return Err(error),
            }
        }
        Err(StoreError::new(StoreErrorKind::Busy))
    }

    pub(super) async fn end_all_users(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        let moved = self.move_everyone(|before, now| Some(end.moment(now, before)));
        let (moment, is_written) = moved.await?;
        if !is_written {
            self.confirm(Urgency::End).await?;
        }
        let moment = moment.ok_or(StoreError::new(StoreErrorKind::Corrupt))?;
        self.0.horizon.note(moment);
        Ok(moment)
    }

    pub(super) async fn read_part(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        let tag = |cursor: &String| decode_12(cursor.as_bytes()).map(Tag::from_bytes);
        let after = scan.cursor.as_ref().map(|cursor| {
            // It is no cursor of this store.
            tag(cursor).ok_or(StoreError::new(StoreErrorKind::Unsupported))
        });
        let after = after.transpose()?;
        let heads = self.0.storage.scan(after, scan.most.max(1)).await?;
        // By the clock of the storage, if it has one.
        let read = self.0.storage.read(TAG, None).await?;
        let now = read.now.unwrap_or_else(|| self.0.storage.now());
        let next = heads.last().map(|(tag, _)| tag.to_string());
        let mut scanned = Scanned {
            next,
            ..Scanned::default()
        };
        let mut left_out = (0_usize, None);
        for (tag, head) in heads.into_iter().filter(|(tag, _)| *tag != TAG) {
            let mut list = List::new(tag);
            list.not_before = scan.not_before;
            let listed = match SessionSet::decode(&head) {
                Ok(mut set) => set.list(&list, now),
                // The others are readable.
                Err(error) => {
                    left_out = (left_out.0 + 1, Some(error));
                    continue;
                }
            };
            if !listed.is_empty() {
                scanned.sets.push(listed);
            }
        }
        // One line for all of them: while a deployment goes on, a newer node may have written every set.
        if let (sets, Some(error)) = left_out {
            tracing::warn!(
                sets,
                error = &error as &dyn std::error::Error,
                "session sets are left out of the list of all sessions"
            );
        }
        Ok(scanned)
    }
}

fn write(expect: Option<Version>, moment: Timestamp) -> Write {
    let mut head = vec![VERSION];
    head.put_i64(moment.as_millis());
    Write {
        expect,
        version: Version::new(),
        head: Some(Bytes::from(head)),
        parts: Vec::new(),
        kept_until: FOR_EVER,
        latest: None,
        kind: WriteKind::Change,
        urgency: Urgency::End,
        row: Row::default(),
        messages: vec![FeedMessage::everyone(moment)],
    }
}

fn decode(mut head: &[u8]) -> Result<Timestamp, StoreError> {
    match head.try_get_u8() {
        Ok(VERSION) => {}
        Ok(newer) if newer > VERSION => return Err(StoreError::new(StoreErrorKind::TooNew)),
        _ => return Err(StoreError::new(StoreErrorKind::Corrupt)),
    }
    match head.try_get_i64() {
        Ok(moment) if head.is_empty() => Ok(Timestamp::from_millis(moment)),
        _ => Err(StoreError::new(StoreErrorKind::Corrupt)),
    }
}
