//! The rules that a model can do without, to see what they are for.

/// All of them hold, unless a test takes one out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The layer holds a new session against the cutoff again, with the time since its request arrived.
    pub(crate) checked_again: bool,
    /// A call that is sent again has a new age.
    pub(crate) new_age: bool,
    /// A node's clock counts the time for which the node was suspended.
    pub(crate) counts_suspension: bool,
    /// A sign-in after its own request's "end all" counts from that cutoff.
    pub(crate) own_cutoff: bool,
    /// It names that cutoff: any other is a later one, whatever the clock did.
    pub(crate) names_cutoff: bool,
    /// A cutoff in the future moves to now.
    pub(crate) cutoff_moves: bool,
    /// Nobody counts as authenticated in the future.
    pub(crate) never_ahead: bool,
    /// A `create` that finds its id live, with its digest, gives the same answer.
    pub(crate) knows_its_own: bool,
    /// A `create` that finds a notice under its id makes nothing.
    pub(crate) stays_ended: bool,
    /// A `create` carries the moment after which nobody waits for it.
    pub(crate) latest: bool,
    /// A session whose response goes nowhere is ended.
    pub(crate) gives_up: bool,
    /// A sign-in that was sent twice and refused is given up: the first may run yet.
    pub(crate) gives_up_copies: bool,
    /// Giving up an id that is not there leaves a notice under it.
    pub(crate) tombstone: bool,
    /// The session under the other key ends only once the new one was created.
    pub(crate) ends_after_created: bool,
    /// The end of a guest's session says what was put into it since it was read.
    pub(crate) brings_along: bool,
    /// The cookie of a session that was replaced stays.
    pub(crate) keeps_cookie: bool,
    /// A sign-in that names a session which was replaced takes the place of its successor.
    pub(crate) follows: bool,
    /// A user's session set remembers who took the place of a session of another session set.
    pub(crate) marker: bool,
    /// Commits of one session take turns.
    pub(crate) turns: bool,
    /// Token and id are made when a session is staged.
    pub(crate) made_once: bool,
    /// Data is merged key by key.
    pub(crate) merges: bool,
    /// An update compares the revision.
    pub(crate) compares: bool,
    /// An update of unknown outcome is not sent again.
    pub(crate) update_once: bool,
    /// `save` changes a live session only.
    pub(crate) saves_live: bool,
    /// The last activity never moves back.
    pub(crate) activity_max: bool,
    /// A key without a TTL is given one: `NX` before `GT`.
    pub(crate) nx: bool,
    /// A key's TTL never shrinks: `GT` after `NX`.
    pub(crate) gt: bool,
    /// The TTL has a part of the idle time to spare, as not every request renews it.
    pub(crate) spare: bool,
    /// A successor is derived from the previous token and a salt that the record keeps.
    pub(crate) derived: bool,
    /// The previous token opens the session until its successor was seen.
    pub(crate) until_seen: bool,
    /// And for a grace after that.
    pub(crate) grace: bool,
    /// A previous token whose successor was seen gets no `Set-Cookie`.
    pub(crate) no_upgrade: bool,
    /// No rotation while a previous token is in its time.
    pub(crate) one_at_a_time: bool,
    /// A previous token after its time ends the session.
    pub(crate) reuse_ends: bool,
    /// Reuse is a kept previous token, any other wrong secret is unknown.
    pub(crate) knows_previous: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        checked_again: true,
        new_age: true,
        counts_suspension: true,
        own_cutoff: true,
        names_cutoff: true,
        cutoff_moves: true,
        never_ahead: true,
        knows_its_own: true,
        stays_ended: true,
        latest: true,
        gives_up: true,
        gives_up_copies: true,
        tombstone: true,
        ends_after_created: true,
        brings_along: true,
        keeps_cookie: true,
        follows: true,
        marker: true,
        turns: true,
        made_once: true,
        merges: true,
        compares: true,
        update_once: true,
        saves_live: true,
        activity_max: true,
        nx: true,
        gt: true,
        spare: true,
        derived: true,
        until_seen: true,
        grace: true,
        no_upgrade: true,
        one_at_a_time: true,
        reuse_ends: true,
        knows_previous: true,
    };
}
