//! A user agent, word by word.

use std::iter;

use super::named::Named;

/// What separates words; `/` is between a product and its version.
const BETWEEN: [char; 10] = [' ', '\t', ';', ',', '(', ')', '[', ']', '<', '>'];

/// Products that nearly all browsers claim to be.
const COMMON: [&str; 9] = [
    "AppleWebKit",
    "Chrome",
    "Electron",
    "Gecko",
    "Mobile",
    "Mozilla",
    "Safari",
    "Version",
    "like",
];

/// A user agent, cleaned and of at most 512 bytes.
#[derive(Debug)]
pub(super) struct Agent<'a> {
    text: &'a str,
    words: Vec<Word<'a>>,
}

/// One word of it: `Firefox/145.0`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Word<'a> {
    pub(super) name: &'a str,
    pub(super) version: Option<&'a str>,
    /// In parentheses: a comment on the product before it, not a product itself.
    pub(super) comment: bool,
}

impl<'a> Agent<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            words: words(text).collect(),
        }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn has(&self, part: &str) -> bool {
        self.text.contains(part)
    }

    pub(super) fn has_any(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.has(part))
    }

    /// Whether it has the form that browsers have in common.
    pub(super) fn is_browser_like(&self) -> bool {
        self.text.starts_with("Mozilla/") || self.text.starts_with("Opera/")
    }

    /// Its words, from left to right.
    pub(super) fn words(&self) -> impl Iterator<Item = Word<'a>> {
        self.words.iter().copied()
    }

    /// The first of its words that the table has.
    pub(super) fn first_listed(&self, table: &[(&str, &'static str)]) -> Option<Named> {
        self.words().find_map(|word| {
            let (_, name) = table.iter().find(|(token, _)| *token == word.name)?;
            Some(Named::known(name, word.version))
        })
    }

    /// The first row of the table that names one of its products.
    pub(super) fn listed(&self, table: &[(&str, &'static str)]) -> Option<Named> {
        let row = |word: Word<'a>| {
            let row = table.iter().position(|(token, _)| *token == word.name)?;
            Some((row, word))
        };
        let products = self.words().filter(|word| !word.comment);
        let (row, word) = products.filter_map(row).min_by_key(|(row, _)| *row)?;
        let (_, name) = table.get(row)?;
        Some(Named::known(name, word.version))
    }

    /// The product that other browsers do not name: the app around an embedded browser.
    pub(super) fn own_product(&self) -> Option<Named> {
        let own =
            |word: &Word<'a>| !word.comment && word.is_product() && !COMMON.contains(&word.name);
        let word = self.words().find(own)?;
        word.named()
    }
}

impl Word<'_> {
    /// Whether it is a name and a number.
    pub(super) fn is_product(self) -> bool {
        !self.name.is_empty() && self.version.is_some_and(starts_with_digit)
    }

    /// Its own name. Apple's library writes spaces as in a URL.
    pub(super) fn named(self) -> Option<Named> {
        Named::sent(&self.name.replace("%20", " "), self.version)
    }
}

/// The words of a text; a number after a name without one is its version.
fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let mut pieces = pieces(text).peekable();
    iter::from_fn(move || {
        let (piece, comment) = pieces.next()?;
        let next = pieces.peek().map(|(next, _)| *next);
        let (name, version) = match piece.split_once('/') {
            Some((name, version)) => (name, Some(version)),
            None => (piece, next.filter(|next| starts_with_digit(next))),
        };
        Some(Word {
            name,
            version,
            comment,
        })
    })
}

/// What is between the separators, and whether it is in parentheses.
fn pieces(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let (mut rest, mut depth) = (text, 0_usize);
    iter::from_fn(move || {
        loop {
            match rest.chars().next()? {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                c if BETWEEN.contains(&c) => {}
                _ => break,
            }
            // All separators are one byte long.
            rest = rest.get(1..)?;
        }
        let end = rest.find(BETWEEN).unwrap_or(rest.len());
        let (piece, after) = rest.split_at_checked(end)?;
        rest = after;
        Some((piece, depth > 0))
    })
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_their_version_and_whether_they_are_a_comment() {
        let agent = Agent::new("Slack 4.1 (X11; [Foo/2]) like Bar/3/x");

        let words: Vec<_> = agent
            .words()
            .map(|word| (word.name, word.version, word.comment))
            .collect();

        assert_eq!(
            words,
            [
                ("Slack", Some("4.1"), false),
                ("4.1", None, false),
                ("X11", None, true),
                ("Foo", Some("2"), true),
                ("like", None, false),
                ("Bar", Some("3/x"), false),
            ]
        );
    }

    #[test]
    fn the_first_row_of_a_table_wins_not_the_first_word() {
        let agent = Agent::new("Mozilla/5.0 Chrome/142.0 Safari/537.36 Edg/141.0");

        let found = agent.listed(&[("Edg", "Edge"), ("Chrome", "Chrome")]);

        assert_eq!(found, Some(Named::known("Edge", Some("141"))));
    }
}
