//! Which token or session an operation of a history means.

use tower_user_sessions::{
    SessionId,
    store::{Look, Tag, Token},
};

use super::World;
use crate::history::Pick;

impl World {
    /// A new token with a readable session id: its first character, its number, its session set.
    pub(super) fn token(&mut self, set: usize, name: char, admin: bool) -> Token {
        self.made += 1;
        let tag = self.sets[set].tag;
        let realm = if admin { "in" } else { "of" };
        let id = format!("{name}-{:03}-{realm}-{set}------", self.made);
        let token: Token = format!("{tag}{id}{:A<32}", self.made).parse().unwrap();
        self.sets[set].tokens.push(token.clone());
        token
    }

    pub(super) fn pick(&self, set: usize, pick: Pick) -> Option<Token> {
        let tokens = &self.sets[set].tokens;
        let back = pick.checked_rem(tokens.len())?;
        tokens.iter().rev().nth(back).cloned()
    }

    pub(super) fn id(&self, set: usize, pick: Pick) -> Option<SessionId> {
        self.pick(set, pick).map(|token| token.session_id())
    }

    /// A look at all sessions, and at one that is none.
    pub(super) fn look(&self, set: usize) -> Look {
        let mut ids: Vec<_> = self.tokens(set).iter().map(Token::session_id).collect();
        ids.push("nobody----------".parse().unwrap());
        let mut look = Look::new(self.sets[set].tag, ids);
        look.not_before = self.not_before;
        look
    }

    /// The revision of a session, plus this difference.
    pub(super) fn revision(&mut self, tag: Tag, id: SessionId, off: i64) -> u64 {
        let right = self.model.revision(tag, id, self.clock.now()).unwrap_or(0);
        right.saturating_add_signed(off)
    }
}
