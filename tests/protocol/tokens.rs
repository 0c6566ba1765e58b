//! The store: a session's present token and its former ones, and the scripts on them.

use crate::rules::Rules;

/// In ticks.
pub(crate) const GRACE: u8 = 2;

/// The how many-eth of its session; that nobody can guess it is no matter of the protocol.
pub(crate) type Token = u8;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Record {
    pub(crate) present: Token,
    /// How many tokens there were.
    pub(crate) made: Token,
    /// The present one has not been shown.
    pub(crate) unseen: bool,
    /// The newer first.
    pub(crate) formers: [Option<Former>; 2],
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Former {
    pub(crate) token: Token,
    /// From when on it is reuse; not before its successor was seen.
    pub(crate) until: Option<u8>,
}

impl Record {
    pub(crate) fn former(&self, token: Token) -> Option<Former> {
        self.formers
            .into_iter()
            .flatten()
            .find(|former| former.token == token)
    }

    /// `rotate.lua`: the token for the answer.
    pub(crate) fn rotate(&mut self, shown: Token, now: u8, rules: Rules) -> Option<Token> {
        let open = |former: &Former| former.until.is_none_or(|until| now < until);
        if shown != self.present {
            let newest = self.formers[0].filter(|former| former.token == shown && open(former));
            newest?;
            if !self.unseen {
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
            .formers
            .iter()
            .flatten()
            .filter(|former| open(former))
            .count();
        if open > usize::from(!rules.one_at_a_time) {
            return None;
        }
        self.made += 1;
        self.present = self.made;
        self.unseen = true;
        let until = (!rules.until_seen).then_some(now + GRACE);
        self.formers = [
            Some(Former {
                token: shown,
                until,
            }),
            self.formers[0],
        ];
        Some(self.present)
    }

    /// The present token is shown.
    pub(crate) fn see(&mut self, now: u8, rules: Rules) {
        if std::mem::take(&mut self.unseen)
            && let Some(former) = &mut self.formers[0]
        {
            former.until = Some(if rules.grace { now + GRACE } else { now });
        }
    }
}
