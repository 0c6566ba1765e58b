//! Views of nodes that know more or less, and redirections.

use super::*;

fn view(primaries: &[(u16, u64, &[(u16, u16)])]) -> View {
    let primaries = primaries.iter().map(|(port, epoch, slots)| Primary {
        address: Address::new("host", *port),
        alias: Some(Address::new("10.0.0.1", *port)),
        named: true,
        epoch: *epoch,
        slots: slots.to_vec(),
        fails: false,
    });
    View {
        primaries: primaries.collect(),
        ..View::default()
    }
}

fn merged(map: &mut Map<u16>, primaries: &[(u16, u64, &[(u16, u16)])], now: i64) -> Changed<u16> {
    map.merge(&view(primaries), now, |address| address.port)
}

#[test]
fn the_higher_epoch_has_the_slot_whichever_node_answers() {
    let mut map = Map::new();
    merged(&mut map, &[(1, 1, &[(0, 9)]), (2, 2, &[(10, 19)])], 0);
    assert_eq!(
        (map.find(5), map.find(15), map.find(20)),
        (Some(&1), Some(&2), None)
    );

    let changed = merged(&mut map, &[(3, 4, &[(0, 9)]), (2, 2, &[(10, 19)])], 1);
    assert_eq!((changed.added, changed.retired), (vec![3], vec![1]));
    assert!(changed.lost.contains(&1) && !changed.lost.contains(&2));

    let changed = merged(&mut map, &[(1, 1, &[(0, 9)]), (2, 2, &[(10, 19)])], 2);
    assert_eq!(
        map.find(5),
        Some(&3),
        "a node that was cut off knows no better"
    );
    assert_eq!((changed.added, changed.retired), (vec![], vec![]));
}

#[test]
fn a_slot_that_moved_is_served_by_the_named_node_at_once() {
    let mut map = Map::new();
    merged(&mut map, &[(1, 1, &[(0, 9)])], 0);

    let alias = Address::new("10.0.0.1", 1);
    let (link, changed) = map.redirect(5, true, &alias, 0, |_| unreachable!());
    assert_eq!(
        (link, changed.lost),
        (Some(1), vec![]),
        "known by its other name"
    );

    let new = Address::new("host", 2);
    let (link, changed) = map.redirect(5, true, &new, 0, |address| address.port);
    assert_eq!((link, changed.lost), (Some(2), vec![1]));
    assert_eq!((map.find(5), map.find(6)), (Some(&2), Some(&1)));
}

#[test]
fn a_slot_goes_to_the_node_that_claims_it_though_the_one_of_before_has_a_higher_epoch() {
    let mut map = Map::new();
    merged(&mut map, &[(1, 5, &[(0, 9)]), (2, 6, &[(10, 19)])], 0);

    let changed = merged(&mut map, &[(1, 8, &[(0, 8)]), (2, 7, &[(9, 19)])], 1);

    assert_eq!((map.find(8), map.find(9)), (Some(&1), Some(&2)));
    assert_eq!((changed.lost, changed.gained), (vec![1], vec![2]));
}

#[test]
fn a_node_that_restarts_at_another_address_under_its_name_gets_a_new_link() {
    let node = |host: &str| View {
        primaries: vec![Primary {
            address: Address::new(host, 1),
            alias: Some(Address::new("node-1.example", 1)),
            named: false,
            epoch: 1,
            slots: vec![(0, 9)],
            fails: false,
        }],
        ..View::default()
    };
    let host = |address: &Address| address.host.clone();
    let mut map = Map::new();
    map.merge(&node("10.0.0.1"), 0, host);

    let changed = map.merge(&node("10.0.0.2"), 1, host);

    assert_eq!(map.find(5).map(|host| &**host), Some("10.0.0.2"));
    assert_eq!(changed.retired, [Box::from("10.0.0.1")]);
}

/// What a node says of itself by its address or by its name.
fn of_one(address: &str, alias: &str) -> View {
    View {
        primaries: vec![Primary {
            address: Address::new(address, 1),
            alias: Some(Address::new(alias, 1)),
            named: !address.starts_with("10."),
            epoch: 1,
            slots: vec![(0, 9)],
            fails: false,
        }],
        ..View::default()
    }
}

#[test]
fn a_node_that_is_named_by_its_address_and_by_its_name_has_one_link() {
    let (by_address, by_name) = (of_one("10.0.0.1", "node-1"), of_one("node-1", "10.0.0.1"));
    let host = |address: &Address| address.host.clone();
    for views in [[&by_address, &by_name], [&by_name, &by_address]] {
        let mut map = Map::new();
        map.merge(views[0], 0, host);

        assert!(map.merge(views[1], 1, host).is_empty());

        for to in ["10.0.0.1", "node-1"] {
            let (_, changed) = map.redirect(5, true, &Address::new(to, 1), 2, host);
            assert!(changed.is_empty(), "{to}");
        }
    }
}

#[test]
fn a_name_leads_to_a_node_that_was_known_by_an_address_of_before() {
    let host = |address: &Address| address.host.clone();
    let mut map = Map::new();
    map.merge(&of_one("10.0.0.1", "node-1"), 0, host);

    map.merge(&of_one("node-1", "10.0.0.2"), 1, host);

    assert_eq!(map.find(5).map(|host| &**host), Some("node-1"));
}

