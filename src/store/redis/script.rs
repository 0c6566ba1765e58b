//! The scripts: how each is called, and what its reply means.
//!
//! Every script has one function here, the only place where the order of its arguments is written.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut, Bytes};
use deadpool_redis::redis::{Cmd, Value};

use super::{
    connection::{Connections, Resend},
    keys::Keys,
    reply::{ALONE, Reply},
    source::Script,
};
use crate::{
    model::{Clock, Data, EndNotice, EndReason, Excess, Record, Timestamp, clock::millis},
    store::{
        Authenticated, Create, Created, End, Ended, Found, List, NewSession, Resolve, Resolved,
        Save, Saved, StoreError, StoreErrorKind, TOMBSTONE_KEPT, Which,
    },
};

const PRELUDE: &str = include_str!("lua/prelude.lua");
const HASH: &str = include_str!("lua/hash.lua");
const DATA: &str = include_str!("lua/data.lua");

/// What `create.lua` answers when it runs after the caller has given up.
const LATE: i64 = 5;

/// Every script, hashed once, and what they need to run.
#[derive(Clone, Debug)]
pub(super) struct Scripts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connections: Connections,
    keys: Keys,
    notice_kept: Duration,
    clock: Option<Clock>,
    resolve: Script,
    create: Script,
    save: Script,
    list: Script,
    end: Script,
}

impl Scripts {
    pub(super) fn new(
        connections: Connections,
        keys: Keys,
        notice_kept: Duration,
        clock: Option<Clock>,
    ) -> Self {
        Self(Arc::new(Inner {
            connections,
            keys,
            notice_kept,
            clock,
            resolve: Script::new(&[PRELUDE], include_str!("lua/resolve.lua")),
            create: Script::of(&[
                include_str!("lua/create.lua"),
                PRELUDE,
                HASH,
                DATA,
                include_str!("lua/admit.lua"),
            ]),
            save: Script::new(&[PRELUDE, DATA], include_str!("lua/save.lua")),
            list: Script::new(&[PRELUDE, HASH], include_str!("lua/list.lua")),
            end: Script::new(&[PRELUDE, HASH], include_str!("lua/end.lua")),
        }))
    }

