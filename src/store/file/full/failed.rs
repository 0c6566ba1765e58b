//! A first sign-in that fails and is in the file all the same.

use bytes::Bytes;
use redb::{ReadableDatabase, ReadableTableMetadata};

use super::{
    super::{FileStore, changes::PARTS},
    Small, tag, theme,
};
use crate::{
    model::{Arrival, Limit, Token, UserId},
    store::{Authenticated, Create, SessionStore},
};

/// Her first sign-in.
fn sign_in(theme: Option<&'static str>) -> (Token, Create) {
    let token = Token::random(tag(0)).unwrap();
    let id = UserId::new("user 0").ok();
    let mut create = Create::new(&token, id, Authenticated::On(Arrival::now()));
    create.limit = Limit::at_most(1);
    if let Some(theme) = theme {
        create.changes.set("theme", theme);
    }
    (token, create)
}

/// The commit of this sign-in is written, and answered with an error.
async fn fails(small: &Small, store: &FileStore, create: &Create) {
    {
        let mut state = small.state();
        state.fails = Some(state.through + 1);
    }
    store.create(create).await.unwrap_err();
}

/// Of how many sessions the file has data.
fn data(small: &Small) -> u64 {
    let disk = small.copy().disk();
    let read = disk.database().upgrade().unwrap().begin_read().unwrap();
    read.open_table(PARTS).unwrap().len().unwrap()
}

#[tokio::test]
async fn its_data_go_when_the_user_signs_in_again_at_once() {
    let small = Small::with(Vec::new());
    let store = small.open();
    let (_, create) = sign_in(Some("dark"));
    fails(&small, &store, &create).await;
    let failed = small.copy();
    assert_eq!(store.sets(), 0);

    store.create(&sign_in(None).1).await.unwrap();

    assert_eq!((data(&failed), data(&small)), (1, 0));
}

/// An app signs a user in, gets an error, changes data, and tries again.
#[tokio::test]
async fn its_data_are_not_those_of_its_repetition() {
    let small = Small::with(Vec::new());
    let store = small.open();
    let (token, mut create) = sign_in(Some("dark"));
    fails(&small, &store, &create).await;

    create.changes.set("theme", "light");
    store.create(&create).await.unwrap();

    for store in [&store, &small.copy().open()] {
        assert_eq!(theme(store, &token).await, Some(Bytes::from("light")));
    }
}
