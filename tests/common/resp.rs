//! Replies of Redis, as bytes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

/// How long the first reply is, if it is there as a whole.
pub(crate) fn reply(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let number = || -> i64 {
        let text = std::str::from_utf8(&bytes[1..line - 2]).unwrap();
        text.parse().unwrap()
    };
    match bytes[0] {
        b'$' | b'=' | b'!' => {
            let length = usize::try_from(number()).map_or(line, |length| line + length + 2);
            (bytes.len() >= length).then_some(length)
        }
        b'*' | b'~' | b'>' | b'%' => {
            let each = if bytes[0] == b'%' { 2 } else { 1 };
            let mut length = line;
            for _ in 0..number().max(0) * each {
                length += reply(&bytes[length..])?;
            }
            Some(length)
        }
        _ => Some(line),
    }
}

/// Whether it is a message of the feed, of one node or of a Cluster.
pub(crate) fn is_message(reply: &[u8]) -> bool {
    let one = reply.strip_prefix(b">3\r\n$7\r\nmessage\r\n");
    let rest = one.or_else(|| reply.strip_prefix(b">3\r\n$8\r\nsmessage\r\n"));
    let channel = rest.and_then(|rest| rest.split(|byte| *byte == b'\n').nth(1));
    channel.is_some_and(|channel| channel.ends_with(b":live\r") || channel.ends_with(b"}\r"))
}
