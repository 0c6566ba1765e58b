//! Asks a server what it is and what it allows.

use std::{collections::BTreeMap, time::Duration};

use deadpool_redis::redis::{Cmd, RedisError, RedisResult, ServerErrorKind, Value, cmd};

use super::{
    super::{
        link::{Confirm, Connection, Link, NOT_WITH_POOL, Outage, is_demoted},
        live::Publish,
        script::source::Script,
    },
    RedisCheck, RedisFinding,
    proxy::Way,
};

/// What the scripts call. The last three are tried by a script that leaves nothing behind.
const IN_SCRIPTS: [&str; 8] = [
    "TIME", "HGET", "HKEYS", "HMGET", "HLEN", "HDEL", "PEXPIRE", "HSET",
];

/// Why a store on a pool has no feed.
pub(in super::super) const NO_POOL: &str =
    "a pool does not say where it leads. Make the store from a `RedisSource`";

/// Tries each command of the scripts on its own, and returns what went wrong with each, or "".
const TRIES: &str = include_str!("tries.lua");

/// What a store demands of its servers.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Wants<'a> {
    pub(in super::super) confirm: Option<Confirm>,
    pub(in super::super) live: Option<&'a Publish>,
}

/// Finds out about the server that this link leads to. `key` is one that no user has.
pub(in super::super) async fn ask(
    link: &Link,
    key: &str,
    scripts: &[&Script],
    wants: Wants<'_>,
) -> RedisCheck {
    let Wants { confirm, live } = wants;
    let mut check = RedisCheck::new(link.server().to_owned());
    if live.is_some() && !link.source().can_listen() {
        check.find(RedisFinding::CannotListen {
            cause: NO_POOL.into(),
        });
    }
    if link.is_cluster() {
        check.not_known.push("the primaries of a Cluster pool");
        if confirm.is_some() {
            check.cannot_confirm(NOT_WITH_POOL);
        }
        return check;
    }
    let connection = match link.open().await {
        Ok(connection) => connection,
        Err(error) => {
            check.find(RedisFinding::unusable(error));
            return check;
        }
    };
    // It finds out in which form the server takes scripts. What else is wrong is found below.
    let _ = connection.probe(link.patience()).await;
    let ask = Ask {
        connection: &connection,
        patience: link.patience(),
    };
    let first = ask.about(&mut check, confirm).await;
    ask.commands(&mut check, key).await;
    ask.scripts(&mut check, scripts).await;
    if link.is_member() {
        ask.way(&mut check).await;
        check.ahead = ask.ahead().await;
    }
    if confirm.is_some() {
        ask.wait(&mut check).await;
    }
    if let Some(live) = live {
        let database = connection.database();
        // Where the app says at each connect where to go, all its stores use the same channel.
        if !link.source().can_listen() && database != link.source().database() {
            check.find(RedisFinding::OtherChannel { database });
        }
        ask.feed(&mut check, link, key, live).await;
    }
    match ask.spreads(link, first.as_ref()).await {
        Some(Way::Spreads) => {
            check.find(RedisFinding::Proxy);
            link.refuse_confirm(true);
            if confirm.is_some() {
                let cause = "behind a proxy that spreads calls ends and sign-ins are refused";
                check.cannot_confirm(cause);
            }
        }
        Some(way) => {
            link.refuse_confirm(false);
            if way == Way::TookOver {
                check
                    .not_known
                    .push("all else of the server that took over meanwhile");
            }
        }
        // What an earlier call found counts.
        None => check.not_known.push("whether there are several clocks"),
    }
    connection.stop();
    check
}

pub(super) struct Ask<'a> {
    pub(super) connection: &'a Connection,
    pub(super) patience: Duration,
}

