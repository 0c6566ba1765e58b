//! The scripts: how each is called, and what its reply means.
//!
//! Each script has one function, and only that function knows the order of its arguments.

mod change;
mod client;
mod create;
pub(super) mod source;
mod ticket;
mod token;

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::Cmd;

use self::source::Script;
use super::{
    check::RedisCheck,
    keys::Keys,
    link::{Call, Confirm},
    reply::Reply,
    route::Route,
    undelivered::Undelivered,
};
use crate::{
    model::{
        Clock, Digest, Timestamp,
        clock::{Monotonic, millis},
    },
    store::{Authenticated, StoreError},
};

const PRELUDE: &str = include_str!("../lua/prelude.lua");
const TOKENS: &str = include_str!("../lua/tokens.lua");
const HASH: &str = include_str!("../lua/hash.lua");
/// The first lines of a script that replicas have to confirm.
const TOUCH: [&str; 2] = [include_str!("../lua/confirm.lua"), "touch(KEYS[1])"];
const DATA: &str = include_str!("../lua/data.lua");

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
    resolve: Script,
    create: Script,
    ticket: Script,
    save: Script,
    rotate: Script,
    list: Script,
    end: Script,
    forget: Script,
    note_client: Script,
    confirmed_end: Script,
}

impl Scripts {
    pub(super) fn new(
        route: Route,
        keys: Keys,
        notice_kept: Duration,
        clock: Option<Clock>,
        confirm: Option<Confirm>,
    ) -> Self {
        let touch = if confirm.is_some() { &TOUCH[..] } else { &[] };
        let end = |preludes: &[&str]| {
            Script::new(
                preludes,
                include_str!("../lua/end.lua"),
                &[include_str!("../lua/several.lua")],
            )
        };
        Self(Arc::new(Inner {
            route,
            undelivered: Undelivered::default(),
            keys,
            notice_kept,
            clock,
            confirm,
            resolve: Script::of(&[
                include_str!("../lua/resolve.lua"),
                PRELUDE,
                TOKENS,
                HASH,
                include_str!("../lua/unusual.lua"),
            ]),
            create: Script::new(
                touch,
                include_str!("../lua/create.lua"),
                &[
                    PRELUDE,
                    HASH,
                    DATA,
                    include_str!("../lua/room.lua"),
                    include_str!("../lua/admit.lua"),
                    include_str!("../lua/seat.lua"),
                ],
            ),
            ticket: Script::new(&[], include_str!("../lua/ticket.lua"), &[]),
            save: Script::new(&[PRELUDE, DATA], include_str!("../lua/save.lua"), &[]),
            rotate: Script::new(&[PRELUDE, TOKENS], include_str!("../lua/rotate.lua"), &[]),
            list: Script::new(&[PRELUDE, HASH], include_str!("../lua/list.lua"), &[]),
            end: end(&[PRELUDE, TOKENS, HASH]),
            confirmed_end: end(&[&TOUCH[..], &[PRELUDE, TOKENS, HASH]].concat()),
            forget: Script::new(&[PRELUDE], include_str!("../lua/forget.lua"), &[]),
            note_client: Script::new(
                &[PRELUDE, TOKENS],
                include_str!("../lua/note_client.lua"),
                &[],
            ),
        }))
    }

    async fn run(
        &self,
        call: &Call<'_>,
        arguments: impl Fn(&mut Cmd, Option<i64>),
    ) -> Result<Reply, StoreError> {
        // The futures below hold what they get at each level.
        let arguments = &arguments;
        self.0.route.run(call, Monotonic::now(), arguments).await.0
    }

    /// Finds out about each server.
    pub(super) async fn check(&self) -> Vec<RedisCheck> {
        let all = &self.0;
        let scripts = [
            &all.resolve,
            &all.create,
            &all.ticket,
            &all.save,
            &all.rotate,
            &all.list,
            &all.end,
            &all.forget,
            &all.note_client,
        ];
        all.route.check(&all.keys, &scripts, all.confirm).await
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
