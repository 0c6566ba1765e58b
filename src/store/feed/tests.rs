use std::sync::{Arc, Mutex, Weak};

use proptest::prelude::*;

use super::{Feed, FeedMessage, FeedNews, FeedReader, FeedSource, FeedState};
use crate::model::{EndReason, SessionId, Tag, Timestamp};

const TAG: Tag = Tag::from_bytes([7; 12]);

fn id(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 12])
}

fn all_kinds() -> Vec<FeedMessage> {
    let ended = |count: u8| (0..count).map(|at| (id(at), EndReason::Evicted)).collect();
    let news = [
        FeedNews::Ended(Vec::new()),
        FeedNews::Ended(ended(1)),
        FeedNews::Ended(ended(16)),
        FeedNews::EndedAllBut(id(1), EndReason::Administrator),
        FeedNews::LookAgain,
        FeedNews::Renewed(id(2)),
        FeedNews::Written(id(3)),
        FeedNews::Everyone(Timestamp::from_millis(-5)),
    ];
    news.into_iter()
        .map(|news| FeedMessage::new(TAG, news))
        .collect()
}

#[test]
fn a_message_is_read_as_it_was_written() {
    for message in all_kinds() {
        assert_eq!(FeedMessage::decode(&message.encode()), Some(message));
    }
}