impl Ask<'_> {
    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        match tokio::time::timeout(self.patience, self.connection.send(command)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(RedisError::from(std::io::Error::from(
                std::io::ErrorKind::TimedOut,
            ))),
        }
    }

    pub(super) async fn info(&self) -> RedisResult<BTreeMap<String, String>> {
        let text = match self.send(&cmd("INFO")).await? {
            Value::BulkString(text) => String::from_utf8_lossy(&text).into_owned(),
            Value::VerbatimString { text, .. } => text,
            _ => String::new(),
        };
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// Whether the server lets a client wait for replicas.
    async fn wait(&self, check: &mut RedisCheck) {
        match self.send(cmd("WAIT").arg(0).arg(0)).await {
            Ok(Value::Int(_)) => {}
            Err(error) if is_denied(&error) => check.misses("WAIT"),
            // A replica says so, too, and that is a finding already.
            Err(error) if error.to_string().contains("replica") => {}
            Ok(_) => check.cannot_confirm("the server does not answer `WAIT` with a count"),
            Err(error) => check.cannot_confirm(error.to_string()),
        }
    }

    /// Version, role, policy and replicas. Returns which process it is.
    async fn about(&self, check: &mut RedisCheck, confirm: Option<Confirm>) -> Option<String> {
        let Ok(info) = self.info().await else {
            check.not_known.extend([
                "version",
                "role",
                "maxmemory-policy",
                "whether there is a proxy",
            ]);
            return None;
        };
        let (name, version, least) = match (info.get("valkey_version"), info.get("redis_version")) {
            (Some(valkey), _) => ("Valkey", valkey, 8),
            (None, Some(redis)) => ("Redis", redis, 7),
            (None, None) => return None,
        };
        check.version = Some(format!("{name} {version}"));
        let major = version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major < least) {
            check.find(RedisFinding::TooOld {
                version: version.clone(),
            });
        }
        if info.get("role").is_some_and(|role| role == "slave") {
            check.find(RedisFinding::Replica);
        }
        match info.get("maxmemory_policy") {
            Some(policy) if policy == "noeviction" => {}
            Some(policy) => check.find(RedisFinding::Evicts {
                policy: policy.clone(),
            }),
            None => check.not_known.push("maxmemory-policy"),
        }
        let replicas = info
            .get("connected_slaves")
            .and_then(|count| count.parse().ok());
        if let (
            Some(Confirm {
                replicas: wanted, ..
            }),
            Some(replicas),
        ) = (confirm, replicas)
            && wanted > replicas
        {
            check.cannot_confirm(format!(
                "replicas that have to confirm: {wanted}, that are connected: {replicas}"
            ));
        }
        info.get("run_id").cloned()
    }

    async fn commands(&self, check: &mut RedisCheck, key: &str) {
        let script = Script::of(&[TRIES]);
        let run = |name: &str, script: &str| {
            let mut command = cmd(name);
            command.arg(script).arg(1).arg(key);
            command
        };
        let shebang = self.connection.shebang();
        match self.send(&run("EVAL", script.text(shebang))).await {
            Ok(Value::Array(answers)) => {
                for (command, answer) in IN_SCRIPTS.into_iter().zip(answers) {
                    if let Value::BulkString(error) = answer
                        && !error.is_empty()
                    {
                        let error = String::from_utf8_lossy(&error);
                        denied(check, command, &error);
                    }
                }
            }
            Err(error) if is_unknown(&error) => {
                let text = error.to_string();
                // What follows is the script.
                let cause = text.split(", with args").next().unwrap_or(&text);
                check.find(RedisFinding::NoScripts {
                    cause: cause.to_owned(),
                });
                return;
            }
            Err(error) if is_denied(&error) => {
                denied(check, "EVAL", &error.to_string());
                self.commands_outside(check, key).await;
            }
            Err(error) if is_demoted(&error) => {}
            Err(error) if error.code() == Some("ERR") => {
                check.find(RedisFinding::NoScripts {
                    cause: error.to_string(),
                });
            }
            // It loads, is busy, or takes no writes.
            Err(error) => check.find(RedisFinding::Unreachable(Outage::of(error).error())),
            Ok(_) => check.not_known.push("the commands of the scripts"),
        }
        let evalsha = run("EVALSHA", script.sha1(shebang));
        self.tries(check, "EVALSHA", &evalsha).await;
    }

    /// Finds that the user may not use this command, if the server says so.
    async fn tries(&self, check: &mut RedisCheck, name: &'static str, command: &Cmd) {
        if let Err(error) = self.send(command).await
            && is_denied(&error)
        {
            denied(check, name, &error.to_string());
        }
    }

    /// Without a script to try them in: all but the one that writes.
    async fn commands_outside(&self, check: &mut RedisCheck, key: &str) {
        for name in IN_SCRIPTS.into_iter().filter(|name| *name != "HSET") {
            let mut command = cmd(name);
            match name {
                "TIME" => &mut command,
                "HKEYS" | "HLEN" => command.arg(key),
                "PEXPIRE" => command.arg(key).arg(1_000),
                _ => command.arg(key).arg("f"),
            };
            self.tries(check, name, &command).await;
        }
    }

    /// What finding the way in a Cluster takes.
    async fn way(&self, check: &mut RedisCheck) {
        let mut nodes = cmd("CLUSTER");
        nodes.arg("NODES");
        for (name, command) in [("CLUSTER|NODES", nodes), ("ASKING", cmd("ASKING"))] {
            self.tries(check, name, &command).await;
        }
    }

    /// Whether the user may publish and listen.
    async fn feed(&self, check: &mut RedisCheck, link: &Link, key: &str, live: &Publish) {
        let channel = live.of_all(key);
        // It is empty, and no node takes notice of it.
        let publish = cmd(live.name()).arg(&channel).arg("").to_owned();
        self.tries(check, live.name(), &publish).await;
        let subscribe = live.subscribe();
        let opened = link.source().listen(self.patience, |_| {});
        let mut wire = match tokio::time::timeout(self.patience, opened).await {
            Ok(Ok(wire)) => wire,
            // That a pool cannot is a finding already.
            Ok(Err(outage)) if link.source().can_listen() => {
                // It speaks RESP3, which a proxy or a renamed `HELLO` may not allow.
                let cause = outage.cause().to_string().into();
                return check.find(RedisFinding::CannotListen { cause });
            }
            Ok(Err(_)) | Err(_) => return,
        };
        let unsubscribe = live.unsubscribe();
        let names = [Some(subscribe), Some("PING"), unsubscribe];
        for name in names.into_iter().flatten() {
            let mut command = cmd(name);
            if name != "PING" {
                command.arg(&channel);
            }
            let answer = wire.send_packed_command(&command);
            if let Ok(Err(error)) = tokio::time::timeout(self.patience, async {
                answer.await.and_then(Value::extract_error)
            })
            .await
                && is_denied(&error)
            {
                denied(check, name, &error.to_string());
            }
        }
    }

    async fn scripts(&self, check: &mut RedisCheck, scripts: &[&Script]) {
        for script in scripts {
            let mut command = cmd("SCRIPT");
            let text = script.text(self.connection.shebang());
            command.arg("LOAD").arg(text);
            match self.send(&command).await {
                Ok(_) => {}
                Err(error) if error.to_string().contains("compiling") => {
                    check.find(RedisFinding::NoScripts {
                        cause: error.to_string(),
                    });
                    return;
                }
                Err(_) => {
                    check.not_known.push("whether the scripts load");
                    return;
                }
            }
        }
    }
}

fn is_denied(error: &RedisError) -> bool {
    error.kind() == ServerErrorKind::NoPerm.into() || is_unknown(error)
}

fn is_unknown(error: &RedisError) -> bool {
    error.to_string().contains("unknown command")
}

fn denied(check: &mut RedisCheck, command: &'static str, error: &str) {
    if error.contains("channel") {
        let known = |finding: &RedisFinding| matches!(finding, RedisFinding::ChannelDenied);
        if !check.findings.iter().any(known) {
            check.find(RedisFinding::ChannelDenied);
        }
    } else if error.contains("access a key") || error.contains("access one of the keys") {
        let known = |finding: &RedisFinding| matches!(finding, RedisFinding::KeysDenied);
        if !check.findings.iter().any(known) {
            check.find(RedisFinding::KeysDenied);
        }
    } else {
        check.misses(command);
    }
}
