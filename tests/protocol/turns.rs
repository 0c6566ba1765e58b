//! One request that commits twice: at once, or again because the first commit was dropped.

use stateright::{Model, Property};

use super::{
    check::{breaks, holds},
    rules::Rules,
};

/// Row "login", DESIGN §2: running a commit again is the same session; T57.
const ONE_SESSION: &str = "one guest begins one session";
/// Row "two requests change the same key": a change that is staged once is stored once.
const COUNTS_ONCE: &str = "an update counts once";

/// Two tasks of a handler, each with a commit. Staged is the first value of a guest, by an update.
#[derive(Clone, Debug)]
struct Commits {
    rules: Rules,
    /// How many commits may be dropped while the session is made.
    drops: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct State {
    /// The session of the request, as its tasks see it.
    staged: bool,
    token: Option<u8>,
    known: Option<Known>,
    turn: Option<usize>,
    tasks: [Task; 2],
    /// The store: sessions, and what updates count up.
    sessions: Vec<(u8, Known)>,
    made: u8,
    drops: u8,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Known {
    id: u8,
    revision: u8,
    count: u8,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Task {
    Idle,
    Planned(Plan),
    Done,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Plan {
    Nothing,
    /// With a session of this id, and the first value.
    Begin(u8),
    /// The value that the update read.
    Save(Known),
}

#[derive(Clone, Debug, PartialEq)]
enum Act {
    /// Takes its turn, and reads what is staged.
    Plan(usize),
    /// Sends its call, and receives the reply.
    Store(usize),
    /// The store has done the work, and the reply is lost.
    Drop(usize),
}

impl State {
    fn stored(&mut self, id: u8) -> Option<&mut Known> {
        self.sessions
            .iter_mut()
            .find(|(of, _)| *of == id)
            .map(|(_, known)| known)
    }

    /// What the store does with it, and whether the update has to run again on a newer value.
    fn store(&mut self, plan: Plan) -> Result<Option<Known>, Known> {
        match plan {
            Plan::Nothing => Ok(None),
            Plan::Begin(id) => {
                if self.stored(id).is_none() {
                    self.sessions.push((
                        id,
                        Known {
                            id,
                            revision: 0,
                            count: 1,
                        },
                    ));
                }
                Ok(self.stored(id).copied())
            }
            Plan::Save(read) => {
                let Some(known) = self.stored(read.id) else {
                    return Ok(None);
                };
                if known.revision != read.revision {
                    return Err(*known);
                }
                (known.revision, known.count) = (read.revision + 1, read.count + 1);
                Ok(Some(*known))
            }
        }
    }
}

impl Model for Commits {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let session = Known {
            id: 0,
            revision: 0,
            count: 0,
        };
        [None, Some(session)]
            .map(|known| State {
                staged: true,
                token: None,
                known,
                turn: None,
                tasks: [Task::Idle; 2],
                sessions: known.map(|known| (known.id, known)).into_iter().collect(),
                made: 1,
                drops: self.drops,
            })
            .to_vec()
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        for (at, task) in state.tasks.iter().enumerate() {
            match task {
                Task::Idle if state.turn.is_none() || !self.rules.turns => acts.push(Act::Plan(at)),
                Task::Planned(plan) => {
                    acts.push(Act::Store(at));
                    // A dropped update has an unknown outcome, which its caller has to handle.
                    if state.drops > 0 && matches!(plan, Plan::Begin(_)) {
                        acts.push(Act::Drop(at));
                    }
                }
                Task::Idle | Task::Done => {}
            }
        }
    }

    fn next_state(&self, before: &State, act: Act) -> Option<State> {
        let mut state = before.clone();
        match act {
            Act::Plan(at) => {
                state.turn = Some(at);
                let plan = match state.known {
                    _ if !state.staged => Plan::Nothing,
                    Some(known) => Plan::Save(known),
                    None => {
                        let token = state.token.filter(|_| self.rules.made_once);
                        state.made += u8::from(token.is_none());
                        state.token = Some(token.unwrap_or(state.made));
                        Plan::Begin(state.token?)
                    }
                };
                state.tasks[at] = Task::Planned(plan);
            }
            Act::Store(at) => {
                let Task::Planned(plan) = state.tasks[at] else {
                    return None;
                };
                match state.store(plan) {
                    Ok(known) => {
                        state.tasks[at] = Task::Done;
                        (state.staged, state.turn) = (false, None);
                        state.known = known.or(state.known);
                    }
                    Err(newer) => state.tasks[at] = Task::Planned(Plan::Save(newer)),
                }
            }
            Act::Drop(at) => {
                if let Task::Planned(plan) = state.tasks[at] {
                    let _unheard = state.store(plan);
                }
                state.tasks[at] = Task::Done;
                (state.turn, state.drops) = (None, state.drops - 1);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_SESSION, |_, state: &State| state.sessions.len() <= 1),
            Property::always(COUNTS_ONCE, |_, state: &State| {
                let counts = state.sessions.iter().map(|(_, known)| known.count);
                counts.sum::<u8>() <= 1
            }),
            Property::sometimes("both commits are done", |_, state: &State| {
                state.tasks == [Task::Done; 2] && !state.staged
            }),
            Property::sometimes("a commit is dropped", |_, state: &State| state.drops == 0),
        ]
    }
}

fn commits(rules: Rules) -> Commits {
    Commits { rules, drops: 1 }
}

// T57
#[test]
fn two_commits_at_once_or_in_turn_store_once() {
    holds(commits(Rules::ALL), 20);
}

#[test]
fn commits_that_do_not_take_turns_run_an_update_twice() {
    breaks(
        commits(Rules {
            turns: false,
            ..Rules::ALL
        }),
        COUNTS_ONCE,
    );
}

#[test]
fn a_new_token_for_each_try_makes_two_sessions() {
    breaks(
        commits(Rules {
            made_once: false,
            ..Rules::ALL
        }),
        ONE_SESSION,
    );
}
