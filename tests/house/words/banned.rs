//! The words that have a plainer name in this project.

use super::prose::Word;

/// What is refused, as words in a row: `a|b c` is `a c` or `b c`.
const BANNED: [&str; 22] = [
    "former",
    "corner|corners",
    "unseen",
    "unshown",
    "void|voids|voided",
    "told",
    "tells|telling",
    "our own",
    "of ours",
    "guest's|guests'",
    "a guests",
    "anew",
    "once more",
    "holder|holders|holder's",
    "whoever",
    "somebody|somebody's",
    "none the worse",
    "stay|stays|stayed as it|they is|are|was|were",
    "very next",
    "managed",
    "cuts of|by|at|are|is|move|moves|that|which",
    "the|a|own|no|another|other|moved|later|earlier|last|this|that|its|every|each|set|user's cut",
];

/// After `the cut`, these make it something that was cut: a connection, an answer.
const CUT_THINGS: [&str; 7] = [
    "off",
    "short",
    "connection",
    "connections",
    "answer",
    "reply",
    "text",
];

/// Nobody *shows* one of these: a request sends it.
const SENT: [&str; 4] = ["token", "tokens", "cookie", "cookies"];

const SHOWS: [&str; 5] = ["show", "shows", "shown", "showed", "showing"];

/// How far apart the two may stand: "shows the same previous token".
const NEAR: usize = 4;

/// Strings on the wire or in the store, as they stand in a sentence. Code spans are never read.
pub(super) const WIRE: [(&str, &str); 2] = [
    (
        "\"void\"",
        "the reason of a rejected sign-in in metrics and in the reply of create.lua",
    ),
    (
        "\"cut\"",
        "the field of the cutoff in the hash of a session set",
    ),
];

/// The refused words of a sentence, each with its line.
pub(super) fn of_sentence(sentence: &[Word]) -> Vec<(usize, String)> {
    let words: Vec<(usize, String)> = sentence
        .iter()
        .flat_map(|word| parts(&word.text).map(|part| (word.line, part)))
        .collect();
    find(&words)
}

/// The refused words in the name of a function.
pub(super) fn of_name(name: &str) -> impl Iterator<Item = String> {
    let words: Vec<(usize, String)> = parts(name).map(|part| (0, part)).collect();
    find(&words).into_iter().map(|(_line, found)| found)
}

/// `Set-Cookie` is `set` and `cookie`; an apostrophe belongs to its word; a semicolon stands alone.
fn parts(text: &str) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase().replace('’', "'").replace(';', " ; ");
    let parts: Vec<String> = lower
        .split(|letter: char| !letter.is_alphanumeric() && !"';".contains(letter))
        .map(|part| part.trim_start_matches('\'').to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    parts.into_iter()
}

fn find(words: &[(usize, String)]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in 0..words.len() {
        let here = &words[at..];
        let length = BANNED.iter().find_map(|pattern| matches(pattern, here));
        let length = length.or_else(|| shows_what_is_sent(here));
        if let Some(length) = length {
            let text: Vec<&str> = here[..length].iter().map(|(_, word)| &**word).collect();
            found.push((here[0].0, text.join(" ")));
        }
    }
    found
}

/// How many words from here on match.
fn matches(pattern: &str, words: &[(usize, String)]) -> Option<usize> {
    let wanted: Vec<&str> = pattern.split(' ').collect();
    if wanted.len() > words.len() {
        return None;
    }
    let matches = wanted.iter().zip(words).all(|(wanted, (_, word))| {
        wanted
            .split('|')
            .any(|wanted| word == wanted || word.trim_end_matches('\'') == wanted)
    });
    let is_cut = wanted.last() == Some(&"cut");
    let next = words.get(wanted.len()).map_or("", |(_, word)| word);
    (matches && !(is_cut && CUT_THINGS.contains(&next))).then_some(wanted.len())
}

fn shows_what_is_sent(words: &[(usize, String)]) -> Option<usize> {
    let (_, first) = words.first()?;
    let others: &[&str] = if SHOWS.contains(&&**first) {
        &SENT
    } else if SENT.contains(&&**first) {
        // "the cookie is shown", not "a cookie, and shows".
        &SHOWS[2..3]
    } else {
        return None;
    };
    let near = words.iter().take(NEAR + 1).skip(1);
    let near = near.take_while(|(_, word)| word != ";");
    let (at, _) = near
        .enumerate()
        .find(|(_, (_, word))| others.contains(&&**word))?;
    Some(at + 2)
}

#[cfg(test)]
fn found_in(text: &str) -> Vec<String> {
    let words: Vec<(usize, String)> = parts(text).map(|part| (1, part)).collect();
    find(&words).into_iter().map(|(_, found)| found).collect()
}

#[test]
fn each_pattern_is_found_with_each_of_its_words() {
    for pattern in BANNED {
        let mut texts = vec![String::new()];
        for word in pattern.split(' ') {
            let longer = |text: &String| -> Vec<String> {
                let with = |one: &str| format!("{text} {one}").trim().to_owned();
                word.split('|').map(with).collect()
            };
            texts = texts.iter().flat_map(longer).collect();
        }
        for text in texts {
            assert_eq!(found_in(&format!("so {text} it")), [text]);
        }
    }
}

#[test]
fn showing_a_token_or_a_cookie_is_found_in_any_order() {
    let found = |text: &str| found_in(text).join(", ");

    assert_eq!(found("a request shows a token"), "shows a token");
    assert_eq!(found("the shown token"), "shown token");
    assert_eq!(
        found("showing the same previous cookie"),
        "showing the same previous cookie"
    );
    assert_eq!(found("a token that was shown"), "token that was shown");
    assert_eq!(found("the page shows devices; a token is sent"), "");
}

#[test]
fn a_word_within_another_is_fine() {
    assert_eq!(
        found_in("formerly avoid cornering a placeholder, unmanaged and toldo"),
        [""; 0]
    );
}

#[test]
fn a_connection_may_be_cut() {
    assert_eq!(found_in("the cut connection was cut off"), [""; 0]);
    assert_eq!(found_in("a proxy cut it"), [""; 0]);
}

#[test]
fn a_name_is_read_word_by_word() {
    let found: Vec<String> = of_name("the_cut_of_a_corner_is_told_once_more").collect();

    assert_eq!(found, ["the cut", "corner", "told", "once more"]);
}

#[test]
fn every_wire_string_has_a_reason() {
    assert!(WIRE.iter().all(|(_, reason)| reason.contains(' ')));
}
