//! The rules of the near cache.

#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// An entry of another epoch answers nothing.
    pub(super) epoch: bool,
    /// A fill is kept only if no message came since its question was sent.
    pub(super) count: bool,
    /// The lease counts from the question, not from the answer.
    pub(super) from_question: bool,
    /// Heard is when the PING or the number was sent, not when it came back.
    pub(super) from_ping: bool,
    /// A PONG does not overtake messages.
    pub(super) in_order: bool,
    /// The node waits for its own number on the feed.
    pub(super) loop_back: bool,
    /// An own write removes the entry.
    pub(super) own: bool,
}

pub(super) const ALL: Rules = Rules {
    epoch: true,
    count: true,
    from_question: true,
    from_ping: true,
    in_order: true,
    loop_back: true,
    own: true,
};
