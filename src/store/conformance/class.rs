//! Number 3 for classes and for sessions that do not count; and new devices.

use std::time::Duration;

use super::trial::{MS, SessionSet, Trial, ids, ids_of, set};
use crate::{
    model::{ClientClass, Limit, Token},
    store::{Create, Created, SeenDevice, UNCOUNTED_MAX, Which},
};

const PHONE: ClientClass = ClientClass::new(1);

pub(super) async fn has_its_own_limit(trial: &Trial) {
    sessions_of_the_same_class_end_first(trial).await;
    uncounted_sessions_have_a_limit_apart(trial).await;
    a_refusal_is_that_of_the_class(trial).await;
    a_device_is_new_once(trial).await;
}

/// A sign-in of this class, 1 ms later than the one before.
fn of_class(trial: &Trial, session_set: &SessionSet<'_>, class: ClientClass) -> (Token, Create) {
    trial.clock.advance(MS);
    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.class = class;
    create.limit = Limit::at_most(3).of_class(PHONE, 1);
    (token, create)
}

async fn sessions_of_the_same_class_end_first(trial: &Trial) {
    let session_set = trial.user();
    let mut tokens = Vec::new();
    for class in [ClientClass::default(), PHONE, ClientClass::default()] {
        let (token, create) = of_class(trial, &session_set, class);
        trial.made(&create, "a sign-in").await;
        tokens.push(token);
    }

    let (phone, create) = of_class(trial, &session_set, PHONE);
    let made = trial
        .made(&create, "a sign-in at the limit of its class")
        .await;
    let (other, create) = of_class(trial, &session_set, ClientClass::default());
    let then = trial
        .made(&create, "a sign-in at the limit of all classes")
        .await;

    let [first, old_phone, third] = &tokens[..] else {
        trial.broken("expected three sign-ins");
    };
    trial.same(
        ids(&made.evicted),
        ids_of(&[old_phone]),
        "the evicted session, of the same class",
    );
    trial.same(
        ids(&then.evicted),
        ids_of(&[first]),
        "the evicted session, the least recently active of all",
    );
    session_set
        .lists_exactly(&[third, &phone, &other], "the list")
        .await;
}

async fn uncounted_sessions_have_a_limit_apart(trial: &Trial) {
    let session_set = trial.user();
    let uncounted = async || {
        let (token, mut create) = of_class(trial, &session_set, PHONE);
        create.counts = false;
        create.limit = Limit::at_most(1);
        (
            token,
            trial.made(&create, "a sign-in that does not count").await,
        )
    };
    let (first, made) = uncounted().await;
    // A `resolve` would make it used, so that it is evicted last.
    let stored = session_set.listed().await;
    for record in stored.iter().chain([&made.record]) {
        trial.same(
            (record.counts, record.class),
            (false, ClientClass::default()),
            "whether it counts, and its class",
        );
    }
    let (own, mut create) = of_class(trial, &session_set, PHONE);
    create.limit = Limit::at_most(1);
    let made = trial.made(&create, "a sign-in that counts").await;
    trial.same(
        ids(&made.evicted),
        ids_of(&[]),
        "the sessions that a counted sign-in evicted",
    );
    for _ in 1..UNCOUNTED_MAX {
        let (_, made) = uncounted().await;
        trial.same(
            ids(&made.evicted),
            ids_of(&[]),
            "the sessions that an uncounted sign-in below their limit evicted",
        );
    }

    let (_, made) = uncounted().await;

    trial.same(
        ids(&made.evicted),
        ids_of(&[&first]),
        "the session that the seventeenth uncounted sign-in evicted",
    );
    trial.live(&own, "the counted session").await;
}

/// Its limit refuses, although the session of another class is unused and would go.
async fn a_refusal_is_that_of_the_class(trial: &Trial) {
    let session_set = trial.user();
    let (phone, create) = of_class(trial, &session_set, PHONE);
    trial.made(&create, "a sign-in").await;
    trial.live(&phone, "a session that is used").await;
    let (unused, create) = of_class(trial, &session_set, ClientClass::default());
    trial.made(&create, "a sign-in").await;
    let (used, create) = of_class(trial, &session_set, ClientClass::default());
    trial.made(&create, "a sign-in").await;
    trial.live(&used, "a session that is used").await;
    trial.clock.advance(Duration::from_secs(60));
    let before = session_set.listed().await;

    let (_, mut create) = of_class(trial, &session_set, PHONE);
    for most in [2, 3] {
        create.limit = Limit::at_most(most).of_class(PHONE, 1).refuse();
        match trial.create(&create).await {
            Created::LimitReached(offered) => trial.same(
                ids(&offered),
                ids_of(&[&phone]),
                "the sessions whose end makes room in a class",
            ),
            other => trial.broken(&format!(
                "a sign-in at the refusing limit of its class: found {other:?}"
            )),
        }
    }
    trial.same(
        session_set.listed().await,
        before,
        "the list after a refusal",
    );
    trial.live(&unused, "the unused session").await;
}

async fn a_device_is_new_once(trial: &Trial) {
    let session_set = trial.user();
    let new_device = async |device: u8| {
        let (_, mut create) = of_class(trial, &session_set, PHONE);
        let kept = Duration::from_secs(60);
        create.device = Some(SeenDevice {
            digest: [device; 12],
            kept,
        });
        trial
            .made(&create, "a sign-in on a device")
            .await
            .new_device
    };

    trial.holds(new_device(1).await, "a device is new at its first sign-in");
    trial.holds(
        !new_device(1).await,
        "a device is not new at its second sign-in",
    );
    trial.end(&session_set.end(Which::All)).await;
    trial.holds(
        !new_device(1).await,
        "a device is not new after an end of all sessions",
    );
    for (limit, data_limit) in [
        (Limit::at_most(1).refuse(), 64 * 1024),
        (Limit::at_most(9), 1),
    ] {
        let (_, mut create) = of_class(trial, &session_set, PHONE);
        (create.limit, create.data_limit) = (limit, data_limit);
        create.changes = set("cart", "apple");
        create.device = Some(SeenDevice {
            digest: [2; 12],
            kept: Duration::from_secs(60),
        });
        let refused = trial.create(&create).await;
        trial.holds(
            matches!(refused, Created::LimitReached(_) | Created::TooLarge),
            &format!("a sign-in over a limit is refused, found {refused:?}"),
        );
    }
    trial.holds(
        new_device(2).await,
        "a device is new whose sign-ins were refused",
    );
    trial.clock.advance(Duration::from_secs(60));
    trial.holds(new_device(1).await, "a device is new again after its time");
    for device in 2..33 {
        new_device(device).await;
    }
    trial.holds(
        !new_device(1).await,
        "a device is remembered after 31 others",
    );
    for device in 40..72 {
        new_device(device).await;
    }
    trial.holds(new_device(1).await, "a device is forgotten after 32 others");
}
