//! Why a link is down, shared by all callers who meet it.

use std::error::Error;

use deadpool_redis::redis::RedisError;

use super::failure::Failure;
use crate::store::{StoreError, StoreErrorKind, outage::SharedCause};

/// Why a link is down: the kind of error and its cause, the same for every caller.
#[derive(Clone, Debug)]
pub(in super::super) struct Outage {
    pub(in super::super) kind: StoreErrorKind,
    /// Whether the server answers and refuses all calls: its name leads to a replica, or the sign-in holds no more.
    pub(super) refuses: bool,
    /// Whether a server answers that is not ready: it loads its data, or a script of another client runs.
    pub(super) not_ready: bool,
    cause: SharedCause,
}

impl Outage {
    pub(in super::super) fn new(
        kind: StoreErrorKind,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            refuses: false,
            not_ready: false,
            cause: SharedCause::new(cause),
        }
    }

    pub(in super::super) fn of(error: RedisError) -> Self {
        let failure = Failure::of(&error);
        let kind = failure.kind(false);
        let outage = match without_arguments(&error) {
            Some(text) => Self::new(kind, text),
            None => Self::new(kind, error),
        };
        Self {
            refuses: failure == Failure::Demoted,
            not_ready: failure == Failure::NotNow,
            ..outage
        }
    }

    /// A server that refuses calls on an open connection may accept a new one.
    pub(super) fn refusing(error: RedisError) -> Self {
        Self {
            refuses: true,
            ..Self::new(StoreErrorKind::Unavailable, error)
        }
    }

    pub(in super::super) fn is_denied(&self) -> bool {
        self.kind == StoreErrorKind::Denied
    }

    pub(in super::super) fn error(&self) -> StoreError {
        self.error_as(self.kind)
    }

    /// The same cause, of another kind for one caller.
    pub(in super::super) fn error_as(&self, kind: StoreErrorKind) -> StoreError {
        StoreError::new(kind).with_source(self.cause.clone())
    }

    /// For a log: the cause without a type.
    pub(in super::super) fn cause(&self) -> &(dyn Error + 'static) {
        &self.cause
    }
}

/// What a server says of a command that it does not know, without the arguments that it repeats: those of `HELLO` have the
/// password.
fn without_arguments(error: &RedisError) -> Option<String> {
    let text = error.to_string();
    let (said, _arguments) = text.split_once(", with args")?;
    Some(said.to_owned())
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::parse_redis_value;

    use super::*;

    fn of(text: &str) -> Outage {
        let answer = parse_redis_value(format!("-{text}\r\n").as_bytes());
        Outage::of(answer.unwrap().extract_error().unwrap_err())
    }

    #[test]
    fn the_password_that_a_server_repeats_is_in_no_error_and_in_no_log() {
        let outage =
            of("ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'app' 'secret'");

        let (error, logged) = (outage.error(), outage.cause());

        let texts = [
            format!("{error:?} {:?}", error.source()),
            format!("{logged} {logged:?} {outage:?}"),
        ];
        for text in texts {
            assert!(text.contains("unknown command"), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn an_outage_knows_whether_the_server_refuses_all_calls_or_is_not_ready() {
        for (text, refuses, not_ready) in [
            ("READONLY a replica", true, false),
            ("MASTERDOWN no link", true, false),
            ("LOADING the dataset", false, true),
            ("BUSY with a script", false, true),
            ("NOPERM to run it", false, false),
        ] {
            let outage = of(text);
            assert_eq!(
                (outage.refuses, outage.not_ready),
                (refuses, not_ready),
                "{text}"
            );
        }
        assert!(of("NOPERM to run it").is_denied());
    }
}
