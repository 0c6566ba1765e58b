//! The scripts that change data, list and end.

use std::{
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use deadpool_redis::redis::Cmd;
use tokio::runtime::Handle;

use super::{
    super::{
        link::{Call, Lane, Resend, unless},
        reply::Reply,
        undelivered,
    },
    Inner, Scripts, not_before,
};
use crate::{
    model::{Data, EndReason, Lifetime, Realm, Record, SessionId, Tag, Timestamp, clock::millis},
    store::{
        End, Ended, Forget, List, Save, Saved, StoreError, StoreErrorKind, TOMBSTONE_KEPT, Which,
        nonce,
        worker::{DOUBT, Shift},
    },
};

impl Scripts {
    /// Runs `lua/save.lua`.
    pub(in super::super) async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let (op, changes) = (operation()?, save.changes.encode());
        let shorten = save.shorten.map_or_else(Vec::new, |lifetime| {
            let parts = [lifetime.idle(), lifetime.absolute()];
            parts.map(|part| millis(part).to_be_bytes()).concat()
        });
        let arguments = |cmd: &mut Cmd, latest: Option<i64>| {
            cmd.arg(&save.id.encode())
                .arg(&op)
                .arg(
                    save.expect
                        .map_or(String::new(), |expect| expect.to_string()),
                )
                .arg(&changes[..])
                .arg(save.data_limit)
                .arg(&shorten)
                .arg(not_before(save.not_before))
                .arg(self.given())
                .arg(self.latest(latest));
        };
        let key = self.0.keys.user(save.tag);
        let resend = match save.expect {
            None => Resend::Harmless,
            Some(_) => Resend::Never,
        };
        let call = Call {
            resend,
            ..self.call(&self.0.all.save, &key, op)
        };
        let mut reply = self.run_in_time(call, &arguments).await?;
        let (outcome, _now) = reply.head();
        match outcome {
            1 => {
                let (revision, idle, deadline) = (reply.count()?, reply.count()?, reply.integer()?);
                if save.shorten.is_none() {
                    return Ok(Saved::Saved { revision });
                }
                Ok(Saved::Shortened {
                    revision,
                    idle: Duration::from_millis(idle),
                    deadline: Timestamp::from_millis(deadline.ok_or_else(Reply::unexpected)?),
                })
            }
            2 => Ok(Saved::Conflict {
                revision: reply.count()?,
                data: Data::from_bytes(reply.bytes()?)?,
            }),
            3 => Ok(Saved::TooLarge),
            0 => Ok(Saved::Ended),
            _ => Err(Reply::unexpected()),
        }
    }

    /// Ends what never reached its client, and keeps what may still come from being made: again and again
    /// until the server has answered.
    pub(in super::super) fn give_up(&self, tag: Tag, id: SessionId) {
        self.0.undelivered.add(tag, id);
        self.work();
    }

    /// Starts the worker again if what was given up waits for one: the runtime of the last one may have stopped.
    pub(in super::super) fn go_on(&self) {
        if self.0.undelivered.left() > 0 {
            self.work();
        }
    }

    /// Starts the worker that ends what was given up, if there is work and none is at it.
    fn work(&self) {
        // Called from `Drop`: without a runtime it waits for the next sign-in or end.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let store = Arc::downgrade(&self.0);
        let again = Weak::clone(&store);
        if self.0.undelivered.work(|shift| end_all(store, shift)) {
            // Nothing may drive the runtime of the worker.
            runtime.spawn(async move {
                tokio::time::sleep(DOUBT).await;
                if let Some(store) = again.upgrade()
                    && store.undelivered.is_in_doubt()
                {
                    Self(store).work();
                }
            });
        }
    }

    /// Waits until all that was given up has ended, at most so long. Returns how many have not.
    pub(in super::super) async fn drain(&self, within: Duration) -> usize {
        self.work();
        let undelivered = &self.0.undelivered;
        // A worker that pauses after errors may find that Redis answers again.
        undelivered.awaited.notify_one();
        let all = async {
            loop {
                let ended = undelivered.ended.notified();
                if undelivered.left() == 0 {
                    return;
                }
                ended.await;
            }
        };
        let _ = tokio::time::timeout(within, all).await;
        undelivered.left()
    }

    /// Ends what never reached its client, and keeps what may still come from being made.
    pub(super) async fn end_undelivered(&self, tag: Tag, id: SessionId) -> Result<(), StoreError> {
        let end = End::new(tag, Which::One(id), EndReason::Undelivered);
        self.end(&end).await.map(drop)
    }

    /// Runs `lua/list.lua`.
    pub(in super::super) async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        let (of, within) = (nonce(), mark(list.within));
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(not_before(list.not_before))
                .arg(&within)
                .arg(self.given())
                .arg(&of[..]);
        };
        let key = self.0.keys.user(list.tag);
        let call = self.call(&self.0.all.list, &key, of);
        let mut reply = self.run(&call, &arguments).await?;
        reply.records()
    }

    /// Runs `lua/end.lua`.
    pub(in super::super) async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        let (which, session) = match end.which {
            Which::All => ("all", None),
            Which::One(id) => ("one", Some(id.encode())),
            Which::Others(keep) => ("others", Some(keep.encode())),
        };
        let tombstone = match end.reason {
            EndReason::Undelivered => millis(TOMBSTONE_KEPT),
            _ => 0,
        };
        // Nobody waits for the end of an undelivered session.
        let confirm = self
            .0
            .confirm
            .filter(|_| end.reason != EndReason::Undelivered);
        let caller = end.caller.map(|id| id.encode());
        let by = end.by.map(|id| id.encode());
        // Redis refuses a TTL that overflows, in the middle of a script.
        let bar = end
            .bar
            .map(|bar| millis(bar.min(Lifetime::MAX)).to_string());
        let (of, within) = (end.call, mark(end.within));
        let arguments = |cmd: &mut Cmd, latest: Option<i64>| {
            cmd.arg(which)
                .arg(session.as_ref().map_or(&b""[..], |id| &id[..]))
                .arg(end.reason.code())
                .arg(by.as_ref().map_or(&b""[..], |by| &by[..]))
                .arg(caller.as_ref().map_or(&b""[..], |id| &id[..]))
                .arg(end.read_at.map_or(String::new(), |read| read.to_string()))
                .arg(millis(self.0.notice_kept))
                .arg(tombstone)
                .arg(if end.spare_uncounted { "1" } else { "" })
                .arg(bar.as_deref().unwrap_or_default())
                .arg(&within)
                .arg(not_before(end.not_before))
                .arg(self.given())
                .arg(&of[..])
                .arg(self.latest(latest));
        };
        let key = self.0.keys.user(end.tag);
        let script = match confirm {
            Some(_) => &self.0.all.confirmed_end,
            None => &self.0.all.end,
        };
        let call = Call {
            lane: Lane::Ends,
            confirm,
            ..self.call(script, &key, of)
        };
        let mut reply = self.run_in_time(call, &arguments).await?;
        let (outcome, now) = reply.head();
        // Also where no session is left to end: the answer is that it is over.
        if outcome != 2 {
            reply.confirmed()?;
        }
        match outcome {
            1 => {
                let data = reply.optional_bytes()?.map(Data::from_bytes).transpose()?;
                let before = reply.integer()?.map(Timestamp::from_millis);
                let cutoff = reply.integer()?.map(Timestamp::from_millis);
                let ids = reply.ids()?;
                Ok(Ended::Ended {
                    ids,
                    now: cutoff.unwrap_or(now),
                    before,
                    data,
                })
            }
            2 => Ok(Ended::CallerEnded),
            0 => Ok(Ended::Unknown),
            _ => Err(Reply::unexpected()),
        }
    }

    /// Runs `lua/forget.lua`.
    pub(in super::super) async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        let of = nonce();
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(&forget.id.encode())
                .arg(forget.digest.as_bytes())
                .arg(self.given())
                .arg(&of[..]);
        };
        let key = self.0.keys.user(forget.tag);
        let call = self.call(&self.0.all.forget, &key, of);
        match self.run(&call, &arguments).await?.head().0 {
            0 | 1 => Ok(()),
            _ => Err(Reply::unexpected()),
        }
    }
}

