//! The rules that a model can leave out, to find out what each one is for.

/// All of them are on, unless a test turns one off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The layer compares a new session with the cutoff a second time, with the time since its
    /// request arrived.
    pub(crate) checked_again: bool,
    /// A call that is sent again gets a new age.
    pub(crate) new_age: bool,
    /// The clock of a node counts the time for which the node was suspended.
    pub(crate) counts_suspension: bool,
    /// A sign-in after the "end all" of its own request counts from that cutoff.
    pub(crate) own_cutoff: bool,
    /// It names that cutoff. Any other is a later one, whatever the clock did.
    pub(crate) names_cutoff: bool,
    /// A cutoff in the future moves to now.
    pub(crate) cutoff_moves: bool,
    /// No sign-in counts as authenticated in the future.
    pub(crate) never_ahead: bool,
    /// A `create` that finds its id live, with its digest, gives the same answer.
    pub(crate) knows_its_own: bool,
    /// A `create` that finds a notice under its id creates nothing.
    pub(crate) stays_ended: bool,
    /// A `create` carries the moment after which its caller no longer waits.
    pub(crate) latest: bool,
    /// A session without a delivered response is ended.
    pub(crate) gives_up: bool,
    /// A sign-in that was sent twice and refused is given up: the first call may still run.
    pub(crate) gives_up_copies: bool,
    /// Giving up an unknown id leaves a notice under it.
    pub(crate) tombstone: bool,
    /// The session under the other key ends only after the new one was created.
    pub(crate) ends_after_created: bool,
    /// The end of a guest session returns what was put into it since it was read.
    pub(crate) brings_along: bool,
    /// It ends only at the revision at which its data was read.
    pub(crate) ends_as_read: bool,
    /// The cookie of a dead token stays.
    pub(crate) keeps_cookie: bool,
    /// A sign-in that names a replaced session takes the place of its successor.
    pub(crate) follows: bool,
    /// A user's session set remembers which session replaced one of another session set.
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
    /// The previous token opens the session until its successor was used.
    pub(crate) until_seen: bool,
    /// And for a grace after that.
    pub(crate) grace: bool,
    /// A previous token gets no `Set-Cookie` once its successor was used.
    pub(crate) no_upgrade: bool,
    /// There is no rotation while a previous token is in its grace.
    pub(crate) one_at_a_time: bool,
    /// A previous token after its grace ends the session.
    pub(crate) reuse_ends: bool,
    /// Reuse is a kept previous token. Any other wrong secret is unknown.
    pub(crate) knows_previous: bool,
    /// A session that no request has used for long is evicted first.
    pub(crate) unused_first: bool,
    /// One that is unused and of the same client as the new one is evicted next.
    pub(crate) own_unused_next: bool,
    /// The realm goes into the digest of tokens and tickets.
    pub(crate) realm_in_digest: bool,
    /// The limit counts the sessions of its realm.
    pub(crate) realm_of_limit: bool,
    /// An end of one session leaves out other realms.
    pub(crate) ends_apart: bool,
    /// An end of all crosses all realms.
    pub(crate) ends_cross: bool,
    /// A ticket keeps the limit of the refused sign-in.
    pub(crate) ticket_keeps: bool,
    /// A token from before a re-authentication ends nothing.
    pub(crate) invalid_ends_nothing: bool,
    /// And is forgotten once it was reported.
    pub(crate) reported_once: bool,
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
        ends_as_read: true,
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
        unused_first: true,
        own_unused_next: true,
        realm_in_digest: true,
        realm_of_limit: true,
        ends_apart: true,
        ends_cross: true,
        ticket_keeps: true,
        invalid_ends_nothing: true,
        reported_once: true,
    };
}
