//! The stored form of a session set without its data.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Buf, BufMut, TryGetError};

use super::{
    Cutoff, Live, Made, More, Part, Rare, SessionSet, SetBy, admit::Ticket, room::Devices,
};
use crate::{
    model::{Digest, EndNotice, Record, SessionId, Timestamp, record},
    store::{StoreError, StoreErrorKind, Ticketed},
};

/// The version of the stored form. A release writes a new one only when every running server can read it.
pub(super) const VERSION: u8 = 1;

/// What the set has, beside lists that may be empty.
const CUTOFF: u8 = 1;
const BARRED: u8 = 2;
const DEVICES: u8 = 4;
const SET_BY: u8 = 8;
const BEFORE: u8 = 16;

/// What a session has beside its record.
const WITH_PART: u8 = 1;
const WITH_MADE: u8 = 2;

/// What an answer to a `create` has beside the evicted sessions.
const NEW_DEVICE: u8 = 1;
const REPLACED: u8 = 2;

impl SessionSet {
    /// The stored form of everything but the data of sessions, which [`encode_part`](Self::encode_part) writes.
    ///
    /// It is big-endian, with times in milliseconds as `i64`. `n × …` has its number before it as a `u16`, and
    /// `record`, `notice` and `terms` their length as a `u32`.
    ///
    /// | part | what it has |
    /// |---|---|
    /// | version | `u8`, 1 |
    /// | flags | `u8`: 1 cutoff, 2 disabled until, 4 devices, 8 call, 16 cutoff before |
    /// | cutoff, disabled until | a time each, if flagged |
    /// | call | 8 bytes that name the call that set the cutoff, if flagged |
    /// | cutoff before | the time of the cutoff before that, if flagged |
    /// | devices | until when they are remembered, n × 12 bytes, if flagged |
    /// | end notices | n × (session id, [`notice`](EndNotice::encode)) |
    /// | tickets | n × (id, digest, mark of the realm, authenticated, works until, terms) |
    /// | sessions | n × (session id, flags, [`record`](Record::encode)) |
    ///
    /// The flags of a session are 1 if it has data, and 2 if the answer of its `create` follows. That is `u8`: 1 new
    /// device, 2 replaced. Then the id of the replaced session, if flagged, and n × (session id, record) evicted ones.
    ///
    /// # Errors
    ///
    /// If a record cannot be written; no value that can be built does that.
    pub fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::with_capacity(16 + 320 * self.live.len());
        self.encode_to(&mut bytes)?;
        Ok(bytes)
    }

    /// Adds the stored form to these bytes.
    pub(crate) fn encode_to(&self, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
        let Self { live, .. } = self;
        let Rare {
            notices,
            cutoff,
            barred,
            tickets,
            devices,
        } = self.rare();
        bytes.put_u8(VERSION);
        let flag = |flag, is: bool| if is { flag } else { 0 };
        let set_by = cutoff.and_then(|cutoff| cutoff.set_by);
        let before = set_by.and_then(|by| by.before);
        bytes.put_u8(
            flag(CUTOFF, cutoff.is_some())
                | flag(BARRED, barred.is_some())
                | flag(DEVICES, devices.until.is_some())
                | flag(SET_BY, set_by.is_some())
                | flag(BEFORE, before.is_some()),
        );
        let cutoff = cutoff.map(|cutoff| cutoff.at);
        for time in cutoff.iter().chain(barred).chain(&devices.until) {
            bytes.put_i64(time.as_millis());
        }
        if let Some(SetBy { call, .. }) = set_by {
            bytes.put_slice(&call);
        }
        if let Some(before) = before {
            bytes.put_i64(before.as_millis());
        }
        if devices.until.is_some() {
            put_count(bytes, devices.digests.len());
            devices.digests.iter().for_each(|it| bytes.put_slice(it));
        }
        put_count(bytes, notices.len());
        for (id, notice) in notices {
            bytes.put_slice(id.as_bytes());
            put_long(bytes, &notice.encode());
        }
        put_count(bytes, tickets.len());
        for held in tickets {
            bytes.put_slice(held.ticket.id.as_bytes());
            bytes.put_slice(held.ticket.digest.as_bytes());
            bytes.put_slice(&held.mark);
            bytes.put_i64(held.authenticated.as_millis());
            bytes.put_i64(held.until.as_millis());
            put_long(bytes, &held.terms);
        }
        put_count(bytes, live.len());
        for each in live {
            let record = &each.record;
            let made = each.more().and_then(|more| more.made.as_ref());
            bytes.put_slice(record.id.as_bytes());
            bytes.put_u8(flag(WITH_PART, each.has_data()) | flag(WITH_MADE, made.is_some()));
            put_record(bytes, record)?;
            if let Some(made) = made {
                put_made(bytes, made)?;
            }
        }
        Ok(())
    }

    /// Reads the stored form. The data of sessions is not there until [`add_part`](Self::add_part) adds it.
    ///
    /// # Errors
    ///
    /// The kind is [`TooNew`](StoreErrorKind::TooNew) if a newer version of this crate wrote the bytes, also if only a flag of
    /// the set or the reason of a notice is unknown. Leave them alone then. It is [`Corrupt`](StoreErrorKind::Corrupt) if they are no session set.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, StoreError> {
        let bytes = &mut bytes;
        version(bytes.first(), VERSION)?;
        bytes.advance(1);
        let flags = bytes.try_get_u8().map_err(corrupt)?;
        known(flags, CUTOFF | BARRED | DEVICES | SET_BY | BEFORE)?;
        let has = |flag| flags & flag != 0;
        if has(SET_BY) && !has(CUTOFF) || has(BEFORE) && !has(SET_BY) {
            return Err(StoreError::new(StoreErrorKind::Corrupt));
        }
        let time = |bytes: &mut _, flag| has(flag).then(|| get_time(bytes)).transpose();
        let at = time(bytes, CUTOFF)?;
        let (barred, until) = (time(bytes, BARRED)?, time(bytes, DEVICES)?);
        let call = has(SET_BY).then(|| get(bytes)).transpose()?;
        let before = time(bytes, BEFORE)?;
        let set_by = call.map(|call| SetBy { call, before });
        let cutoff = at.map(|at| Cutoff { at, set_by });
        let mut digests = VecDeque::new();
        if until.is_some() {
            digests = get_all(bytes, get)?.into();
        }
        let notices = get_all(bytes, get_notice)?;
        let tickets = get_all(bytes, get_ticket)?;
        let live = get_all(bytes, get_live)?;
        if bytes.has_remaining() {
            return Err(StoreError::new(StoreErrorKind::Corrupt));
        }
        let rare = Rare {
            notices,
            cutoff,
            barred,
            tickets,
            devices: Devices { digests, until },
        };
        let rare = (!rare.is_empty()).then(|| Box::new(rare));
        Ok(Self { live, rare })
    }
}

