//! What the tasks want to do, and how often.

use proptest::prelude::*;
use tower_user_sessions::store::{Changes, Realm};

pub(crate) const TASKS: usize = 4;

/// What a task wants to do. All but the first resolve the session first, as a request does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    List,
    Look {
        activity: bool,
    },
    SignIn {
        as_other: bool,
        limit: u16,
        refuse: bool,
        class: u8,
        short: bool,
    },
    Save {
        value: u8,
        conditional: bool,
    },
    Rotate,
    Reauthenticate,
    LogOut,
    Revoke,
    EndOthers {
        all: bool,
    },
    /// Signs in by a ticket that the task got.
    Redeem,
}

#[derive(Clone, Debug)]
pub(crate) enum Transition {
    /// The task takes its next step, or starts with this aim. The reply may be lost.
    Step {
        task: usize,
        aim: Aim,
        delivered: bool,
    },
    /// The task repeats its last question.
    Again {
        task: usize,
    },
    /// The response of the task's last sign-in was never sent.
    GiveUp {
        task: usize,
    },
    /// The sessions of all users end, so far ahead of the clock or behind it.
    EndEveryone(i64),
    Advance(u64),
    StepBack(u64),
}

/// Any step of any task, or of the clock.
pub(crate) fn transitions() -> BoxedStrategy<Transition> {
    let aim = prop_oneof![
        1 => Just(Aim::List),
        3 => any::<bool>().prop_map(|activity| Aim::Look { activity }),
        6 => (prop::bool::weighted(0.1), 1..=3_u16, prop::bool::weighted(0.2), 0..2_u8, any::<bool>())
            .prop_map(|(as_other, limit, refuse, class, short)| Aim::SignIn {
                as_other, limit, refuse, class, short,
            }),
        4 => (0..4_u8, any::<bool>())
            .prop_map(|(value, conditional)| Aim::Save { value, conditional }),
        4 => Just(Aim::Rotate),
        1 => Just(Aim::Reauthenticate),
        1 => Just(Aim::LogOut),
        1 => Just(Aim::Revoke),
        1 => any::<bool>().prop_map(|all| Aim::EndOthers { all }),
        3 => Just(Aim::Redeem),
    ];
    let task = || 0..TASKS;
    let millis = || prop_oneof![Just(1_u64), Just(2_000), Just(5_000), 1..9_000_u64];
    prop_oneof![
        40 => (task(), aim, prop::bool::weighted(0.9))
            .prop_map(|(task, aim, delivered)| Transition::Step { task, aim, delivered }),
        4 => task().prop_map(|task| Transition::Again { task }),
        2 => task().prop_map(|task| Transition::GiveUp { task }),
        1 => prop_oneof![Just(1_i64), Just(1_000), Just(-3_000)].prop_map(Transition::EndEveryone),
        8 => millis().prop_map(Transition::Advance),
        2 => millis().prop_map(Transition::StepBack),
    ]
    .boxed()
}

/// The last task works in another realm.
pub(crate) fn realm(task: usize) -> Realm {
    if task + 1 == TASKS {
        Realm::named("admin")
    } else {
        Realm::NONE
    }
}

pub(crate) fn changes(value: u8) -> Changes {
    let mut changes = Changes::default();
    changes.set(["a", "b"][usize::from(value) % 2], vec![value]);
    changes
}
