//! A user gains rights: which calls make a new token, and which of them end the previous one.

use tower_user_sessions::SessionLayer;

use crate::common::http::{Client, store};

// T5
#[tokio::test]
async fn when_the_user_gains_rights_re_authentication_kills_the_previous_token_and_rotation_does_not()
 {
    for (proven, found) in [(true, None), (false, Some("administrator"))] {
        let layer = SessionLayer::new(store().0);
        let mut client = Client::signed_in(&layer, "alice").await;
        let mut previous = client.clone();

        let gains = client.send(move |session| async move {
            session.insert("role", "administrator").unwrap();
            if proven {
                session.reauthenticated().unwrap();
            } else {
                session.rotate().unwrap();
            }
        });
        gains.await;

        assert_ne!(client.token(), previous.token());
        assert_eq!(client.get("role").await.as_deref(), Some("administrator"));
        assert_eq!(previous.get("role").await.as_deref(), found);
    }
}

// T5
#[tokio::test]
async fn a_rotation_that_is_asked_for_after_a_re_authentication_does_not_take_its_place() {
    let layer = SessionLayer::new(store().0);
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut previous = client.clone();

    let both = client.send(|session| async move {
        session.reauthenticated().unwrap();
        session.rotate().unwrap();
    });
    both.await;

    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(previous.user().await, None);
}
