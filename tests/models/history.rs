//! Random histories: operations of a few users and guests in a random order.

use proptest::{collection::vec, option, prelude::*};
use tower_user_sessions::{EndReason, store::Changes};

/// Two users, then two guests.
pub(crate) const SESSION_SETS: usize = 4;

/// Idle and absolute, in ms: around those of the operations, around the 15 minutes of unused guests, and the longest. None
/// is so short that Redis deletes the session meanwhile, for its own clock goes on.
pub(crate) const LIFETIMES: [(u64, u64); 12] = [
    (5_000, 20_000),
    (4_999, 5_000),
    (5_001, 5_001),
    (5_017, 90_001),
    (39_999, 86_400_000),
    (40_000, 90_000),
    (40_000, 90_000),
    (40_007, 90_013),
    (899_999, 900_000),
    (901_000, 2_000_000),
    (86_400_000, 86_400_000),
    (34_560_000_000, 34_560_000_000),
];

/// A token of one session set, live or not, counted from the newest.
pub(crate) type Pick = usize;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create {
        name: char,
        again: Option<(Pick, bool)>,
        replaces: Option<Pick>,
        limit: u16,
        refuse: bool,
        /// Which of [`LIFETIMES`].
        lifetime: usize,
        /// A negative value is a moment in the future.
        authenticated_ago: i64,
        changes: Vec<(usize, Option<u8>)>,
        data_limit: usize,
        with: With,
    },
    Resolve {
        pick: Pick,
        activity: bool,
        forged: bool,
        /// In the other realm.
        crossed: bool,
    },
    /// Reads the terms of a ticket.
    Ticket {
        pick: Pick,
        forged: bool,
    },
    Rotate {
        pick: Pick,
        forged: bool,
        proven: bool,
        /// Resolves with the token that an earlier operation used.
        again: bool,
        short: bool,
        reuse_ends: bool,
    },
    Save {
        pick: Pick,
        changes: Vec<(usize, Option<u8>)>,
        /// The revision that it names, as the difference to the right one.
        expect: Option<i64>,
        data_limit: usize,
        /// Idle and absolute, in seconds.
        shorten: Option<(u64, u64)>,
    },
    /// Notes one of three clients, on the newest record or on one that is not stored any more.
    NoteClient {
        pick: Pick,
        agent: u8,
        stale: bool,
    },
    /// What all sessions of the session set are, and one that is none.
    Look,
    /// Activity of so long ago.
    Touch {
        pick: Pick,
        age: u64,
    },
    /// Of one realm, or of all.
    List(Option<bool>),
    End {
        which: Whom,
        reason: EndReason,
        by: Option<Pick>,
        caller: Option<Pick>,
        read_at: Option<i64>,
        spare: bool,
        bar: Option<u64>,
        within: Option<bool>,
    },
    /// Gives up an id that is not created yet and may be created later.
    GiveUp {
        name: char,
    },
    Advance(u64),
    StepBack(u64),
    /// Ends all sessions, at a moment so far ahead of the clock.
    NotBefore(u64),
}

/// Options of a sign-in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct With {
    pub(crate) class: u8,
    /// Which of four clients signs in.
    pub(crate) client: u8,
    pub(crate) class_limit: Option<u16>,
    pub(crate) counts: bool,
    pub(crate) device: Option<u8>,
    /// The session that it replaces belongs to the next session set.
    pub(crate) elsewhere: bool,
    /// In the realm that has a name.
    pub(crate) admin: bool,
    /// The request arrived after it was known up to when all sessions ended.
    pub(crate) knows: bool,
    /// A ticket, whether it is forged, and which session it ends.
    pub(crate) redeem: Option<(Pick, bool, Option<Pick>)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Whom {
    One(Pick),
    Others(Pick),
    All,
}

/// The operations of a history, each with its session set.
pub(crate) fn histories() -> BoxedStrategy<Vec<(usize, Op)>> {
    vec((0..SESSION_SETS, ops()), 1..60).boxed()
}

/// Long ones, mostly about one user: so many that what a store keeps at most is reached.
pub(crate) fn long_histories() -> BoxedStrategy<Vec<(usize, Op)>> {
    let set = prop_oneof![9 => Just(0_usize), 1 => Just(1)];
    vec((set, ops()), 300..700).boxed()
}

