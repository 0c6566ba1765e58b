//! What an error of Redis means for the call that met it.

use deadpool_redis::redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreErrorKind;

/// What an error means for the call that met it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The connection is broken; whether the script ran is not known.
    Broken,
    /// The server does not know the script; nothing ran.
    NoScript,
    /// The server is not ready, or the key lives elsewhere; nothing ran.
    NotNow,
    /// This server takes no writes any more; nothing ran.
    Demoted,
    /// The sign-in on the connection does not count any more; nothing ran.
    SignedOut,
    /// The server takes no writes for want of replicas; nothing ran.
    Fenced,
    /// No answer in time; whether the script ran is not known.
    Silent,
    /// A code that this store does not know, as a proxy makes when its own connection broke; whether the script ran is
    /// not known.
    Strange,
    /// Trying again would not help.
    Final(StoreErrorKind),
}

impl Failure {
    pub(super) fn of(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::Silent;
        }
        match error.kind() {
            ErrorKind::Server(server) => Self::of_server(server, error),
            ErrorKind::AuthenticationFailed => Self::Final(StoreErrorKind::Denied),
            ErrorKind::Extension => Self::of_code(error.code()),
            ErrorKind::ClusterConnectionNotFound
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::NoValidReplicasFoundBySentinel => Self::NotNow,
            ErrorKind::Io | ErrorKind::Parse => Self::Broken,
            _ => Self::Final(StoreErrorKind::Unavailable),
        }
    }

    fn of_server(server: ServerErrorKind, error: &RedisError) -> Self {
        match server {
            ServerErrorKind::NoScript => Self::NoScript,
            ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown => Self::Demoted,
            ServerErrorKind::NoPerm => Self::Final(StoreErrorKind::Denied),
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::BusyLoading => Self::NotNow,
            _ => Self::of_code(error.code()),
        }
    }

    fn of_code(code: Option<&str>) -> Self {
        match code {
            Some("OOM") => Self::Final(StoreErrorKind::Full),
            Some("NOAUTH" | "WRONGPASS") => Self::SignedOut,
            Some("NOPERM") => Self::Final(StoreErrorKind::Denied),
            // A script of another client runs for too long.
            Some("BUSY") => Self::NotNow,
            Some("NOREPLICAS") => Self::Fenced,
            // It cannot write to its disk, and refuses a script before it runs.
            Some("MISCONF") => Self::Final(StoreErrorKind::Unavailable),
            _ => Self::Strange,
        }
    }

    /// The kind of the error that ends the call. `uncertain`: a conditional write was sent.
    pub(super) fn kind(self, uncertain: bool) -> StoreErrorKind {
        match self {
            Self::Broken | Self::Silent | Self::Strange if uncertain => StoreErrorKind::Uncertain,
            Self::Silent => StoreErrorKind::Timeout,
            Self::SignedOut => StoreErrorKind::Denied,
            Self::Broken
            | Self::NoScript
            | Self::NotNow
            | Self::Demoted
            | Self::Fenced
            | Self::Strange => StoreErrorKind::Unavailable,
            Self::Final(kind) => kind,
        }
    }
}

/// Whether the server answers and refuses writes alone, for want of memory, disk or replicas.
pub(super) fn is_of_writes(error: &RedisError) -> bool {
    matches!(error.code(), Some("MISCONF" | "NOREPLICAS" | "OOM"))
}

/// Whether the server answers that it is a replica.
pub(in super::super) fn is_demoted(error: &RedisError) -> bool {
    Failure::of(error) == Failure::Demoted
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::parse_redis_value;

    use super::{
        Failure::{Broken, Demoted, Fenced, Final, NoScript, NotNow, SignedOut, Silent, Strange},
        *,
    };

    fn said(text: &str) -> RedisError {
        let answer = parse_redis_value(format!("-{text}\r\n").as_bytes());
        answer.unwrap().extract_error().unwrap_err()
    }

    #[test]
    fn each_error_of_a_server_says_whether_the_call_ran_and_whether_it_is_sent_again() {
        for (text, failure) in [
            ("NOSCRIPT No matching script", NoScript),
            (
                "READONLY You can't write against a read only replica.",
                Demoted,
            ),
            ("MASTERDOWN Link with MASTER is down", Demoted),
            ("MOVED 5 127.0.0.1:6379", NotNow),
            ("ASK 5 127.0.0.1:6379", NotNow),
            ("TRYAGAIN Multiple keys request during rehashing", NotNow),
            ("CLUSTERDOWN The cluster is down", NotNow),
            ("LOADING Redis is loading the dataset in memory", NotNow),
            ("BUSY Redis is busy running a script.", NotNow),
            ("NOAUTH Authentication required.", SignedOut),
            ("WRONGPASS invalid username-password pair", SignedOut),
            (
                "NOPERM no permissions to run this command",
                Final(StoreErrorKind::Denied),
            ),
            ("OOM command not allowed", Final(StoreErrorKind::Full)),
            (
                "MISCONF unable to persist to disk",
                Final(StoreErrorKind::Unavailable),
            ),
            ("NOREPLICAS Not enough good replicas to write.", Fenced),
            ("ERR something else", Strange),
            ("PROXY the upstream is gone", Strange),
        ] {
            assert_eq!(Failure::of(&said(text)), failure, "{text}");
        }
        let refused = ["MISCONF disk", "NOREPLICAS none", "OOM full"];
        assert!(refused.iter().all(|text| is_of_writes(&said(text))));
        assert!(!is_of_writes(&said("READONLY replica")));
    }

    #[test]
    fn a_call_that_may_have_run_and_must_not_run_twice_is_uncertain() {
        for failure in [Broken, Silent, Strange] {
            assert_eq!(failure.kind(true), StoreErrorKind::Uncertain);
        }
        assert_eq!(Silent.kind(false), StoreErrorKind::Timeout);
        for failure in [NoScript, NotNow, Demoted, Fenced] {
            assert_eq!(failure.kind(true), StoreErrorKind::Unavailable);
        }
        assert_eq!(SignedOut.kind(true), StoreErrorKind::Denied);
    }
}