#[test]
fn the_bytes_of_a_message_do_not_change() {
    let ended = vec![(id(2), EndReason::Revoked), (id(3), EndReason::Evicted)];
    let message = FeedMessage::new(Tag::from_bytes([1; 12]), FeedNews::Ended(ended));
    let (revoked, evicted) = (EndReason::Revoked.code(), EndReason::Evicted.code());

    let bytes = [
        &[1, 1][..],
        b"AQEBAQEBAQEBAQEB",
        b"AgICAgICAgICAgIC",
        &[revoked],
        b"AwMDAwMDAwMDAwMD",
        &[evicted],
    ];

    assert_eq!(message.encode(), bytes.concat());
    let kinds: Vec<u8> = all_kinds().iter().map(|it| it.encode()[1]).collect();
    assert_eq!(kinds, [1, 1, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn more_than_16_ended_sessions_are_a_look_at_the_whole_user() {
    let ended = (0..17).map(|at| (id(at), EndReason::Evicted)).collect();

    let message = FeedMessage::new(TAG, FeedNews::Ended(ended));

    assert_eq!(message.news, FeedNews::LookAgain);
}

#[test]
fn bytes_that_name_more_than_16_ended_sessions_are_a_look_at_the_whole_user() {
    let ended = (0..16).map(|at| (id(at), EndReason::Evicted)).collect();
    let mut bytes = FeedMessage::new(TAG, FeedNews::Ended(ended)).encode();
    bytes.extend(id(16).encode());
    bytes.push(EndReason::Evicted.code());

    let read = FeedMessage::decode(&bytes).unwrap();

    assert_eq!(read.news, FeedNews::LookAgain);
}

#[test]
fn a_message_of_a_newer_version_or_kind_is_a_look_at_its_user() {
    let look = Some(FeedMessage::new(TAG, FeedNews::LookAgain));
    for message in all_kinds() {
        let mut newer = message.encode();
        newer[0] = 2;
        assert_eq!(FeedMessage::decode(&newer), look);
        let mut other = message.encode();
        other[1] = 7;
        assert_eq!(FeedMessage::decode(&other), look);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_a_message_about_their_tag_or_none(bytes: Vec<u8>, head: [u8; 2]) {
        let with_tag = [&head[..], &TAG.encode(), &bytes].concat();

        prop_assert_eq!(FeedMessage::decode(&with_tag).unwrap().tag, TAG);
        if let Some(message) = FeedMessage::decode(&bytes) {
            prop_assert_eq!(&message.tag.encode()[..], &bytes[2..18]);
        }
    }

    #[test]
    fn a_truncated_message_is_a_look_at_its_user_or_none(at in 0..8_usize, cut in 0..300_usize) {
        let message = &all_kinds()[at];
        let bytes = message.encode();
        let cut = cut.min(bytes.len().saturating_sub(1));

        let read = FeedMessage::decode(&bytes[..cut]);

        if let Some(read) = read {
            let whole = matches!((&read.news, &message.news),
                (FeedNews::Ended(some), FeedNews::Ended(all)) if some.len() < all.len());
            prop_assert!(whole || read.news == FeedNews::LookAgain);
            prop_assert_eq!(read.tag, TAG);
        }
    }
}

struct Source(Mutex<FeedState>, Mutex<Vec<usize>>);

impl FeedSource for Arc<Source> {
    fn state(&self, _: Tag) -> FeedState {
        *self.0.lock().unwrap()
    }

    fn wanted(&self, readers: usize) {
        self.1.lock().unwrap().push(readers);
    }
}

#[derive(Default)]
struct Reader(Mutex<Vec<FeedNews>>);

impl FeedReader for Reader {
    fn message(&self, message: &FeedMessage) {
        self.0.lock().unwrap().push(message.news.clone());
    }

    fn epoch_changed(&self) {
        self.0.lock().unwrap().push(FeedNews::LookAgain);
    }
}

fn feed() -> (Arc<Source>, Feed) {
    let source = Arc::new(Source(
        Mutex::new(FeedState::new(0, true)),
        Mutex::default(),
    ));
    (Arc::clone(&source), Feed::new(source))
}

#[test]
fn a_mark_does_not_hold_after_a_message_an_own_change_another_epoch_or_lost_trust() {
    let (source, feed) = feed();
    let mark = feed.mark(TAG);
    assert!(feed.is_unchanged(TAG, &mark));

    feed.deliver(&FeedMessage::new(
        Tag::from_bytes([8; 12]),
        FeedNews::LookAgain,
    ));
    assert!(feed.is_unchanged(TAG, &mark));

    feed.deliver(&FeedMessage::new(TAG, FeedNews::LookAgain));
    assert!(!feed.is_unchanged(TAG, &mark));
    let mark = feed.mark(TAG);
    feed.count(TAG);
    assert!(!feed.is_unchanged(TAG, &mark));

    let mark = feed.mark(TAG);
    *source.0.lock().unwrap() = FeedState::new(1, true);
    assert!(!feed.is_unchanged(TAG, &mark));
    *source.0.lock().unwrap() = FeedState::new(0, false);
    assert!(!feed.is_unchanged(TAG, &mark));
    let mark = feed.mark(TAG);
    assert!(!feed.is_unchanged(TAG, &mark));
}

#[test]
fn a_message_about_all_users_changes_each_mark() {
    let (_, feed) = feed();
    let mark = feed.mark(TAG);

    feed.deliver(&FeedMessage::everyone(Timestamp::from_millis(5)));

    assert!(!feed.is_unchanged(TAG, &mark));
}

#[test]
fn a_store_listens_while_its_feed_has_readers() {
    let (source, feed) = feed();
    let mut wanted = feed.wanted();
    assert!(!feed.is_wanted());

    let one = Arc::new(Reader::default());
    let weak = Arc::downgrade(&one);
    let weak: Weak<dyn FeedReader> = weak;
    let interest = feed.read_by(weak.clone());
    assert!(wanted.has_changed().unwrap());
    assert_eq!(*wanted.borrow_and_update(), 1);
    feed.deliver(&FeedMessage::new(TAG, FeedNews::Renewed(id(1))));
    feed.epoch_changed();

    let read = [FeedNews::Renewed(id(1)), FeedNews::LookAgain];
    assert_eq!(*one.0.lock().unwrap(), read);
    let other = feed.read_by(weak);
    drop(interest);
    assert!(feed.is_wanted());
    drop(other);
    assert!(!feed.is_wanted());
    assert_eq!(*wanted.borrow_and_update(), 0);
    assert_eq!(*source.1.lock().unwrap(), [1, 2, 1, 0]);
}

#[test]
fn readers_that_are_gone_leave_while_nothing_arrives() {
    let (_, feed) = feed();

    for _ in 0..10_000 {
        let reader: Arc<dyn FeedReader> = Arc::new(Reader::default());
        feed.overheard_by(Arc::downgrade(&reader));
    }

    assert!(feed.0.readers.lock().unwrap().len() < 16);
}
