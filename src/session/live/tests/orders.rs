//! Every order in which a request that opens a stream and an end of its session can interleave.

use tokio::time::sleep;

use super::{
    super::book::First,
    MINUTE, SECOND,
    sight::{Sight, ended, id, tag},
};
use crate::{
    model::EndReason,
    store::{FeedNews, FeedState, Presence},
};

/// One step of a request or of an end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Mark,
    Resolve,
    Open,
    /// The node subscribes, because the stream is its first one.
    Subscribe,
    End,
    Message,
}

/// All orders in which the steps of both can happen.
fn orders(request: &[Step], end: &[Step]) -> Vec<Vec<Step>> {
    let begins = |first: Option<(&Step, &[Step])>, rest: &dyn Fn(&[Step]) -> Vec<Vec<Step>>| {
        let Some((first, others)) = first else {
            return Vec::new();
        };
        let mut all = rest(others);
        all.iter_mut().for_each(|order| order.insert(0, *first));
        all
    };
    if request.is_empty() && end.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = begins(request.split_first(), &|rest| orders(rest, end));
    all.extend(begins(end.split_first(), &|rest| orders(request, rest)));
    all
}

/// What a node does of what the design wants.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Looks {
    /// It asks once the stream is registered, and again after the subscription.
    Both,
    /// What the request resolved counts.
    NotAtOpening,
    NotAfterSubscribing,
}

/// Whether another stream has subscribed before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Subscribed,
    Nothing,
}

/// The orders after which a stream stays open although its session ended.
async fn missed(request: &[Step], before: Before, looks: Looks) -> Vec<Vec<Step>> {
    let mut missed = Vec::new();
    let orders = orders(request, &[Step::End, Step::Message]);
    // The node has its first answer before anything else happens, or not.
    for (order, pause) in orders.iter().flat_map(|order| [(order, 0), (order, 2)]) {
        let sight = Sight::new(true);
        let registry = sight.registry();
        sight.live(id(0), MINUTE * 60);
        sight.live(id(1), MINUTE * 60);
        let mut subscribed = before == Before::Subscribed;
        let _other = subscribed.then(|| sight.open_of(&registry, tag(5), id(0), None));
        if request.contains(&Step::Subscribe) {
            *sight.0.state.lock().unwrap() = FeedState::new(0, false);
        } else {
            subscribed = true;
        }
        sleep(SECOND).await;
        let (mut mark, mut is_live, mut live) = (None, false, None);
        for step in order {
            match step {
                Step::Mark => mark = registry.mark(tag(0)),
                Step::Resolve => {
                    let sessions = sight.0.sessions.lock().unwrap();
                    is_live = matches!(sessions[&id(1)], Presence::Live(_));
                }
                Step::Open if is_live => {
                    let first = match looks {
                        Looks::NotAtOpening => First::Known,
                        Looks::Both | Looks::NotAfterSubscribing => First::Now,
                    };
                    live = Some(sight.open_first(&registry, id(1), mark.as_ref(), first));
                    sleep(SECOND * pause).await;
                }
                Step::Subscribe => {
                    subscribed = true;
                    if looks != Looks::NotAfterSubscribing {
                        *sight.0.state.lock().unwrap() = FeedState::new(1, true);
                        sight.0.feed.as_ref().unwrap().epoch_changed();
                    }
                }
                Step::End => sight.end(id(1), EndReason::Evicted),
                // Redis sends it to nobody else.
                Step::Message if subscribed => {
                    sight.deliver(FeedNews::Ended(vec![(id(1), EndReason::Evicted)]));
                }
                Step::Open | Step::Message => {}
            }
            tokio::task::yield_now().await;
        }
        if let Some(live) = &live
            && ended(live, SECOND * 5).await != Some("evicted")
            && missed.last() != Some(order)
        {
            missed.push(order.clone());
        }
    }
    missed
}

const NONE: [Vec<Step>; 0] = [];

#[tokio::test(start_paused = true)]
async fn an_end_between_resolve_and_opening_is_seen() {
    let request = [Step::Mark, Step::Resolve, Step::Open];
    for before in [Before::Subscribed, Before::Nothing] {
        assert_eq!(missed(&request, before, Looks::Both).await, NONE);
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_mark_from_after_the_resolve_the_orders_find_missed_ends() {
    let request = [Step::Resolve, Step::Mark, Step::Open];
    let missed = missed(&request, Before::Subscribed, Looks::Both).await;

    // This is what skipping the first look without a proof would do.
    let overtaken = [
        Step::Resolve,
        Step::End,
        Step::Message,
        Step::Mark,
        Step::Open,
    ];
    assert_eq!(missed, [overtaken]);
}

/// The steps of a request whose stream is the first one of the node.
const FIRST: [Step; 4] = [Step::Mark, Step::Resolve, Step::Open, Step::Subscribe];

#[tokio::test(start_paused = true)]
async fn an_end_between_resolve_and_the_first_subscription_is_seen() {
    assert_eq!(missed(&FIRST, Before::Nothing, Looks::Both).await, NONE);
}

#[tokio::test(start_paused = true)]
async fn without_the_look_after_the_subscription_the_orders_find_missed_ends() {
    let missed = missed(&FIRST, Before::Nothing, Looks::NotAfterSubscribing).await;

    // The stream has asked, and nobody hears the message.
    let unheard = [
        Step::Mark,
        Step::Resolve,
        Step::Open,
        Step::End,
        Step::Message,
        Step::Subscribe,
    ];
    assert_eq!(missed, [unheard]);
}

#[tokio::test(start_paused = true)]
async fn without_the_look_at_the_opening_the_orders_find_missed_ends() {
    let request = [Step::Mark, Step::Resolve, Step::Open];
    let missed = missed(&request, Before::Nothing, Looks::NotAtOpening).await;

    // The feed has no reader before the opening, so its mark proves nothing.
    let unread = [
        Step::Mark,
        Step::Resolve,
        Step::End,
        Step::Message,
        Step::Open,
    ];
    assert_eq!(missed, [unread]);
}
