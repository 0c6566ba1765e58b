//! Calls `create.lua`.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::BufMut;
use deadpool_redis::redis::Cmd;

use super::{
    super::reply::{ALONE, Alone, Reply},
    LATE, Scripts, not_before, part, proven,
};
use crate::{
    model::{
        Data, Excess, Lifetime, Record, SessionId, Timestamp,
        clock::{Monotonic, millis},
        id::decode_12,
        record::UNCOUNTED,
    },
    store::{
        Authenticated, Create, Created, NewSession, Redeem, SeenDevice, StoreError, StoreErrorKind,
        Ticketed, UNCOUNTED_MAX,
    },
};

impl Scripts {
    /// Runs `lua/create.lua`.
    pub(in super::super) async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let draft = create.record(create.client.clone(), Timestamp::default());
        let (body, changes) = (draft.encode_body()?, create.changes.encode());
        let named = draft.named();
        let replaces = create.replaces.map(|id| id.encode());
        let (redeem, device) = (redeem(create.redeem), device(create.device));
        let offer = create.offer.as_ref().map_or_else(Vec::new, |offer| {
            [&ticketed(offer.ticket), &offer.terms[..]].concat()
        });
        let usual = replaces.is_none()
            && [&changes[..], &redeem, &device, &offer].concat().is_empty()
            && self.0.clock.is_none();
        let sends = AtomicU32::new(0);
        let arguments = |cmd: &mut Cmd, latest: Option<i64>| {
            cmd.arg(&create.id.encode())
                .arg(create.digest.as_bytes())
                .arg(&body)
                .arg(self.terms(create, named, latest));
            if !usual {
                cmd.arg(replaces.as_ref().map_or(&b""[..], |id| &id[..]))
                    .arg(&changes[..])
                    .arg(self.given())
                    .arg(&redeem)
                    .arg(&device)
                    .arg(&offer);
            }
        };
        let key = self.0.keys.user(create.tag);
        // Its own id and digest make sending it again the same session.
        let mut call = self.call(&self.0.all.create, &key, part(&create.digest, 1));
        call.expected.alone = Alone::Header;
        call.confirm = self.0.confirm;
        call.began = Some(Monotonic::now());
        call.sends = Some(&sends);
        let run = || self.send(&call, &arguments);
        let (reply, may_run) = run().await;
        let mut reply = reply.map_err(|error| {
            if may_run {
                error
            } else {
                error.known_not_run()
            }
        })?;
        if reply.head().0 == LATE {
            // The sample of the server's time was off, and there is a new one now. The deadline is the same.
            reply = run().await.0?;
        }
        if reply.head().0 > 1 && sends.load(Ordering::Relaxed) > 1 {
            // One whose answer was lost may run yet: what was refused must not be made by it.
            if self.end_undelivered(create.tag, create.id).await.is_err() {
                self.give_up(create.tag, create.id);
            }
        }
        let (outcome, now) = reply.head();
        if matches!(outcome, ALONE | 1) {
            reply.confirmed()?;
        }
        match outcome {
            ALONE => {
                let record = draft.begun(&reply.bytes()?)?;
                let new = NewSession::new(record, Data::default(), now);
                Ok(Created::Created(Box::new(new)))
            }
            1 => {
                let cutoff = reply.integer()?.map(Timestamp::from_millis);
                let record = Record::decode(create.id, &reply.bytes()?)?;
                let data = Data::from_bytes(reply.bytes()?)?;
                let mut new = NewSession::new(record, data, now);
                new.cutoff = cutoff;
                new.replaced = decode_12(&reply.bytes()?).map(SessionId::from_bytes);
                new.new_device = reply.count()? == 1;
                new.evicted = reply.records()?;
                Ok(Created::Created(Box::new(new)))
            }
            2 => Ok(Created::LimitReached(reply.records()?)),
            3 => Ok(Created::Rejected),
            4 => Ok(Created::Ended),
            LATE => Err(StoreError::new(StoreErrorKind::Timeout)),
            6 => Ok(Created::TooLarge),
            7 => Ok(Created::NoTicket),
            8 => Ok(Created::Disabled),
            9 => Ok(Created::TooOld),
            _ => Err(Reply::unexpected()),
        }
    }

    /// The argument `terms` of `lua/create.lua`.
    fn terms(&self, create: &Create, named: u16, latest: Option<i64>) -> Vec<u8> {
        let (age, proven) = proven(create.authenticated);
        let (class, limit, class_limit) = if create.counts {
            let of_class = create.limit.class_sessions(create.class);
            let limit = create.limit.sessions();
            (create.class.number(), limit, of_class.unwrap_or(0))
        } else {
            (UNCOUNTED, UNCOUNTED_MAX, 0)
        };
        let arrived = match create.authenticated {
            Authenticated::After(_) => create.since.map_or(i64::MAX, Timestamp::as_millis),
            Authenticated::At(_) | Authenticated::On(_) => create
                .arrival
                .map_or(i64::MIN, |arrival| millis(arrival.age())),
        };
        let mut terms = Vec::with_capacity(85);
        terms.put_u8(if create.user.is_some() { 1 } else { 2 });
        terms.put_u8(u8::from(create.limit.excess() == Excess::Refuse));
        terms.put_u8(age);
        terms.put_u8(class);
        terms.put_u16(limit);
        terms.put_u16(class_limit);
        terms.put_i64(millis(create.lifetime.idle()));
        terms.put_i64(millis(create.lifetime.absolute()));
        terms.put_i64(proven);
        terms.put_i64(i64::try_from(create.data_limit).unwrap_or(i64::MAX));
        terms.put_i64(millis(self.0.notice_kept));
        terms.put_i64(not_before(create.not_before));
        terms.put_i64(not_before(create.arrived_after));
        terms.put_i64(self.latest(latest));
        terms.put_u16(named);
        terms.put_slice(&create.realm.mark());
        terms.put_i64(arrived);
        terms
    }
}

/// A ticket's id and digest.
fn ticketed(ticket: Ticketed) -> Vec<u8> {
    [&ticket.id.encode()[..], ticket.digest.as_bytes()].concat()
}

/// A ticket and the session to end for it; empty if there is none.
fn redeem(redeem: Option<Redeem>) -> Vec<u8> {
    let Some(Redeem { ticket, ends }) = redeem else {
        return Vec::new();
    };
    let ends = ends.map(|id| id.encode());
    let ends = ends.as_ref().map_or(&[][..], |id| &id[..]);
    [&ticketed(ticket), ends].concat()
}

/// A device and how long it is remembered; empty if there is none.
fn device(device: Option<SeenDevice>) -> Vec<u8> {
    device.map_or_else(Vec::new, |SeenDevice { digest, kept }| {
        [&digest[..], &millis(kept.min(Lifetime::MAX)).to_be_bytes()].concat()
    })
}
