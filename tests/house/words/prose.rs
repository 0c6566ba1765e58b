//! Sentences of a text in Markdown, which docs, comments and messages are.

use super::banned::WIRE;

/// Stands for a code span: one word, never read.
pub(super) const CODE: char = '\u{1}';

/// What ends in a full stop and ends no sentence.
const SHORT: [&str; 5] = ["e.g.", "i.e.", "etc.", "vs.", "cf."];

/// A line of a file, without its comment marks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
    /// Two spaces within this line begin another column, as in the header of a script.
    pub(super) columns: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) line: usize,
    pub(super) text: String,
}

impl Word {
    /// A dash is no word.
    fn counts(&self) -> bool {
        self.text
            .chars()
            .any(|letter| letter.is_alphanumeric() || letter == CODE)
    }
}

/// How long a sentence is. Names in a row, with commas, are one word.
pub(super) fn length(sentence: &[Word]) -> usize {
    let name = |word: &Word| word.text.starts_with(CODE);
    let listed = |at: usize| {
        at > 0
            && name(&sentence[at])
            && name(&sentence[at - 1])
            && sentence[at - 1].text.ends_with(',')
    };
    let counted = sentence.iter().enumerate();
    counted
        .filter(|(at, word)| word.counts() && !listed(*at))
        .count()
}

/// All sentences; a list item, a heading and a cell of a table end one.
pub(super) fn sentences(lines: &[Line]) -> Vec<Vec<Word>> {
    let mut sentences = Vec::new();
    for paragraph in paragraphs(lines) {
        let words = words(&paragraph);
        let mut rest = &words[..];
        while !rest.is_empty() {
            let ends = (1..rest.len()).find(|at| ends_before(&rest[*at - 1], &rest[*at]));
            let (sentence, after) = rest.split_at(ends.unwrap_or(rest.len()));
            sentences.push(sentence.to_vec());
            rest = after;
        }
    }
    sentences
}

/// The Rust in the fences of this text, each with the line it begins at.
pub(super) fn examples(lines: &[Line]) -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut open: Option<(usize, String, bool)> = None;
    for line in lines {
        let text = line.text.trim_start();
        match (&mut open, text.strip_prefix("```")) {
            (None, Some(language)) => {
                let is_rust = ["", "rust", "no_run", "compile_fail", "should_panic"]
                    .contains(&language.split(',').next().unwrap_or(""));
                open = Some((line.number + 1, String::new(), is_rust));
            }
            (Some(_), Some(_)) => {
                examples.extend(open.take().filter(|(.., is_rust)| *is_rust));
            }
            (Some((_, code, _)), None) => {
                code.push_str(text.strip_prefix("# ").unwrap_or(text));
                code.push('\n');
            }
            (None, None) => {}
        }
    }
    examples
        .into_iter()
        .map(|(line, code, _)| (line, code))
        .collect()
}

fn ends_before(word: &Word, next: &Word) -> bool {
    let closing = ['"', '\'', ')', ']', '*', '_', '”', '»'];
    let text = word.text.trim_end_matches(closing);
    let small = next
        .text
        .chars()
        .find(|letter| letter.is_alphanumeric() || *letter == CODE)
        .is_some_and(char::is_lowercase);
    text.ends_with(['.', '!', '?']) && !SHORT.contains(&text.trim_start_matches('(')) && !small
}

/// Lines that belong together.
fn paragraphs(lines: &[Line]) -> Vec<Vec<Line>> {
    let mut paragraphs: Vec<Vec<Line>> = vec![Vec::new()];
    let mut fenced = false;
    for line in lines {
        let text = line.text.trim().trim_start_matches("> ");
        if text.starts_with("```") {
            fenced = !fenced;
            paragraphs.push(Vec::new());
            continue;
        }
        if fenced || is_reference(text) {
            continue;
        }
        if let Some(cells) = text.strip_prefix('|') {
            let cells = cells.split('|').map(|cell| vec![with(line, cell)]);
            paragraphs.extend(cells);
            paragraphs.push(Vec::new());
            continue;
        }
        let heading = text.starts_with('#');
        let column = line.columns && (text.contains("  ") || text.starts_with('{'));
        let item = after_mark(text);
        if text.is_empty() || heading || column || item.is_some() {
            paragraphs.push(Vec::new());
        }
        let text = item.unwrap_or(text);
        if let Some(paragraph) = paragraphs.last_mut() {
            paragraph.push(with(line, text));
        }
        if heading {
            paragraphs.push(Vec::new());
        }
    }
    paragraphs
}

