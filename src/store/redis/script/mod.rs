//! The scripts: how each is called, and what its reply means.
//!
//! Each script has one function, and only that function knows the order of its arguments.

mod change;
mod create;
mod token;

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{Cmd, Value};

use super::{
    connection::{Connections, Resend},
    keys::Keys,
    reply::Reply,
    source::Script,
};
use crate::{
    model::{Clock, Timestamp, clock::millis},
    store::{Authenticated, StoreError},
};

const PRELUDE: &str = include_str!("../lua/prelude.lua");
const TOKENS: &str = include_str!("../lua/tokens.lua");
const HASH: &str = include_str!("../lua/hash.lua");
const DATA: &str = include_str!("../lua/data.lua");

/// All scripts, hashed once, and what they need to run.
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
    rotate: Script,
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
            resolve: Script::of(&[
                include_str!("../lua/resolve.lua"),
                PRELUDE,
                TOKENS,
                HASH,
                include_str!("../lua/unusual.lua"),
            ]),
            create: Script::of(&[
                include_str!("../lua/create.lua"),
                PRELUDE,
                HASH,
                DATA,
                include_str!("../lua/room.lua"),
                include_str!("../lua/admit.lua"),
                include_str!("../lua/seat.lua"),
            ]),
            save: Script::new(&[PRELUDE, DATA], include_str!("../lua/save.lua"), &[]),
            rotate: Script::new(&[PRELUDE, TOKENS], include_str!("../lua/rotate.lua"), &[]),
            list: Script::new(&[PRELUDE, HASH], include_str!("../lua/list.lua"), &[]),
            end: Script::new(
                &[PRELUDE, TOKENS, HASH],
                include_str!("../lua/end.lua"),
                &[include_str!("../lua/several.lua")],
            ),
        }))
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

    /// The time for a script: empty for the server's own.
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

/// When the user authenticated, as scripts expect it: 1 and an age, 0 and a moment, or 2 and the moment
/// after a cutoff that the same request set.
fn proven(authenticated: Authenticated) -> (u8, i64) {
    match authenticated {
        Authenticated::After(cutoff) => (2, cutoff.as_millis().saturating_add(1)),
        Authenticated::At(moment) => (0, moment.as_millis()),
        // The age is computed again for each attempt.
        Authenticated::On(arrival) => (1, millis(arrival.age())),
    }
}
