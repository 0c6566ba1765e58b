//! Runs a model over all of its states.
#![allow(clippy::print_stdout, reason = "shown with --nocapture")]

use std::{collections::BTreeSet, fmt::Debug, hash::Hash};

use stateright::{Checker, HasDiscoveries, Model};

/// The whole state space keeps every `always`, reaches every `sometimes`, and is not smaller than
/// it was.
#[track_caller]
pub(crate) fn holds<M>(model: M, at_least: usize)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = model
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();

    checker.assert_properties();
    assert!(checker.is_done());
    let states = checker.unique_state_count();
    println!("{states} states, {} steps deep", checker.max_depth());
    assert!(states >= at_least, "{states} states, fewer than {at_least}");
}

/// There is a way to break this property. It is printed.
#[track_caller]
pub(crate) fn breaks<M>(model: M, property: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = model
        .checker()
        .finish_when(HasDiscoveries::AnyOf(BTreeSet::from([property])))
        .spawn_bfs()
        .join();

    let path = checker.assert_any_discovery(property);
    let expectation = checker.model().property(property).expectation;
    assert!(expectation.discovery_is_failure());
    for (step, action) in path.into_actions().into_iter().enumerate() {
        println!("{:3} {action:?}", step + 1);
    }
}
