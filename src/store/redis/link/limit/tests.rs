//! How many calls the link lets be in flight.

use super::*;

/// How many calls are in flight now.
fn in_flight(limit: &Limit) -> usize {
    let size = limit.size();
    let taken = |all: usize, places: &Places| {
        all + places.debt.load(Ordering::Relaxed) - places.free.available_permits()
    };
    let others = taken(size.others, &limit.others);
    assert_eq!(others, limit.others.taken());
    others + taken(size.ends, &limit.ends)
}

fn size(limit: &Limit) -> usize {
    limit.size().others
}

fn take_all(limit: &Arc<Limit>) -> Vec<Place> {
    std::iter::from_fn(|| limit.try_take(Lane::Others)).collect()
}

/// A limit of so many places, and these places.
fn of_size(places: usize) -> (Arc<Limit>, Vec<Place>) {
    let limit = Arc::new(Limit::new(250));
    let mut all = take_all(&limit);
    while all.len() < places {
        limit.learn(0, 1);
        all.extend(take_all(&limit));
    }
    (limit, all)
}

#[test]
fn it_doubles_with_each_round_trip_while_replies_come_soon() {
    let limit = Arc::new(Limit::new(250));
    limit.learn(0, 1);
    assert_eq!(size(&limit), LEAST, "not used fully");

    let mut places = take_all(&limit);
    for trip in 0..4 {
        assert_eq!(places.len(), LEAST << trip);
        let mut next = Vec::new();
        for place in places {
            limit.learn(trip, trip + 1);
            drop(place);
            // Callers wait.
            next.extend(take_all(&limit));
        }
        places = next;
    }
    drop(places);
    assert_eq!(in_flight(&limit), 0);
}

#[test]
fn it_grows_once_a_round_trip_when_replies_take_longer() {
    let limit = Arc::new(Limit::new(250));
    let places = take_all(&limit);

    limit.learn(1, 127);
    limit.learn(2, 128);
    assert_eq!(size(&limit), LEAST + 1);
    drop(places);
    let places = take_all(&limit);
    limit.learn(128, 129);
    assert_eq!(size(&limit), LEAST + 2);

    drop(places);
    assert_eq!(in_flight(&limit), 0);
}

#[test]
fn late_replies_shrink_it_once_a_round_trip_and_the_places_go_when_they_are_given_back() {
    let (limit, places) = of_size(100);

    limit.learn(10, 310);
    limit.learn(20, 320);
    assert_eq!(size(&limit), 70);
    assert_eq!(in_flight(&limit), 100);
    drop(places);
    let places = take_all(&limit);
    assert_eq!(places.len(), 70);

    limit.learn(1_000, 1_500);
    assert_eq!(size(&limit), 35, "the reply took twice as long as it may");
    limit.learn(2_000, 9_000);
    assert_eq!(size(&limit), 10);
    limit.learn(10_000, 20_000);
    assert_eq!(size(&limit), LEAST);
    drop(places);
    assert_eq!(in_flight(&limit), 0);
}

#[test]
fn a_late_reply_shrinks_what_was_in_use_and_not_what_might_have_been() {
    let (limit, mut places) = of_size(500);
    places.truncate(300);

    limit.learn(10, 270);

    assert_eq!(size(&limit), 210);
}

#[test]
fn a_busy_time_is_forgotten() {
    let (limit, places) = of_size(500);
    drop(places);
    let few: Vec<Place> = (0..20)
        .map(|_| limit.try_take(Lane::Others).unwrap())
        .collect();

    limit.learn(300, 301);
    assert_eq!(size(&limit), 500, "it was used a moment ago");
    limit.learn(600, 601);

    assert_eq!(size(&limit), 40);
    drop(few);
    limit.learn(9_000, 9_001);
    assert_eq!(size(&limit), LEAST, "after a pause");
    assert_eq!(in_flight(&limit), 0);
}

#[test]
fn replies_of_a_server_far_away_are_not_late() {
    let (limit, _places) = of_size(100);
    limit.connected();
    limit.learn(1_000, 1_300);
    let far = size(&limit);
    assert!(far >= 100);

    limit.learn(50_000, 50_501);
    assert!(size(&limit) < far, "the way takes 300 ms, the server 201");
    limit.connected();
    limit.learn(60_000, 60_001);
    let before = size(&limit);
    limit.learn(70_000, 70_300);
    assert!(size(&limit) < before, "it is near now");
}

#[test]
fn ends_have_places_of_their_own() {
    let limit = Arc::new(Limit::new(250));
    let others = take_all(&limit);
    let ends: Vec<Place> = std::iter::from_fn(|| limit.try_take(Lane::Ends)).collect();

    assert_eq!((others.len(), ends.len()), (LEAST, LEAST_ENDS));
}
