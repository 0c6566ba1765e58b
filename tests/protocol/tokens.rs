//! The store: the present token of a session, its previous ones, and the scripts on them.

use super::rules::Rules;

/// In ticks.
pub(crate) const GRACE: u8 = 2;

/// Its number in the session. That it cannot be guessed is not modelled.
pub(crate) type Token = u8;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Record {
    pub(crate) present: Token,
    /// The number of tokens so far.
    pub(crate) made: Token,
    /// The present one has not been sent back yet.
    pub(crate) unused: bool,
    /// The newer one first.
    pub(crate) previous: [Option<Previous>; 2],
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Previous {
    pub(crate) token: Token,
    /// The moment from which it is reuse; not before its successor was used.
    pub(crate) until: Option<u8>,
}

impl Record {
    pub(crate) fn previous(&self, token: Token) -> Option<Previous> {
        self.previous
            .into_iter()
            .flatten()
            .find(|previous| previous.token == token)
    }

    /// `rotate.lua`: returns the token for the response.
    pub(crate) fn rotate(&mut self, sent: Token, now: u8, rules: Rules) -> Option<Token> {
        let open = |previous: &Previous| previous.until.is_none_or(|until| now < until);
        if sent != self.present {
            let newest =
                self.previous[0].filter(|previous| previous.token == sent && open(previous));
            newest?;
            if !self.unused {
                return (!rules.no_upgrade).then_some(self.present);
            }
            if !rules.derived {
                self.made += 1;
                self.present = self.made;
            }
            return Some(self.present);
        }
        self.see(now, rules);
        let open = self
            .previous
            .iter()
            .flatten()
            .filter(|previous| open(previous))
            .count();
        if open > usize::from(!rules.one_at_a_time) {
            return None;
        }
        self.made += 1;
        self.present = self.made;
        self.unused = true;
        let until = (!rules.until_seen).then_some(now + GRACE);
        self.previous = [Some(Previous { token: sent, until }), self.previous[0]];
        Some(self.present)
    }

    /// The client sends the present token.
    pub(crate) fn see(&mut self, now: u8, rules: Rules) {
        if std::mem::take(&mut self.unused)
            && let Some(previous) = &mut self.previous[0]
        {
            previous.until = Some(if rules.grace { now + GRACE } else { now });
        }
    }
}
