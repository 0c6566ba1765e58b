//! The scripts: how each is called, and what its reply means.
//!
//! Each script has one function, and only that function knows the order of its arguments.

mod all;
mod change;
mod client;
mod create;
mod everyone;
mod look;
mod publish;
mod scan;
pub(super) mod source;
mod ticket;
mod token;

pub(super) use self::publish::WeakScripts;

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::Cmd;

use self::{all::All, source::Script};
use super::{
    check::{RedisCheck, Wants},
    keys::Keys,
    link::{Call, Confirm},
    live::Publish,
    reply::Reply,
    route::Route,
    undelivered::Undelivered,
};
use crate::{
    model::{
        Clock, Digest, Timestamp,
        clock::{Monotonic, millis},
    },
    store::{Authenticated, StoreError, StoreErrorKind},
};

/// The outcome of a script that runs after the caller gave up.
pub(super) const LATE: i64 = 5;

/// All scripts, hashed once, and what they need to run.
#[derive(Clone, Debug)]
pub(super) struct Scripts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    route: Route,
    undelivered: Undelivered,
    keys: Keys,
    notice_kept: Duration,
    clock: Option<Clock>,
    /// How many replicas have to confirm ends and sign-ins, if any.
    confirm: Option<Confirm>,
    all: All,
    /// Where changes are published, if they are.
    live: Option<Publish>,
}

impl Scripts {
    pub(super) fn new(
        route: Route,
        keys: Keys,
        notice_kept: Duration,
        clock: Option<Clock>,
        confirm: Option<Confirm>,
        live: Option<Publish>,
    ) -> Self {
        let all = All::new(confirm.is_some(), live.as_ref());
        Self(Arc::new(Inner {
            route,
            undelivered: Undelivered::default(),
            keys,
            notice_kept,
            clock,
            confirm,
            all,
            live,
        }))
    }

    /// A call, of those that a commit may make.
    fn call<'a>(&self, script: &'a Script, key: &'a str, of: [u8; 8]) -> Call<'a> {
        let within = self.0.confirm.map(|confirm| confirm.within);
        Call {
            within: within.unwrap_or_default(),
            ..Call::new(script, key, of)
        }
    }

    async fn run(
        &self,
        call: &Call<'_>,
        arguments: &impl Fn(&mut Cmd, Option<i64>),
    ) -> Result<Reply, StoreError> {
        match (call.script.takes_channel, &self.0.route) {
            // The usual call, with no future in between: each level moves those below it.
            (false, Route::One(link)) => link.run(call, arguments).await.0,
            _ => Box::pin(self.send(call, arguments)).await.0,
        }
    }

    /// A call that runs only while its caller waits for it.
    ///
    /// A copy on a connection that fell silent may reach the server seconds later. By then another copy of it has run, and
    /// perhaps a newer change.
    async fn run_in_time(
        &self,
        mut call: Call<'_>,
        arguments: &impl Fn(&mut Cmd, Option<i64>),
    ) -> Result<Reply, StoreError> {
        call.began = Some(Monotonic::now());
        let mut reply = self.run(&call, arguments).await?;
        if reply.head().0 == LATE {
            // The sample of the server's time was off, and there is a new one now. The deadline is the same.
            reply = self.run(&call, arguments).await?;
        }
        match reply.head().0 {
            LATE => Err(StoreError::new(StoreErrorKind::Timeout)),
            _ => Ok(reply),
        }
    }

    /// The argument `latest` of a script. With a test clock the server's time has no meaning.
    fn latest(&self, latest: Option<i64>) -> i64 {
        latest
            .filter(|_| self.0.clock.is_none())
            .unwrap_or(i64::MAX)
    }

    /// Also says whether it may have run.
    async fn send(
        &self,
        call: &Call<'_>,
        arguments: &impl Fn(&mut Cmd, Option<i64>),
    ) -> (Result<Reply, StoreError>, bool) {
        let live = self.0.live.as_ref();
        let Some(live) = live.filter(|_| call.script.takes_channel) else {
            return self.0.route.run(call, arguments).await;
        };
        let channel = live.of_key(&self.0.keys, call.key);
        let and_channel = |cmd: &mut Cmd, latest: Option<i64>| {
            arguments(cmd, latest);
            cmd.arg(&channel);
        };
        // Boxed: without `live` a call shall not grow by it.
        Box::pin(self.0.route.run(call, &and_channel)).await
    }

    /// Finds out about each server.
    pub(super) async fn check(&self) -> Vec<RedisCheck> {
        let all = &self.0;
        all.route
            .check(
                &all.keys,
                &all.all.checked(),
                Wants {
                    confirm: all.confirm,
                    live: all.live.as_ref(),
                },
            )
            .await
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

/// One of the four parts of a digest: each script returns another one.
fn part(digest: &Digest, at: usize) -> [u8; 8] {
    let (parts, _) = digest.as_bytes().as_chunks::<8>();
    parts.get(at).copied().unwrap_or_default()
}
