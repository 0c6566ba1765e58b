//! Two realms with the sessions of one user, tickets of refused sign-ins, and tokens from before a
//! re-authentication.

use stateright::{Model, Property};

use super::{
    check::{breaks, holds},
    rules::Rules,
};

/// T66.
const ONLY_ITS_REALM: &str = "a token is valid in its realm only";
/// T66.
const APART: &str = "a sign-in and an end of one session touch no other realm";
/// T66.
const ALL_END: &str = "an end of all leaves no session in any realm";
/// T69.
const LIMIT_HOLDS: &str = "the limit of a refused sign-in holds for its ticket";
/// T47.
const INVALID: &str = "a token from before a re-authentication ends nothing and is reported once";

/// What each sign-in asks for. Without the terms of a ticket the layer's own limit, 2, would hold.
const LIMIT: usize = 1;

#[derive(Clone, Debug)]
struct Realms {
    rules: Rules,
    acts: u8,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Live {
    id: u8,
    realm: bool,
    /// There is a token from before a re-authentication that was not reported yet.
    invalid: bool,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct State {
    live: Vec<Live>,
    /// The realm of each ticket.
    tickets: Vec<bool>,
    made: u8,
    left: u8,
    redeemed: bool,
    reports: u8,
    proofs: u8,
    /// What went wrong.
    crossed: bool,
    touched: bool,
    survived: bool,
    thrown_out: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    SignIn(bool),
    /// With a ticket, in a realm, and with a session to end.
    Redeem(usize, bool, u8),
    Send(u8, bool),
    End(u8, bool),
    EndAll(bool),
    Prove(u8),
    SendOld(u8),
}

impl State {
    fn counted(&self, realm: bool, rules: Rules) -> usize {
        let own = |live: &&Live| live.realm == realm || !rules.realm_of_limit;
        self.live.iter().filter(own).count()
    }

    fn begin(&mut self, realm: bool) {
        self.made += 1;
        self.live.push(Live {
            id: self.made,
            realm,
            invalid: false,
        });
    }

    /// Ends a session for a request in this realm.
    fn end(&mut self, id: u8, realm: bool, rules: Rules) {
        let Some(at) = self.live.iter().position(|live| live.id == id) else {
            return;
        };
        let apart = self.live[at].realm != realm;
        if apart && rules.ends_apart {
            return;
        }
        self.touched |= apart;
        self.live.remove(at);
    }
}

impl Model for Realms {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            left: self.acts,
            ..State::default()
        }]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        if state.left == 0 {
            return;
        }
        for realm in [false, true] {
            acts.push(Act::SignIn(realm));
            acts.push(Act::EndAll(realm));
            for live in &state.live {
                acts.push(Act::Send(live.id, realm));
                acts.push(Act::End(live.id, realm));
                acts.extend((0..state.tickets.len()).map(|it| Act::Redeem(it, realm, live.id)));
            }
        }
        for live in &state.live {
            acts.push(Act::Prove(live.id));
            acts.push(Act::SendOld(live.id));
        }
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let (mut state, rules) = (before.clone(), self.rules);
        state.left -= 1;
        match act {
            Act::SignIn(realm) if state.counted(realm, rules) < LIMIT => state.begin(realm),
            Act::SignIn(realm) => {
                // A session of another realm took its place.
                state.touched |= !state.live.iter().any(|live| live.realm == realm);
                state.tickets.push(realm);
            }
            Act::Redeem(ticket, realm, ends) => {
                if state.tickets[ticket] != realm && rules.realm_in_digest {
                    return None;
                }
                let limit = if rules.ticket_keeps { LIMIT } else { LIMIT + 1 };
                let mut then = state.clone();
                then.end(ends, realm, rules);
                if then.counted(realm, rules) >= limit {
                    // Refused: the chosen session does not end either. At another limit none has to.
                    return None;
                }
                if state.counted(realm, rules) >= limit {
                    state = then;
                }
                state.tickets.remove(ticket);
                state.begin(realm);
                state.redeemed = true;
            }
            Act::Send(id, realm) => {
                let live = state.live.iter().find(|live| live.id == id)?;
                state.crossed |= live.realm != realm && !rules.realm_in_digest;
            }
            Act::End(id, realm) => state.end(id, realm, rules),
            Act::EndAll(realm) => {
                state
                    .live
                    .retain(|live| live.realm != realm && !rules.ends_cross);
                state.survived |= !state.live.is_empty();
            }
            Act::Prove(id) => {
                let live = state.live.iter_mut().find(|live| live.id == id)?;
                live.invalid = true;
                state.proofs += 1;
            }
            Act::SendOld(id) => {
                let live = state.live.iter_mut().find(|live| live.id == id)?;
                if !live.invalid {
                    return None;
                }
                live.invalid = !rules.reported_once;
                state.reports += 1;
                if !rules.invalid_ends_nothing {
                    state.live.retain(|live| live.id != id);
                    state.thrown_out = true;
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONLY_ITS_REALM, |_, state: &State| !state.crossed),
            Property::always(APART, |_, state: &State| !state.touched),
            Property::always(ALL_END, |_, state: &State| !state.survived),
            Property::always(LIMIT_HOLDS, |_, state: &State| {
                [false, true].into_iter().all(|realm| {
                    let own = state.live.iter().filter(|live| live.realm == realm);
                    own.count() <= LIMIT
                })
            }),
            Property::always(INVALID, |_, state: &State| {
                !state.thrown_out && state.reports <= state.proofs
            }),
            Property::sometimes("both realms have a session", |_, state: &State| {
                state.live.len() == 2
            }),
            Property::sometimes("a ticket works", |_, state: &State| state.redeemed),
            Property::sometimes("an invalid token is reported", |_, state: &State| {
                state.reports > 0
            }),
        ]
    }
}

fn realms(rules: Rules) -> Realms {
    Realms { rules, acts: 6 }
}

// T47 T66 T69
#[test]
fn realms_keep_apart_tickets_keep_the_limit_and_invalid_tokens_end_nothing() {
    holds(realms(Rules::ALL), 500);
}

#[test]
fn without_the_realm_in_the_digest_a_token_is_valid_everywhere() {
    breaks(
        realms(Rules {
            realm_in_digest: false,
            ..Rules::ALL
        }),
        ONLY_ITS_REALM,
    );
}

#[test]
fn one_limit_for_all_realms_refuses_a_sign_in_for_a_session_elsewhere() {
    breaks(
        realms(Rules {
            realm_of_limit: false,
            ..Rules::ALL
        }),
        APART,
    );
}

#[test]
fn an_end_by_id_that_ignores_the_realm_ends_a_session_elsewhere() {
    breaks(
        realms(Rules {
            ends_apart: false,
            ..Rules::ALL
        }),
        APART,
    );
}

#[test]
fn an_end_of_all_in_one_realm_leaves_the_others() {
    breaks(
        realms(Rules {
            ends_cross: false,
            ..Rules::ALL
        }),
        ALL_END,
    );
}

#[test]
fn a_ticket_without_terms_lifts_the_limit() {
    breaks(
        realms(Rules {
            ticket_keeps: false,
            ..Rules::ALL
        }),
        LIMIT_HOLDS,
    );
}

#[test]
fn an_invalid_token_that_ends_the_session_signs_its_user_out() {
    breaks(
        realms(Rules {
            invalid_ends_nothing: false,
            ..Rules::ALL
        }),
        INVALID,
    );
}

#[test]
fn an_invalid_token_that_is_not_forgotten_is_reported_again() {
    breaks(
        realms(Rules {
            reported_once: false,
            ..Rules::ALL
        }),
        INVALID,
    );
}
