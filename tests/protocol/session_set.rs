//! The store: the session set of one user or guest, and the scripts on it, each in one step.

use std::collections::BTreeMap;

use super::rules::Rules;

/// The public name of a session: that of the request that makes it, or an earlier one.
pub(crate) type Id = u8;

/// By the store's clock.
pub(crate) type Moment = i8;

/// An unused session is evicted first from then on.
pub(crate) const UNUSED_FOR: Moment = 2;

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct SessionSet {
    pub(crate) records: BTreeMap<Id, Record>,
    pub(crate) cutoff: Option<Moment>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Record {
    Live(Live),
    /// An end notice, a tombstone or a marker. Models end before any of them expires.
    Ended {
        reason: Reason,
        by: Option<Id>,
    },
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Live {
    pub(crate) created: Moment,
    pub(crate) proven: Moment,
    pub(crate) activity: Moment,
    pub(crate) revision: u8,
    /// One bit a key.
    pub(crate) data: u8,
    /// A request has sent its token.
    pub(crate) used: bool,
    pub(crate) client: u8,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Reason {
    Evicted,
    Replaced,
    Revoked,
    Undelivered,
    Rejected,
}

/// When the user proved who they are.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Proven {
    Ago(Moment),
    At(Moment),
    /// Just after this cutoff, which its own request made.
    After(Moment),
}

/// The arguments of `create.lua`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Create {
    pub(crate) id: Id,
    /// There is no guest session.
    pub(crate) proven: Option<Proven>,
    pub(crate) latest: Option<Moment>,
    pub(crate) replaces: Option<Id>,
    pub(crate) data: u8,
    pub(crate) client: u8,
}

/// How many sessions a user may have, and what happens to the excess.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) sessions: usize,
    pub(crate) refuse: bool,
}

/// The replies of `create.lua`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Created {
    Made {
        now: Moment,
        cutoff: Option<Moment>,
        again: bool,
        room: Vec<Id>,
    },
    Ended,
    Late,
    LimitReached,
    Rejected,
}

impl SessionSet {
    pub(crate) fn live(&self) -> impl Iterator<Item = (Id, Live)> {
        self.records.iter().filter_map(|(id, record)| match record {
            Record::Live(live) => Some((*id, *live)),
            Record::Ended { .. } => None,
        })
    }

    pub(crate) fn is_live(&self, id: Id) -> bool {
        matches!(self.records.get(&id), Some(Record::Live(_)))
    }

    pub(crate) fn has(&self, id: Id, because: Reason) -> bool {
        matches!(self.records.get(&id), Some(Record::Ended { reason, .. }) if *reason == because)
    }

