//! Calls `note_client.lua`.

use deadpool_redis::redis::Cmd;

use super::{super::reply::Reply, Scripts, not_before};
use crate::store::{NoteClient, StoreError, nonce};

impl Scripts {
    /// Runs `lua/note_client.lua`.
    pub(in super::super) async fn note_client(
        &self,
        note: &NoteClient,
    ) -> Result<bool, StoreError> {
        let of = nonce();
        let before = note.record.encode_body()?;
        let after = note.record.clone().with_last_seen(note.last_seen.clone());
        let after = after.encode_body()?;
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(&note.record.id.encode())
                .arg(&before)
                .arg(&after)
                .arg(not_before(note.not_before))
                .arg(self.given())
                .arg(&of[..]);
        };
        let key = self.0.keys.user(note.tag);
        let call = self.call(&self.0.all.note_client, &key, of);
        match self.run(&call, &arguments).await?.head().0 {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Reply::unexpected()),
        }
    }
}
