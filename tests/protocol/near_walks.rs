//! The walks of the near cache, with all rules and with each one turned off.

use super::{
    check::{breaks, holds},
    near::{FEED_BOUNDS, LEASE_BOUNDS, Near, OWN_WRITES, Scope},
    near_rules::{ALL, Rules},
};

fn near(rules: Rules, scope: Scope) -> Near {
    Near { rules, scope }
}

// T73
#[test]
fn an_answer_is_never_later_than_what_was_heard_of_a_feed_that_breaks_visibly() {
    holds(near(ALL, Scope::Faults), 150_000);
}

// T73
#[test]
fn a_browser_sees_what_it_wrote_on_its_node() {
    holds(near(ALL, Scope::Writes), 400_000);
}

// T73
#[test]
fn an_answer_is_never_later_than_the_lease_whatever_message_is_lost() {
    holds(near(ALL, Scope::Losses), 400_000);
}

#[test]
fn without_the_epoch_an_entry_outlives_a_broken_connection() {
    let rules = Rules {
        epoch: false,
        ..ALL
    };
    breaks(near(rules, Scope::Faults), FEED_BOUNDS);
}

#[test]
fn without_the_count_a_fill_overtakes_an_end() {
    let rules = Rules {
        count: false,
        ..ALL
    };
    breaks(near(rules, Scope::Faults), FEED_BOUNDS);
}

#[test]
fn a_lease_from_the_answer_is_too_long() {
    let rules = Rules {
        from_question: false,
        ..ALL
    };
    breaks(near(rules, Scope::Losses), LEASE_BOUNDS);
}

#[test]
fn a_feed_that_is_read_late_was_not_heard_just_now() {
    let rules = Rules {
        from_ping: false,
        ..ALL
    };
    breaks(near(rules, Scope::Faults), FEED_BOUNDS);
}

#[test]
fn a_pong_before_messages_says_nothing_of_them() {
    let rules = Rules {
        in_order: false,
        ..ALL
    };
    breaks(near(rules, Scope::Faults), FEED_BOUNDS);
}

#[test]
fn without_its_own_number_a_node_trusts_a_feed_that_carries_nothing() {
    let rules = Rules {
        loop_back: false,
        ..ALL
    };
    breaks(near(rules, Scope::Faults), FEED_BOUNDS);
}

#[test]
fn without_removal_a_browser_misses_what_it_wrote() {
    let rules = Rules { own: false, ..ALL };
    breaks(near(rules, Scope::Writes), OWN_WRITES);
}
