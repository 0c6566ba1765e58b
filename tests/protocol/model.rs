//! The actions of a model.

use stateright::{Model, Property};

use super::{
    node::Node,
    props,
    scene::{Deed, Scene},
    session_set::{Reason, Record},
    world::{Act, Call, Cookie, Current, Flying, Stage, World},
};

impl Model for Scene {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        if world.left.ticks > 0 {
            acts.push(Act::Tick);
            if !self.rules.counts_suspension {
                acts.extend([Act::Suspend(1), Act::Suspend(2)]);
            }
        }
        if world.left.back > 0 {
            acts.push(Act::StepBack);
        }
        for (at, request) in world.requests.iter().enumerate() {
            match request.stage {
                Stage::Waiting => acts.push(Act::Send(at)),
                Stage::Open => {
                    acts.push(Act::Commit(at));
                    if world.left.drops > 0 {
                        acts.push(Act::Drop(at));
                    }
                }
                Stage::Asked(_) => {
                    if world.left.breaks > 0 && request.tries < 2 {
                        acts.push(Act::Break(at));
                    }
                    let given_up = |deadline| world.time > request.since + deadline;
                    if self.deadline.is_some_and(given_up) {
                        acts.push(Act::GiveUp(at));
                    }
                    if world.left.drops > 0 {
                        acts.push(Act::Drop(at));
                    }
                }
                Stage::Answered(..) => {
                    acts.push(Act::Arrive(at));
                    if world.left.losses > 0 {
                        acts.push(Act::Lose(at));
                    }
                }
                Stage::Over(_) => {}
            }
        }
        for flying in &world.flight {
            if flying.answer.is_some() {
                acts.push(Act::Receive(flying.clone()));
                continue;
            }
            acts.push(Act::Run(flying.clone()));
            // Giving up is repeated until it works.
            let tried = matches!(
                flying.call,
                Call::End {
                    reason: Reason::Undelivered,
                    ..
                }
            );
            if !world.is_awaited(flying) && !tried {
                acts.push(Act::Vanish(flying.clone()));
            }
        }
    }

    fn next_state(&self, before: &World, act: Act) -> Option<World> {
        let mut world = before.clone();
        match act {
            Act::Tick => self.tick(&mut world, None),
            Act::Suspend(node) => self.tick(&mut world, Some(node)),
            Act::StepBack => {
                let back = std::mem::take(&mut world.left.back);
                world.behind = i8::try_from(back).unwrap();
                world.seen.rejected = None;
            }
            Act::Send(at) => self.send(&mut world, at),
            Act::Commit(at) => Node::new(self, &mut world, at).commit(),
            Act::Run(flying) => {
                world.take(&flying);
                world.run(flying, self);
            }
            Act::Vanish(flying) => world.take(&flying),
            Act::Receive(flying) => {
                world.take(&flying);
                let Flying {
                    request, answer, ..
                } = flying;
                Node::new(self, &mut world, request).receive(answer?);
            }
            Act::Break(at) => {
                world.left.breaks -= 1;
                Node::new(self, &mut world, at).send_again();
            }
            Act::GiveUp(at) => Node::new(self, &mut world, at).give_up(),
            Act::Drop(at) => {
                world.left.drops -= 1;
                Node::new(self, &mut world, at).drop_response();
            }
            Act::Arrive(at) => self.arrive(&mut world, at),
            Act::Lose(at) => {
                world.left.losses -= 1;
                if let Stage::Answered(_, outcome) = world.requests[at].stage {
                    world.requests[at].stage = Stage::Over(outcome);
                }
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        props::all(self.shows)
    }
}

impl Scene {
    fn tick(&self, world: &mut World, suspended: Option<u8>) {
        world.time += 1;
        world.left.ticks -= 1;
        for (plan, request) in self.plans.iter().zip(&mut world.requests) {
            let under_way = matches!(request.stage, Stage::Open | Stage::Asked(_));
            if under_way && Some(plan.node) == suspended {
                request.slept += 1;
            }
        }
    }

    /// A request leaves its browser, arrives, and is resolved.
    fn send(&self, world: &mut World, at: usize) {
        let now = world.now();
        let plan = self.plans[at];
        let request = &mut world.requests[at];
        request.arrival = world.time;
        request.stage = Stage::Open;
        let sent = match plan.deed {
            // From another device.
            Deed::EndAll(_) | Deed::Revoke(_) => None,
            Deed::LogIn(_) | Deed::Password(_) | Deed::Put(_) | Deed::Look => {
                world.jars[plan.browser]
            }
        };
        let Some(token) = sent else {
            return;
        };
        let set = &mut world.sets[token.set];
        set.touch(token.id, now);
        request.current = match set.records.get(&token.id) {
            Some(Record::Live(live)) => Current::Live(token, *live),
            Some(Record::Ended {
                reason: Reason::Undelivered | Reason::Rejected,
                ..
            })
            | None => Current::Nothing,
            Some(Record::Ended { reason, by }) => Current::Ended(*reason, *by),
        };
        if plan.deed == Deed::Look {
            Node::new(self, world, at).commit();
        }
    }

    fn arrive(&self, world: &mut World, at: usize) {
        let Stage::Answered(cookie, outcome) = world.requests[at].stage else {
            return;
        };
        let jar = &mut world.jars[self.plans[at].browser];
        match cookie {
            Cookie::Set(token) => *jar = Some(token),
            Cookie::Remove => {
                if let Some(token) = jar.take() {
                    world.seen.signed_out_late |= world.sets[token.set].is_live(token.id);
                }
            }
            Cookie::Keep => {}
        }
        world.requests[at].stage = Stage::Over(outcome);
    }
}
