//! Sign-ins that were given up: who ends them, and when.

use std::{pin::pin, time::Duration};

use tower_user_sessions::{
    SessionStore,
    store::{Forget, Resolve, Save, SetStore, Token},
};

use super::{end_all, is_live, live, pauses, setup, sign_in, signed_in, tag};
use crate::common::{people::set, shelf::Shelf};

const MINUTE: Duration = Duration::from_secs(60);

async fn waiting(store: &SetStore<Shelf>) -> usize {
    store.drain(Duration::ZERO).await
}

// T57
#[tokio::test]
async fn with_a_task_no_operation_ends_one_and_without_it_each_does() {
    let (clock, _, store) = setup();
    let phone = signed_in(&store, &clock).await;
    let given_up = signed_in(&store, &clock).await;
    {
        let mut task = pin!(store.run());
        pauses(&mut task).await;
        store.end_undelivered(tag(), given_up.session_id());
        assert!(is_live(&store, &phone).await);
        assert_eq!(waiting(&store).await, 1);
    }
    assert!(is_live(&store, &phone).await);
    assert_eq!(waiting(&store).await, 0);

    for operation in 0..4 {
        let (given_up, other) = (
            signed_in(&store, &clock).await.session_id(),
            signed_in(&store, &clock).await,
        );
        store.end_undelivered(tag(), given_up);
        match operation {
            0 => drop(store.create(&sign_in(&clock).1).await.unwrap()),
            1 => {
                let save = Save::new(tag(), other.session_id(), set("n", "1"));
                store.save(&save).await.unwrap();
            }
            2 => {
                let digest = Resolve::new(other.clone()).digest;
                let forget = Forget::new(tag(), other.session_id(), digest);
                store.forget(&forget).await.unwrap();
            }
            _ => drop(store.end(&end_all()).await.unwrap()),
        }
        assert_eq!(waiting(&store).await, 0, "operation {operation}");
    }
}

// T57
#[tokio::test]
async fn the_task_goes_on_after_an_outage_once_an_operation_was_answered() {
    let (clock, shelf, store) = setup();
    let phone = signed_in(&store, &clock).await;
    let given_up: Vec<Token> = [
        signed_in(&store, &clock).await,
        signed_in(&store, &clock).await,
    ]
    .into();
    let mut task = pin!(store.run());
    shelf.set_down(true);
    for token in &given_up {
        store.end_undelivered(tag(), token.session_id());
    }
    for _ in 0..10 {
        pauses(&mut task).await;
    }
    assert_eq!(waiting(&store).await, 2);
    shelf.set_down(false);

    assert!(is_live(&store, &phone).await);
    for _ in 0..10 {
        pauses(&mut task).await;
    }

    assert_eq!((waiting(&store).await, live(&store).await), (0, 1));
}

// T57
#[tokio::test]
async fn one_in_a_damaged_set_does_not_wait_for_ever() {
    let (clock, shelf, store) = setup();
    let token = signed_in(&store, &clock).await;
    shelf.put_head(tag(), vec![0]);
    store.end_undelivered(tag(), token.session_id());

    assert_eq!(store.drain(MINUTE).await, 0);
}
