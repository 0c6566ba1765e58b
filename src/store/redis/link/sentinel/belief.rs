//! Which of the answers of sentinels is believed.

/// For how long, in ms, most sentinels must name an older master before they are believed: they were set up again.
/// The others learn of a failover from the sentinel that led it within 2 s.
const SET_UP_AGAIN: i64 = 10_000;

/// What a sentinel says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in super::super) struct Named {
    pub(super) host: String,
    pub(super) port: u16,
    /// Which server it is. During a failover it is that of the previous master.
    pub(super) run_id: String,
    /// A failover counts it up: of two answers the one with the higher epoch is the newer.
    pub(super) epoch: u64,
    /// How often the sentinels had been set up again, with epochs of their own.
    pub(super) era: u64,
}

impl Named {
    /// Whether this one takes the place of the other.
    pub(in super::super) fn replaces(&self, other: &Self) -> bool {
        let (now, before) = ((self.era, self.epoch), (other.era, other.epoch));
        // Without a failover it was set by hand, or is named in another way: by its address, or by its name.
        let is_another = now > before || now == before && !self.is_same(other);
        is_another && !self.is_at(other)
    }

    fn is_at(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }

    fn is_same(&self, other: &Self) -> bool {
        !self.run_id.is_empty() && self.run_id == other.run_id
    }
}

/// The newest master that was named, also before the store connected last.
#[derive(Debug, Default)]
pub(super) struct Belief {
    newest: Option<Named>,
    /// Since when most sentinels name an older one.
    older: Option<i64>,
}

impl Belief {
    pub(super) fn newest(&self) -> Option<&Named> {
        self.newest.as_ref()
    }

    /// The master by these answers, which came from that many sentinels or from a part of them.
    ///
    /// Sentinels that are cut off together with a previous master go on to name that one.
    pub(super) fn form(
        &mut self,
        answers: Vec<Named>,
        sentinels: usize,
        now: i64,
    ) -> Option<Named> {
        let most = answers.len() * 2 > sentinels;
        let epoch = answers.iter().map(|named| named.epoch).max()?;
        let mut named = answers.into_iter().filter(|named| named.epoch == epoch);
        let first = named.next()?;
        let Some(known) = &self.newest else {
            self.newest = Some(first.clone());
            return Some(first);
        };
        // As it was named before, if one sentinel still does.
        let mut named = [first.clone()].into_iter().chain(named);
        let mut named = named.find(|named| named.is_at(known)).unwrap_or(first);
        named.era = known.era;
        if named.epoch < known.epoch {
            if !most {
                return Some(known.clone());
            }
            let since = *self.older.get_or_insert(now);
            if now.saturating_sub(since) < SET_UP_AGAIN {
                return Some(known.clone());
            }
            named.era += 1;
        }
        self.older = None;
        self.newest = Some(named.clone());
        Some(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(host: &str, epoch: u64) -> Named {
        Named {
            host: host.to_owned(),
            epoch,
            ..Named::default()
        }
    }

    fn forms(belief: &mut Belief, answers: &[(&str, u64)], now: i64) -> String {
        let answers = answers.iter().map(|(host, epoch)| named(host, *epoch));
        belief.form(answers.collect(), 3, now).unwrap().host
    }

    #[test]
    fn a_sentinel_with_an_older_epoch_does_not_lead_back_to_the_previous_master() {
        let mut belief = Belief::default();
        assert_eq!(forms(&mut belief, &[("old", 1), ("new", 2)], 0), "new");

        assert_eq!(forms(&mut belief, &[("old", 1)], 1), "new");
        assert_eq!(forms(&mut belief, &[("old", 1)], SET_UP_AGAIN * 9), "new");
        assert_eq!(forms(&mut belief, &[("newest", 3)], 2), "newest");
    }

    #[test]
    fn sentinels_that_were_set_up_again_are_believed_after_a_while() {
        let mut belief = Belief::default();
        let before = belief.form(vec![named("old", 7)], 3, 0).unwrap();
        let again = [("new", 0), ("new", 0)];

        assert_eq!(forms(&mut belief, &again, 5), "old");
        assert_eq!(forms(&mut belief, &again, 4 + SET_UP_AGAIN), "old");
        assert_eq!(forms(&mut belief, &again, 5 + SET_UP_AGAIN), "new");
        assert_eq!(forms(&mut belief, &[("newer", 1)], 0), "newer");

        let now = belief.newest.unwrap();
        assert!(now.replaces(&before) && !before.replaces(&now));
    }

    #[test]
    fn sentinels_that_disagree_for_a_moment_are_not_set_up_again() {
        let mut belief = Belief::default();
        forms(&mut belief, &[("new", 2)], 0);
        forms(&mut belief, &[("old", 1), ("old", 1)], 1);
        forms(&mut belief, &[("old", 1), ("new", 2)], 2);

        let late = [("old", 1), ("old", 1)];
        assert_eq!(forms(&mut belief, &late, 5 + SET_UP_AGAIN), "new");
    }

    #[test]
    fn one_server_under_two_names_is_not_replaced() {
        let mut belief = Belief::default();
        let name = ("redis.example", 3);
        assert_eq!(forms(&mut belief, &[name], 0), "redis.example");
        for answers in [[name, ("10.0.0.1", 3)], [("10.0.0.1", 3), name]] {
            assert_eq!(forms(&mut belief, &answers, 1), "redis.example");
        }

        let (mut by_name, mut by_address) = (named("redis.example", 3), named("10.0.0.1", 3));
        assert!(by_address.replaces(&by_name), "set by hand");
        (by_name.run_id, by_address.run_id) = ("abc".to_owned(), "abc".to_owned());
        assert!(!by_address.replaces(&by_name));
        // During a failover the run id is still that of the previous master.
        by_address.epoch += 1;
        assert!(by_address.replaces(&by_name));
    }

    #[test]
    fn half_of_the_sentinels_are_not_most_of_them() {
        let mut belief = Belief::default();
        let answers = || vec![named("old", 1), named("old", 1)];
        belief.form(vec![named("new", 2)], 4, 0).unwrap();

        for at in [1, 1 + SET_UP_AGAIN] {
            assert_eq!(belief.form(answers(), 4, at).unwrap().host, "new");
        }
        let more = [answers(), answers()].concat();
        for (at, host) in [(0, "new"), (SET_UP_AGAIN, "old")] {
            assert_eq!(belief.form(more.clone(), 4, at).unwrap().host, host);
        }
    }
}