/// The mark of a realm; empty for all realms.
fn mark(realm: Option<Realm>) -> Vec<u8> {
    realm.map_or_else(Vec::new, |realm| realm.mark().to_vec())
}

/// Names one operation, so that the client's resending it does not make it happen twice.
///
/// The data has the name of the last operation only. An unconditional save whose reply was lost is sent again within its
/// deadline. If another request saved in between, it happens again, after that one: of the keys that both wrote, it wins.
fn operation() -> Result<[u8; 8], StoreError> {
    let mut op = [0; 8];
    getrandom::fill(&mut op)
        .map_err(|source| StoreError::new(StoreErrorKind::Unavailable).with_source(source))?;
    Ok(op)
}

/// Ends what was given up, one after the other, until nothing is left.
///
/// One at a time for the whole store, not for each connection: thousands may wait after an outage, and must not take the
/// places of requests when the server comes back.
async fn end_all(store: Weak<Inner>, shift: Shift) {
    let (mut pause, mut failed) = (undelivered::SHORTEST, 0);
    loop {
        let Some(store) = store.upgrade().map(Scripts) else {
            return;
        };
        let Some((tag, id)) = store.0.undelivered.next(&shift) else {
            return;
        };
        let ended = store.end_undelivered(tag, id).await;
        store
            .0
            .undelivered
            .done(ended.is_err().then_some((tag, id)));
        let up_again = store.0.route.up_again();
        let awaited = Arc::clone(&store.0.undelivered.awaited);
        // Another primary may well answer: the others that wait have their turns first.
        let others = store.0.route.is_cluster() && failed < store.0.undelivered.left();
        drop(store);
        match ended {
            Ok(()) => (pause, failed) = (undelivered::SHORTEST, 0),
            Err(_) if others => {
                failed += 1;
                // Where all links are down nothing here waits, and thousands may have their turns.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                failed = 0;
                tracing::debug!(kind = ?error.kind(), "a sign-in that was given up is not ended yet");
                let (up_again, awaited) = (pin!(up_again), pin!(awaited.notified()));
                let waited = tokio::time::timeout(pause, unless(up_again, awaited)).await;
                pause = if waited.is_ok() {
                    undelivered::SHORTEST
                } else {
                    (pause * 2).min(undelivered::LONGEST)
                };
            }
        }
    }
}