fn ops() -> impl Strategy<Value = Op> {
    let name = || prop::sample::select(vec!['-', '0', 'A', '_', 'z']);
    let pick = || prop_oneof![5 => 0..6_usize, 1 => 0..100_usize];
    let limit = prop_oneof![3 => 1..=3_u16, 1 => 4..=90_u16];
    let changes = || vec((0..3_usize, option::of(0..4_u8)), 0..3);
    let data_limit = || prop_oneof![3 => Just(1_000_usize), 1 => Just(20)];
    let off = || option::weighted(0.4, prop_oneof![2 => Just(0), 1 => -1..=1_i64]);
    let millis = || {
        prop_oneof![
            Just(0_u64),
            Just(1),
            Just(4_999),
            Just(5_000),
            Just(10_000),
            Just(19_999),
            Just(20_000),
            Just(20_001),
            1..3_000_u64,
        ]
    };
    let reason = prop::sample::select(vec![
        EndReason::Administrator,
        EndReason::LoggedOut,
        EndReason::Revoked,
        EndReason::Undelivered,
        EndReason::Rejected,
    ]);
    let create = (
        name(),
        option::weighted(0.2, (pick(), prop::bool::weighted(0.2))),
        option::weighted(0.3, pick()),
        (limit, prop::bool::weighted(0.2), 0..LIFETIMES.len()),
        prop_oneof![
            12 => Just(0_i64),
            4 => -1..=1_i64,
            4 => 0..6_000_i64,
            1 => (-1..=1_i64).prop_map(|off| 86_400_000 + off),
        ],
        changes(),
        data_limit(),
        with(),
    )
        .prop_map(
            |(
                name,
                again,
                replaces,
                (limit, refuse, lifetime),
                authenticated_ago,
                changes,
                data_limit,
                with,
            )| {
                Op::Create {
                    name,
                    again,
                    replaces,
                    limit,
                    refuse,
                    lifetime,
                    authenticated_ago,
                    changes,
                    data_limit,
                    with,
                }
            },
        );
    let rotate = (
        pick(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.1),
        (any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |(pick, forged, proven, again, (short, reuse_ends))| Op::Rotate {
                pick,
                forged,
                proven,
                again,
                short,
                reuse_ends,
            },
        );
    let resolve = (
        pick(),
        any::<bool>(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(pick, activity, forged, crossed)| Op::Resolve {
            pick,
            activity,
            forged,
            crossed,
        });
    let ticket =
        (pick(), prop::bool::weighted(0.2)).prop_map(|(pick, forged)| Op::Ticket { pick, forged });
    let shorten = option::weighted(0.2, (1..30_u64, 1..90_u64));
    let save = (pick(), changes(), off(), data_limit(), shorten).prop_map(
        |(pick, changes, expect, data_limit, shorten)| Op::Save {
            pick,
            changes,
            expect,
            data_limit,
            shorten,
        },
    );
    let whom = prop_oneof![
        4 => pick().prop_map(Whom::One),
        1 => pick().prop_map(Whom::Others),
        1 => Just(Whom::All),
    ];
    let callers = (option::of(pick()), option::weighted(0.4, pick()));
    let ending = (
        any::<bool>(),
        option::weighted(0.2, prop_oneof![Just(0_u64), Just(1), 1..20_000_u64]),
        option::weighted(0.3, any::<bool>()),
    );
    let end = (whom, reason, callers, off(), ending).prop_map(
        |(which, reason, (by, caller), read_at, (spare, bar, within))| Op::End {
            which,
            reason,
            by,
            caller,
            read_at,
            spare,
            bar,
            within,
        },
    );
    prop_oneof![
        8 => create,
        6 => resolve,
        4 => rotate,
        4 => save,
        3 => (pick(), 0..3_u8, prop::bool::weighted(0.2))
            .prop_map(|(pick, agent, stale)| Op::NoteClient { pick, agent, stale }),
        3 => option::weighted(0.5, any::<bool>()).prop_map(Op::List),
        2 => Just(Op::Look),
        2 => (pick(), prop_oneof![Just(0_u64), millis()])
            .prop_map(|(pick, age)| Op::Touch { pick, age }),
        1 => ticket,
        4 => end,
        1 => name().prop_map(|name| Op::GiveUp { name }),
        5 => millis().prop_map(Op::Advance),
        1 => millis().prop_map(Op::StepBack),
        1 => prop_oneof![Just(0_u64), Just(1), 1..3_000_u64].prop_map(Op::NotBefore),
    ]
}

fn with() -> impl Strategy<Value = With> {
    let pick = || 0..6_usize;
    let redeem = (pick(), prop::bool::weighted(0.2), option::of(pick()));
    (
        (0..3_u8, 0..4_u8),
        option::weighted(0.4, 1..=2_u16),
        prop::bool::weighted(0.8),
        option::weighted(0.3, prop_oneof![3 => 0..4_u8, 1 => 0..60_u8]),
        prop::bool::weighted(0.1),
        (prop::bool::weighted(0.3), prop::bool::weighted(0.7)),
        option::weighted(0.2, redeem),
    )
        .prop_map(
            |((class, client), class_limit, counts, device, elsewhere, (admin, knows), redeem)| {
                With {
                    class,
                    client,
                    class_limit,
                    counts,
                    device,
                    elsewhere,
                    admin,
                    knows,
                    redeem,
                }
            },
        )
}

/// The changes that an operation names.
pub(crate) fn change(changes: &[(usize, Option<u8>)]) -> Changes {
    let mut made = Changes::default();
    for (key, value) in changes {
        let key = ["a", "b", "c"][*key];
        match value {
            Some(length) => made.set(key, vec![b'x'; usize::from(*length) * 3]),
            None => made.remove(key),
        }
    }
    made
}
