//! Calls `look.lua` and `touch.lua`.

use std::time::Duration;

use deadpool_redis::redis::Cmd;

use super::{super::reply::Reply, Scripts, not_before};
use crate::{
    model::{
        Lifetime,
        clock::{Monotonic, millis},
    },
    store::{Look, Looked, StoreError, Touch, nonce},
};

impl Scripts {
    /// Runs `lua/look.lua`.
    pub(in super::super) async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        let of = nonce();
        let ids: Vec<u8> = look.ids.iter().flat_map(|id| id.encode()).collect();
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(not_before(look.not_before))
                .arg(self.given())
                .arg(&of[..])
                .arg(&ids);
        };
        let key = self.0.keys.user(look.tag);
        let call = self.call(&self.0.all.look, &key, of);
        let mut reply = self.run(&call, &arguments).await?;
        let (_, now) = reply.head();
        let mut sessions = Vec::with_capacity(look.ids.len());
        for id in &look.ids {
            sessions.push(reply.presence(*id, look.not_before)?);
        }
        reply.is_over()?;
        Ok(Looked::new(sessions, now))
    }

    /// Runs `lua/touch.lua`.
    pub(in super::super) async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        let of = nonce();
        let began = Monotonic::now();
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            // It is older by what earlier attempts took. With a test clock that time has no meaning.
            let waited = match self.0.clock {
                None => began.elapsed(),
                Some(_) => Duration::ZERO,
            };
            let age = touch.age.saturating_add(waited);
            cmd.arg(&touch.id.encode())
                .arg(millis(age.min(Lifetime::MAX)))
                .arg(not_before(touch.not_before))
                .arg(self.given())
                .arg(&of[..]);
        };
        let key = self.0.keys.user(touch.tag);
        let call = self.call(&self.0.all.touch, &key, of);
        match self.run(&call, &arguments).await?.head().0 {
            0 | 1 => Ok(()),
            _ => Err(Reply::unexpected()),
        }
    }
}