fn with(line: &Line, text: &str) -> Line {
    Line {
        text: text.to_owned(),
        ..*line
    }
}

/// The text of an item: `- one`, `2. two`.
fn after_mark(text: &str) -> Option<&str> {
    let (mark, item) = text.split_once(' ')?;
    let number = mark.strip_suffix(['.', ')']);
    let is_number = number.is_some_and(|number| number.parse::<u16>().is_ok());
    (is_number || ["-", "*", "+"].contains(&mark)).then_some(item)
}

/// `[name]: https://…`.
fn is_reference(text: &str) -> bool {
    text.starts_with('[') && text.contains("]: ")
}

/// The words of a paragraph; code spans are one, the targets of links are none.
fn words(paragraph: &[Line]) -> Vec<Word> {
    let texts: Vec<&str> = paragraph.iter().map(|line| &*line.text).collect();
    let mut text = texts.join("\n");
    for (wire, _reason) in WIRE {
        text = text.replace(wire, &CODE.to_string());
    }
    let text = without_targets(&without_tags(&without_code(&text)));
    let lines = text.split('\n').zip(paragraph);
    lines
        .flat_map(|(text, line)| {
            text.split_whitespace().map(|word| Word {
                line: line.number,
                text: word.to_owned(),
            })
        })
        .collect()
}

/// Each code span as one letter; its line breaks come after it.
fn without_code(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('`') {
        let ticks = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let (before, code) = (&rest[..at], &rest[at + ticks..]);
        let Some(end) = code.find(&rest[at..at + ticks]) else {
            break;
        };
        plain.push_str(before);
        plain.push(CODE);
        rest = &code[end + ticks..];
        // What is glued to the span stays so.
        let glued = rest.find(char::is_whitespace).unwrap_or(rest.len());
        plain.push_str(&rest[..glued]);
        plain.extend(code[..end].chars().filter(|letter| *letter == '\n'));
        rest = &rest[glued..];
    }
    plain.push_str(rest);
    plain
}

/// `<b>`, `</b>`, `<img …>` and `<!-- … -->` are no words.
fn without_tags(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let is_tag =
            rest[at + 1..].starts_with(|next: char| next.is_alphabetic() || "/!".contains(next));
        let end = rest[at..].find('>').filter(|_| is_tag);
        let (before, after) = end.map_or_else(
            || rest.split_at(at + 1),
            |end| (&rest[..at], &rest[at + end + 1..]),
        );
        plain.push_str(before);
        let tag = end.map_or("", |end| &rest[at..at + end]);
        plain.extend(tag.chars().filter(|letter| *letter == '\n'));
        rest = after;
    }
    plain.push_str(rest);
    plain
}

/// `[text](target)` and `[text][target]` are their text.
fn without_targets(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(']') {
        let (before, after) = rest.split_at(at + 1);
        plain.push_str(before);
        let close = match after.chars().next() {
            Some('(') => after.find(')'),
            Some('[') => after.find(']'),
            _ => None,
        };
        let target = close.map_or("", |close| &after[..=close]);
        plain.extend(target.chars().filter(|letter| *letter == '\n'));
        rest = &after[target.len()..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
fn lengths(text: &str) -> Vec<usize> {
    let lines = super::source::lines(text, 1);
    sentences(&lines)
        .iter()
        .map(|sentence| length(sentence))
        .filter(|length| *length > 0)
        .collect()
}

#[test]
fn a_sentence_ends_at_a_full_stop_and_goes_on_over_lines() {
    assert_eq!(
        lengths("One two\nthree. Four (five.) Six?\n\nSeven"),
        [3, 2, 1, 1]
    );
    assert_eq!(lengths("Version 7.0 of e.g. Redis – 8.0 too"), [7]);
}

#[test]
fn an_item_a_heading_and_a_cell_are_sentences_of_their_own() {
    assert_eq!(
        lengths("# Head\ntext\n- one\n  two\n1. three"),
        [1, 1, 2, 1]
    );
    assert_eq!(
        lengths("| a b | c |\n|---|---|\n| d | e f g |"),
        [2, 1, 1, 3]
    );
}

#[test]
fn code_is_one_word_and_a_target_is_none() {
    assert_eq!(lengths("Run `a b\nc`'s [the text](http://a b) now"), [5]);
    assert_eq!(lengths("```\none two three\n```\nfour"), [1]);
    assert_eq!(lengths("By `a`, `b c`, `d` and `e`"), [4]);
    assert_eq!(lengths("<img alt=\"a b c\"> one <b>two</b> 3 < 4"), [4]);
    assert_eq!(lengths("[name]: https://a.example b c\none"), [1]);
}