/// Whether these bytes are of this version: the first byte says so.
pub(super) fn version(first: Option<&u8>, known: u8) -> Result<(), StoreError> {
    match first {
        Some(version) if *version == known => Ok(()),
        Some(version) if *version > known => Err(StoreError::new(StoreErrorKind::TooNew)),
        _ => Err(StoreError::new(StoreErrorKind::Corrupt)),
    }
}

/// Only a newer version writes other flags than these.
fn known(flags: u8, known: u8) -> Result<(), StoreError> {
    match flags & !known {
        0 => Ok(()),
        _ => Err(StoreError::new(StoreErrorKind::TooNew)),
    }
}

pub(super) fn corrupt(source: TryGetError) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt).with_source(source)
}

// The limits of a session set are far below, so that nothing is cut off.
fn put_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
}

fn put_long(bytes: &mut Vec<u8>, long: &[u8]) {
    bytes.put_u32(u32::try_from(long.len()).unwrap_or(u32::MAX));
    bytes.put_slice(long);
}

fn put_record(bytes: &mut Vec<u8>, record: &Record) -> Result<(), StoreError> {
    let at = bytes.len();
    bytes.put_u32(0);
    let from = bytes.len();
    record.encode_to(bytes)?;
    let len = u32::try_from(bytes.len() - from).unwrap_or(u32::MAX);
    if let Some(place) = bytes.get_mut(at..from) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    Ok(())
}