    pub(crate) fn create(
        &mut self,
        create: Create,
        now: Moment,
        limit: Limit,
        rules: Rules,
    ) -> Created {
        if rules.latest && create.latest.is_some_and(|latest| now > latest) {
            return Created::Late;
        }
        match self.records.get(&create.id) {
            Some(Record::Live(_)) if rules.knows_its_own => {
                let cutoff = self.cutoff;
                return Created::Made {
                    now,
                    cutoff,
                    again: true,
                    room: Vec::new(),
                };
            }
            Some(Record::Ended { .. }) if rules.stays_ended => return Created::Ended,
            _ => {}
        }
        let mut proven = match create.proven {
            Some(Proven::Ago(age)) => now - age,
            Some(Proven::At(moment)) => moment,
            Some(Proven::After(cutoff)) => cutoff + 1,
            None => now,
        };
        let is_rejected = |cutoff: Moment| match create.proven {
            Some(Proven::After(own)) => cutoff != own,
            Some(_) => rules.cutoff_moves && cutoff > now || proven <= cutoff,
            None => false,
        };
        if let Some(cutoff) = self.cutoff.filter(|cutoff| is_rejected(*cutoff)) {
            if rules.cutoff_moves {
                self.cutoff = Some(cutoff.min(now));
            }
            return Created::Rejected;
        }
        if rules.never_ahead {
            proven = proven.min(now);
        }

        let replaced = create.replaces.and_then(|id| self.successor(id, rules));
        let mut rivals: Vec<(Id, Live)> = self
            .live()
            .filter(|(id, _)| Some(*id) != replaced)
            .collect();
        let turn = |live: &Live| {
            let long = now - live.created > UNUSED_FOR;
            if rules.unused_first && !live.used && long {
                0
            } else if rules.own_unused_next && !live.used && live.client == create.client {
                1
            } else {
                2
            }
        };
        rivals.sort_by_key(|(id, live)| (turn(live), live.activity, live.created, *id));
        let over = (rivals.len() + 1).saturating_sub(limit.sessions);
        if create.proven.is_some() && over > 0 && limit.refuse {
            return Created::LimitReached;
        }
        let mut room: Vec<Id> = Vec::new();
        if create.proven.is_some() {
            room.extend(rivals[..over].iter().map(|(id, _)| *id));
        }

        let kept = match replaced.and_then(|id| self.records.get(&id)) {
            Some(Record::Live(old)) => old.data,
            _ => 0,
        };
        let data = kept | create.data;
        let live = Live {
            created: now,
            proven,
            activity: now,
            revision: 0,
            data,
            used: false,
            client: create.client,
        };
        self.records.insert(create.id, Record::Live(live));
        let by = Some(create.id);
        if let Some(replaced) = replaced {
            self.finish(replaced, Reason::Replaced, by);
        } else if let Some(elsewhere) = create.replaces
            && rules.marker
        {
            let marker = Record::Ended {
                reason: Reason::Replaced,
                by,
            };
            self.records.entry(elsewhere).or_insert(marker);
        }
        for id in &room {
            self.finish(*id, Reason::Evicted, by);
        }
        Created::Made {
            now,
            cutoff: self.cutoff,
            again: false,
            room,
        }
    }

    /// The live session that a sign-in replaces if it names this one.
    fn successor(&self, id: Id, rules: Rules) -> Option<Id> {
        match self.records.get(&id)? {
            Record::Live(_) => Some(id),
            Record::Ended {
                reason: Reason::Replaced,
                by: Some(by),
            } if rules.follows => self.successor(*by, rules),
            Record::Ended { .. } => None,
        }
    }

    /// The data and its revision, if it changed since it was read.
    pub(crate) fn end(
        &mut self,
        id: Id,
        reason: Reason,
        by: Option<Id>,
        read_at: Option<u8>,
        rules: Rules,
    ) -> Option<(u8, u8)> {
        match self.records.get(&id) {
            Some(Record::Live(live)) => {
                let moved = rules.brings_along && read_at.is_some_and(|at| at != live.revision);
                let newer = moved.then_some((live.data, live.revision));
                if !moved || !rules.ends_as_read {
                    self.finish(id, reason, by);
                }
                newer
            }
            Some(Record::Ended { .. }) => None,
            None => {
                if reason == Reason::Undelivered && rules.tombstone {
                    self.finish(id, reason, by);
                }
                None
            }
        }
    }

    pub(crate) fn end_all(&mut self, now: Moment) {
        self.cutoff = Some(now);
        let live: Vec<Id> = self.live().map(|(id, _)| id).collect();
        for id in live {
            self.finish(id, Reason::Revoked, None);
        }
    }

    /// Whether the session was live.
    pub(crate) fn put(&mut self, id: Id, keys: u8) -> bool {
        let Some(Record::Live(live)) = self.records.get_mut(&id) else {
            return false;
        };
        live.data |= keys;
        live.revision += 1;
        true
    }

    pub(crate) fn touch(&mut self, id: Id, now: Moment) {
        if let Some(Record::Live(live)) = self.records.get_mut(&id) {
            live.activity = live.activity.max(now);
            live.used = true;
        }
    }

    fn finish(&mut self, id: Id, reason: Reason, by: Option<Id>) {
        self.records.insert(id, Record::Ended { reason, by });
    }
}
