//! Asks a server what it is and what it allows.

use std::{collections::BTreeMap, time::Duration};

use deadpool_redis::redis::{Cmd, RedisError, RedisResult, ServerErrorKind, Value, cmd};

use super::{
    super::{
        link::{Connection, Link, Outage, is_demoted},
        script::source::Script,
    },
    RedisCheck, RedisFinding,
};

/// What the scripts call. The last three are tried by a script that leaves nothing behind.
const IN_SCRIPTS: [&str; 8] = [
    "TIME", "HGET", "HKEYS", "HMGET", "HLEN", "HDEL", "PEXPIRE", "HSET",
];

/// Tries each command of the scripts on its own, and returns what went wrong with each, or "".
const TRIES: &str = include_str!("tries.lua");

/// Finds out about the server that this link leads to. `key` is one that no user has.
pub(in super::super) async fn ask(link: &Link, key: &str, scripts: &[&Script]) -> RedisCheck {
    let mut check = RedisCheck::new(link.server().to_owned());
    if link.is_cluster() {
        check.not_known.push("the primaries of a Cluster pool");
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
    let first = ask.about(&mut check).await;
    ask.commands(&mut check, key).await;
    ask.scripts(&mut check, scripts).await;
    if link.is_member() {
        ask.way(&mut check).await;
    }
    if let (Some(first), Ok(other)) = (first, link.open().await) {
        let ask = Ask {
            connection: &other,
            patience: link.patience(),
        };
        let second = ask.info().await.ok();
        if second.is_some_and(|info| info.get("run_id") != Some(&first)) {
            check.find(RedisFinding::Proxy);
        }
        other.stop();
    }
    connection.stop();
    check
}

struct Ask<'a> {
    connection: &'a Connection,
    patience: Duration,
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

    async fn info(&self) -> RedisResult<BTreeMap<String, String>> {
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

    /// Version, role and policy. Returns which process it is.
    async fn about(&self, check: &mut RedisCheck) -> Option<String> {
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
        if let Err(error) = self.send(&run("EVALSHA", script.sha1(shebang))).await
            && is_denied(&error)
        {
            denied(check, "EVALSHA", &error.to_string());
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
            if let Err(error) = self.send(&command).await
                && is_denied(&error)
            {
                denied(check, name, &error.to_string());
            }
        }
    }

    /// What finding the way in a Cluster takes.
    async fn way(&self, check: &mut RedisCheck) {
        let mut nodes = cmd("CLUSTER");
        nodes.arg("NODES");
        for (name, command) in [("CLUSTER|NODES", nodes), ("ASKING", cmd("ASKING"))] {
            if let Err(error) = self.send(&command).await
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
    if error.contains("access a key") || error.contains("access one of the keys") {
        let known = |finding: &RedisFinding| matches!(finding, RedisFinding::KeysDenied);
        if !check.findings.iter().any(known) {
            check.find(RedisFinding::KeysDenied);
        }
    } else {
        check.misses(command);
    }
}
