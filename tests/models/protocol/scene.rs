//! What a model is about: who wants what, and how much may go wrong.

use super::{
    rules::Rules,
    session_set::{Id, Limit, Moment},
};

/// The session sets: of two users, and of one guest.
pub(crate) const ANNA: usize = 0;
pub(crate) const BERT: usize = 1;
pub(crate) const GUEST: usize = 2;

/// A session of before, in each session set.
pub(crate) const OLD: [Id; 3] = [10, 11, 12];

/// What a cookie holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Token {
    pub(crate) set: usize,
    pub(crate) id: Id,
}

impl Token {
    /// Of the session of before.
    pub(crate) const fn old(set: usize) -> Self {
        Self { set, id: OLD[set] }
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Deed {
    LogIn(usize),
    /// Ends all sessions of a user, by an administrator.
    EndAll(usize),
    /// Ends all sessions of a user and signs in.
    Password(usize),
    /// Ends the first session that a sign-in of this model made, from another device.
    Revoke(Token),
    /// Puts something into the cart.
    Put(u8),
    /// Looks at a page.
    Look,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) browser: usize,
    /// Which node has it; nodes share the store and nothing else.
    pub(crate) node: u8,
    pub(crate) deed: Deed,
}

/// How much may happen in all.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Budget {
    /// How often time goes on.
    pub(crate) ticks: u8,
    /// How far the server's clock steps back, once.
    pub(crate) back: u8,
    /// How many connections break while an answer is waited for.
    pub(crate) breaks: u8,
    /// How many responses are dropped by whoever waits for them.
    pub(crate) drops: u8,
    /// How many responses are lost on their way to the browser.
    pub(crate) losses: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) rules: Rules,
    pub(crate) limit: Limit,
    /// The cookies that the browsers have to begin with.
    pub(crate) jars: [Option<Token>; 2],
    /// The sessions that there are to begin with.
    pub(crate) sessions: Vec<Token>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) budget: Budget,
    /// After how many ticks a node gives up a call, where `create` carries that moment.
    pub(crate) deadline: Option<Moment>,
    /// What must be seen to happen.
    pub(crate) shows: &'static [Sight],
}

/// Something that a model must be able to show, or it would prove nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight {
    /// A session was evicted.
    Eviction,
    /// The limit refused a sign-in.
    Refusal,
    /// The script found a sign-in older than the cutoff.
    Rejected,
    /// The layer did.
    RejectedLater,
    /// A session ended because its response went nowhere.
    Undelivered,
    /// An id was given up before it was made.
    Tombstone,
    /// A `create` ran after nobody waited for it.
    Late,
    /// A sign-in was sent twice and made once.
    Again,
    /// What was put into the cart late came along.
    CartMoved,
    /// A sign-in took the place of the one that another request of its browser had made.
    Followed,
    /// All that was asked for was done.
    AllSignedIn,
    /// A user's session ended because its browser signed in as another.
    OtherUser,
    /// The cookie of a session that was replaced was shown and stayed.
    CookieStayed,
    /// A password was changed and its handler signed in.
    PasswordChanged,
}