    /// Runs `lua/resolve.lua`.
    pub(super) async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        let (id, digest) = (resolve.token.session_id(), resolve.token.digest());
        let usual = resolve.activity && resolve.not_before.is_none() && self.0.clock.is_none();
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(&id.encode()).arg(digest.as_bytes());
            if !usual {
                cmd.arg(u8::from(resolve.activity))
                    .arg(not_before(resolve.not_before))
                    .arg(self.given());
            }
        };
        let key = self.0.keys.user(resolve.token.tag());
        let mut reply = self
            .run(&self.0.resolve, &key, Resend::Harmless, arguments)
            .await?;
        let (outcome, now) = reply.head();
        match outcome {
            ALONE => {
                let record = Record::decode(id, &reply.bytes()?)?;
                Ok(Resolved::Live(Found::new(record, Data::default(), now)))
            }
            1 => {
                let record = Record::decode(id, &reply.bytes()?)?;
                Ok(Resolved::Live(Found::new(record, stored(&mut reply)?, now)))
            }
            2 => {
                let notice = EndNotice::decode(&reply.bytes()?);
                Ok(notice.map_or(Resolved::Unknown, Resolved::Ended))
            }
            0 => Ok(Resolved::Unknown),
            _ => Err(Reply::unexpected()),
        }
    }

    /// Runs `lua/create.lua`.
    pub(super) async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let draft = Record::new(
            create.id,
            create.digest,
            create.user.clone(),
            create.client.clone(),
            create.lifetime,
            Timestamp::default(),
        );
        let (body, changes) = (draft.encode_body()?, create.changes.encode());
        let replaces = create.replaces.map(|id| id.encode());
        let usual = replaces.is_none() && changes.is_empty() && self.0.clock.is_none();
        let arguments = |cmd: &mut Cmd, latest: Option<i64>| {
            cmd.arg(&create.id.encode())
                .arg(create.digest.as_bytes())
                .arg(create.id.as_bytes())
                .arg(&body)
                .arg(self.terms(create, latest));
            if !usual {
                cmd.arg(replaces.as_ref().map_or(&b""[..], |id| &id[..]))
                    .arg(&changes[..])
                    .arg(self.given());
            }
        };
        let key = self.0.keys.user(create.tag);
        // Its own id and digest make sending it again the same session.
        let run = || self.run(&self.0.create, &key, Resend::Harmless, &arguments);
        let mut reply = run().await?;
        if reply.head().0 == LATE {
            // The sample of the server's time was off; this reply brought a new one.
            reply = run().await?;
        }
        let (outcome, now) = reply.head();
        match outcome {
            ALONE => {
                let record = draft.begun(&reply.bytes()?)?;
                let new = NewSession::new(record, Data::default(), now);
                Ok(Created::Created(Box::new(new)))
            }
            1 => {
                let cut = reply.integer()?.map(Timestamp::from_millis);
                let record = Record::decode(create.id, &reply.bytes()?)?;
                let data = Data::from_bytes(reply.bytes()?)?;
                let mut new = NewSession::new(record, data, now);
                new.cut = cut;
                new.evicted = reply.records()?;
                Ok(Created::Created(Box::new(new)))
            }
            2 => Ok(Created::LimitReached(reply.records()?)),
            3 => Ok(Created::Void),
            4 => Ok(Created::Ended),
            LATE => Err(StoreError::new(StoreErrorKind::Timeout)),
            6 => Ok(Created::TooLarge),
            _ => Err(Reply::unexpected()),
        }
    }

    /// The numbers of `lua/create.lua`.
    fn terms(&self, create: &Create, latest: Option<i64>) -> Vec<u8> {
        let (age, proven) = match create.authenticated {
            Authenticated::At(moment) => (false, moment.as_millis()),
            // Taken anew each time it is sent.
            Authenticated::On(arrival) => (true, millis(arrival.age())),
        };
        // By a clock that was given, the server's time means nothing.
        let latest = latest.filter(|_| self.0.clock.is_none());
        let mut terms = Vec::with_capacity(61);
        terms.put_u8(if create.user.is_some() { 1 } else { 2 });
        terms.put_u8(u8::from(create.limit.excess() == Excess::Refuse));
        terms.put_u8(u8::from(age));
        terms.put_u16(create.limit.sessions());
        terms.put_i64(millis(create.lifetime.idle()));
        terms.put_i64(millis(create.lifetime.absolute()));
        terms.put_i64(proven);
        terms.put_i64(i64::try_from(create.data_limit).unwrap_or(i64::MAX));
        terms.put_i64(millis(self.0.notice_kept));
        terms.put_i64(not_before(create.not_before));
        terms.put_i64(latest.unwrap_or(i64::MAX));
        terms
    }

    /// Runs `lua/save.lua`.
    pub(super) async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let (op, changes) = (operation()?, save.changes.encode());
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(&save.id.encode())
                .arg(&op)
                .arg(
                    save.expect
                        .map_or(String::new(), |expect| expect.to_string()),
                )
                .arg(&changes[..])
                .arg(save.data_limit)
                .arg(self.given());
        };
        let key = self.0.keys.user(save.tag);
        let resend = match save.expect {
            None => Resend::Harmless,
            Some(_) => Resend::Never,
        };
        let mut reply = self.run(&self.0.save, &key, resend, arguments).await?;
        let (outcome, _now) = reply.head();
        match outcome {
            1 => Ok(Saved::Saved {
                revision: reply.count()?,
            }),
            2 => Ok(Saved::Conflict {
                revision: reply.count()?,
                data: Data::from_bytes(reply.bytes()?)?,
            }),
            3 => Ok(Saved::TooLarge),
            0 => Ok(Saved::Ended),
            _ => Err(Reply::unexpected()),
        }
    }

    /// Runs `lua/list.lua`.
    pub(super) async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(not_before(list.not_before)).arg(self.given());
        };
        let key = self.0.keys.user(list.tag);
        let mut reply = self
            .run(&self.0.list, &key, Resend::Harmless, arguments)
            .await?;
        reply.records()
    }

    /// Runs `lua/end.lua`.
    pub(super) async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        let (which, session) = match end.which {
            Which::All => ("all", None),
            Which::One(id) => ("one", Some(id.encode())),
            Which::Others(keep) => ("others", Some(keep.encode())),
        };
        let tombstone = match end.reason {
            EndReason::Undelivered => millis(TOMBSTONE_KEPT),
            _ => 0,
        };
        let caller = end.caller.map(|id| id.encode());
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(which)
                .arg(session.as_ref().map_or(&b""[..], |id| &id[..]))
                .arg(end.reason.code())
                .arg(end.by.as_ref().map_or(&b""[..], |by| &by.as_bytes()[..]))
                .arg(caller.as_ref().map_or(&b""[..], |id| &id[..]))
                .arg(end.read_at.map_or(String::new(), |read| read.to_string()))
                .arg(millis(self.0.notice_kept))
                .arg(tombstone)
                .arg(self.given());
        };
        let key = self.0.keys.user(end.tag);
        let mut reply = self
            .run(&self.0.end, &key, Resend::Harmless, arguments)
            .await?;
        let (outcome, now) = reply.head();
        match outcome {
            1 => {
                let count = usize::try_from(reply.count()?).unwrap_or(usize::MAX);
                let data = reply.optional_bytes()?.map(Data::from_bytes).transpose()?;
                Ok(Ended::Ended { count, now, data })
            }
            2 => Ok(Ended::CallerEnded),
            0 => Ok(Ended::Unknown),
            _ => Err(Reply::unexpected()),
        }
    }

    async fn run(
        &self,
        script: &Script,
        key: &str,
        resend: Resend,
        arguments: impl Fn(&mut Cmd, Option<i64>),
    ) -> Result<Reply, StoreError> {
        let connections = &self.0.connections;
        let reply: Value = connections.run(script, key, resend, arguments).await?;
        let reply = Reply::new(reply)?;
        if self.0.clock.is_none() {
            connections.note_time(reply.now());
        }
        Ok(reply)
    }

    /// The time for a script: empty where the server's own counts.
    fn given(&self) -> String {
        match &self.0.clock {
            Some(clock) => clock.now().as_millis().to_string(),
            None => String::new(),
        }
    }
}

fn not_before(moment: Option<Timestamp>) -> i64 {
    moment.map_or(i64::MIN, Timestamp::as_millis)
}

/// Names one operation, so that the client's resending it does not make it happen twice.
fn operation() -> Result<[u8; 8], StoreError> {
    let mut op = [0; 8];
    getrandom::fill(&mut op)
        .map_err(|source| StoreError::new(StoreErrorKind::Unavailable).with_source(source))?;
    Ok(op)
}

/// Stored data: its entries come after the operation that wrote them last.
fn stored(reply: &mut Reply) -> Result<Data, StoreError> {
    let Some(bytes) = reply.optional_bytes()? else {
        return Ok(Data::default());
    };
    let entries: Bytes = if bytes.len() >= 8 {
        bytes.slice(8..)
    } else {
        return Err(Reply::unexpected());
    };
    Ok(Data::from_bytes(entries)?)
}