fn put_made(bytes: &mut Vec<u8>, made: &Made) -> Result<(), StoreError> {
    let new_device = if made.new_device { NEW_DEVICE } else { 0 };
    let replaced = if made.replaced.is_some() { REPLACED } else { 0 };
    bytes.put_u8(new_device | replaced);
    if let Some(id) = made.replaced {
        bytes.put_slice(id.as_bytes());
    }
    put_count(bytes, made.evicted.len());
    for record in &made.evicted {
        bytes.put_slice(record.id.as_bytes());
        put_record(bytes, record)?;
    }
    Ok(())
}

fn get<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], StoreError> {
    let mut array = [0; N];
    bytes.try_copy_to_slice(&mut array).map_err(corrupt)?;
    Ok(array)
}

fn get_time(bytes: &mut &[u8]) -> Result<Timestamp, StoreError> {
    let millis = bytes.try_get_i64().map_err(corrupt)?;
    Ok(Timestamp::from_millis(millis))
}

/// Reads `n × …`, into exactly as much memory as it needs: a store in memory keeps a million of these sets.
fn get_all<T>(
    bytes: &mut &[u8],
    mut get: impl FnMut(&mut &[u8]) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let count = usize::from(bytes.try_get_u16().map_err(corrupt)?);
    // Each of them has an id or a digest of 12 bytes at least. The number itself may be damaged.
    let mut all = Vec::with_capacity(count.min(bytes.len() / 12));
    for _ in 0..count {
        all.push(get(bytes)?);
    }
    Ok(all)
}

fn get_long<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], StoreError> {
    let length = bytes.try_get_u32().map_err(corrupt)?;
    usize::try_from(length)
        .ok()
        .and_then(|length| bytes.split_off(..length))
        .ok_or_else(|| StoreError::new(StoreErrorKind::Corrupt))
}

fn get_notice(bytes: &mut &[u8]) -> Result<(SessionId, EndNotice), StoreError> {
    let id = SessionId::from_bytes(get(bytes)?);
    let notice = get_long(bytes)?;
    version(notice.first(), record::VERSION)?;
    let unread = || match EndNotice::is_newer(notice) {
        true => StoreError::new(StoreErrorKind::TooNew),
        false => StoreError::new(StoreErrorKind::Corrupt),
    };
    let notice = EndNotice::decode(notice).ok_or_else(unread)?;
    Ok((id, notice))
}

fn get_ticket(bytes: &mut &[u8]) -> Result<Ticket, StoreError> {
    let id = SessionId::from_bytes(get(bytes)?);
    let digest = Digest::from_bytes(get(bytes)?);
    Ok(Ticket {
        ticket: Ticketed { id, digest },
        mark: get(bytes)?,
        authenticated: get_time(bytes)?,
        until: get_time(bytes)?,
        terms: get_long(bytes)?.to_vec(),
    })
}

fn get_record(bytes: &mut &[u8], id: SessionId) -> Result<Record, StoreError> {
    let record = get_long(bytes)?;
    version(record.first(), record::VERSION)?;
    Ok(Record::decode(id, record)?)
}

fn get_live(bytes: &mut &[u8]) -> Result<Live, StoreError> {
    let id = SessionId::from_bytes(get(bytes)?);
    let flags = bytes.try_get_u8().map_err(corrupt)?;
    known(flags, WITH_PART | WITH_MADE)?;
    let record = get_record(bytes, id)?;
    let made = (flags & WITH_MADE != 0)
        .then(|| get_made(bytes))
        .transpose()?
        .map(Arc::new);
    let data = if flags & WITH_PART != 0 {
        Part::Away
    } else {
        Part::default()
    };
    let more = (flags != 0).then(|| Box::new(More { data, made }));
    Ok(Live { record, more })
}

fn get_made(bytes: &mut &[u8]) -> Result<Made, StoreError> {
    let flags = bytes.try_get_u8().map_err(corrupt)?;
    known(flags, NEW_DEVICE | REPLACED)?;
    let replaced = (flags & REPLACED != 0).then(|| get(bytes)).transpose()?;
    let evicted = |bytes: &mut &[u8]| {
        let id = SessionId::from_bytes(get(bytes)?);
        get_record(bytes, id)
    };
    Ok(Made {
        evicted: get_all(bytes, evicted)?,
        replaced: replaced.map(SessionId::from_bytes),
        new_device: flags & NEW_DEVICE != 0,
    })
}
