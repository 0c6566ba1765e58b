//! Calls `ticket.lua`.

use deadpool_redis::redis::Cmd;

use super::{super::reply::Reply, Scripts, part};
use crate::{
    model::Tag,
    store::{StoreError, Ticketed},
};

impl Scripts {
    /// Runs `lua/ticket.lua`.
    pub(in super::super) async fn ticket(
        &self,
        tag: Tag,
        ticket: &Ticketed,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(&ticket.id.encode())
                .arg(ticket.digest.as_bytes())
                .arg(self.given());
        };
        let key = self.0.keys.user(tag);
        let call = self.call(&self.0.all.ticket, &key, part(&ticket.digest, 3));
        let mut reply = self.run(&call, &arguments).await?;
        let (outcome, _now) = reply.head();
        match outcome {
            1 => Ok(Some(reply.bytes()?.to_vec())),
            0 => Ok(None),
            _ => Err(Reply::unexpected()),
        }
    }
}
