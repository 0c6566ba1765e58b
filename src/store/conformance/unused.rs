//! Numbers 2, 3 and 4 for unused sessions: no request has sent their token yet.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::trial::{MS, SessionSet, Trial, ids, ids_of};
use crate::{
    model::{Client, ClientClass, Limit, Token},
    store::{Create, Created},
};

const PHONE: ClientClass = ClientClass::new(1);

/// A session that was unused for longer than this is evicted first.
const UNUSED_FOR: Duration = Duration::from_secs(20);

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

fn client(name: &str, address: IpAddr) -> Client {
    Client::new()
        .with_address(Some(address))
        .with_user_agent(Some(name.as_bytes()))
}

/// A sign-in of this client.
fn of(session_set: &SessionSet<'_>, name: &str) -> (Token, Create) {
    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.client = client(name, HOME);
    (token, create)
}

pub(super) async fn goes_first(trial: &Trial) {
    the_first_request_makes_a_session_used(trial).await;
    one_that_was_unused_for_20_s_goes_first(trial).await;
    one_of_the_same_client_goes_next(trial).await;
    the_order_holds_in_a_class(trial).await;
    devices_outlive_a_client_that_keeps_no_cookie(trial).await;
}

async fn the_first_request_makes_a_session_used(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let token = session_set.signs_in().await;
        let listed = |what: &'static str, wanted: bool| {
            let session_set = &session_set;
            async move {
                let unused: Vec<bool> = session_set
                    .listed()
                    .await
                    .iter()
                    .map(|it| it.unused)
                    .collect();
                trial.same(unused, vec![wanted], what);
            }
        };
        listed("whether a new session is unused", true).await;
        trial
            .unknown(&session_set.forged(&token), "a token with another secret")
            .await;
        listed("whether it is unused after a forged token", true).await;
        trial
            .live(&token, "the first request, which is no activity")
            .await;
        listed("whether it is unused after its first request", false).await;
    }
}

async fn one_that_was_unused_for_20_s_goes_first(trial: &Trial) {
    for (wait, unused_goes) in [(UNUSED_FOR, false), (UNUSED_FOR + MS, true)] {
        let session_set = trial.user();
        let used = session_set.signs_in().await;
        trial.touch(&used, "a session that is used").await;
        trial.clock.advance(MS);
        let (unused, create) = of(&session_set, "another client");
        trial.made(&create, "a sign-in").await;
        trial.clock.advance(wait);

        let (_, mut create) = of(&session_set, "the client");
        create.limit = Limit::at_most(2);
        let made = trial.made(&create, "a sign-in at the limit").await;

        let victim = if unused_goes { &unused } else { &used };
        trial.same(
            ids(&made.evicted),
            ids_of(&[victim]),
            "the evicted session of a used and an unused one",
        );
    }
}

async fn one_of_the_same_client_goes_next(trial: &Trial) {
    let session_set = trial.user();
    let (old, create) = of(&session_set, "an old client");
    trial.made(&create, "a sign-in").await;
    trial.clock.advance(UNUSED_FOR);
    let mut tokens = Vec::new();
    for (name, address) in [
        ("the client", HOME),
        ("another client", HOME),
        ("the client", HOME),
        ("the client", ELSEWHERE),
        ("the client", HOME),
    ] {
        trial.clock.advance(MS);
        let (token, mut create) = of(&session_set, name);
        create.client = client(name, address);
        trial.made(&create, "a sign-in").await;
        tokens.push(token);
    }
    let [used, another, first, elsewhere, second] = &tokens[..] else {
        trial.broken("expected five sign-ins");
    };
    trial.live(used, "a session that is used").await;

    let (_, mut create) = of(&session_set, "the client");
    create.limit = Limit::at_most(1);
    let made = trial.made(&create, "a sign-in under a lower limit").await;

    trial.same(
        ids(&made.evicted),
        ids_of(&[&old, first, second, used, another, elsewhere]),
        "the evicted sessions: unused for long, unused and of the same address and agent, the others",
    );
}

async fn the_order_holds_in_a_class(trial: &Trial) {
    let session_set = trial.user();
    let mut tokens = Vec::new();
    for class in [PHONE, PHONE, ClientClass::default()] {
        let (token, mut create) = of(&session_set, "a client");
        create.class = class;
        trial.made(&create, "a sign-in").await;
        trial.clock.advance(MS);
        tokens.push(token);
    }
    let [used, unused, other] = &tokens[..] else {
        trial.broken("expected three sign-ins");
    };
    trial.live(used, "a session that is used").await;
    trial.clock.advance(UNUSED_FOR + MS);

    let (_, mut create) = of(&session_set, "another client");
    create.class = PHONE;
    create.limit = Limit::at_most(2).of_class(PHONE, 2);
    let made = trial
        .made(&create, "a sign-in at the limit of its class")
        .await;

    trial.same(
        ids(&made.evicted),
        ids_of(&[unused, other]),
        "the evicted sessions: the unused one of the class, then the unused one of all",
    );
}

async fn devices_outlive_a_client_that_keeps_no_cookie(trial: &Trial) {
    for every in [100, 10_000, 60_000] {
        let session_set = trial.user();
        let (phone, create) = of(&session_set, "a phone");
        trial.made(&create, "a sign-in").await;
        let (laptop, create) = of(&session_set, "a laptop");
        trial.made(&create, "a sign-in").await;
        for token in [&phone, &laptop] {
            trial.touch(token, "a device in use").await;
        }
        for _ in 0..6 {
            trial.clock.advance(Duration::from_millis(every));
            let (_, mut create) = of(&session_set, "a client that keeps no cookie");
            create.limit = Limit::at_most(3);
            trial
                .made(&create, "a sign-in of a client that keeps no cookie")
                .await;
        }

        for token in [&phone, &laptop] {
            trial
                .live(token, "a device in use after sign-ins that never come back")
                .await;
        }
    }
}

pub(super) async fn does_not_count_for_a_refusal(trial: &Trial) {
    let session_set = trial.user();
    let unused = session_set.signs_in().await;
    trial.clock.advance(UNUSED_FOR);
    let (_, mut create) = of(&session_set, "the client");
    create.limit = Limit::at_most(1).refuse();
    let created = trial.create(&create).await;
    trial.holds(
        matches!(created, Created::LimitReached(_)),
        "a session that was unused for 20 s counts",
    );

    trial.clock.advance(MS);
    let made = trial.made(&create, "a sign-in 1 ms later").await;
    trial.same(
        ids(&made.evicted),
        ids_of(&[&unused]),
        "the unused session, which ends",
    );

    let used = session_set.signs_in().await;
    trial.live(&used, "a session that is used").await;
    trial.clock.advance(UNUSED_FOR + MS);
    let before = session_set.listed().await;
    let (_, mut create) = of(&session_set, "the client");
    create.limit = Limit::at_most(1).refuse();
    let Created::LimitReached(offered) = trial.create(&create).await else {
        trial.broken("expected that a session that is used counts");
    };
    trial.same(
        ids(&offered),
        ids_of(&[&used]),
        "the offered sessions: those that count",
    );
    let after = session_set.listed().await;
    trial.same(after, before, "the list after a refusal");
}
