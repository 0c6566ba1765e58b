//! The feed of a node that reads late: what it has not read yet is not trusted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use tokio::{runtime::Builder, time::Instant};
use tower_user_sessions::{
    EndReason, SessionId,
    store::{Feed, FeedMessage, FeedNews, FeedReader, Tag},
};

use super::feed::{ends, live};
use crate::common::{
    fake::{Asked, Fake},
    feed::Reader,
    people::{signs_in, token, until},
    redis::Server,
};

// T72 T73
#[tokio::test]
async fn a_node_that_reads_late_is_not_trusted_until_it_has_read_what_came_meanwhile() {
    let server = Server::start();
    let (a, b) = (live(&server.url()), live(&server.url()));
    let user = signs_in(&b, "alice").await;
    let tag = user.tag();
    let (ready, started) = mpsc::channel();
    let (resume, resumed) = mpsc::channel();
    let (stop, goes_on) = mpsc::channel::<()>();
    let node = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let reader = Arc::new(Reader::trusting(&a, tag).await);
            ready.send(Arc::clone(&reader)).unwrap();
            // Nothing runs in this runtime meanwhile, as if the process were suspended.
            resumed.recv().unwrap();
            while goes_on.try_recv() == Err(mpsc::TryRecvError::Empty) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    });
    let reader = started.recv().unwrap();
    let epoch = reader.epoch(tag);

    let news = ends(&b, &user).await;
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    assert!(!reader.is_trusted(tag));
    assert!(reader.messages().is_empty());
    resume.send(()).unwrap();
    let began = Instant::now();
    while !reader.is_trusted(tag) {
        assert!(began.elapsed() < Duration::from_secs(8));
        tokio::task::yield_now().await;
    }

    assert_eq!(reader.news(tag).await, [news]);
    assert_ne!(reader.epoch(tag), epoch);
    drop((reader, stop));
    node.join().unwrap();
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn push(channel: &[u8], message: &[u8]) -> Vec<u8> {
    [
        b">3\r\n$7\r\nmessage\r\n",
        &bulk(channel)[..],
        &bulk(message),
    ]
    .concat()
}

/// Answers these PINGs so late and behind so many messages, in the same bytes; and publishes what the node sends to
/// itself.
async fn floods(messages: u32, late: Duration, which: fn(&[u8]) -> bool) -> Fake {
    let this = Arc::new(OnceLock::<Fake>::new());
    let fake = Arc::clone(&this);
    let message = FeedMessage::new(
        Tag::from_bytes([1; 12]),
        FeedNews::Ended(vec![(SessionId::from_bytes([2; 12]), EndReason::Evicted)]),
    )
    .encode();
    let began = Instant::now();
    let answers = move |asked: &Asked| {
        let word = |at: usize| asked.words.get(at).map_or(&b""[..], Vec::as_slice);
        let is_late = word(0) == b"PING" && which(word(1));
        let answer = match word(0) {
            b"HELLO" => b"%1\r\n$5\r\nproto\r\n:3\r\n".to_vec(),
            b"SUBSCRIBE" => [b">3\r\n$9\r\nsubscribe\r\n", &bulk(word(1))[..], b":1\r\n"].concat(),
            b"PING" if is_late => {
                let all = push(b"sessions:live", &message).repeat(messages as usize);
                [all, bulk(word(1))].concat()
            }
            b"PING" => bulk(word(1)),
            b"EVALSHA" if asked.words.len() == 7 => {
                fake.get().unwrap().push(push(word(4), word(5)));
                let now = format!("*3\r\n:1\r\n:{}\r\n", began.elapsed().as_millis());
                [now.as_bytes(), &bulk(word(6))].concat()
            }
            _ => asked.usual(),
        };
        let after = if is_late { late } else { Duration::ZERO };
        (after, answer)
    };
    let fake = Fake::start(answers).await;
    let _ = this.set(fake.clone());
    fake
}

/// Reads slowly, so that an answer that overtakes messages is noticed before them.
struct Slow {
    feed: Feed,
    tag: Tag,
    read: AtomicUsize,
    /// How many messages came while the feed was trusted.
    trusted: AtomicUsize,
}

impl FeedReader for Slow {
    fn message(&self, _: &FeedMessage) {
        thread::sleep(Duration::from_micros(50));
        let trusted = self.feed.state(self.tag).trusted;
        self.trusted.fetch_add(usize::from(trusted), SeqCst);
        self.read.fetch_add(1, SeqCst);
    }

    fn epoch_changed(&self) {}
}

// T72 T73
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_behind_messages_is_believed_after_all_of_them() {
    // The question before is too old when the messages come, however busy the machine is.
    let late = Duration::from_millis(1_600);
    let fake = floods(1_000, late, |number| number == b"3").await;
    let a = live(&fake.url());
    let tag = token(&a, "alice").tag();
    let reader = Reader::of(&a);
    let slow = Arc::new(Slow {
        feed: reader.feed.clone(),
        tag,
        read: AtomicUsize::new(0),
        trusted: AtomicUsize::new(0),
    });
    let as_reader: Arc<dyn FeedReader> = slow.clone();
    let _interest = reader.feed.read_by(Arc::downgrade(&as_reader));
    reader.trusts(tag).await;

    until("all messages", async || slow.read.load(SeqCst) >= 1_000).await;

    assert_eq!(slow.trusted.load(SeqCst), 0);
    reader.trusts(tag).await;
}

// T72 T73
#[tokio::test]
async fn a_feed_is_trusted_for_2_s_from_a_question_and_not_from_its_answer() {
    let late = Duration::from_millis(1_750);
    let fake = floods(0, late, |number| number != b"1").await;
    let a = live(&fake.url());
    let tag = token(&a, "alice").tag();
    let reader = Reader::of(&a);
    reader.trusts(tag).await;

    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut trusted = 0;
    for _ in 0..500 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        trusted += usize::from(reader.is_trusted(tag));
    }

    // Of each 2.25 s from one question to the next, the last quarter of a second of its 2 s is left.
    assert!(trusted < 250, "{trusted} of 500 times");
}
