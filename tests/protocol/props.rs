//! What holds in every state, and what some states reach.
//!
//! A property stands for the row of DESIGN §5 or the line of the checklist that it names.

use stateright::Property;

use super::{
    scene::{ANNA, BERT, Deed, OLD, Scene, Sight},
    session_set::{Created, Id, Reason, Record},
    world::{Answer, Current, Outcome, Request, Stage, Wish, World},
};

/// Row "many logins of one user at once"; T25, T27.
pub(crate) const WITHIN_THE_LIMIT: &str = "never more are live than the limit";
/// Row "request in flight while its session ends"; T19, T20.
pub(crate) const STAYS_ENDED: &str = "what ended stays ended";
/// Row "login while end all or end others runs"; T21.
pub(crate) const CUTOFF_WINS: &str = "no sign-in survives a later cutoff";
/// Row "store cannot answer at commit"; T33, T57.
pub(crate) const NOTHING_UNDELIVERED: &str = "no session without a response";
/// T57: evicts nothing after its caller gave up.
pub(crate) const GIVEN_UP: &str = "a sign-in that was given up evicts none";
/// T57: not run twice by a retry.
pub(crate) const ONCE: &str = "a retry makes room once";
/// Row "limit n reached, policy refuse"; T33.
pub(crate) const COSTS_NOTHING: &str = "a sign-in that is not made costs nothing";
/// Row "two requests change different keys of one session", where one of them signs in.
pub(crate) const CART_KEPT: &str = "what was put into the cart is kept";
/// Rows "login where the request already has a session" and "double submit"; T29, T54.
pub(crate) const ONE_PLACE: &str = "one browser takes one place";
/// Row "token of a session that was replaced"; T56.
pub(crate) const LATE_ANSWER: &str = "a late response signs no client out";
/// Row "login while end all runs": a rejected sign-in changes nothing (store contract 7).
pub(crate) const REJECTED_IS_NOTHING: &str =
    "a sign-in that was too old when sent makes no session";
/// Row "an app node's wall clock is wrong": the clock of the store may step back and locks no user
/// out.
pub(crate) const NOT_LOCKED_OUT: &str = "after a rejected sign-in the next one succeeds";
/// Row "login": the handler that changed the password signs in; T53.
pub(crate) const PASSWORD: &str = "a password change signs in";
/// T39: no session is fresher than now.
pub(crate) const NOT_AHEAD: &str = "no sign-in is authenticated in the future";

type Holds = fn(&Scene, &World) -> bool;

const ALWAYS: [(&str, Holds); 14] = [
    (WITHIN_THE_LIMIT, within_the_limit),
    (STAYS_ENDED, |_, world| !world.seen.came_back),
    (CUTOFF_WINS, |scene, world| {
        !signed_in(scene, world).any(|(request, set, id)| {
            let before = |cutoff| request.is_before(cutoff);
            world.sets[set].is_live(id) && world.seen.cutoff[set].is_some_and(before)
        })
    }),
    (NOTHING_UNDELIVERED, nothing_undelivered),
    (GIVEN_UP, |_, world| !world.seen.evicted_late),
    (ONCE, |_, world| !world.seen.evicted_twice),
    (COSTS_NOTHING, costs_nothing),
    (CART_KEPT, cart_kept),
    (ONE_PLACE, one_place),
    (LATE_ANSWER, |_, world| !world.seen.signed_out_late),
    (REJECTED_IS_NOTHING, |_, world| {
        !world.seen.made_though_rejected
    }),
    (NOT_LOCKED_OUT, |_, world| !world.seen.locked_out),
    (PASSWORD, password),
    (NOT_AHEAD, |_, world| {
        let mut live = world.sets.iter().flat_map(|set| set.live());
        live.all(|(_, live)| live.proven <= live.created)
    }),
];

pub(crate) fn all(shows: &[Sight]) -> Vec<Property<Scene>> {
    let always = ALWAYS.map(|(name, holds)| Property::always(name, holds));
    let sometimes = shows.iter().map(|sight| {
        let (name, seen) = sight.property();
        Property::sometimes(name, seen)
    });
    always.into_iter().chain(sometimes).collect()
}

/// The requests whose response says that they signed in, and their sessions.
fn signed_in<'a>(
    scene: &'a Scene,
    world: &'a World,
) -> impl Iterator<Item = (&'a Request, usize, Id)> {
    sign_ins(scene, world).filter(|(request, ..)| request.outcome() == Some(Outcome::SignedIn))
}

fn sign_ins<'a>(
    scene: &'a Scene,
    world: &'a World,
) -> impl Iterator<Item = (&'a Request, usize, Id)> {
    let requests = scene.plans.iter().zip(&world.requests).zip(0..);
    requests.filter_map(|((plan, request), id)| match plan.deed {
        Deed::LogIn(set) | Deed::Password(set) => Some((request, set, id)),
        Deed::EndAll(_) | Deed::Revoke(_) | Deed::Put(_) | Deed::Look => None,
    })
}

fn within_the_limit(scene: &Scene, world: &World) -> bool {
    let live = |set: usize| world.sets[set].live().count();
    [ANNA, BERT]
        .into_iter()
        .all(|set| live(set) <= scene.limit.sessions)
}

fn nothing_undelivered(scene: &Scene, world: &World) -> bool {
    !world.is_at_rest()
        || sign_ins(scene, world).all(|(request, set, id)| {
            !world.sets[set].is_live(id) || request.outcome() == Some(Outcome::SignedIn)
        })
}

