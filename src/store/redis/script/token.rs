//! Calls `resolve.lua` and `rotate.lua`.

use std::sync::Once;

use bytes::{BufMut, Bytes};
use deadpool_redis::redis::Cmd;

use super::{
    super::reply::{ALONE, Alone, Reply},
    Scripts, not_before, part, proven,
};
use crate::{
    model::{Data, EndNotice, Lifetime, Record, Salt, Timestamp, clock::millis},
    store::{
        Authenticated, Found, Renewal, Resolve, Resolved, Reused, Rotate, Rotated, StoreError,
        genuine,
    },
};

impl Scripts {
    /// Runs `lua/resolve.lua`.
    pub(in super::super) async fn resolve(
        &self,
        resolve: &Resolve,
    ) -> Result<Resolved, StoreError> {
        let (id, digest) = (resolve.token.session_id(), resolve.digest);
        let step = millis(resolve.activity_every.min(Lifetime::MAX));
        let usual =
            resolve.activity && resolve.not_before.is_none() && self.0.clock.is_none() && step == 0;
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(&id.encode()).arg(digest.as_bytes());
            if !usual {
                cmd.arg(u8::from(resolve.activity))
                    .arg(not_before(resolve.not_before))
                    .arg(self.given());
            }
            if step > 0 {
                cmd.arg(step);
            }
        };
        let key = self.0.keys.user(resolve.token.tag());
        let mut call = self.call(&self.0.all.resolve, &key, part(&digest, 0));
        call.expected.alone = Alone::Record(digest);
        let mut reply = self.run(&call, &arguments).await?;
        let (outcome, now) = reply.head();
        match outcome {
            0 => return Ok(Resolved::Unknown),
            7 => {
                warn_of_another_version();
                return Ok(Resolved::Unknown);
            }
            2 => {
                let notice = EndNotice::decode(&reply.bytes()?);
                return Ok(notice.map_or(Resolved::Unknown, Resolved::Ended));
            }
            _ => {}
        }
        // No error, because that would keep the browser from signing in again.
        let Some(record) = reply.record(id)? else {
            return Ok(Resolved::Unknown);
        };
        if !genuine::is_of(&record, id, &digest) {
            return Err(Reply::unexpected());
        }
        match outcome {
            ALONE => Ok(Resolved::Live(Found::new(record, Data::default(), now))),
            1 => Ok(Resolved::Live(Found::new(record, stored(&mut reply)?, now))),
            3 => Ok(Resolved::Expired(record)),
            4 => {
                let ended = reply.count()? == 1;
                Ok(Resolved::Reused(Reused::new(record, ended, now)))
            }
            6 => {
                let moment = resolve.not_before.map_or(now, Timestamp::time);
                let notice = EndNotice::everyone(digest, moment, &record);
                Ok(Resolved::Ended(notice))
            }
            5 => {
                let previous = record.rotation.as_ref();
                let previous = previous.and_then(|rotation| rotation.previous(&digest));
                let previous = previous.ok_or_else(Reply::unexpected)?;
                Ok(Resolved::Ended(EndNotice::superseded(&record, &previous)))
            }
            _ => Err(Reply::unexpected()),
        }
    }

    /// Runs `lua/rotate.lua`.
    pub(in super::super) async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(&rotate.id.encode())
                .arg(rotate.previous.as_bytes())
                .arg(rotate.digest.as_bytes())
                .arg(self.rotation_terms(rotate))
                .arg(self.given());
        };
        let key = self.0.keys.user(rotate.tag);
        // The digests make sending it again the same rotation.
        let mut call = self.call(&self.0.all.rotate, &key, part(&rotate.digest, 2));
        // If it may have run, nobody may have the new token, and the previous one may not work any more.
        call.says_uncertain = true;
        let mut reply = self.run(&call, &arguments).await?;
        let (outcome, _now) = reply.head();
        match outcome {
            1 => {
                let record = Record::decode(rotate.id, &reply.bytes()?)?;
                Ok(Rotated::Rotated(Box::new(record)))
            }
            2 => {
                let salt = reply.bytes()?.first_chunk().copied();
                let salt = salt.ok_or_else(Reply::unexpected)?;
                Ok(Rotated::Took(Salt::from_bytes(salt)))
            }
            3 => Ok(Rotated::Kept),
            0 => Ok(Rotated::Ended),
            _ => Err(Reply::unexpected()),
        }
    }

    /// The argument `terms` of `lua/rotate.lua`.
    fn rotation_terms(&self, rotate: &Rotate) -> Vec<u8> {
        let (again, authenticated, lifetime, salt) = match rotate.renewal {
            Renewal::Derived(salt) => (
                0,
                Authenticated::At(Default::default()),
                Lifetime::default(),
                salt,
            ),
            Renewal::Proven {
                authenticated,
                lifetime,
            } => (1, authenticated, lifetime, Salt::NONE),
        };
        let (age, proven) = proven(authenticated);
        let mut terms = Vec::with_capacity(67);
        terms.put_u8(again);
        terms.put_u8(age);
        terms.put_u8(u8::from(rotate.reuse_ends));
        terms.put_i64(millis(rotate.grace.min(Lifetime::MAX)));
        terms.put_i64(millis(self.0.notice_kept));
        terms.put_i64(proven);
        terms.put_i64(millis(lifetime.idle()));
        terms.put_i64(millis(lifetime.absolute()));
        terms.put_i64(not_before(rotate.not_before));
        terms.put_slice(salt.as_bytes());
        terms
    }
}

/// Says it once: during a deployment there may be many of them.
#[cold]
fn warn_of_another_version() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            "Redis has sessions of another version of this crate, and they are unknown to this node: let all nodes run one version"
        );
    });
}

/// The entries of stored data, which follow 8 bytes for the operation that wrote them last.
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
