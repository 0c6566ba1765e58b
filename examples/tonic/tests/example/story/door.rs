//! What the devices of the story do, and the outcomes, in words that fit every framework.

use std::collections::HashMap;

/// One of alice's devices.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Who {
    Phone,
    Laptop,
    Tablet,
    Tv,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    LogIn,
    /// Signs in only if no other session has to end.
    LogInKeepingOthers,
    WhoAmI,
    List,
    End(Who),
    EndOthers,
    LogOut,
    /// Sends the last token that this device received, even if it is dead.
    ShowLastToken,
    /// Sends its own token and that of another device in one request.
    ShowTwoTokens(Who),
    StoreFails,
    /// Then asks for the user.
    StoreMends,
}

#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    In,
    Alice,
    /// First to last, with the current one marked.
    List(Vec<(Who, bool)>),
    Done,
    Ended(u64),
    /// 401, or `UNAUTHENTICATED`, for this reason.
    Out(String),
    /// 409, or `RESOURCE_EXHAUSTED`.
    Full,
    /// 503, or `UNAVAILABLE`.
    Unavailable,
    /// Anything else.
    Strange(String),
}

/// A server, and the devices that talk to it.
pub(crate) trait Door {
    async fn act(&mut self, who: Who, deed: Deed) -> Outcome;
}

impl Outcome {
    pub(crate) fn out(reason: &str) -> Self {
        Self::Out(reason.to_owned())
    }

    /// A list as a server shows it: ids and which of them is the current one.
    pub(crate) fn list(listed: Vec<(String, bool)>, ids: &HashMap<String, Who>) -> Self {
        let known = |(id, current)| (ids[&id], current);
        Self::List(listed.into_iter().map(known).collect())
    }
}
