//! The setup of a model: what the requests want, and how much may go wrong.

use super::{
    rules::Rules,
    session_set::{Id, Limit, Moment},
};

/// The session sets: of two users, and of one guest.
pub(crate) const ANNA: usize = 0;
pub(crate) const BERT: usize = 1;
pub(crate) const GUEST: usize = 2;

/// An earlier session, in each session set.
pub(crate) const OLD: [Id; 3] = [10, 11, 12];

/// What a cookie holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Token {
    pub(crate) set: usize,
    pub(crate) id: Id,
}

impl Token {
    /// The token of the earlier session.
    pub(crate) const fn old(set: usize) -> Self {
        Self { set, id: OLD[set] }
    }
}

/// The aim of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Deed {
    LogIn(usize),
    /// Ends all sessions of a user, by an administrator.
    EndAll(usize),
    /// Ends all sessions of a user and signs in.
    Password(usize),
    /// Ends the first session that a sign-in of this model made, from another device.
    Revoke(Token),
    /// Puts an item into the cart.
    Put(u8),
    /// Looks at a page.
    Look,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) browser: usize,
    /// The node that serves it. Nodes share only the store.
    pub(crate) node: u8,
    pub(crate) deed: Deed,
}

/// How much may happen in total.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Budget {
    /// How often time goes on.
    pub(crate) ticks: u8,
    /// How far the server's clock steps back, once.
    pub(crate) back: u8,
    /// How many connections break while a call waits for its reply.
    pub(crate) breaks: u8,
    /// How many responses are dropped on the server.
    pub(crate) drops: u8,
    /// How many responses are lost on their way to the browser.
    pub(crate) losses: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) rules: Rules,
    pub(crate) limit: Limit,
    /// The cookies of the browsers at the start.
    pub(crate) jars: [Option<Token>; 2],
    /// The sessions at the start.
    pub(crate) sessions: Vec<Token>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) budget: Budget,
    /// After how many ticks a node gives up a call. `create` carries that moment.
    pub(crate) deadline: Option<Moment>,
    /// What the model must reach.
    pub(crate) shows: &'static [Sight],
}

/// Something that a model must be able to reach, or it would prove nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight {
    /// A session was evicted.
    Eviction,
    /// The limit refused a sign-in.
    Refusal,
    /// The script rejected a sign-in that was older than the cutoff.
    Rejected,
    /// The layer rejected it.
    RejectedLater,
    /// A session ended because its response was not delivered.
    Undelivered,
    /// An id was given up before it was created.
    Tombstone,
    /// A `create` ran after its caller had given up.
    Late,
    /// A sign-in was sent twice and created once.
    Again,
    /// A late item of the cart was carried over.
    CartMoved,
    /// A sign-in replaced the session that another request of its browser had made.
    Followed,
    /// All requests succeeded.
    AllSignedIn,
    /// A user's session ended because its browser signed in as another.
    OtherUser,
    /// The cookie of a replaced session was sent and stayed.
    CookieStayed,
    /// A password was changed and its handler signed in.
    PasswordChanged,
}
