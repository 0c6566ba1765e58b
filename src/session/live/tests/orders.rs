//! Every order in which a request that opens a stream and an end of its session can interleave.

use tokio::time::sleep;

use super::{
    MINUTE, SECOND,
    sight::{Sight, ended, id, tag},
};
use crate::{
    model::EndReason,
    store::{FeedNews, Presence},
};

/// One step of a request or of an end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Mark,
    Resolve,
    Open,
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

/// The orders after which a stream stays open although its session ended.
async fn missed(request: [Step; 3]) -> Vec<Vec<Step>> {
    let mut missed = Vec::new();
    for order in orders(&request, &[Step::End, Step::Message]) {
        let sight = Sight::new(true);
        let registry = sight.registry();
        // Another stream keeps the feed open.
        sight.live(id(0), MINUTE * 60);
        sight.live(id(1), MINUTE * 60);
        let _other = sight.open_of(&registry, tag(5), id(0), None);
        sleep(SECOND).await;
        let (mut mark, mut is_live, mut live) = (None, false, None);
        for step in &order {
            match step {
                Step::Mark => mark = registry.mark(tag(0)),
                Step::Resolve => {
                    let sessions = sight.0.sessions.lock().unwrap();
                    is_live = matches!(sessions[&id(1)], Presence::Live(_));
                }
                Step::Open if is_live => live = Some(sight.open(&registry, id(1), mark.as_ref())),
                Step::Open => {}
                Step::End => sight.end(id(1), EndReason::Evicted),
                Step::Message => {
                    sight.deliver(FeedNews::Ended(vec![(id(1), EndReason::Evicted)]));
                }
            }
            tokio::task::yield_now().await;
        }
        if let Some(live) = &live
            && ended(live, SECOND * 5).await != Some("evicted")
        {
            missed.push(order);
        }
    }
    missed
}

#[tokio::test(start_paused = true)]
async fn an_end_between_resolve_and_opening_is_seen() {
    assert_eq!(
        missed([Step::Mark, Step::Resolve, Step::Open]).await,
        Vec::<Vec<Step>>::new()
    );
}

#[tokio::test(start_paused = true)]
async fn with_a_mark_from_after_the_resolve_the_orders_find_missed_ends() {
    let missed = missed([Step::Resolve, Step::Mark, Step::Open]).await;

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