fn costs_nothing(_: &Scene, world: &World) -> bool {
    let records = world.sets.iter().flat_map(|set| set.records.values());
    !world.is_at_rest()
        || records.into_iter().all(|record| match record {
            Record::Ended {
                reason: Reason::Replaced,
                by: Some(by),
            } => world.requests[usize::from(*by)].made,
            _ => true,
        })
}

fn cart_kept(scene: &Scene, world: &World) -> bool {
    let puts = scene
        .plans
        .iter()
        .zip(&world.requests)
        .filter_map(|(plan, put)| {
            let done = put.outcome() == Some(Outcome::Done);
            match (plan.deed, put.current) {
                (Deed::Put(keys), Current::Live(cart, _)) if done => Some((keys, cart)),
                _ => None,
            }
        });
    let mut puts = puts.filter(|_| world.is_at_rest());
    puts.all(|(keys, cart)| {
        let Some(Record::Ended {
            reason: Reason::Replaced,
            by: Some(by),
        }) = world.sets[cart.set].records.get(&cart.id)
        else {
            return true;
        };
        signed_in(scene, world)
            .filter(|(request, _, id)| id == by && !request.unsure)
            .all(|(_, set, id)| match world.sets[set].records.get(&id) {
                Some(Record::Live(live)) => live.data & keys == keys,
                _ => true,
            })
    })
}

fn one_place(scene: &Scene, world: &World) -> bool {
    !world.is_at_rest()
        || scene.jars.iter().enumerate().all(|(browser, jar)| {
            let places = |of: usize| {
                let own = signed_in(scene, world).filter(|(_, set, id)| {
                    let plan = scene.plans[usize::from(*id)];
                    plan.browser == browser && *set == of && world.sets[of].is_live(*id)
                });
                let before =
                    jar.is_some_and(|token| token.set == of && world.sets[of].is_live(token.id));
                own.count() + usize::from(before)
            };
            jar.is_none() || places(ANNA) <= 1 && places(BERT) <= 1
        })
}

fn password(scene: &Scene, world: &World) -> bool {
    world.behind > 0
        || sign_ins(scene, world).all(|(request, set, _)| {
            let again = |(_, at)| world.seen.cutoff[set] > Some(at);
            request.outcome() != Some(Outcome::Rejected)
                || request.made
                || request.own_cutoff.is_none_or(again)
        })
}

impl Sight {
    fn property(self) -> (&'static str, Holds) {
        match self {
            Self::Eviction => ("a session is evicted", |_, world| {
                ended(world, Reason::Evicted)
            }),
            Self::Refusal => ("the limit refuses", |scene, world| {
                sign_ins(scene, world).any(|(it, ..)| it.outcome() == Some(Outcome::Refused))
            }),
            Self::Rejected => ("the script rejects a sign-in", |_, world| {
                let mut rejected = world.requests.iter().filter(|request| !request.made);
                rejected.any(|request| request.outcome() == Some(Outcome::Rejected))
            }),
            Self::RejectedLater => ("the layer rejects a sign-in", |_, world| {
                ended(world, Reason::Rejected)
            }),
            Self::Undelivered => ("a session is given up", |scene, world| {
                given_up(scene, world, true)
            }),
            Self::Tombstone => ("an id is given up before it is made", |scene, world| {
                given_up(scene, world, false)
            }),
            Self::Late => ("a sign-in comes too late", |_, world| {
                answered(world, |created| *created == Created::Late)
            }),
            Self::Again => ("a sign-in is sent twice", |_, world| {
                answered(world, |it| matches!(it, Created::Made { again: true, .. }))
            }),
            Self::CartMoved => ("what is put late comes along", |_, world| {
                let mut stages = world.requests.iter().map(|request| request.stage);
                stages.any(|stage| matches!(stage, Stage::Asked(Wish::Carry(_))))
            }),
            Self::Followed => ("a sign-in follows another", |scene, world| {
                sign_ins(scene, world).any(|(_, set, id)| world.sets[set].has(id, Reason::Replaced))
            }),
            Self::AllSignedIn => ("all are signed in", |scene, world| {
                let all = signed_in(scene, world).count() == sign_ins(scene, world).count();
                all && world.is_at_rest()
            }),
            Self::OtherUser => ("another user takes over a browser", |_, world| {
                world.sets[ANNA].has(OLD[ANNA], Reason::Replaced) && world.is_at_rest()
            }),
            Self::CookieStayed => ("a replaced token is sent", |_, world| {
                let mut shown = world.requests.iter().map(|request| request.current);
                shown.any(|it| matches!(it, Current::Ended(Reason::Replaced, _)))
            }),
            Self::PasswordChanged => ("a password is changed", |scene, world| {
                signed_in(scene, world).any(|(request, ..)| request.own_cutoff.is_some())
            }),
        }
    }
}

fn ended(world: &World, reason: Reason) -> bool {
    let mut records = world.sets.iter().flat_map(|set| set.records.values());
    records.any(|record| matches!(record, Record::Ended { reason: found, .. } if *found == reason))
}

fn given_up(scene: &Scene, world: &World, made: bool) -> bool {
    sign_ins(scene, world).any(|(request, set, id)| {
        request.made == made && world.sets[set].has(id, Reason::Undelivered)
    })
}

fn answered(world: &World, is: fn(&Created) -> bool) -> bool {
    let mut answers = world.flight.iter().map(|flying| &flying.answer);
    answers.any(|answer| matches!(answer, Some(Answer::Created(created)) if is(created)))
}