#[test]
fn a_node_that_a_redirection_named_by_its_address_gets_a_link_to_the_name_that_it_announces() {
    let host = |address: &Address| address.host.clone();
    for is_known in [false, true] {
        let mut map = Map::new();
        map.merge(&of_one("node-0", "10.0.0.9"), 0, host);
        if is_known {
            // As one without slots, for example.
            map.redirect(6, false, &Address::new("10.0.0.1", 1), 0, host);
        }
        map.redirect(5, true, &Address::new("10.0.0.1", 1), 0, host);
        let mut view = of_one("node-1", "10.0.0.1");
        view.primaries[0].epoch = 2;

        map.merge(&view, 1, host);

        assert_eq!(map.find(5).map(|host| &**host), Some("node-1"));
        // It is named by its address again, and the link to its name is taken.
        let (link, _) = map.redirect(7, true, &Address::new("10.0.0.1", 1), 2, host);
        assert_eq!(link.as_deref(), Some("node-1"));
    }
}

#[test]
fn a_node_that_was_asked_keeps_its_link_for_a_minute() {
    let mut map = Map::new();
    merged(&mut map, &[(1, 1, &[(0, 9)])], 0);
    let new = Address::new("host", 2);

    let (link, changed) = map.redirect(5, false, &new, 0, |address| address.port);
    assert_eq!(
        (link, changed.added, map.find(5)),
        (Some(2), vec![2], Some(&1))
    );
    assert_eq!(
        merged(&mut map, &[(1, 1, &[(0, 9)])], KEPT - 1).retired,
        [0u16; 0]
    );
    assert_eq!(merged(&mut map, &[(1, 1, &[(0, 9)])], KEPT).retired, [2]);
}

#[test]
fn a_cluster_that_was_made_again_is_believed_after_doubt() {
    let mut map = Map::new();
    merged(&mut map, &[(1, 9, &[(0, 9)])], 0);

    map.doubt();
    merged(&mut map, &[(2, 1, &[(0, 9)])], 0);

    assert_eq!(map.find(5), Some(&2));
}

#[test]
fn a_cluster_that_was_made_again_is_believed_once_all_views_say_so_for_a_while() {
    let before: &[(u16, u64, &[(u16, u16)])] = &[(1, 7, &[(0, 9)]), (2, 9, &[(10, 19)])];
    // Without the node of some slots, and with the same nodes.
    let smaller: &[(u16, u64, &[(u16, u16)])] = &[(1, 1, &[(0, 19)])];
    let same: &[(u16, u64, &[(u16, u16)])] = &[(1, 1, &[(0, 9)]), (2, 2, &[(10, 19)])];
    for again in [smaller, same] {
        let mut map = Map::new();
        merged(&mut map, before, 0);

        merged(&mut map, again, 1);
        merged(&mut map, before, MADE_AGAIN);
        merged(&mut map, again, MADE_AGAIN + 1);
        assert_eq!(map.find(15), Some(&2), "one view says otherwise");

        merged(&mut map, &[(2, 0, &[])], MADE_AGAIN + 2);
        let mut cut_off = view(again);
        cut_off.primaries.iter_mut().for_each(|of| of.fails = true);
        map.merge(&cut_off, MADE_AGAIN * 9, |address| address.port);
        merged(&mut map, again, MADE_AGAIN * 2);
        assert_eq!((map.epoch(5), map.epoch(15)), (7, 9));
        merged(&mut map, again, MADE_AGAIN * 2 + 1);
        assert_eq!(map.find(15), Some(if again.len() == 1 { &1 } else { &2 }));
        assert_eq!(map.epoch(5), 1);

        let failover = merged(&mut map, &[(3, 3, &[(0, 9)])], MADE_AGAIN * 2 + 2);
        assert_eq!((failover.added, map.find(5)), (vec![3], Some(&3)));
    }
}

#[test]
fn a_node_that_has_not_heard_of_a_move_does_not_take_the_slot_back() {
    // The node that gave the slot away has the lower epoch, or the higher one.
    for first in [5, 7] {
        let mut map = Map::new();
        let before: &[(u16, u64, &[(u16, u16)])] = &[(1, first, &[(0, 9)]), (2, 6, &[(10, 19)])];
        merged(&mut map, before, 0);
        let second = Address::new("host", 2);
        map.redirect(9, true, &second, 0, |_| unreachable!());

        merged(&mut map, before, 1);
        assert_eq!((map.find(8), map.find(9)), (Some(&1), Some(&2)), "{first}");

        merged(&mut map, &[(1, first, &[(0, 8)]), (2, 8, &[(9, 19)])], 2);
        merged(&mut map, before, 3);
        assert_eq!(map.find(9), Some(&2), "{first}: what is newer counts");

        merged(&mut map, &[(1, 9, &[(0, 9)]), (2, 8, &[(10, 19)])], 4);
        assert_eq!(map.find(9), Some(&1), "{first}: it has moved back");
    }
}

#[test]
fn a_slot_that_a_redirection_gave_to_a_node_goes_to_the_replica_that_takes_over() {
    let mut map = Map::new();
    merged(&mut map, &[(1, 5, &[(0, 9)]), (2, 6, &[(10, 19)])], 0);
    map.redirect(9, true, &Address::new("host", 2), 0, |_| unreachable!());

    merged(&mut map, &[(1, 5, &[(0, 8)]), (3, 7, &[(9, 19)])], 1);

    assert_eq!((map.find(8), map.find(9)), (Some(&1), Some(&3)));
}

#[test]
fn an_old_view_with_a_slot_that_nobody_served_does_not_make_the_node_older() {
    let mut map = Map::new();
    merged(&mut map, &[(1, 5, &[(0, 9)])], 0);

    merged(&mut map, &[(1, 3, &[(20, 29)])], 1);
    merged(&mut map, &[(2, 4, &[(0, 9)])], 2);

    assert_eq!((map.find(5), map.find(25)), (Some(&1), Some(&1)));
}
